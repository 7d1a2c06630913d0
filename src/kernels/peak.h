/* peak.h - the best that a variant can reach: loops that only multiply or only read.
 *
 * The file of a variant includes this one after it has defined its vectors, so that the loops use
 * the same instructions as its products. `gpt2 bench` and `test_kernels --bench` compare products
 * with these loops. */
#ifndef KERNELS_PEAK_H
#define KERNELS_PEAK_H

#include "kernels/always_inline.h"
#include "kernels/kernels.h"
#include <math.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(WIDTH)
#include "kernels/tiles.h"
#endif

/* Independent chains: at least latency times the number of units, few enough for 16 registers, or
 * 32 on arm64, where CPUs have up to four units with a latency of four. */
#if defined(KERNELS_ARM_NEON_H)
#define PEAK_CHAINS 16
#else
#define PEAK_CHAINS 10
#endif

/* n steps of fma on each chain. They start from *x and end there, so that the compiler can neither
 * compute the result in advance nor drop it. The sums go on as those of a product do. */
static double peak_fma(float *x, int n) {
#if defined(WIDTH)
    vec s[PEAK_CHAINS], a = vec_set(0.999f * *x), b = vec_set(*x);
    float out[WIDTH];
    UNROLL for (int i = 0; i < PEAK_CHAINS; i++) {
        s[i] = vec_set(*x + (float)i);
    }
    for (int step = 0; step < n; step++)
        UNROLL for (int i = 0; i < PEAK_CHAINS; i++) {
            ADD_PRODUCT(s[i], a, b);
        }
    UNROLL for (int i = 1; i < PEAK_CHAINS; i++) {
        s[0] = vec_fma(s[i], a, s[0]);
    }
    vec_store(out, s[0], WIDTH);
    *x = out[0];
    return 2.0 * WIDTH * PEAK_CHAINS * n;
#else
    enum { LANES = 4 * PEAK_CHAINS };
    float s[LANES], a = 0.999f * *x, b = *x;
    for (int i = 0; i < LANES; i++)
        s[i] = *x + (float)i;
    for (int step = 0; step < n; step++) {
        __asm__ volatile(""); // keeps the steps apart: two of one chain in sequence would wait
        for (int i = 0; i < LANES; i++)
            s[i] = fmaf(s[i], a, b);
    }
    for (int i = 1; i < LANES; i++)
        s[0] += s[i];
    *x = s[0];
    return 2.0 * LANES * n;
#endif
}

/* PEAK_DOT names the instruction that multiplies bytes; peak_sums is the widest vector of int32
 * sums, peak_dot adds four products of bytes to each, and PEAK_SUMS is the number of independent
 * chains: as many as for fma if a step is one instruction, fewer if it ends with an add of short
 * latency. The empty asm claims to change a register, so that the compiler cannot merge steps. */
#if defined(PEAK_DOT) // the variant has defined peak_dot4
#elif defined(KERNELS_ARM_NEON_H)
#if defined(__ARM_FEATURE_MATMUL_INT8)
#define PEAK_DOT      "smmla"
#define PEAK_PRODUCTS (2 * sizeof(peak_sums))
#elif defined(__ARM_FEATURE_DOTPROD)
#define PEAK_DOT "sdot"
#else
#define PEAK_DOT "smull"
#endif
#define PEAK_SUMS PEAK_CHAINS
typedef ivec peak_sums;
ALWAYS_INLINE peak_sums peak_dot(peak_sums sum, ivec u, ivec s) {
#if defined(__ARM_FEATURE_MATMUL_INT8)
    sum = vmmlaq_s32(sum, vreinterpretq_s8_s32(u), vreinterpretq_s8_s32(s));
    __asm__ volatile("" : "+w"(sum));
#elif defined(__ARM_FEATURE_DOTPROD)
    sum = ivec_dot4(sum, u, s);
    __asm__ volatile("" : "+w"(sum));
#else
    __asm__ volatile("" : "+w"(u)); // or the products are the same in each step
    sum = ivec_dot4(sum, u, s);
#endif
    return sum;
}
#elif defined(QUANT_DOT4)
#define PEAK_DOT  "vpdpbusd"
#define PEAK_SUMS PEAK_CHAINS
typedef ivec peak_sums;
ALWAYS_INLINE peak_sums peak_dot(peak_sums sum, peak_sums u, peak_sums s) {
    sum = ivec_dot4(sum, u, s);
    __asm__ volatile("" : "+v"(sum));
    return sum;
}
#elif defined(__AVX512BW__)
#define PEAK_DOT  "vpmaddubsw"
#define PEAK_SUMS 4
typedef __m512i peak_sums;
ALWAYS_INLINE peak_sums peak_dot(peak_sums sum, __m512i u, __m512i s) {
    __asm__ volatile("" : "+v"(u));
    __m512i pairs = _mm512_maddubs_epi16(u, s);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}
#elif defined(__AVX2__)
#define PEAK_DOT  "vpmaddubsw"
#define PEAK_SUMS 4
typedef __m256i peak_sums;
ALWAYS_INLINE peak_sums peak_dot(peak_sums sum, __m256i u, __m256i s) {
    __asm__ volatile("" : "+x"(u));
    __m256i pairs = _mm256_maddubs_epi16(u, s);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#else
/* Sixteen lanes in plain C, as in the products of the generic variant. */
#define PEAK_DOT  "plain C"
#define PEAK_SUMS 4
typedef struct {
    int32_t lane[16];
} peak_sums;
ALWAYS_INLINE peak_sums peak_dot(peak_sums sum, peak_sums u, peak_sums s) {
    __asm__ volatile("" : "+m"(u));
    const uint8_t *ub = (const uint8_t *)u.lane;
    const int8_t *sb = (const int8_t *)s.lane;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 4; j++)
            sum.lane[i] += ub[4 * i + j] * sb[4 * i + j];
    return sum;
}
#endif

#if defined(PEAK_SUMS)
#if !defined(PEAK_PRODUCTS)
#define PEAK_PRODUCTS sizeof(peak_sums) /* of bytes, in one peak_dot */
#endif

/* n steps of int8 dot products on each chain; *x as in peak_fma. */
static double peak_dot4(int32_t *x, int n) {
    unsigned char bytes[sizeof(peak_sums)];
    peak_sums s[PEAK_SUMS], u;
    memset(bytes, (*x & 3) + 1, sizeof bytes); // small, so that no sum overflows
    memcpy(&u, bytes, sizeof u);
    for (int i = 0; i < PEAK_SUMS; i++)
        s[i] = (peak_sums){0};
    for (int step = 0; step < n; step++)
        for (int i = 0; i < PEAK_SUMS; i++)
            s[i] = peak_dot(s[i], u, u);
    for (int i = 1; i < PEAK_SUMS; i++)
        s[0] = peak_dot(s[0], s[i], s[0]);
    int32_t lane;
    memcpy(&lane, &s[0], sizeof lane);
    *x ^= lane;
    return 2.0 * PEAK_PRODUCTS * PEAK_SUMS * n;
}
#endif

/* 64 bytes, in as many registers as the variant needs. */
typedef uint64_t peak_line __attribute__((vector_size(64)));

/* How far peak_streams reads ahead, and into which cache: `AHEAD` lines go to L2 and the caches
 * above it, `PASSING` ones are marked as used once. */
enum peak_prefetch { PEAK_NO_PREFETCH, PEAK_AHEAD, PEAK_PASSING };
#define PEAK_DISTANCE 4096 /* bytes */

/* Reads `streams` equal parts side by side. */
ALWAYS_INLINE uint64_t peak_streams(const char *data, size_t n_bytes, size_t streams,
                                    enum peak_prefetch prefetch) {
    enum { LINES = 4 }; /* cache lines of one stream at a time */
    peak_line sum[LINES] = {0};
    size_t part = n_bytes / streams;
    for (size_t i = 0; i < part; i += LINES * sizeof *sum)
        for (size_t s = 0; s < streams; s++)
            for (size_t j = 0; j < LINES; j++) {
                const char *line = data + s * part + i + j * sizeof *sum;
                if (prefetch == PEAK_AHEAD)
                    __builtin_prefetch(line + PEAK_DISTANCE, 0, 2);
                if (prefetch == PEAK_PASSING)
                    __builtin_prefetch(line + PEAK_DISTANCE, 0, 0);
                sum[j] ^= *(const peak_line *)(const void *)line;
            }
    uint64_t all = 0;
    for (int j = 0; j < LINES; j++)
        for (int i = 0; i < 8; i++)
            all ^= sum[j][i];
    return all;
}

static uint64_t peak_read(const void *data, size_t n_bytes, int way) {
#define WAY(n, streams, prefetch) \
    case n:                       \
        return peak_streams(data, n_bytes, streams, prefetch);
    switch (way) {
        WAY(0, 1, PEAK_NO_PREFETCH)
        WAY(1, 1, PEAK_AHEAD)
        WAY(2, 1, PEAK_PASSING)
        WAY(3, 2, PEAK_NO_PREFETCH)
        WAY(4, 2, PEAK_AHEAD)
        WAY(5, 4, PEAK_NO_PREFETCH)
        WAY(6, 4, PEAK_AHEAD)
        WAY(7, 4, PEAK_PASSING)
        WAY(8, 8, PEAK_NO_PREFETCH)
        WAY(9, 8, PEAK_AHEAD)
    }
#undef WAY
    return 0;
}

#endif
