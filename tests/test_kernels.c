/* test_kernels.c - every kernel variant computes the bits of the generic variant, and the generic
 * variant computes what kernels.h says (against f64). With --bench it measures
 * the variants, or the one that is named after it.
 *
 * Operands end where an inaccessible page begins. They are aligned to their elements only (weights:
 * not even that), in rows with gaps between them that must not be written. */
#define _DEFAULT_SOURCE // MAP_ANONYMOUS

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "bench_kernels.h"
#include "kernel_data.h"

#include <stdio.h>
#include <stdlib.h>

/* --- data ------------------------------------------------------------------------------------- */

/* An element of a weight type; for WILD, any bits. */
static void random_weight(void *w, enum dtype dtype, size_t i, enum data data) {
    float value = random_value(data);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == DTYPE_F32) {
        memcpy((char *)w + 4 * i, &value, 4);
        return;
    }
    uint16_t half = (uint16_t)(bits >> 16); // bf16
    if (dtype == DTYPE_F16)                 // |value| in about 2^-8 .. 2
        half = (uint16_t)((random_bits() & 0x83FF) | (uint32_t)(7 + random_below(9)) << 10);
    if (data == WILD && random_below(16) == 0)
        half = (uint16_t)random_bits();
    memcpy((char *)w + 2 * i, &half, 2);
}

/* Weights may have any alignment: they end 0 to 3 bytes before the page. */
static struct guarded random_weights(int rows, int columns, size_t stride, enum dtype dtype,
                                     enum data data) {
    size_t n = (size_t)(rows - 1) * stride + (size_t)columns;
    size_t shift = (size_t)(rows + columns) % 4;
    struct guarded g = guarded_alloc(n * dtype_size(dtype) + shift);
    for (size_t i = 0; i < n; i++)
        random_weight(g.data, dtype, i, data);
    return g;
}

/* --- the three products ------------------------------------------------------------------------
 */

enum op { GEMM, GEMV, GEMM_NT };
static const char *const op_names[] = {"gemm", "gemv", "gemm_nt"};

struct problem {
    enum op op;
    enum dtype dtype;
    int m, n, K;
    size_t ys, xs, ws;
    size_t ps; // of gemm
    struct guarded y, x, w;
};

/* w in rows, as all three take it. */
static struct problem problem_create(enum op op, enum dtype dtype, int m, int n, int K,
                                     enum data data) {
    struct problem p = {.op = op, .dtype = dtype, .m = m, .n = n, .K = K, .ps = PANEL};
    int rows = op == GEMM_NT ? n : K, columns = op == GEMM_NT ? K : n; // of w
    p.ys = (size_t)(n + random_below(9));
    p.xs = (size_t)(K + random_below(9));
    p.ws = (size_t)(columns + random_below(9));
    p.y = random_matrix(m, n, p.ys, data);
    p.x = random_matrix(m, K, p.xs, data);
    p.w = random_weights(rows, columns, p.ws, dtype, data);
    return p;
}

/* The same for gemm with w in panels, with gaps between them. */
static struct problem panels_create(enum dtype dtype, int m, int n, int K, enum data data) {
    struct problem p = problem_create(GEMM, dtype, m, n, K, data);
    guarded_free(p.w);
    p.ws = PANEL;
    p.ps = (size_t)(K * PANEL + random_below(9));
    p.w = random_weights(panels_count(n), K * PANEL, p.ps, dtype, data);
    return p;
}

static void problem_free(struct problem *p) {
    guarded_free(p->y);
    guarded_free(p->x);
    guarded_free(p->w);
}

/* Rows r.. of x and steps k.. of the chain (all of them for gemm_nt). */
static void compute(const struct kernels *kernels, const struct problem *p, float *y, int r, int m,
                    int k, int K) {
    const float *x = (const float *)p->x.data + (size_t)r * p->xs + k;
    y += (size_t)r * p->ys;
    const char *w = p->w.data;
    if (p->op == GEMM_NT) {
        kernels->gemm_nt[p->dtype](y, p->ys, x, p->xs, w, p->ws, m, p->n, K);
        return;
    }
    w += (size_t)k * p->ws * dtype_size(p->dtype);
    if (p->op == GEMM)
        kernels->gemm[p->dtype](y, p->ys, x, p->xs, w, p->ws, p->ps, m, p->n, K);
    else
        kernels->gemv[p->dtype](y, p->ys, x, p->xs, w, p->ws, m, p->n, K);
}

/* The generic variant against all others, at once and in pieces. */
static void check_problem(struct problem p) {
    enum op op = p.op;
    enum dtype dtype = p.dtype;
    int m = p.m, n = p.n, K = p.K;
    struct guarded expected = copy_of(p.y);
    size_t n_y = p.y.n_bytes / sizeof(float);
    compute(kernels_variant(0), &p, expected.data, 0, m, 0, K);
    const struct kernels *variant;
    for (int i = 1; (variant = kernels_variant(i)); i++) {
        char what[96];
        snprintf(what, sizeof what, "%s %s %s m=%d n=%d K=%d", variant->name, op_names[op],
                 dtype_name(dtype), m, n, K);
        struct guarded y = copy_of(p.y);
        compute(variant, &p, y.data, 0, m, 0, K);
        assert_same(y.data, expected.data, n_y, what);

        memcpy(y.data, p.y.data, p.y.n_bytes); // rows one by one, the chain cut somewhere
        int cut = op == GEMM_NT ? K : random_below(K + 1);
        for (int r = 0; r < m; r++) {
            compute(variant, &p, y.data, r, 1, 0, cut);
            if (op != GEMM_NT)
                compute(variant, &p, y.data, r, 1, cut, K - cut);
        }
        assert_same(y.data, expected.data, n_y, what);
        guarded_free(y);
    }
    guarded_free(expected);
    problem_free(&p);
}

static void check_product(enum op op, enum dtype dtype, int m, int n, int K, enum data data) {
    check_problem(problem_create(op, dtype, m, n, K, data));
    if (op == GEMM)
        check_problem(panels_create(dtype, m, n, K, data));
}

static void check_sizes(enum op op, enum dtype dtype) {
    static const int sizes[] = {1, 15, 16, 17, 63, 64, 65, 80, 96, 100};
    const int n_sizes = (int)(sizeof sizes / sizeof *sizes);
    for (int m = 1; m <= 14; m++)
        for (int i = 0; i < n_sizes; i++)
            check_product(op, dtype, m, sizes[i], sizes[random_below(n_sizes)], PLAIN);
    for (int i = 0; i < 60; i++)
        check_product(op, dtype, 1 + random_below(20), 1 + random_below(200), 1 + random_below(200),
                      i % 2 ? WILD : PLAIN);
    check_product(op, dtype, 2, 64, 1088, PLAIN);
    check_product(op, dtype, 2, 1088, 17, PLAIN);
}

static void variants_agree_on_gemm(void **state) {
    for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++)
        check_sizes(GEMM, dtype);
}

static void variants_agree_on_gemv(void **state) {
    for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++)
        check_sizes(GEMV, dtype);
}

static void variants_agree_on_gemm_nt(void **state) {
    for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++)
        check_sizes(GEMM_NT, dtype);
}

/* Where K is no multiple of 16, adding zeros in the missing lanes would turn a sum of -0 into +0.
 */
static void gemm_nt_skip_missing_lanes(void **state) {
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++)
        for (int K = 1; K <= 40; K++) {
            float x[40], w[40], y = 1.0f;
            for (int k = 0; k < K; k++) {
                x[k] = 1e-30f;
                w[k] = -1e-30f; // the product is -1e-60: rounds to -0
            }
            variant->gemm_nt[DTYPE_F32](&y, 1, x, 40, w, 40, 1, 1, K);
            assert_true(y == 0.0f && (K < 16 || signbit(y)));
        }
}

/* gemm on expanded weights is gemv on the weights themselves. */
static void gemm_is_gemv(void **state) {
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++)
        for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++) {
            struct problem p = problem_create(GEMV, dtype, 7, 83, 41, WILD);
            struct guarded y = copy_of(p.y);
            compute(variant, &p, y.data, 0, p.m, 0, p.K);
            size_t n_w = p.w.n_bytes / dtype_size(dtype);
            struct guarded w = guarded_alloc(n_w * sizeof(float));
            variant->to_f32[dtype](w.data, p.w.data, n_w);
            variant->gemm[DTYPE_F32](p.y.data, p.ys, p.x.data, p.xs, w.data, p.ws, PANEL, p.m, p.n,
                                     p.K);
            assert_same(p.y.data, y.data, p.y.n_bytes / sizeof(float), variant->name);
            guarded_free(w);
            guarded_free(y);
            problem_free(&p);
        }
}

/* Each step of a sum of K products has a rounding error of at most half an ulp of the sum so far.
 */
static void products_match_f64(void **state) {
    static const struct {
        enum op op;
        int m, n, K;
    } cases[] = {
        {GEMM, 3, 33, 100}, {GEMV, 2, 40, 257}, {GEMM_NT, 3, 20, 300}, {GEMM_NT, 2, 9, 11}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++) {
            enum op op = cases[i].op;
            struct problem p = problem_create(op, dtype, cases[i].m, cases[i].n, cases[i].K, PLAIN);
            struct guarded y = copy_of(p.y);
            compute(kernels_variant(0), &p, y.data, 0, p.m, 0, p.K);
            for (int r = 0; r < p.m; r++)
                for (int c = 0; c < p.n; c++) {
                    size_t at = (size_t)r * p.ys + (size_t)c;
                    double sum = op == GEMM_NT ? 0 : (double)((float *)p.y.data)[at];
                    double magnitude = fabs(sum);
                    for (int k = 0; k < p.K; k++) {
                        size_t wi = op == GEMM_NT ? (size_t)c * p.ws + (size_t)k
                                                  : (size_t)(c / PANEL) * p.ps + (size_t)k * p.ws +
                                                        (size_t)(c % PANEL);
                        float w;
                        dtype_to_f32(&w, (char *)p.w.data + wi * dtype_size(dtype), dtype, 1);
                        double product =
                            (double)((float *)p.x.data)[(size_t)r * p.xs + (size_t)k] * (double)w;
                        sum += product;
                        magnitude += fabs(product);
                    }
                    double error = fabs((double)((float *)y.data)[at] - sum);
                    assert_true(error <= magnitude * 0.5 * (double)FLT_EPSILON * (p.K + 4));
                }
            guarded_free(y);
            problem_free(&p);
        }
}

/* Every 16-bit pattern there is. */
static void conversions_are_exact(void **state) {
    const struct kernels *variant;
    static float expected[65536];
    struct guarded bits = guarded_alloc(65536 * 2);
    for (int i = 0; i < 65536; i++)
        ((uint16_t *)bits.data)[i] = (uint16_t)i;
    for (int i = 0; (variant = kernels_variant(i)); i++)
        for (enum dtype dtype = DTYPE_F16; dtype <= DTYPE_BF16; dtype++) {
            struct guarded values = guarded_alloc(65536 * sizeof(float));
            dtype_to_f32(expected, bits.data, dtype, 65536);
            variant->to_f32[dtype](values.data, bits.data, 65536);
            assert_same(values.data, expected, 65536, variant->name);
            for (size_t n = 1; n < 40; n++) { // short ones, at the end of the page
                float *last = (float *)values.data + 65536 - n;
                memset(last, 0, n * sizeof *last);
                variant->to_f32[dtype](last, (uint16_t *)bits.data + 65536 - n, n);
                assert_same(values.data, expected, 65536, variant->name);
            }
            guarded_free(values);
        }
    guarded_free(bits);
}

/* --- quantized products ------------------------------------------------------------------------
 */

/* Writes a random f16 of ordinary size, not 0. */
static void random_half(unsigned char *at, enum data data) {
    uint16_t half = (uint16_t)((random_bits() & 0x83FF) | (uint32_t)(3 + random_below(9)) << 10);
    if (data == WILD && random_below(8) == 0)
        half = (uint16_t)random_bits();
    memcpy(at, &half, sizeof half);
}

/* Panels at the end of their page, and rows of activations with gaps. extreme: the largest
 * integers, for which an instruction that saturates or a sum that is too narrow gives another
 * result. */
struct quant_problem {
    enum dtype dtype;
    size_t group, group_bytes; /* of the type */
    int m, n, n_groups;
    size_t ys;
    struct guarded y, panels, q, scale, sum;
    struct quantized x;
};

/* Fills a group of panels: scales and mins, then integers. */
static void random_group(unsigned char *group, struct panel_form form, enum data data,
                         bool extreme) {
    const size_t head = panel_form_head(form), size = (size_t)form.scale_bytes;
    for (size_t i = 0; i < head; i += size) {
        float value = random_value(data);
        if (size == sizeof value)
            memcpy(group + i, &value, size);
        else
            random_half(group + i, data);
    }
    for (size_t i = head; i < panel_form_bytes(form); i++)
        group[i] = !extreme          ? (unsigned char)random_bits()
                   : random_below(8) ? 255
                   : form.bits == 8  ? (unsigned char)random_below(2)
                                     : 0;
}

static struct quant_problem quant_create(enum dtype dtype, int m, int n, int n_groups,
                                         enum data data, bool extreme) {
    const struct panel_form form = panel_form(dtype);
    size_t gs = (size_t)(n_groups + random_below(3));
    struct quant_problem p = {.dtype = dtype, .m = m, .n = n, .n_groups = n_groups};
    p.group = (size_t)form.group;
    p.group_bytes = panel_form_bytes(form);
    p.ys = (size_t)(n + random_below(9));
    p.y = random_matrix(m, n, p.ys, data);
    p.panels = guarded_alloc((size_t)panels_count(n) * (size_t)n_groups * p.group_bytes);
    for (size_t i = 0; i < p.panels.n_bytes; i += p.group_bytes)
        random_group((unsigned char *)p.panels.data + i, form, data, extreme);
    p.q = guarded_alloc(((size_t)(m - 1) * gs + (size_t)n_groups) * p.group);
    p.scale = random_matrix(m, n_groups, gs, data);
    p.sum = guarded_alloc(((size_t)(m - 1) * gs + (size_t)n_groups) * sizeof(int32_t));
    int8_t sign = random_bits() & 1 ? 127 : -127;
    for (size_t i = 0; i < p.q.n_bytes; i++)
        ((int8_t *)p.q.data)[i] = extreme ? sign : (int8_t)(random_below(255) - 127);
    for (size_t g = 0; g < p.sum.n_bytes / sizeof(int32_t); g++) {
        int32_t sum = 0;
        for (size_t k = 0; k < p.group; k++)
            sum += ((int8_t *)p.q.data)[g * p.group + k];
        ((int32_t *)p.sum.data)[g] = sum;
    }
    p.x = (struct quantized){p.q.data, p.scale.data, p.sum.data, gs * p.group, gs};
    return p;
}

static void quant_free(struct quant_problem *p) {
    guarded_free(p->y);
    guarded_free(p->panels);
    guarded_free(p->q);
    guarded_free(p->scale);
    guarded_free(p->sum);
}

/* Rows r.. and groups g.. of a problem. */
static void quant_compute(const struct kernels *kernels, const struct quant_problem *p, float *y,
                          int r, int m, int g, int n_groups) {
    size_t row = (size_t)r, group = (size_t)g;
    struct quantized x = {p->x.q + row * p->x.qs + group * p->group,
                          p->x.scale + row * p->x.gs + group, p->x.sum + row * p->x.gs + group,
                          p->x.qs, p->x.gs};
    const char *panels = p->panels.data;
    size_t ps = (size_t)p->n_groups * p->group_bytes;
    kernels->gemm_quantized[p->dtype](y + row * p->ys, p->ys, x, panels + group * p->group_bytes,
                                      ps, m, p->n, n_groups);
}

static void check_quantized(enum dtype dtype, int m, int n, int n_groups, enum data data,
                            bool extreme) {
    struct quant_problem p = quant_create(dtype, m, n, n_groups, data, extreme);
    struct guarded expected = copy_of(p.y);
    size_t n_y = p.y.n_bytes / sizeof(float);
    quant_compute(kernels_variant(0), &p, expected.data, 0, m, 0, n_groups);
    const struct kernels *variant;
    for (int i = 1; (variant = kernels_variant(i)); i++) {
        char what[96];
        snprintf(what, sizeof what, "%s %s m=%d n=%d groups=%d", variant->name, dtype_name(dtype),
                 m, n, n_groups);
        struct guarded y = copy_of(p.y);
        quant_compute(variant, &p, y.data, 0, m, 0, n_groups);
        assert_same(y.data, expected.data, n_y, what);

        memcpy(y.data, p.y.data, p.y.n_bytes); // rows one by one, the chain cut somewhere
        int cut = random_below(n_groups + 1);
        for (int r = 0; r < m; r++) {
            quant_compute(variant, &p, y.data, r, 1, 0, cut);
            quant_compute(variant, &p, y.data, r, 1, cut, n_groups - cut);
        }
        assert_same(y.data, expected.data, n_y, what);
        guarded_free(y);
    }
    guarded_free(expected);
    quant_free(&p);
}

static void variants_agree_on_quantized(enum dtype dtype) {
    static const int widths[] = {1, 7, 8, 9, 15, 16, 17, 33, 48, 63, 64, 81, 128};
    for (int m = 1; m <= 14; m++)
        for (int i = 0; i < (int)(sizeof widths / sizeof *widths); i++)
            check_quantized(dtype, m, widths[i], 1 + random_below(4), i % 2 ? WILD : PLAIN, false);
    for (int m = 1; m <= 7; m++)
        check_quantized(dtype, m, 64, 2, PLAIN, true);
    for (int m = 24; m <= 40; m += 8) // wide enough for 16-bit lanes
        for (int extreme = 0; extreme < 2; extreme++)
            check_quantized(dtype, m, 48, 1 + random_below(20), PLAIN, extreme);
    check_quantized(dtype, 3, 64, 24, PLAIN, false);
    check_quantized(dtype, 9, 64, 53, PLAIN, false);
}

static const enum dtype quantized_types[] = {
#define TYPE(dtype, form) dtype,
    PANEL_TYPES(TYPE)
#undef TYPE
};

#define N_QUANTIZED ((int)(sizeof quantized_types / sizeof *quantized_types))

static void variants_agree_on_all_quantized(void **state) {
    for (int i = 0; i < N_QUANTIZED; i++)
        variants_agree_on_quantized(quantized_types[i]);
}

/* Against the sum, in f64, of products of the values that the panel and the activations represent.
 */
static void quantized_products_match_f64(void **state) {
    for (int i = 0; i < N_QUANTIZED; i++) {
        enum dtype dtype = quantized_types[i];
        struct quant_problem p = quant_create(dtype, 5, PANEL, 7, PLAIN, false);
        struct guarded y = copy_of(p.y);
        quant_compute(kernels_variant(0), &p, y.data, 0, p.m, 0, p.n_groups);
        for (int c = 0; c < p.n; c++) {
            float w[7 * PANEL_MAX_GROUP];
            panels_column(w, p.panels.data, dtype, c, p.n_groups * (int)p.group);
            for (int r = 0; r < p.m; r++) {
                double sum = (double)((float *)p.y.data)[(size_t)r * p.ys + (size_t)c];
                double magnitude = fabs(sum);
                for (int k = 0; k < p.n_groups * (int)p.group; k++) {
                    double x = (double)p.x.q[(size_t)r * p.x.qs + (size_t)k] *
                               (double)p.x.scale[(size_t)r * p.x.gs + (size_t)k / p.group];
                    sum += x * (double)w[k];
                    magnitude += fabs(x * (double)w[k]);
                }
                double error = fabs((double)((float *)y.data)[(size_t)r * p.ys + (size_t)c] - sum);
                assert_true(error <= magnitude * 4 * (double)FLT_EPSILON);
            }
        }
        guarded_free(y);
        quant_free(&p);
    }
}

/* One row of x in guarded memory, quantized by a kernel variant into guarded memory. */
static void check_quantize_by(const float *values, int n, size_t group) {
    size_t groups = ((size_t)n + group - 1) / group;
    struct guarded x = guarded_alloc((size_t)n * sizeof(float));
    memcpy(x.data, values, (size_t)n * sizeof(float));
    struct guarded q[2], scale[2], sum[2];
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++) {
        int at = i > 0;
        q[at] = guarded_alloc(groups * group);
        scale[at] = guarded_alloc(groups * sizeof(float));
        sum[at] = guarded_alloc(groups * sizeof(int32_t));
        variant->quantize(q[at].data, scale[at].data, sum[at].data, x.data, (size_t)n, (int)group);
        if (at) {
            assert_memory_equal(q[1].data, q[0].data, groups * group);
            assert_memory_equal(sum[1].data, sum[0].data, groups * sizeof(int32_t));
            assert_same(scale[1].data, scale[0].data, groups, variant->name);
            guarded_free(q[1]);
            guarded_free(scale[1]);
            guarded_free(sum[1]);
        }
    }
    for (size_t g = 0; g < groups; g++) { // the definition, in f64 and with the C library
        size_t first = g * group, end = first + group < (size_t)n ? first + group : (size_t)n;
        float max = 0;
        bool finite = true;
        for (size_t k = first; k < end; k++) {
            finite = finite && isfinite(values[k]);
            max = fmaxf(max, fabsf(values[k]));
        }
        bool zero = !finite || max < 0x1p-120f;
        int32_t total = 0;
        for (size_t k = first; k < first + group; k++) {
            int expected = zero || k >= end ? 0 : (int)nearbyintf(values[k] * (127.0f / max));
            assert_int_equal(((int8_t *)q[0].data)[k], expected);
            total += expected;
        }
        float expected = zero ? 0.0f : max / 127.0f;
        assert_int_equal(((int32_t *)sum[0].data)[g], total);
        assert_true(finite ? ((float *)scale[0].data)[g] == expected
                           : isnan(((float *)scale[0].data)[g]));
    }
    guarded_free(q[0]);
    guarded_free(scale[0]);
    guarded_free(sum[0]);
    guarded_free(x);
}

static void check_quantize(const float *values, int n) {
    for (size_t group = PANEL_MIN_GROUP; group <= PANEL_MAX_GROUP; group *= 2)
        check_quantize_by(values, n, group);
}

static void quantize_is_its_definition(void **state) {
    static const int sizes[] = {1, 5, 31, 63, 64, 65, 100, 127, 128, 200, 768};
    float x[768];
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            float factor = ldexpf(1.0f, random_below(round % 4 == 3 ? 250 : 20) - 126);
            for (int k = 0; k < sizes[i]; k++)
                x[k] = random_value(round % 2 ? WILD : PLAIN) * (round % 4 > 1 ? factor : 1.0f);
            check_quantize(x, sizes[i]);
        }
    for (int k = 0; k < 128; k++) // ties: halves of the step
        x[k] = k == 0 ? 127.0f : (float)(k - 64) + 0.5f;
    check_quantize(x, 128);
    for (int k = 0; k < 128; k++)
        x[k] = 0.0f;
    check_quantize(x, 128);
    static const float odd[] = {0.0f, 0x1p-121f, 0x1p-120f, INFINITY, NAN};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) // a group that is unlike those beside it
        for (int first = 0; first < 512; first += 16) {
            for (int k = 0; k < 512; k++)
                x[k] = k / 16 == first / 16 ? 0.0f : (float)(k % 7) - 3.0f;
            x[first + 5] = odd[i];
            check_quantize(x, 512);
        }
}

/* --- along one vector --------------------------------------------------------------------------
 */

static const size_t lengths[] = {1,  2,  3,  5,  7,  8,  9,   15,  16,  17,  31,  32,   33,  47,
                                 48, 63, 64, 65, 80, 96, 100, 127, 128, 255, 768, 1088, 1600};
#define N_LENGTHS (sizeof lengths / sizeof *lengths)

static void variants_agree_on_layer_norm(void **state) {
    const struct kernels *variant;
    for (int i = 1; (variant = kernels_variant(i)); i++)
        for (size_t j = 0; j < 2 * N_LENGTHS; j++) {
            size_t n = lengths[j / 2];
            enum data data = j % 2 ? WILD : PLAIN;
            struct guarded x = random_matrix(1, (int)n, n, data);
            struct guarded gain = random_matrix(1, (int)n, n, data);
            struct guarded bias = random_matrix(1, (int)n, n, data);
            struct guarded expected = copy_of(x), y = copy_of(x);
            kernels_variant(0)->layer_norm(expected.data, x.data, gain.data, bias.data, n, 1e-5f);
            variant->layer_norm(y.data, x.data, gain.data, bias.data, n, 1e-5f);
            assert_same(y.data, expected.data, n, variant->name);
            variant->layer_norm(x.data, x.data, gain.data, bias.data, n, 1e-5f); // in place
            assert_same(x.data, expected.data, n, variant->name);
            guarded_free(x);
            guarded_free(gain);
            guarded_free(bias);
            guarded_free(expected);
            guarded_free(y);
        }
}

static void layer_norm_matches_f64(void **state) {
    for (size_t j = 0; j < N_LENGTHS; j++) {
        size_t n = lengths[j];
        float x[1600], gain[1600], bias[1600], y[1600];
        double mean = 0, var = 0;
        for (size_t i = 0; i < n; i++) {
            x[i] = 3.0f + 10.0f * random_float();
            gain[i] = random_float();
            bias[i] = random_float();
            mean += (double)x[i] / (double)n;
        }
        for (size_t i = 0; i < n; i++)
            var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        kernels_variant(0)->layer_norm(y, x, gain, bias, n, 1e-5f);
        for (size_t i = 0; i < n; i++) {
            double expected =
                ((double)x[i] - mean) / sqrt(var + 1e-5) * (double)gain[i] + (double)bias[i];
            assert_true(fabs((double)y[i] - expected) <= 1e-5 * (1 + fabs(expected)));
        }
    }
}

static void variants_agree_on_softmax(void **state) {
    const struct kernels *variant;
    for (int i = 1; (variant = kernels_variant(i)); i++)
        for (size_t j = 0; j < 2 * N_LENGTHS; j++) {
            size_t n = lengths[j / 2];
            struct guarded x = random_matrix(1, (int)n, n, j % 2 ? WILD : PLAIN);
            struct guarded expected = copy_of(x);
            float sum = kernels_variant(0)->softmax(expected.data, n, 7.5f);
            float got = variant->softmax(x.data, n, 7.5f);
            assert_same(x.data, expected.data, n, variant->name);
            assert_same(&got, &sum, 1, variant->name);
            guarded_free(x);
            guarded_free(expected);
        }
}

static void softmax_matches_f64(void **state) {
    float x[1000], y[1000];
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        x[i] = y[i] = 100.0f * random_float();
        if (i % 100 == 7)
            x[i] = y[i] = -INFINITY;
    }
    float max = -INFINITY;
    for (int i = 0; i < 1000; i++)
        max = fmaxf(max, x[i] * 0.125f);
    float got = kernels_variant(0)->softmax(y, 1000, 0.125f);
    for (int i = 0; i < 1000; i++) {
        double expected = exp((double)(x[i] * 0.125f) - (double)max);
        sum += expected;
        assert_true(fabs((double)y[i] - expected) <= 1e-5 * expected + 1e-44);
        assert_true(i % 100 != 7 || y[i] == 0.0f);
    }
    assert_true(fabs((double)got - sum) <= 1e-6 * sum);
}

/* One NaN makes the sum NaN; a score of +inf does too (inf - inf). */
static void softmax_does_not_hide_nan(void **state) {
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++)
        for (size_t at = 0; at < 40; at++) {
            float x[40] = {0};
            x[at] = at % 2 ? NAN : INFINITY;
            assert_true(isnan(variant->softmax(x, 40, 1.0f)));
        }
}

static void variants_agree_on_add_and_scale(void **state) {
    const struct kernels *variant;
    for (int i = 1; (variant = kernels_variant(i)); i++)
        for (size_t j = 0; j < N_LENGTHS; j++) {
            size_t n = lengths[j];
            struct guarded x = random_matrix(1, (int)n, n, WILD);
            struct guarded y = random_matrix(1, (int)n, n, WILD);
            struct guarded expected = copy_of(y);
            kernels_variant(0)->add(expected.data, x.data, n);
            kernels_variant(0)->scale(expected.data, 0.3f, n);
            variant->add(y.data, x.data, n);
            variant->scale(y.data, 0.3f, n);
            assert_same(y.data, expected.data, n, variant->name);
            guarded_free(x);
            guarded_free(y);
            guarded_free(expected);
        }
}

static void variants_agree_on_activations(void **state) {
    const struct kernels *variant;
    for (int i = 1; (variant = kernels_variant(i)); i++)
        for (const struct activation *a = kernels_variant(0)->activations; a->name; a++) {
            activation_fn fn = kernels_activation(variant, a->name);
            assert_non_null(fn);
            for (size_t j = 0; j < N_LENGTHS; j++) {
                size_t n = lengths[j];
                struct guarded x = random_matrix(1, (int)n, n, WILD);
                for (size_t e = 0; e < n; e++)
                    if (j % 2)
                        ((float *)x.data)[e] *= 20.0f;
                struct guarded expected = copy_of(x);
                a->fn(expected.data, n);
                fn(x.data, n);
                char what[64];
                snprintf(what, sizeof what, "%s %s", variant->name, a->name);
                assert_same(x.data, expected.data, n, what);
                guarded_free(x);
                guarded_free(expected);
            }
        }
}

/* --- adapters --------------------------------------------------------------------------------- */

/* u and v are whole rows and panels of random f32 values, as adapters have them; `w` of any
 * alignment. */
static void check_add_low_rank(int m, int n, int rank, enum data data) {
    const size_t ys = (size_t)(n + random_below(9)), ws = (size_t)(n + random_below(9));
    const size_t n_u = (size_t)(m * rank), n_v = (size_t)(panels_count(n) * PANEL * rank);
    const double scale = (double)random_float();
    struct guarded w = random_weights(m, n, ws, DTYPE_F32, data);
    struct guarded y = random_matrix(m, n, ys, data), expected = copy_of(y);
    struct guarded u = guarded_alloc(n_u * sizeof(double)), v = guarded_alloc(n_v * sizeof(double));
    for (size_t i = 0; i < n_u; i++)
        ((double *)u.data)[i] = (double)random_value(data);
    for (size_t i = 0; i < n_v; i++)
        ((double *)v.data)[i] = (double)random_value(data);
    for (int r = 0; r < m; r++)
        for (int c = 0; c < n; c++) {
            float old;
            double s = 0;
            memcpy(&old, (char *)w.data + ((size_t)r * ws + (size_t)c) * sizeof old, sizeof old);
            for (int j = 0; j < rank; j++) {
                const double product =
                    ((double *)u.data)[r * rank + j] *
                    ((double *)v.data)[(c / PANEL * rank + j) * PANEL + c % PANEL];
                s = s + product;
            }
            const double change = scale * s;
            ((float *)expected.data)[(size_t)r * ys + (size_t)c] = (float)((double)old + change);
        }
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++) {
        struct guarded out = copy_of(y);
        variant->add_low_rank(out.data, ys, w.data, ws, u.data, v.data, m, n, rank, scale);
        assert_same(out.data, expected.data, y.n_bytes / sizeof(float), variant->name);
        for (int r = 0; r < m; r++) // in place
            memcpy((float *)out.data + (size_t)r * ys,
                   (char *)w.data + (size_t)r * ws * sizeof(float), (size_t)n * sizeof(float));
        variant->add_low_rank(out.data, ys, out.data, ys, u.data, v.data, m, n, rank, scale);
        assert_same(out.data, expected.data, y.n_bytes / sizeof(float), variant->name);
        guarded_free(out);
    }
    guarded_free(w);
    guarded_free(y);
    guarded_free(expected);
    guarded_free(u);
    guarded_free(v);
}

static void add_low_rank_is_its_definition(void **state) {
    static const int ranks[] = {1, 2, 7, 8, 300};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        for (int m = 1; m <= 9; m++)
            for (int n = 1; n <= 50; n += 1 + random_below(7))
                for (enum data data = PLAIN; data <= WILD; data++)
                    check_add_low_rank(m, n, ranks[i], data);
}

/* --- the same bits everywhere ------------------------------------------------------------------
 */

static uint64_t hash(uint64_t h, const void *data, size_t n_bytes) { // FNV-1a
    for (size_t i = 0; i < n_bytes; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001B3;
    return h;
}

/* Variants agree with each other above; here with every other compiler and machine: a fixed input
 * has these bits. They change only if the definition in generic.c, elementwise.h or math.h does. */
static void bits_are_those_of_every_machine(void **state) {
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++) {
        uint64_t h = 0xCBF29CE484222325;
        random_state = 2019;
        for (enum op op = GEMM; op <= GEMM_NT; op++)
            for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++) {
                struct problem p =
                    problem_create(op, op == GEMM ? DTYPE_F32 : dtype, 7, 90, 301, PLAIN);
                compute(variant, &p, p.y.data, 0, p.m, 0, p.K);
                h = hash(h, p.y.data, p.y.n_bytes);
                problem_free(&p);
            }
        for (const struct activation *a = variant->activations; a->name; a++) {
            float x[1000];
            for (int j = 0; j < 1000; j++)
                x[j] = 5.0f * random_float();
            a->fn(x, 1000);
            h = hash(h, x, sizeof x);
            float sum = variant->softmax(x, 1000, 3.0f);
            h = hash(h, &sum, sizeof sum);
            h = hash(h, x, sizeof x);
            variant->layer_norm(x, x, x, x, 1000, 1e-5f);
            h = hash(h, x, sizeof x);
        }
        if (h != 0x191039401D5D6783)
            fail_msg("%s: the hash is 0x%016llX", variant->name, (unsigned long long)h);
    }
}

/* --- choosing a variant ------------------------------------------------------------------------
 */

/* Every entry of the table is known by its name, and found by it if this CPU can run it. */
static void variants_are_found_by_name(void **state) {
    static const char *const names[] = {
#define VARIANT(name, runs_here) #name,
#include "kernels/variants.def"
    };
    assert_string_equal(kernels_variant(0)->name, "generic");
    const struct kernels *last = NULL;
    char all[512] = "";
    int n_here = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(kernels_is_known(names[i]));
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
        const struct kernels *variant = kernels_select(names[i]);
        if (!variant)
            continue;
        assert_string_equal(variant->name, names[i]);
        assert_ptr_equal(kernels_variant(n_here++), variant);
        last = variant;
    }
    assert_null(kernels_variant(n_here));
    assert_ptr_equal(kernels_select(NULL), last);
    assert_string_equal(kernels_names(), all);
    assert_null(kernels_select("mmx"));
    assert_null(kernels_select(""));
    assert_false(kernels_is_known("mmx"));
    assert_false(kernels_is_known(""));
}

static void unknown_activations_are_refused(void **state) {
    assert_non_null(kernels_activation(kernels_variant(0), "gelu_new"));
    assert_null(kernels_activation(kernels_variant(0), "gelu_old"));
    assert_null(kernels_activation(kernels_variant(0), ""));
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variants_agree_on_gemm),
        cmocka_unit_test(variants_agree_on_gemv),
        cmocka_unit_test(variants_agree_on_gemm_nt),
        cmocka_unit_test(gemm_nt_skip_missing_lanes),
        cmocka_unit_test(gemm_is_gemv),
        cmocka_unit_test(products_match_f64),
        cmocka_unit_test(variants_agree_on_all_quantized),
        cmocka_unit_test(quantized_products_match_f64),
        cmocka_unit_test(quantize_is_its_definition),
        cmocka_unit_test(conversions_are_exact),
        cmocka_unit_test(variants_agree_on_layer_norm),
        cmocka_unit_test(layer_norm_matches_f64),
        cmocka_unit_test(variants_agree_on_softmax),
        cmocka_unit_test(softmax_matches_f64),
        cmocka_unit_test(softmax_does_not_hide_nan),
        cmocka_unit_test(variants_agree_on_add_and_scale),
        cmocka_unit_test(variants_agree_on_activations),
        cmocka_unit_test(add_low_rank_is_its_definition),
        cmocka_unit_test(bits_are_those_of_every_machine),
        cmocka_unit_test(variants_are_found_by_name),
        cmocka_unit_test(unknown_activations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
