/* generic.c - the definition of every kernel, in portable C.
 *
 * The other variants are tested against this one, bit by bit. If the CPU has no fma instruction or
 * the compiler may not use it, fmaf is a library call: slow, but equally exact. */
#include "base/math.h"
#include "kernels/operands.h"
#include "kernels/table.h"

#include <string.h>

/* --- along one vector ------------------------------------------------------------------------- */

static float sum_lanes(const float *x, size_t n); // elementwise.h

/* The maximum ignores NaNs; the exp of a NaN is a NaN again. */
static float softmax(float *x, size_t n, float scale) {
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = x[i] * scale > max ? x[i] * scale : max;
    for (size_t i = 0; i < n; i++)
        x[i] = math_exp(x[i] * scale - max);
    return sum_lanes(x, n);
}

/* gelu_new, GPT-2's activation: x (1 + tanh u) / 2, where (1 + tanh u) / 2 = 1 / (1 + exp(-2u)),
 * which is also accurate if tanh u is near -1. For large negative x, exp is infinite and the result
 * -0. */
static void gelu_tanh(float *x, size_t n) {
    const float root = 0x1.988454p-1f; // sqrt(2 / pi)
    for (size_t i = 0; i < n; i++) {
        float u = root * fmaf(0.044715f * x[i] * x[i], x[i], x[i]);
        x[i] = x[i] / (1.0f + math_exp(-2.0f * u));
    }
}

/* The bits of the largest |x[i]| of GROUP elements. As integers they are ordered as the numbers
 * are, with infinity and NaN above them. */
ALWAYS_INLINE uint32_t largest_magnitude(const float *x) {
    uint32_t largest = 0;
    for (int i = 0; i < GROUP; i++) {
        uint32_t magnitude = math_bits(x[i]) & 0x7FFFFFFF;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

/* x * factor, rounded to an integer: adding 1.5 * 2^23 rounds, ties to even, and leaves the integer
 * in two's complement in the low bits. */
ALWAYS_INLINE int32_t rounded(float x, float factor) {
    return (int32_t)(math_bits(x * factor + 0x1.8p23f) - math_bits(0x1.8p23f));
}

/* Writes q of GROUP elements and returns their sum. */
ALWAYS_INLINE int32_t quantize_by(int8_t *q, const float *x, float per_scale) {
    int32_t sum = 0;
    for (int i = 0; i < GROUP; i++) {
        q[i] = (int8_t)rounded(x[i], per_scale);
        sum += q[i];
    }
    return sum;
}

ALWAYS_INLINE void quantize16_by(int16_t *q, const float *x, float per_scale) {
    for (int j = 0; j < KV_BLOCK; j++)
        q[j] = (int16_t)rounded(x[j], per_scale);
}

#include "kernels/elementwise.h"

/* --- products --------------------------------------------------------------------------------- */

/* One element of each type of weights, at any alignment. */
ALWAYS_INLINE float load_f32(const void *p) {
    float value;
    memcpy(&value, p, sizeof value);
    return value;
}

ALWAYS_INLINE uint16_t load_16(const void *p) {
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}

ALWAYS_INLINE float load_f16(const void *p) {
    return dtype_f16_to_f32(load_16(p));
}

ALWAYS_INLINE float load_bf16(const void *p) {
    return math_from_bits((uint32_t)load_16(p) << 16);
}

/* A type of weights: the size of an element in bytes, and one of the functions above. */
struct scalar_element {
    size_t size;
    float (*load)(const void *p);
};

/* y += x . w, as one chain over k for each output. */
ALWAYS_INLINE void product(struct y_rows y, struct x_rows x, struct panels w, int m, int n, int K,
                           struct scalar_element type) {
    for (int k = 0; k < K; k++)
        for (int c = 0; c < n; c++) {
            float weight = type.load(panels_from(w, k, c, type.size).w);
            for (int r = 0; r < m; r++) {
                float *out = y_from(y, r, c).p;
                *out = fmaf(*x_from(x, r, k).p, weight, *out);
            }
        }
}

/* y[r, v] = lanes16 over k of x[r, k] * w[v, k]; the rows of w are ws elements apart. */
ALWAYS_INLINE void product_nt(struct y_rows y, struct x_rows x, const char *w, size_t ws, int m,
                              int n, int K, struct scalar_element type) {
    for (int v = 0; v < n; v++)
        for (int r = 0; r < m; r++) {
            const char *row = w + (size_t)v * ws * type.size;
            float p[16] = {0};
            for (int k = 0; k < K; k++)
                p[k % 16] =
                    fmaf(*x_from(x, r, k).p, type.load(row + (size_t)k * type.size), p[k % 16]);
            *y_from(y, r, v).p = sum_tree(p);
        }
}

ALWAYS_INLINE void expand(float *dst, const char *src, size_t n, struct scalar_element type) {
    for (size_t i = 0; i < n; i++)
        dst[i] = type.load(src + i * type.size);
}

/* The functions for one type of weights. A plain matrix, as gemv takes it, is one whose panels are
 * PANEL elements apart. */
#define PRODUCTS_OF(type, size)                                                               \
    static void gemm_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,    \
                            size_t ws, size_t ps, int m, int n, int K) {                      \
        product((struct y_rows){y, ys}, (struct x_rows){x, xs},                               \
                (struct panels){w, ws * (size), ps * (size)}, m, n, K,                        \
                (struct scalar_element){size, load_##type});                                  \
    }                                                                                         \
    static void gemv_##type(float *y, size_t ys, const float *x, size_t xs, const void *w,    \
                            size_t ws, int m, int n, int K) {                                 \
        gemm_##type(y, ys, x, xs, w, ws, PANEL, m, n, K);                                     \
    }                                                                                         \
    static void gemm_nt_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                               size_t ws, int m, int n, int K) {                              \
        product_nt((struct y_rows){y, ys}, (struct x_rows){x, xs}, w, ws, m, n, K,            \
                   (struct scalar_element){size, load_##type});                               \
    }                                                                                         \
    static void to_f32_##type(float *dst, const void *src, size_t n) {                        \
        expand(dst, src, n, (struct scalar_element){size, load_##type});                      \
    }

PRODUCTS_OF(f32, 4)
PRODUCTS_OF(f16, 2)
PRODUCTS_OF(bf16, 2)

/* The group at byte `at` of the panel of column c. */
ALWAYS_INLINE const unsigned char *group_at(const void *panels, size_t ps, int c, size_t at) {
    return (const unsigned char *)panels + (size_t)(c / PANEL) * ps + at;
}

/* isum (kernels.h) of one row and output; w: the first of the four bytes of each step. */
ALWAYS_INLINE int32_t sum_q8(const int8_t *q, const unsigned char *w) {
    int32_t sum = 0;
    for (int step = 0; step < GROUP / 4; step++)
        for (int i = 0; i < 4; i++)
            sum += q[4 * step + i] * (w[step * 4 * PANEL + i] - 128);
    return sum;
}

ALWAYS_INLINE int32_t sum_q4(const int8_t *q, const unsigned char *w) {
    int32_t sum = 0;
    for (int step = 0; step < GROUP / 8; step++)
        for (int i = 0; i < 4; i++) {
            int byte = w[step * 4 * PANEL + i];
            sum += q[4 * step + i] * (byte & 15) + q[GROUP / 2 + 4 * step + i] * (byte >> 4);
        }
    return sum;
}

static void gemm_q8(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups) {
    for (int g = 0; g < n_groups; g++)
        for (int r = 0; r < m; r++) {
            const int8_t *q = x.q + (size_t)r * x.qs + (size_t)g * GROUP;
            float xscale = x.scale[(size_t)r * x.gs + (size_t)g];
            for (int c = 0; c < n; c++) {
                float *out = &y[(size_t)r * ys + (size_t)c];
                const unsigned char *group = group_at(panels, ps, c, (size_t)g * Q8_GROUP_BYTES);
                int32_t isum = sum_q8(q, group + 2 * PANEL + 4 * (c % PANEL));
                *out = fmaf((float)isum, load_f16(group + 2 * (c % PANEL)) * xscale, *out);
            }
        }
}

static void gemm_q4(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups) {
    for (int g = 0; g < n_groups; g++)
        for (int r = 0; r < m; r++) {
            const int8_t *q = x.q + (size_t)r * x.qs + (size_t)g * GROUP;
            size_t at = (size_t)r * x.gs + (size_t)g;
            float xscale = x.scale[at], xmin = (float)x.sum[at] * xscale;
            for (int c = 0; c < n; c++) {
                float *out = &y[(size_t)r * ys + (size_t)c];
                const unsigned char *group = group_at(panels, ps, c, (size_t)g * Q4_GROUP_BYTES);
                int32_t isum = sum_q4(q, group + 4 * PANEL + 4 * (c % PANEL));
                *out = fmaf((float)isum, load_f16(group + 2 * (c % PANEL)) * xscale, *out);
                *out = fmaf(xmin, load_f16(group + 2 * (PANEL + c % PANEL)), *out);
            }
        }
}

static void scores_q8(float *y, struct quantized x, const void *const *keys, size_t ps,
                      int n_blocks, int n, int n_groups) {
    for (int i = 0; i < n_blocks; i++)
        gemm_q8(y + (size_t)i * KV_BLOCK, 0, x, keys[i], ps, 1, panels_count(n) * PANEL, n_groups);
}

/* isum of mix_q8 for one row and feature; v: the first of the two bytes of each step. */
ALWAYS_INLINE int32_t sum_values(const int32_t *pairs, const int8_t *v) {
    int32_t sum = 0;
    for (int i = 0; i < KV_BLOCK / 2; i++) {
        const int8_t *two = v + (size_t)i * 2 * PANEL;
        sum += (int16_t)(uint16_t)pairs[i] * two[0] + (int16_t)((uint32_t)pairs[i] >> 16) * two[1];
    }
    return sum;
}

static void mix_q8(float *y, size_t ys, const struct kv_weights *w, const void *const *values,
                   int n_blocks, int m, int n, int positions) {
    for (int i = 0; i < n_blocks; i++)
        for (int r = 0; r < m; r++, w++)
            for (int c = 0; c < n; c++) {
                float *out = &y[(size_t)r * ys + (size_t)c];
                const int8_t *panel =
                    (const int8_t *)values[i] + (size_t)(c / PANEL) * KV_PANEL_BYTES;
                int32_t isum = sum_values(w->pairs, panel + 2 * (c % PANEL));
                *out = fmaf((float)isum, w->scale, *out);
            }
}

#include "kernels/peak.h"

KERNELS_TABLE(generic, 4, 16);
