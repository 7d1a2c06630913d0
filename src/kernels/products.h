/* products.h - gemm, gemv, dots and to_f32 as functions, one for each type (contract: kernels.h).
 * What they need of a variant: tiles.h. */
#ifndef KERNELS_PRODUCTS_H
#define KERNELS_PRODUCTS_H

#include "kernels/gemm.h"
#include "kernels/gemm_nt.h"
#include "kernels/gemv.h"

#define PRODUCTS_OF(type, size)                                                            \
    static void gemm_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                            size_t ws, size_t ps, int m, int n, int K) {                   \
        gemm(y, ys, x, xs, w, ws, ps, m, n, K, size, load_##type);                         \
    }                                                                                      \
    static void gemv_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                            size_t ws, int m, int n, int K) {                              \
        gemv(y, ys, x, xs, w, ws, m, n, K, size, load_##type);                             \
    }                                                                                      \
    static void dots_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                            size_t ws, int m, int n, int K) {                              \
        dots(y, ys, x, xs, w, ws, m, n, K, size, load_##type);                             \
    }                                                                                      \
    static void to_f32_##type(float *dst, const void *src, size_t n) {                     \
        size_t i = 0;                                                                      \
        for (; i + WIDTH <= n; i += WIDTH)                                                 \
            vec_store(dst + i, load_##type((const char *)src + i * size, WIDTH), WIDTH);   \
        if (i < n)                                                                         \
            vec_store(dst + i, load_##type((const char *)src + i * size, (int)(n - i)),    \
                      (int)(n - i));                                                       \
    }

PRODUCTS_OF(f32, 4)
PRODUCTS_OF(f16, 2)
PRODUCTS_OF(bf16, 2)

#endif
