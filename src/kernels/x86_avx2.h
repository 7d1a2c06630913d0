/* x86_avx2.h - vectors of AVX2, FMA and F16C, for the variants that have them: 8 lanes, 16
 * registers. */
#ifndef KERNELS_X86_AVX2_H
#define KERNELS_X86_AVX2_H

#include "kernels/always_inline.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef __m256 vec;
#define TILES_FILL_REGISTERS
#define WIDTH                     8
#define GEMM_ROWS                 3 /* registers: 12 sums, 3 x, 1 weight */
#define GEMM_VECS(rows)           ((rows) == 1 ? 8 : 4)
#define PREFETCH_AHEAD            2048
#define PREFETCH_LEVEL            2 /* more lines can be on their way to L2 than to L1 */
#define PREFETCH_STEP_LEVEL(size) ((size) > 1 ? 2 : 3) /* as measured on Zen 4 */
#define GEMM_DEPTH                128
#define GEMV_ROWS                 4
#define GEMV_VECS                 2
#define GEMV_DEPTH                8
#define GEMM_NT_ROWS              3 /* the same */

/* All bits set in the first n lanes: a part of a table, so that no register keeps a constant. */
ALWAYS_INLINE __m256i first(int n) {
    static const int32_t lanes[2 * WIDTH] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const void *)(lanes + WIDTH - n));
}

ALWAYS_INLINE vec vec_set(float s) {
    return _mm256_set1_ps(s);
}

ALWAYS_INLINE vec vec_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

ALWAYS_INLINE vec vec_fma_n(vec a, vec b, vec c, int n) {
    return _mm256_blendv_ps(c, _mm256_fmadd_ps(a, b, c), _mm256_castsi256_ps(first(n)));
}

ALWAYS_INLINE void vec_store(float *p, vec v, int n) {
    if (n == WIDTH)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, first(n), v);
}

ALWAYS_INLINE vec load_f32(const void *p, int n) {
    return n == WIDTH ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first(n));
}

/* 8 elements of 16 bits, n >= 1. AVX2 has masked loads of 32 bits only: of pairs. The last element,
 * which may be half of a pair, is put in its place. */
ALWAYS_INLINE __m128i load_16(const void *p, int n) {
    if (n == WIDTH)
        return _mm_loadu_si128(p);
    static const int16_t lane[2 * WIDTH] = {[WIDTH - 1] = -1};
    uint16_t last;
    memcpy(&last, (const char *)p + 2 * (n - 1), sizeof last);
    __m128i pairs = _mm_maskload_epi32(p, _mm256_castsi256_si128(first(n / 2)));
    return _mm_blendv_epi8(pairs, _mm_set1_epi16((short)last),
                           _mm_loadu_si128((const void *)(lane + WIDTH - n)));
}

ALWAYS_INLINE vec load_f16(const void *p, int n) {
    return _mm256_cvtph_ps(load_16(p, n));
}

ALWAYS_INLINE vec load_bf16(const void *p, int n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16(p, n)), 16));
}

ALWAYS_INLINE vec vec_max(vec a, vec b) {
    return _mm256_max_ps(a, b);
}

ALWAYS_INLINE vec vec_min(vec a, vec b) {
    return _mm256_min_ps(a, b);
}

ALWAYS_INLINE vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}

/* Doubles, for low_rank.h. */
typedef __m256d dvec;
#define LOW_RANK_ROWS 4 /* 12 registers: 8 sums, 2 of v, 1 of u, a product */
#define LOW_RANK_VECS 2

ALWAYS_INLINE dvec dvec_widen(const void *p) {
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

ALWAYS_INLINE void dvec_narrow(float *p, dvec v) {
    _mm_storeu_ps(p, _mm256_cvtpd_ps(v));
}

/* Integers, for quantized.h. */
typedef __m256i ivec;
ALWAYS_INLINE ivec ivec_set(uint32_t word) {
    return _mm256_set1_epi32((int32_t)word);
}

ALWAYS_INLINE ivec ivec_load(const void *p) {
    return _mm256_loadu_si256(p);
}

/* In assembly, so that gcc adds in place: with the intrinsic it copies all sums of a tile in every
 * step. */
ALWAYS_INLINE ivec ivec_add(ivec a, ivec b) {
    __asm__("vpaddd %1, %0, %0" : "+x"(a) : "x"(b));
    return a;
}

ALWAYS_INLINE ivec ivec_and(ivec a, ivec b) {
    return _mm256_and_si256(a, b);
}

ALWAYS_INLINE ivec ivec_shift16(ivec a, int n) {
    return _mm256_srli_epi16(a, n);
}

ALWAYS_INLINE vec ivec_to_f32(ivec a) {
    return _mm256_cvtepi32_ps(a);
}

ALWAYS_INLINE ivec ivec_widen8(const void *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(p));
}

ALWAYS_INLINE void ivec_store(void *p, ivec a) {
    _mm256_storeu_si256(p, a);
}

ALWAYS_INLINE ivec ivec_max(ivec a, ivec b) {
    return _mm256_max_epi32(a, b);
}

ALWAYS_INLINE int32_t ivec_largest(ivec a) {
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1)));
}

ALWAYS_INLINE int32_t ivec_total(ivec a) {
    __m128i m = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    m = _mm_add_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(m, _mm_shuffle_epi32(m, 0xB1)));
}

/* out[i] = the lanes of a[i], joined by op: first within each 128 bits, of all four at once. */
ALWAYS_INLINE void ivec_join_4(int32_t out[4], const ivec a[4], ivec (*op)(ivec, ivec)) {
    ivec ab = op(_mm256_unpacklo_epi32(a[0], a[1]), _mm256_unpackhi_epi32(a[0], a[1]));
    ivec cd = op(_mm256_unpacklo_epi32(a[2], a[3]), _mm256_unpackhi_epi32(a[2], a[3]));
    ivec m = op(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    m = op(m, _mm256_permute2x128_si256(m, m, 1));
    _mm_storeu_si128((void *)out, _mm256_castsi256_si128(m));
}

ALWAYS_INLINE void ivec_largest_4(int32_t largest[4], const ivec a[4]) {
    ivec_join_4(largest, a, ivec_max);
}

ALWAYS_INLINE void ivec_total_4(int32_t total[4], const ivec a[4]) {
    ivec_join_4(total, a, ivec_add);
}

/* Packs work within each half of a vector; the permutations restore the order. */
ALWAYS_INLINE void store_i16(int16_t *p, const ivec v[2]) {
    _mm256_storeu_si256((void *)p, _mm256_permute4x64_epi64(_mm256_packs_epi32(v[0], v[1]), 0xD8));
}

ALWAYS_INLINE void store_i8(int8_t *p, const ivec v[4]) {
    ivec bytes = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
    ivec order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((void *)p, _mm256_permutevar8x32_epi32(bytes, order));
}

ALWAYS_INLINE float lanes_sum(const vec p[2]) {
    __m256 eight = _mm256_add_ps(p[0], p[1]);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#endif
