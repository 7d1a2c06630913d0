/* vectorized.h - softmax, gelu_new and the parts of quantize for all variants with vectors, and
 * low_rank.h: functions whose plain C compilers do not vectorize. Their definitions are in
 * generic.c.
 *
 * In addition to what tiles.h and quantized.h list, the file that includes this one defines
 *
 *   vec_max, vec_min(a,b) a > b ? a : b and a < b ? a : b: b if one is NaN
 *   ivec_max(a, b)        of signed lanes
 *   ivec_largest, ivec_total(a)  the largest lane, the sum of all lanes
 *   ivec_largest_4, ivec_total_4(out, a)  the same of each of four vectors
 *   store_i8(p, v)        stores the lanes of 32 / WIDTH vectors, -128..127, as bytes
 *   store_i16(p, v)       stores the lanes of 16 / WIDTH vectors as 16-bit integers
 *
 * and, where there is an instruction for it,
 *
 *   VEC_SCALE(p, n)       p * 2^n for whole n, rounded once
 *
 * The operators + - * / on vecs are those of the compiler's vector types: lane by lane, each
 * rounded once. */
#ifndef KERNELS_VECTORIZED_H
#define KERNELS_VECTORIZED_H

#include "base/math.h"
#include "kernels/low_rank.h"
#include "kernels/tiles.h"
#include <string.h>

#define LANES16 (16 / WIDTH) /* vectors of the partial sums of lanes16 */

typedef uint32_t bits __attribute__((vector_size(4 * WIDTH)));
typedef int32_t ints __attribute__((vector_size(4 * WIDTH)));

/* math_exp, step by step. */
ALWAYS_INLINE vec vec_exp(vec x) {
    const vec magic = vec_set(0x1.8p23f);
    x = vec_max(vec_set(-104.0f), x);
    x = vec_min(vec_set(89.0f), x);
    vec t = vec_fma(x, vec_set(0x1.715476p0f), magic);
    vec n = t - magic;
    vec r = vec_fma(n, vec_set(-0x1.62e4p-1f), x);
    r = vec_fma(n, vec_set(-0x1.7f7d1cp-20f), r);
    vec p = vec_set(0x1.6d754cp-10f);
    p = vec_fma(p, r, vec_set(0x1.120b72p-7f));
    p = vec_fma(p, r, vec_set(0x1.5554b8p-5f));
    p = vec_fma(p, r, vec_set(0x1.5554dcp-3f));
    p = vec_fma(p, r, vec_set(0.5f));
    p = vec_fma(p, r * r, r) + vec_set(1.0f);
#if defined(VEC_SCALE)
    return VEC_SCALE(p, n); // math_exp's two products round once in all: the first is exact
#else
    ints i = (ints)((bits)t - (bits)magic);
    ints half = i >> 1;
    vec a = (vec)((bits)(half + 127) << 23);
    vec b = (vec)((bits)(i - half + 127) << 23);
    return p * a * b;
#endif
}

/* The largest x[i] * scale, without NaNs. A maximum is exact, so the order does not matter and
 * elements may be taken twice. */
static float max_scaled(const float *x, size_t n, float scale) {
    vec most[LANES16];
    for (int v = 0; v < LANES16; v++)
        most[v] = vec_set(-INFINITY);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        UNROLL for (int v = 0; v < LANES16; v++) {
            most[v] = vec_max(load_f32(x + i + v * WIDTH, WIDTH) * vec_set(scale), most[v]);
        }
    for (; i < n && n >= WIDTH; i += WIDTH) {
        size_t at = i + WIDTH <= n ? i : n - WIDTH;
        most[0] = vec_max(load_f32(x + at, WIDTH) * vec_set(scale), most[0]);
    }
    float lanes[16], max = -INFINITY;
    for (int v = 0; v < LANES16; v++)
        vec_store(lanes + v * WIDTH, most[v], WIDTH);
    for (int lane = 0; lane < 16; lane++)
        max = lanes[lane] > max ? lanes[lane] : max;
    for (; i < n; i++)
        max = x[i] * scale > max ? x[i] * scale : max;
    return max;
}

static float softmax(float *x, size_t n, float scale) {
    const vec max = vec_set(max_scaled(x, n, scale));
    vec sum[LANES16];
    for (int v = 0; v < LANES16; v++)
        sum[v] = vec_set(0.0f);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        UNROLL for (int v = 0; v < LANES16; v++) {
            vec e = vec_exp(load_f32(x + i + v * WIDTH, WIDTH) * vec_set(scale) - max);
            vec_store(x + i + v * WIDTH, e, WIDTH);
            sum[v] = sum[v] + e;
        }
    for (int v = 0; i < n; i += WIDTH, v++) {
        const int lanes = n - i < WIDTH ? (int)(n - i) : WIDTH;
        vec e = vec_exp(load_f32(x + i, lanes) * vec_set(scale) - max);
        vec_store(x + i, e, lanes);
        sum[v] = vec_fma_n(e, vec_set(1.0f), sum[v], lanes);
    }
    return lanes_sum(sum);
}

ALWAYS_INLINE void gelu_lanes(float *x, int lanes) {
    vec v = load_f32(x, lanes);
    vec u = vec_set(-2 * 0x1.988454p-1f) * vec_fma(vec_set(0.044715f) * v * v, v, v);
    vec_store(x, v / (vec_set(1.0f) + vec_exp(u)), lanes); // a factor of 2 rounds nothing
}

static void gelu_tanh(float *x, size_t n) {
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        gelu_lanes(x + i, WIDTH);
    if (i < n)
        gelu_lanes(x + i, (int)(n - i));
}

/* ---- quantize ---- */

/* The largest of the lanes' magnitudes, lane by lane. */
ALWAYS_INLINE ivec lanes_magnitude(const float *x, int n) {
    ivec largest = ivec_set(0);
    UNROLL for (int i = 0; i < n; i += WIDTH) {
        largest = ivec_max(largest, ivec_and(ivec_load(x + i), ivec_set(0x7FFFFFFF)));
    }
    return largest;
}

ALWAYS_INLINE uint32_t largest_magnitude(const float *x, int n) {
    return (uint32_t)ivec_largest(lanes_magnitude(x, n));
}

ALWAYS_INLINE void largest_magnitudes_4(uint32_t largest[4], const float *x, int n) {
    ivec lanes[4];
    UNROLL for (int g = 0; g < 4; g++) {
        lanes[g] = lanes_magnitude(x + g * n, n);
    }
    ivec_largest_4((int32_t *)largest, lanes);
}

/* The elements of a vector times `factor`, rounded to integers. */
ALWAYS_INLINE ivec rounded(const float *x, float factor) {
    const vec magic = vec_set(0x1.8p23f);
    vec t = load_f32(x, WIDTH) * vec_set(factor) + magic;
    return (ivec)((bits)t - (bits)magic);
}

/* Writes n bytes; the sums, lane by lane. */
ALWAYS_INLINE ivec quantize_lanes(int8_t *q, const float *x, float per_scale, int n) {
    ivec total = ivec_set(0);
    UNROLL for (int i = 0; i < n; i += 32) {
        ivec some[32 / WIDTH];
        UNROLL for (int v = 0; v < 32 / WIDTH; v++) {
            const bool here = i + v * WIDTH < n;
            some[v] = here ? rounded(x + i + v * WIDTH, per_scale) : ivec_set(0);
            total = ivec_add(total, some[v]);
        }
        if (i + 32 <= n) {
            store_i8(q + i, some);
        } else {
            int8_t bytes[32];
            store_i8(bytes, some);
            memcpy(q + i, bytes, 16);
        }
    }
    return total;
}

ALWAYS_INLINE int32_t quantize_by(int8_t *q, const float *x, float per_scale, int n) {
    return ivec_total(quantize_lanes(q, x, per_scale, n));
}

ALWAYS_INLINE void quantize_4_by(int8_t *q, int32_t sum[4], const float *x,
                                 const float per_scale[4], int n) {
    ivec lanes[4];
    UNROLL for (int g = 0; g < 4; g++) {
        lanes[g] = quantize_lanes(q + g * n, x + g * n, per_scale[g], n);
    }
    ivec_total_4(sum, lanes);
}

ALWAYS_INLINE void quantize16_by(int16_t *q, const float *x, float per_scale) {
    UNROLL for (int i = 0; i < KV_BLOCK; i += 16) {
        ivec some[LANES16];
        UNROLL for (int v = 0; v < LANES16; v++) {
            some[v] = rounded(x + i + v * WIDTH, per_scale);
        }
        store_i16(q + i, some);
    }
}

#include "kernels/elementwise.h" // uses the functions above

#endif
