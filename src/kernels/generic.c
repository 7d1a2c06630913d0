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

/* The bits of the largest |x[i]| of n elements. As integers they are ordered as the numbers
 * are, with infinity and NaN above them. */
ALWAYS_INLINE uint32_t largest_magnitude(const float *x, int n) {
    uint32_t largest = 0;
    for (int i = 0; i < n; i++) {
        uint32_t magnitude = math_bits(x[i]) & 0x7FFFFFFF;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

ALWAYS_INLINE void largest_magnitudes_4(uint32_t largest[4], const float *x, int n) {
    for (int g = 0; g < 4; g++)
        largest[g] = largest_magnitude(x + g * n, n);
}

/* x * factor, rounded to an integer: adding 1.5 * 2^23 rounds, ties to even, and leaves the integer
 * in two's complement in the low bits. */
ALWAYS_INLINE int32_t rounded(float x, float factor) {
    return (int32_t)(math_bits(x * factor + 0x1.8p23f) - math_bits(0x1.8p23f));
}

/* Writes q of n elements and returns their sum. */
ALWAYS_INLINE int32_t quantize_by(int8_t *q, const float *x, float per_scale, int n) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) {
        q[i] = (int8_t)rounded(x[i], per_scale);
        sum += q[i];
    }
    return sum;
}

ALWAYS_INLINE void quantize_4_by(int8_t *q, int32_t sum[4], const float *x,
                                 const float per_scale[4], int n) {
    for (int g = 0; g < 4; g++)
        sum[g] = quantize_by(q + g * n, x + g * n, per_scale[g], n);
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

/* isum (kernels.h) of one row and output; w: the first byte of the output in a group. */
ALWAYS_INLINE int32_t sum_of_products(const int8_t *q, const unsigned char *w,
                                      struct panel_form form) {
    const int rest = form.bits == 8 ? 128 : form.mins ? 0 : 8, half = form.group / 2;
    int32_t sum = 0;
    for (int k = 0; k < (form.bits == 8 ? form.group : half); k++) {
        int byte = w[k / 4 * 4 * PANEL + k % 4];
        if (form.bits == 8)
            sum += q[k] * (byte - rest);
        else
            sum += q[k] * ((byte & 15) - rest) + q[half + k] * ((byte >> 4) - rest);
    }
    return sum;
}

ALWAYS_INLINE float load_scale(const unsigned char *scales, struct panel_form form, int c) {
    return form.scale_bytes == PANEL_F32 ? load_f32(scales + 4 * c) : load_f16(scales + 2 * c);
}

ALWAYS_INLINE void product_quantized(struct y_rows y, struct quantized x, struct panels w, int m,
                                     int n, int n_groups, struct panel_form form) {
    for (int g = 0; g < n_groups; g++)
        for (int r = 0; r < m; r++) {
            const int8_t *q = x.q + (size_t)r * x.qs + (size_t)g * (size_t)form.group;
            size_t at = (size_t)r * x.gs + (size_t)g;
            float xscale = x.scale[at], xmin = (float)x.sum[at] * xscale;
            for (int c = 0; c < n; c++) {
                float *out = y_from(y, r, c).p;
                const int column = c % PANEL;
                const unsigned char *group =
                    (const unsigned char *)panels_from(w, g, c - column, 0).w;
                int32_t isum = sum_of_products(q, group + panel_form_head(form) + 4 * column, form);
                *out = fmaf((float)isum, load_scale(group, form, column) * xscale, *out);
                if (form.mins)
                    *out = fmaf(xmin, load_scale(group, form, PANEL + column), *out);
            }
        }
}

#define QUANTIZED_PRODUCT(name, group, bits, scale_bytes, mins)                                \
    static void gemm_##name(float *y, size_t ys, struct quantized x, const void *panels,       \
                            size_t ps, int m, int n, int n_groups) {                           \
        const struct panel_form form = {group, bits, scale_bytes, mins};                       \
        product_quantized((struct y_rows){y, ys}, x,                                           \
                          (struct panels){panels, panel_form_bytes(form), ps}, m, n, n_groups, \
                          form);                                                               \
    }
PANEL_FORMS(QUANTIZED_PRODUCT)

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

/* --- adapters --------------------------------------------------------------------------------- */

#define LOW_RANK_ROWS 4 /* sums of so many rows and columns are kept in registers */
#define LOW_RANK_COLS 4

ALWAYS_INLINE void low_rank_sums(double sum[LOW_RANK_ROWS][LOW_RANK_COLS], const double *u,
                                 const double *v, int rows, int rank) {
    for (int j = 0; j < rank; j++)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < LOW_RANK_COLS; c++)
                sum[r][c] += u[(size_t)r * (size_t)rank + (size_t)j] * v[j * PANEL + c];
}

static void add_low_rank(float *y, size_t ys, const void *w, size_t ws, const double *u,
                         const double *v, int m, int n, int rank, double scale) {
    for (int c = 0; c < n; c += LOW_RANK_COLS)
        for (int r = 0; r < m; r += LOW_RANK_ROWS) {
            double sum[LOW_RANK_ROWS][LOW_RANK_COLS] = {{0}};
            const double *of_row = u + (size_t)r * (size_t)rank;
            const double *of_columns =
                v + (size_t)(c / PANEL) * (size_t)rank * PANEL + (size_t)(c % PANEL);
            const int rows = m - r < LOW_RANK_ROWS ? m - r : LOW_RANK_ROWS;
            if (rows == LOW_RANK_ROWS)
                low_rank_sums(sum, of_row, of_columns, LOW_RANK_ROWS, rank);
            else
                low_rank_sums(sum, of_row, of_columns, rows, rank);
            for (int i = 0; i < rows; i++)
                for (int k = 0; k < LOW_RANK_COLS && k < n - c; k++) {
                    const size_t at = (size_t)(r + i) * ws + (size_t)(c + k);
                    const float old = load_f32((const char *)w + at * sizeof(float));
                    y[(size_t)(r + i) * ys + (size_t)(c + k)] =
                        (float)((double)old + scale * sum[i][k]);
                }
        }
}

#include "kernels/peak.h"

KERNELS_TABLE(generic, 4, 16);
