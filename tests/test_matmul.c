/* test_matmul.c - a threaded product has the bits of one chain for each output, whatever the number
 * of threads, rows at a time, element type's layout or kernel row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/os.h"
#include "model/matmul.h"
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
        (struct matrix){w, dtype, LAYOUT_ROWS, head ? out : in, head ? in : out, NULL};
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

/* All row counts of `rows`, for all numbers of threads and kernel rows, against the expected bits;
 * what lies between the rows and behind them must not change. */
static void check(struct fixture *f, bool head, const char *act, const int *rows, int n_rows) {
    static const int threads[] = {1, 2, 3, 5};
    const struct kernels *kernels;
    for (int t = 0; t < 4; t++) {
        struct pool *pool = pool_create(threads[t], NULL);
        assert_non_null(pool);
        for (int i = 0; (kernels = kernels_row(i)); i++) {
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
                    matmul_linear(&mm, f->y, f->ys, f->x, f->xs, &f->linear, fn, m);
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
    expect_linear(&f, kernels_activation(kernels_row(0), "gelu_new"), 20);
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
    matmul_linear(&mm, f.y, f.ys, f.x, f.xs, &f.linear, NULL, 10);
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
        cmocka_unit_test(free_accepts_a_zeroed_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
