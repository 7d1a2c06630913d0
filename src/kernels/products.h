/* products.h - every product, as the functions that a variant's table has (contract: kernels.h).
 *
 * The file that includes this one defines vectors and tile sizes first (tiles.h, int16_products.h
 * and quantized.h list what they need). The parts build on one another in this order, and each
 * includes the part that it builds on:
 *
 *   always_inline.h          the attribute of templates
 *   operands.h               y, x and panels of w as structs
 *   tiles.h                  register tiles, prefetching
 *     gemm.h                 gemm: panels of W
 *     gemv.h                 gemv: W as a file has it
 *     gemm_nt.h              gemm_nt: rows of x by rows of W
 *     int16_products.h       sums of products of 16-bit integers
 *       quantized.h          gemm_quantized: quantized panels
 *         kv_q8.h            scores_q8, mix_q8: blocks of a Q8 cache
 *
 * This file makes functions of the float products, one for each type of weights. All other kernels
 * are in vectorized.h, which builds on tiles.h too, and in elementwise.h, which builds on
 * vectorized.h (in generic.c: on the definitions there). */
#ifndef KERNELS_PRODUCTS_H
#define KERNELS_PRODUCTS_H

#include "kernels/gemm.h"
#include "kernels/gemm_nt.h"
#include "kernels/gemv.h"
#include "kernels/kv_q8.h"

#define ELEMENT(type, size) ((struct element){size, load_##type, WHOLE_TILE_OF(type)})

#define PRODUCTS_OF(type, size)                                                                    \
    WHOLE_TILE(type, size)                                                                         \
    static void gemm_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,         \
                            size_t ws, size_t ps, int m, int n, int K) {                           \
        gemm((struct y_rows){y, ys}, (struct x_rows){x, xs},                                       \
             (struct panels){w, ws * (size), ps * (size)}, m, n, K, ELEMENT(type, size));          \
    }                                                                                              \
    static void gemv_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,         \
                            size_t ws, int m, int n, int K) {                                      \
        gemv((struct y_rows){y, ys}, (struct x_rows){x, xs}, w, ws, m, n, K, ELEMENT(type, size)); \
    }                                                                                              \
    static void gemm_nt_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,      \
                               size_t ws, int m, int n, int K) {                                   \
        gemm_nt((struct y_rows){y, ys}, (struct x_rows){x, xs}, w, ws, m, n, K,                    \
                ELEMENT(type, size));                                                              \
    }                                                                                              \
    static void to_f32_##type(float *dst, const void *src, size_t n) {                             \
        size_t i = 0;                                                                              \
        for (; i + WIDTH <= n; i += WIDTH)                                                         \
            vec_store(dst + i, load_##type((const char *)src + i * size, WIDTH), WIDTH);           \
        if (i < n)                                                                                 \
            vec_store(dst + i, load_##type((const char *)src + i * size, (int)(n - i)),            \
                      (int)(n - i));                                                               \
    }

PRODUCTS_OF(f32, 4)
PRODUCTS_OF(f16, 2)
PRODUCTS_OF(bf16, 2)

#endif
