/* products.h - every product, as the functions that a variant's table has (contract: kernels.h).
 *
 * The file that includes this has said what a vector is and how large the tiles are (tiles.h,
 * int16_products.h and quantized.h list what they ask for). The parts build on one another in this
 * order, and each includes the one that it builds on:
 *
 *   always_inline.h    how a template becomes functions
 *   operands.h         y, x and w as structs
 *   tiles.h            register tiles, what a vector is asked for, prefetching
 *     gemm.h             panels of W: gemm
 *     gemv.h             a file's rows of W: gemv
 *     gemm_nt.h          rows of W against rows of x: gemm_nt
 *     int16_products.h   sums of products of 16-bit integers
 *       quantized.h        panels of Q8 and Q4: gemm_q8, gemm_q4
 *         kv_q8.h            blocks of a Q8 cache: scores_q8, mix_q8
 *
 * Here the products of floats become functions, one for each type of weights. What is no product is
 * in vectorized.h, which builds on tiles.h too, and in elementwise.h, which builds on vectorized.h
 * or on generic.c. */
#ifndef KERNELS_PRODUCTS_H
#define KERNELS_PRODUCTS_H

#include "kernels/gemm.h"
#include "kernels/gemm_nt.h"
#include "kernels/gemv.h"
#include "kernels/kv_q8.h"

#define PRODUCTS_OF(type, size)                                                               \
    static void gemm_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,    \
                            size_t ws, size_t ps, int m, int n, int K) {                      \
        gemm((struct y_rows){y, ys}, (struct x_rows){x, xs},                                  \
             (struct panels){w, ws * (size), ps * (size)}, m, n, K,                           \
             (struct element){size, load_##type});                                            \
    }                                                                                         \
    static void gemv_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,    \
                            size_t ws, int m, int n, int K) {                                 \
        gemv((struct y_rows){y, ys}, (struct x_rows){x, xs}, w, ws, m, n, K,                  \
             (struct element){size, load_##type});                                            \
    }                                                                                         \
    static void gemm_nt_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                               size_t ws, int m, int n, int K) {                              \
        gemm_nt((struct y_rows){y, ys}, (struct x_rows){x, xs}, w, ws, m, n, K,               \
                (struct element){size, load_##type});                                         \
    }                                                                                         \
    static void to_f32_##type(float *dst, const void *src, size_t n) {                        \
        size_t i = 0;                                                                         \
        for (; i + WIDTH <= n; i += WIDTH)                                                    \
            vec_store(dst + i, load_##type((const char *)src + i * size, WIDTH), WIDTH);      \
        if (i < n)                                                                            \
            vec_store(dst + i, load_##type((const char *)src + i * size, (int)(n - i)),       \
                      (int)(n - i));                                                          \
    }

PRODUCTS_OF(f32, 4)
PRODUCTS_OF(f16, 2)
PRODUCTS_OF(bf16, 2)

#endif
