/* x86_avx512.c - what a vector is with AVX-512 (F, BW, DQ, VL): 16 lanes, 32 registers, masks. */
#include "kernels/elementwise.h"

#if defined(__AVX512F__)
#include <immintrin.h>

typedef __m512 vec;
#define WIDTH      16
#define GEMM_ROWS  6 /* 24 sums, 4 weights, 1 x: 29 registers */
#define GEMM_VECS  4
#define GEMV_ROWS  4
#define GEMV_DEPTH 16
#define DOTS_ROWS  6
#define DOTS_COLS  4

ALWAYS_INLINE __mmask16 first(int n) {
    return (__mmask16)((1u << n) - 1);
}

ALWAYS_INLINE vec vec_set(float s) {
    return _mm512_set1_ps(s);
}

ALWAYS_INLINE vec vec_fma(vec a, vec b, vec c) {
    return _mm512_fmadd_ps(a, b, c);
}

ALWAYS_INLINE vec vec_fma_n(vec a, vec b, vec c, int n) {
    return _mm512_mask3_fmadd_ps(a, b, c, first(n));
}

ALWAYS_INLINE void vec_store(float *p, vec v, int n) {
    if (n == WIDTH)
        _mm512_storeu_ps(p, v);
    else
        _mm512_mask_storeu_ps(p, first(n), v);
}

ALWAYS_INLINE vec load_f32(const void *p, int n) {
    return n == WIDTH ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first(n), p);
}

/* 16 elements of 16 bits. */
ALWAYS_INLINE __m256i load_16(const void *p, int n) {
    return n == WIDTH ? _mm256_loadu_si256(p) : _mm256_maskz_loadu_epi16(first(n), p);
}

ALWAYS_INLINE vec load_f16(const void *p, int n) {
    return _mm512_cvtph_ps(load_16(p, n));
}

ALWAYS_INLINE vec load_bf16(const void *p, int n) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_16(p, n)), 16));
}

/* 16 elements of 8 bits. */
ALWAYS_INLINE vec load_i8(const void *p, int n) {
    __m128i bytes = n == WIDTH ? _mm_loadu_si128(p) : _mm_maskz_loadu_epi8(first(n), p);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

ALWAYS_INLINE float lanes_sum(const vec p[1]) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(p[0]), _mm512_extractf32x8_ps(p[0], 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#include "kernels/products.h"

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .gemm = {[DTYPE_F32] = gemm_f32,
             [DTYPE_F16] = gemm_f16,
             [DTYPE_BF16] = gemm_bf16,
             [DTYPE_I8] = gemm_i8},
    .gemv = {[DTYPE_F32] = gemv_f32,
             [DTYPE_F16] = gemv_f16,
             [DTYPE_BF16] = gemv_bf16,
             [DTYPE_I8] = gemv_i8},
    .mr = GEMM_ROWS,
    .nr = GEMM_VECS * WIDTH,
    .dots = {[DTYPE_F32] = dots_f32,
             [DTYPE_F16] = dots_f16,
             [DTYPE_BF16] = dots_bf16,
             [DTYPE_I8] = dots_i8},
    .to_f32 = {[DTYPE_F32] = f32_to_f32,
               [DTYPE_F16] = f16_to_f32,
               [DTYPE_BF16] = bf16_to_f32,
               [DTYPE_I8] = i8_to_f32},
    .layer_norm = layer_norm,
    .softmax = softmax,
    .add = add,
    .scale = scale,
    .activations = activations,
};
#endif
