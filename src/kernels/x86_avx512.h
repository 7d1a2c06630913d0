/* x86_avx512.h - vectors of AVX-512 (F, BW, DQ, VL), for the variants that have it: 16 lanes, 32
 * registers, masks. */
#ifndef KERNELS_X86_AVX512_H
#define KERNELS_X86_AVX512_H

#include "kernels/always_inline.h"

#include <immintrin.h>
#include <stdint.h>

typedef __m512 vec;
#define WIDTH                     16
#define GEMM_ROWS                 6 /* 31 registers: 24 sums, 6 x, 1 weight */
#define GEMM_VECS(rows)           4
#define PREFETCH_AHEAD            2048
#define PREFETCH_LEVEL            2 /* more lines can be on their way to L2 than to L1 */
#define PREFETCH_STEP_LEVEL(size) ((size) == 2 ? 3 : 2) /* as measured on Zen 4 */
#define GEMM_DEPTH                64
#define GEMV_ROWS                 4
#define GEMV_VECS                 2
#define GEMV_DEPTH                16
#define GEMM_NT_ROWS              6

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

ALWAYS_INLINE vec vec_max(vec a, vec b) {
    return _mm512_max_ps(a, b);
}

ALWAYS_INLINE vec vec_min(vec a, vec b) {
    return _mm512_min_ps(a, b);
}

#define VEC_SCALE(p, n) _mm512_scalef_ps(p, n)

ALWAYS_INLINE vec vec_mul(vec a, vec b) {
    return _mm512_mul_ps(a, b);
}

/* Doubles, for low_rank.h. */
typedef __m512d dvec;
#define LOW_RANK_ROWS 4 /* 12 registers: 8 sums, 2 of v, 1 of u, a product */
#define LOW_RANK_VECS 2

ALWAYS_INLINE dvec dvec_widen(const void *p) {
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}

ALWAYS_INLINE void dvec_narrow(float *p, dvec v) {
    _mm256_storeu_ps(p, _mm512_cvtpd_ps(v));
}

/* Integers, for quantized.h. */
typedef __m512i ivec;
ALWAYS_INLINE ivec ivec_set(uint32_t word) {
    return _mm512_set1_epi32((int32_t)word);
}

ALWAYS_INLINE ivec ivec_load(const void *p) {
    return _mm512_loadu_si512(p);
}

ALWAYS_INLINE ivec ivec_widen8(const void *p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(p));
}

ALWAYS_INLINE void ivec_store(void *p, ivec a) {
    _mm512_storeu_si512(p, a);
}

ALWAYS_INLINE ivec ivec_add(ivec a, ivec b) {
    __asm__("vpaddd %1, %0, %0" : "+v"(a) : "v"(b));
    return a;
}

ALWAYS_INLINE ivec ivec_and(ivec a, ivec b) {
    return _mm512_and_si512(a, b);
}

ALWAYS_INLINE ivec ivec_shift16(ivec a, int n) {
    return _mm512_srli_epi16(a, (unsigned)n);
}

ALWAYS_INLINE vec ivec_to_f32(ivec a) {
    return _mm512_cvtepi32_ps(a);
}

ALWAYS_INLINE ivec ivec_max(ivec a, ivec b) {
    return _mm512_max_epi32(a, b);
}

ALWAYS_INLINE int32_t ivec_largest(ivec a) {
    return _mm512_reduce_max_epi32(a);
}

ALWAYS_INLINE int32_t ivec_total(ivec a) {
    return _mm512_reduce_add_epi32(a);
}

/* out[i] = the lanes of a[i], joined by op: first within each 128 bits, of all four at once. */
ALWAYS_INLINE void ivec_join_4(int32_t out[4], const ivec a[4], ivec (*op)(ivec, ivec)) {
    ivec ab = op(_mm512_unpacklo_epi32(a[0], a[1]), _mm512_unpackhi_epi32(a[0], a[1]));
    ivec cd = op(_mm512_unpacklo_epi32(a[2], a[3]), _mm512_unpackhi_epi32(a[2], a[3]));
    ivec m = op(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    m = op(m, _mm512_shuffle_i64x2(m, m, 0x4E));
    m = op(m, _mm512_shuffle_i64x2(m, m, 0xB1));
    _mm_storeu_si128((void *)out, _mm512_castsi512_si128(m));
}

ALWAYS_INLINE void ivec_largest_4(int32_t largest[4], const ivec a[4]) {
    ivec_join_4(largest, a, ivec_max);
}

ALWAYS_INLINE void ivec_total_4(int32_t total[4], const ivec a[4]) {
    ivec_join_4(total, a, ivec_add);
}

ALWAYS_INLINE void store_i16(int16_t *p, const ivec v[1]) {
    _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16(v[0]));
}

ALWAYS_INLINE void store_i8(int8_t *p, const ivec v[2]) {
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(v[0]));
    _mm_storeu_si128((void *)(p + 16), _mm512_cvtepi32_epi8(v[1]));
}

ALWAYS_INLINE float lanes_sum(const vec p[1]) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(p[0]), _mm512_extractf32x8_ps(p[0], 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#endif
