/* test_matmul.c - a threaded product has the bits of one chain for each output, whatever the number
 * of threads, rows at a time, element type's layout or kernel variant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/os.h"
#include "export/quantize_panel.h"
#include "forward/matmul.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t random_state = 1;

static float random_float(void) { // -1 .. 1
    random_state = random_state * 1664525 + 1013904223;
    return (float)(int32_t)random_state * 0x1p-31f;
}

/* A weight of the given type whose value is between -1 and 1. */
static void random_weight(void *w, enum dtype dtype, size_t i) {
    float value = random_float();
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t half = (uint16_t)(bits >> 16);
    if (dtype == DTYPE_F16)
        half = (uint16_t)((bits >> 16 & 0x83FF) | (bits % 8 + 7) << 10);
    if (dtype == DTYPE_F32)
        memcpy((char *)w + 4 * i, &value, 4);
    else
        memcpy((char *)w + 2 * i, &half, 2);
}

#define MAX_ROWS 210

/* A layer, its input, and what must come out. */
struct fixture {
    struct linear linear; /* for the head: weight only, [out, in] */
    float *x, *y, *expected;
    size_t xs, ys;
    int in, out;
};

static void *allocate(size_t n, size_t size) {
    void *memory = os_alloc(n, size, "a test", NULL);
    assert_non_null(memory);
    return memory;
}

static struct fixture fixture_create(enum dtype dtype, int in, int out, bool head) {
    struct fixture f = {.in = in, .out = out, .xs = (size_t)in + 3, .ys = (size_t)out + 5};
    size_t n = (size_t)in * (size_t)out;
    void *w = allocate(n, dtype_size(dtype));
    for (size_t i = 0; i < n; i++)
        random_weight(w, dtype, i);
    float *bias = allocate((size_t)out, sizeof *bias);
    for (int i = 0; i < out; i++)
        bias[i] = random_float();
    f.linear.weight =
        (struct matrix){w, dtype, LAYOUT_ROWS, head ? out : in, head ? in : out, NULL, NULL};
    f.linear.bias = bias;
    f.x = allocate(MAX_ROWS * f.xs, sizeof *f.x);
    f.y = allocate(MAX_ROWS * f.ys, sizeof *f.y);
    f.expected = allocate(MAX_ROWS * f.ys, sizeof *f.expected);
    for (size_t i = 0; i < MAX_ROWS * f.xs; i++)
        f.x[i] = random_float();
    return f;
}

static void fixture_free(struct fixture *f) {
    os_free((void *)(uintptr_t)f->linear.weight.data);
    os_free((void *)(uintptr_t)f->linear.bias);
    os_free(f->x);
    os_free(f->y);
    os_free(f->expected);
}

/* One weight, as f32. */
static float weight_at(const struct matrix *w, int row, int column) {
    float value;
    size_t i = (size_t)row * (size_t)w->cols + (size_t)column;
    dtype_to_f32(&value, (const char *)w->data + i * dtype_size(w->dtype), w->dtype, 1);
    return value;
}

/* The definition, output by output. */
static void expect_linear(struct fixture *f, activation_fn act, int m) {
    for (int r = 0; r < m; r++) {
        float *y = f->expected + (size_t)r * f->ys;
        for (int c = 0; c < f->out; c++)
            y[c] = f->linear.bias[c];
        for (int k = 0; k < f->in; k++)
            for (int c = 0; c < f->out; c++)
                y[c] = fmaf(f->x[(size_t)r * f->xs + (size_t)k], weight_at(&f->linear.weight, k, c),
                            y[c]);
        if (act)
            act(y, (size_t)f->out);
    }
}

static void expect_head(struct fixture *f, int m) {
    for (int r = 0; r < m; r++)
        for (int v = 0; v < f->out; v++) {
            float p[16] = {0};
            for (int k = 0; k < f->in; k++)
                p[k % 16] = fmaf(f->x[(size_t)r * f->xs + (size_t)k],
                                 weight_at(&f->linear.weight, v, k), p[k % 16]);
            for (int half = 8; half > 0; half /= 2)
                for (int i = 0; i < half; i++)
                    p[i] += p[i + half];
            f->expected[(size_t)r * f->ys + (size_t)v] = p[0];
        }
}

/* All row counts of `rows`, for all numbers of threads and kernel variants, against the expected
 * bits; what lies between the rows and after them must not change. */
static void check(struct fixture *f, bool head, const char *act, const int *rows, int n_rows) {
    static const int threads[] = {1, 2, 3, 5};
    const struct kernels *kernels;
    for (int t = 0; t < 4; t++) {
        struct pool *pool = pool_create(threads[t], NULL);
        assert_non_null(pool);
        for (int i = 0; (kernels = kernels_variant(i)); i++) {
            struct matmul mm;
            assert_true(matmul_init(&mm, pool, kernels, MAX_ROWS, f->in, NULL));
            activation_fn fn = act ? kernels_activation(kernels, act) : NULL;
            for (int j = 0; j < n_rows; j++) {
                int m = rows[j];
                for (size_t e = 0; e < MAX_ROWS * f->ys; e++)
                    f->y[e] = 77.0f;
                if (head)
                    matmul_head(&mm, f->y, f->ys, f->x, f->xs, &f->linear.weight, m);
                else
                    matmul_linear(&mm, f->y, f->ys, f->x, f->xs, &f->linear, fn, m, NULL);
                for (int r = 0; r < MAX_ROWS; r++)
                    for (size_t c = 0; c < f->ys; c++) {
                        size_t at = (size_t)r * f->ys + c;
                        bool inside = r < m && c < (size_t)f->out;
                        float expected = inside ? f->expected[at] : 77.0f;
                        if (memcmp(&f->y[at], &expected, sizeof expected) != 0)
                            fail_msg("%s %s %d threads, %d rows: y[%d, %zu] is %a, expected %a",
                                     kernels->name, dtype_name(f->linear.weight.dtype), threads[t],
                                     m, r, c, (double)f->y[at], (double)expected);
                    }
            }
            matmul_free(&mm);
        }
        pool_free(pool);
    }
}

static const int few[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 31, 64, 70};
#define N_FEW ((int)(sizeof few / sizeof *few))

static void linear_is_one_chain(void **state) {
    static const int shapes[][2] = {{64, 192}, {17, 65}, {100, 1}, {1, 100}, {300, 129}};
    for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++)
        for (int i = 0; i < 5; i++) {
            struct fixture f = fixture_create(dtype, shapes[i][0], shapes[i][1], false);
            expect_linear(&f, NULL, 70);
            check(&f, false, NULL, few, N_FEW);
            fixture_free(&f);
        }
}

/* Several blocks of k, of columns and of rows. */
static void large_linear_is_one_chain(void **state) {
    static const int rows[] = {1, 64, 65, 200};
    struct fixture f = fixture_create(DTYPE_BF16, 800, 330, false);
    expect_linear(&f, NULL, 200);
    check(&f, false, NULL, rows, 4);
    fixture_free(&f);
}

static void activation_comes_after_the_chain(void **state) {
    static const int rows[] = {1, 4, 20};
    struct fixture f = fixture_create(DTYPE_F16, 300, 130, false);
    expect_linear(&f, kernels_activation(kernels_variant(0), "gelu_new"), 20);
    check(&f, false, "gelu_new", rows, 3);
    fixture_free(&f);
}

static void head_is_lanes_of_16(void **state) {
    static const int shapes[][2] = {{64, 501}, {80, 97}, {100, 3}, {1, 70}, {15, 1}};
    for (enum dtype dtype = 0; dtype < DTYPE_N_KERNELS; dtype++)
        for (int i = 0; i < 5; i++) {
            struct fixture f = fixture_create(dtype, shapes[i][0], shapes[i][1], true);
            expect_head(&f, 70);
            check(&f, true, NULL, few, N_FEW);
            fixture_free(&f);
        }
}

static void linear_matches_f64(void **state) {
    struct fixture f = fixture_create(DTYPE_F32, 768, 50, false);
    struct pool *pool = pool_create(2, NULL);
    struct matmul mm;
    assert_true(matmul_init(&mm, pool, kernels_select(NULL), MAX_ROWS, f.in, NULL));
    matmul_linear(&mm, f.y, f.ys, f.x, f.xs, &f.linear, NULL, 10, NULL);
    for (int r = 0; r < 10; r++)
        for (int c = 0; c < f.out; c++) {
            double sum = (double)f.linear.bias[c], magnitude = fabs(sum);
            for (int k = 0; k < f.in; k++) {
                double product = (double)f.x[(size_t)r * f.xs + (size_t)k] *
                                 (double)weight_at(&f.linear.weight, k, c);
                sum += product;
                magnitude += fabs(product);
            }
            double error = fabs((double)f.y[(size_t)r * f.ys + (size_t)c] - sum);
            assert_true(error <= magnitude * 0.5 * (double)FLT_EPSILON * (f.in + 1));
        }
    matmul_free(&mm);
    pool_free(pool);
    fixture_free(&f);
}

/* ---- real shapes ----
 *
 * The products of a block with n_embd 768 and 1600, with every type of element, as a file's rows,
 * as panels, and moved from the one or the other by the product itself. All weights of floats have
 * few bits, so that F32, F16 and BF16 hold the same numbers and must give the same chain. */

#define DISTINCT        29 /* rows of x, which then repeat: a prime number is no cut's period */
#define DISTINCT_PANELS 7  /* that are quantized, which then repeat */

static const struct {
    int in, out;
} real_shapes[] = {{768, 2304}, {3072, 768}, {1600, 1600}, {6400, 1600}};
static const int real_rows[] = {1, 2, 8, 23, 24, 32, 63, 64, 65, 200};

#define N_REAL_SHAPES ((int)(sizeof real_shapes / sizeof *real_shapes))
#define N_REAL_ROWS   ((int)(sizeof real_rows / sizeof *real_rows))

struct real {
    int in, out;
    float *weights;  /* [in, out]                                   */
    float *bias;     /* [out]                                       */
    float *x;        /* [MAX_ROWS, in]                              */
    float *expected; /* [DISTINCT, out]                             */
    float *y;        /* [MAX_ROWS, out], and a row that stays as is */
    void *data;      /* the matrix of the type and layout at hand   */
    void *moved;     /* where it is moved to                        */
};

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value;
}

/* Bytes of all of W in any type and layout, at most. */
static size_t most_bytes(int in, int out) {
    return (size_t)panels_count(out) * panel_bytes(DTYPE_F32, in);
}

static struct real real_create(int in, int out) {
    struct real r = {.in = in, .out = out};
    size_t n = (size_t)in * (size_t)out, bytes = most_bytes(in, out);
    r.weights = allocate(n, sizeof *r.weights);
    r.bias = allocate((size_t)out, sizeof *r.bias);
    r.x = allocate(MAX_ROWS * (size_t)in, sizeof *r.x);
    r.expected = allocate(DISTINCT * (size_t)out, sizeof *r.expected);
    r.y = allocate((MAX_ROWS + 1) * (size_t)out, sizeof *r.y);
    r.data = allocate(bytes, 1);
    r.moved = allocate(bytes, 1);
    for (size_t i = 0; i < n; i++) // 8 bits
        r.weights[i] = (float)(int)(random_float() * 255.0f) * 0x1p-12f;
    for (int i = 0; i < out; i++)
        r.bias[i] = random_float();
    for (size_t i = 0; i < MAX_ROWS * (size_t)in; i++)
        r.x[i] = i < DISTINCT * (size_t)in ? random_float() : r.x[i - DISTINCT * (size_t)in];
    return r;
}

static void real_free(struct real *r) {
    float *const all[] = {r->weights, r->bias, r->x, r->expected, r->y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        os_free(all[i]);
    os_free(r->data);
    os_free(r->moved);
}

/* An f32 that the type has, as it stores it. */
static void put(void *data, size_t i, enum dtype dtype, float value) {
    uint16_t half = dtype == DTYPE_F16 ? dtype_f32_to_f16(value) : dtype_f32_to_bf16(value);
    if (dtype == DTYPE_F32)
        memcpy((char *)data + 4 * i, &value, 4);
    else
        memcpy((char *)data + 2 * i, &half, 2);
}

/* A group of a panel of integers that are not ours to make: random ones, with scales and mins of
 * both signs. */
static void random_group(unsigned char *group, struct panel_form form) {
    const size_t head = panel_form_head(form), size = (size_t)form.scale_bytes;
    for (size_t i = 0; i < head; i += size) {
        const float value = random_float() * 0.01f;
        const uint16_t half = dtype_f32_to_f16(value);
        memcpy(group + i, size == sizeof value ? (const void *)&value : (const void *)&half, size);
    }
    for (size_t i = head; i < panel_form_bytes(form); i++)
        group[i] = (unsigned char)(int)(random_float() * 128.0f);
}

/* Panel p of a quantized type. */
static void quantized_panel(char *panel, const struct real *r, enum dtype dtype, size_t p) {
    const size_t bytes = panel_group_bytes(dtype);
    if (!dtype_is_foreign(dtype)) {
        assert_true(quantize_panel(panel, dtype, r->weights + p * PANEL, (size_t)r->out, r->in,
                                   PANEL, NULL));
        return;
    }
    for (int g = 0; g < panels_groups(dtype, r->in); g++, panel += bytes)
        random_group((unsigned char *)panel, panel_form(dtype));
}

/* The matrix in a type and a layout, written here and not by what is tested. */
static struct matrix real_matrix(const struct real *r, enum dtype dtype, enum layout layout) {
    size_t in = (size_t)r->in, out = (size_t)r->out, size = panel_bytes(dtype, r->in);
    memset(r->data, 0, most_bytes(r->in, r->out));
    for (size_t p = 0; dtype_is_quantized(dtype) && p * PANEL < out; p++) {
        char *panel = (char *)r->data + p * size;
        if (p >= DISTINCT_PANELS)
            memcpy(panel, panel - DISTINCT_PANELS * size, size);
        else
            quantized_panel(panel, r, dtype, p);
    }
    for (size_t k = 0; !dtype_is_quantized(dtype) && k < in; k++)
        for (size_t c = 0; c < out; c++)
            put(r->data,
                layout == LAYOUT_ROWS      ? k * out + c
                : layout == LAYOUT_COLUMNS ? c * in + k
                                           : (c / PANEL * in + k) * PANEL + c % PANEL,
                dtype, r->weights[k * out + c]);
    return (struct matrix){r->data, dtype, layout, r->in, r->out, NULL, NULL};
}

/* The definition, for the rows of x that differ. All types of floats have one. */
static void expect_real(struct real *r, const struct matrix *w) {
    const struct kernels *generic = kernels_variant(0);
    size_t in = (size_t)r->in, out = (size_t)r->out,
           groups = (size_t)panels_groups(w->dtype, r->in);
    for (int row = 0; row < DISTINCT; row++)
        memcpy(r->expected + (size_t)row * out, r->bias, out * sizeof *r->bias);
    if (!dtype_is_quantized(w->dtype)) {
        for (size_t row = 0; row < DISTINCT; row++)
            for (size_t k = 0; k < in; k++)
                for (size_t c = 0; c < out; c++)
                    r->expected[row * out + c] = fmaf(r->x[row * in + k], r->weights[k * out + c],
                                                      r->expected[row * out + c]);
        return;
    }
    const size_t group = (size_t)panel_form(w->dtype).group;
    int8_t *q = allocate(DISTINCT * groups, group);
    float *scale = allocate(DISTINCT * groups, sizeof *scale);
    int32_t *sum = allocate(DISTINCT * groups, sizeof *sum);
    for (size_t row = 0; row < DISTINCT; row++)
        generic->quantize(q + row * groups * group, scale + row * groups, sum + row * groups,
                          r->x + row * in, in, (int)group);
    struct quantized x = {q, scale, sum, groups * group, groups};
    generic->gemm_quantized[w->dtype](r->expected, out, x, w->data, panel_bytes(w->dtype, r->in),
                                      DISTINCT, r->out, (int)groups);
    os_free(q);
    os_free(scale);
    os_free(sum);
}

/* One product against the definition, and nothing behind its last row. */
static void check_real(struct real *r, const struct matmul *mm, const struct linear *linear, int m,
                       const char *what) {
    size_t in = (size_t)r->in, out = (size_t)r->out;
    for (size_t i = 0; i < ((size_t)m + 1) * out; i++)
        r->y[i] = 77.0f;
    matmul_linear(mm, r->y, out, r->x, in, linear, NULL, m, NULL);
    for (size_t row = 0; row < (size_t)m; row++) {
        const float *expected = r->expected + row % DISTINCT * out, *y = r->y + row * out;
        for (size_t c = 0; memcmp(y, expected, out * sizeof *y) != 0 && c < out; c++)
            if (memcmp(&y[c], &expected[c], sizeof *y) != 0)
                fail_msg("%d inputs, %s, %s, %s, %d threads, %d rows: y[%zu, %zu] is %a, expected "
                         "%a",
                         r->in, mm->kernels->name, dtype_name(linear->weight.dtype), what,
                         pool_size(mm->pool), m, row, c, (double)y[c], (double)expected[c]);
    }
    for (size_t c = 0; c < out; c++)
        assert_true(r->y[(size_t)m * out + c] == 77.0f);
}

/* The same where the weights lie, or while they are moved. */
static void check_place(struct real *r, const struct matmul *mm, const struct matrix *w, bool moves,
                        int m) {
    static const struct os_file nowhere = {0};
    struct matrix_copy copy = {.matrix = *w, .data = r->moved, .file = &nowhere};
    struct linear linear = {*w, r->bias};
    struct matmul moving = *mm;
    static const char *const places[][2] = {[LAYOUT_ROWS] = {"rows", "rows that move"},
                                            [LAYOUT_COLUMNS] = {"columns", "columns that move"},
                                            [LAYOUT_PANELS] = {"panels", "panels that move"}};
    if (moves) {
        copy.matrix.layout = LAYOUT_PANELS;
        copy.matrix.data = r->moved;
        copy.n_bytes = (size_t)panels_count(r->out) * panel_bytes(w->dtype, r->in);
        memset(r->moved, 0xFF, copy.n_bytes); // NaN
        linear.weight.copy = &copy;
        moving.access.moving = true;
    }
    check_real(r, &moving, &linear, m, places[w->layout][moves]);
    assert_true(atomic_load(&copy.ready) == moves);
}

/* Kernel variants and numbers of threads at one place. The generic variant is slow, so it takes one
 * number of rows; the widest shapes, and the sanitizers, take the numbers of threads in turn. */
static void check_real_rows(struct real *r, const struct matrix *w, bool moves) {
    static const int threads[] = {1, 2, 3};
    const bool quick = is_set("QUICK") || is_set("VALGRIND"),
               turns = quick || r->in * r->out > 4000000;
    const struct kernels *kernels;
    for (int t = 0; t < 3; t++) {
        struct pool *pool = pool_create(threads[t], NULL);
        assert_non_null(pool);
        for (int i = 0; (kernels = kernels_variant(i)); i++) {
            struct matmul mm;
            assert_true(matmul_init(&mm, pool, kernels, MAX_ROWS, r->in, NULL));
            for (int j = 0; j < N_REAL_ROWS; j++) {
                const int m = real_rows[j];
                if (i == 0 ? t != 1 || m != 24 || quick : turns && (i + j) % 3 != t)
                    continue;
                if (quick && m != 1 && m != 24 && m != 64 && m != 65)
                    continue;
                check_place(r, &mm, w, moves, m);
            }
            matmul_free(&mm);
        }
        pool_free(pool);
    }
}

static void real_shapes_have_one_chain_everywhere(void **state) {
    const int n = is_set("VALGRIND") ? 1 : is_set("QUICK") ? 2 : N_REAL_SHAPES;
    for (int i = 0; i < n; i++) {
        struct real r = real_create(real_shapes[i].in, real_shapes[i].out);
        for (enum dtype dtype = 0; dtype < DTYPE_COUNT; dtype++) {
            if (dtype == DTYPE_F64)
                continue; // narrowed when a model is opened
            for (enum layout layout = LAYOUT_ROWS; layout <= LAYOUT_PANELS; layout++) {
                if (layout != LAYOUT_PANELS && dtype_is_quantized(dtype))
                    continue; // always panels
                struct matrix w = real_matrix(&r, dtype, layout);
                if (dtype == DTYPE_F32 ? layout == LAYOUT_ROWS : dtype_is_quantized(dtype))
                    expect_real(&r, &w);
                check_real_rows(&r, &w, false);
                check_real_rows(&r, &w, true);
            }
        }
        real_free(&r);
    }
}

static void free_accepts_a_zeroed_struct(void **state) {
    struct matmul mm = {0};
    matmul_free(&mm);
    assert_null(mm.scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_is_one_chain),
        cmocka_unit_test(large_linear_is_one_chain),
        cmocka_unit_test(activation_comes_after_the_chain),
        cmocka_unit_test(head_is_lanes_of_16),
        cmocka_unit_test(linear_matches_f64),
        cmocka_unit_test(real_shapes_have_one_chain_everywhere),
        cmocka_unit_test(free_accepts_a_zeroed_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
