/* test_quantize_panel.c - panels of integers against what panels.h draws and what arithmetic says
 * about them, each read and reckoned here by code of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "export/quantize_panel.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_K 200
#define WS    71 /* floats between rows of w: more than PANEL, odd */

static const enum dtype types[] = {DTYPE_Q8, DTYPE_Q4};

/* In (-1, 1), tails thinner than flat: the sum of two. */
static float noise(uint32_t stream, uint32_t i) {
    uint32_t words[4], counter[4] = {i, stream, 0, 0}, key[2] = {11, 13};
    rng_philox(words, counter, key);
    return (float)((double)words[0] + (double)words[1]) * 0x1p-32f - 1;
}

static void make_weights(float *w, int K, uint32_t stream) {
    for (int i = 0; i < K * WS; i++)
        w[i] = 0.1f * noise(stream, (uint32_t)i);
    for (int k = 0; k < K; k += 17) // outliers, as real matrices have them
        w[k * WS + k % PANEL] *= 9;
}

/* ---- an independent reader of panels ---- */

struct grid {
    float scale, min;
};

static float half(const unsigned char *at) {
    const int bits = at[0] | at[1] << 8, exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double value = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return (float)(bits >> 15 ? -value : value);
}

static struct grid grid_of(const unsigned char *panel, enum dtype type, int k, int c) {
    const unsigned char *group = panel + (size_t)(k / 64) * (type == DTYPE_Q8 ? 16 * 66 : 16 * 36);
    return (struct grid){half(group + 2 * c), type == DTYPE_Q8 ? 0 : half(group + 32 + 2 * c)};
}

static int integer_at(const unsigned char *panel, enum dtype type, int k, int c) {
    const int in = k % 64;
    if (type == DTYPE_Q8)
        return panel[(k / 64) * 16 * 66 + 32 + (in / 4 * 16 + c) * 4 + in % 4] - 128;
    const int byte = panel[(k / 64) * 16 * 36 + 64 + (in % 32 / 4 * 16 + c) * 4 + in % 4];
    return in < 32 ? byte & 15 : byte >> 4;
}

static double value_at(const unsigned char *panel, enum dtype type, int k, int c) {
    const struct grid grid = grid_of(panel, type, k, c);
    return (double)integer_at(panel, type, k, c) * grid.scale + grid.min;
}

static unsigned char *quantized(enum dtype type, const float *w, int K, int n,
                                const struct error_metric *metrics) {
    unsigned char *panel = malloc(panel_bytes(type, K) + 8);
    assert_non_null(panel);
    memset(panel, 0xA5, panel_bytes(type, K) + 8);
    assert_true(quantize_panel(panel, type, w, WS, K, n, metrics));
    for (int i = 0; i < 8; i++)
        assert_int_equal(panel[panel_bytes(type, K) + (size_t)i], 0xA5);
    return panel;
}

/* ---- rounding to nearest, by itself ---- */

static float as_half(double x) {
    return dtype_f16_to_f32(dtype_f32_to_f16((float)x));
}

/* The squared error of an output's group on the plain grid, from the largest and least weight. */
static double plain_error(enum dtype type, const float *w, int first, int last, int c) {
    double low = w[first * WS + c], high = low, error = 0;
    for (int k = first; k < last; k++) {
        low = fmin(low, w[k * WS + c]);
        high = fmax(high, w[k * WS + c]);
    }
    const double scale =
        as_half(type == DTYPE_Q8 ? fmax(fabs(low), fabs(high)) / 127 : (high - low) / 15);
    const double min = type == DTYPE_Q8 ? 0 : as_half(low);
    for (int k = first; k < last; k++) {
        double q = scale != 0 ? nearbyint((w[k * WS + c] - min) / scale) : 0;
        q = type == DTYPE_Q8 ? fmax(-127, fmin(127, q)) : fmax(0, fmin(15, q));
        const double off = q * scale + min - w[k * WS + c];
        error += off * off;
    }
    return error;
}

static const int sizes[] = {1, 3, 63, 64, 65, 130, 200};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static void never_worse_than_rounding_to_nearest(void **state) {
    static float w[MAX_K * WS];
    for (size_t t = 0; t < 2; t++) {
        double sum = 0, plain_sum = 0;
        for (size_t s = 0; s < N_SIZES; s++) {
            const int K = sizes[s];
            make_weights(w, K, (uint32_t)s);
            unsigned char *panel = quantized(types[t], w, K, PANEL, NULL);
            for (int first = 0; first < K; first += 64) {
                const int last = first + 64 < K ? first + 64 : K;
                for (int c = 0; c < PANEL; c++) {
                    double error = 0, plain = plain_error(types[t], w, first, last, c);
                    for (int k = first; k < last; k++)
                        error += pow(value_at(panel, types[t], k, c) - w[k * WS + c], 2);
                    assert_true(error <= plain * 1.0001 + 1e-12);
                    sum += error;
                    plain_sum += plain;
                }
            }
            free(panel);
        }
        assert_true(sum <
                    plain_sum * (types[t] == DTYPE_Q8 ? 0.995 : 0.9)); // and on the whole better
    }
}

static void every_weight_is_on_the_nearest_point_of_its_grid(void **state) {
    static float w[MAX_K * WS];
    for (size_t t = 0; t < 2; t++) {
        make_weights(w, MAX_K, 40);
        unsigned char *panel = quantized(types[t], w, MAX_K, PANEL, NULL);
        for (int k = 0; k < MAX_K; k++)
            for (int c = 0; c < PANEL; c++) {
                const struct grid grid = grid_of(panel, types[t], k, c);
                const int least = types[t] == DTYPE_Q8 ? -127 : 0;
                const int most = types[t] == DTYPE_Q8 ? 127 : 15;
                const int q = integer_at(panel, types[t], k, c);
                assert_in_range(q - least, 0, most - least);
                const double off = fabs(q * (double)grid.scale + grid.min - w[k * WS + c]);
                const double step = fabs((double)grid.scale);
                // in the middle of two points either may stand; beyond the ends the last one
                if (q > least && q < most)
                    assert_true(off <= step * 0.5001);
                else
                    assert_true(off <= fabs((q == least ? q + 1 : q - 1) * (double)grid.scale +
                                            grid.min - w[k * WS + c]) +
                                           step * 1e-3);
            }
        free(panel);
    }
}

static void what_lies_on_a_grid_is_kept(void **state) {
    static float w[128 * WS];
    for (size_t t = 0; t < 2; t++) {
        const int levels = types[t] == DTYPE_Q8 ? 255 : 16;
        for (int k = 0; k < 128; k++)
            for (int c = 0; c < PANEL; c++) // every group has both ends
                w[k * WS + c] = 0x1p-9f * (float)(k % 64 == 0   ? 0
                                                  : k % 64 == 1 ? levels - 1
                                                                : (k * 37 + c * 11) % levels) -
                                0x1p-9f * (float)(types[t] == DTYPE_Q8 ? 127 : 5);
        unsigned char *panel = quantized(types[t], w, 128, PANEL, NULL);
        for (int k = 0; k < 128; k++)
            for (int c = 0; c < PANEL; c++)
                assert_true(value_at(panel, types[t], k, c) == (double)w[k * WS + c]);
        free(panel);
    }
}

static void what_is_filled_up_counts_for_nothing(void **state) {
    static float w[MAX_K * WS];
    make_weights(w, MAX_K, 50);
    for (size_t t = 0; t < 2; t++) {
        const enum dtype type = types[t];
        unsigned char *whole = quantized(type, w, 70, PANEL, NULL);
        unsigned char *part = quantized(type, w, 70, 5, NULL);
        for (int k = 0; k < 128; k++)
            for (int c = 0; c < PANEL; c++) {
                if (k >= 70)
                    assert_int_equal(integer_at(whole, type, k, c), 0);
                else if (c < 5)
                    assert_int_equal(integer_at(whole, type, k, c), integer_at(part, type, k, c));
                else
                    assert_true(value_at(part, type, k, c) == 0);
            }
        free(whole);
        free(part);
    }
}

static void what_does_not_fit_is_refused(void **state) {
    static const float bad[] = {NAN, INFINITY, -INFINITY, 65505, -1e30f};
    static float w[65 * WS];
    unsigned char panel[2 * 64 * 66], before[sizeof panel];
    memset(panel, 0x5A, sizeof panel);
    memcpy(before, panel, sizeof panel);
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            make_weights(w, 65, 60);
            w[64 * WS + 14] = bad[i];
            assert_false(quantize_panel(panel, types[t], w, WS, 65, 15, NULL));
            assert_memory_equal(panel, before, sizeof panel);
        }
        assert_true(quantize_panel(panel, types[t], w, WS, 65, 14, NULL)); // it is not read
        memcpy(panel, before, sizeof panel);
    }
}

static void extreme_weights_stay_finite(void **state) {
    static float w[64 * WS];
    static const float extremes[] = {65504, -65504, 1e-45f, 0, 6e-8f, 1};
    for (size_t t = 0; t < 2; t++) {
        for (int k = 0; k < 64; k++)
            for (int c = 0; c < PANEL; c++)
                w[k * WS + c] = extremes[(k * (c + 1) + c) % (c % 6 + 1)];
        unsigned char *panel = quantized(types[t], w, 64, PANEL, NULL);
        for (int k = 0; k < 64; k++)
            for (int c = 0; c < PANEL; c++) {
                const double off = value_at(panel, types[t], k, c) - w[k * WS + c];
                assert_true(fabs(off) <= (types[t] == DTYPE_Q8 ? 300 : 4600));
            }
        free(panel);
    }
}

/* ---- metrics ---- */

#define SAMPLES 400

/* Inputs that hang together: each follows the one before, about means that are not 0. */
static void make_moments(double h[64][64], float *second, float *mean, int n, bool centred) {
    static float x[SAMPLES][64];
    for (int s = 0; s < SAMPLES; s++)
        for (int k = 0; k < n; k++) {
            float fresh = noise(99, (uint32_t)(s * 64 + k));
            x[s][k] = (k ? 0.7f * x[s][k - 1] : 0) + fresh + 0.3f * (float)(k % 5);
        }
    memset(mean, 0, 64 * sizeof *mean);
    memset(second, 0, sizeof(float) * 64 * 64);
    for (int s = 0; s < SAMPLES; s++)
        for (int k = 0; k < n; k++) {
            mean[k] += x[s][k] / SAMPLES;
            for (int j = 0; j < n; j++)
                second[k * 64 + j] += x[s][k] * x[s][j] / SAMPLES;
        }
    for (int k = 0; k < n; k++)
        for (int j = 0; j < n; j++)
            h[k][j] = second[k * 64 + j] - (centred ? (double)mean[k] * mean[j] : 0);
}

static double quadratic(double h[64][64], const double *e, int n) {
    double sum = 0;
    for (int k = 0; k < n; k++)
        for (int j = 0; j < n; j++)
            sum += e[k] * h[k][j] * e[j];
    return sum;
}

static void a_metric_is_the_quadratic_form_of_the_moments(void **state) {
    static const int n_inputs[] = {64, 64, 21, 1};
    static double h[64][64];
    static float second[64 * 64], mean[64];
    struct error_metric metric;
    for (int t = 0; t < 4; t++) {
        const int n = n_inputs[t];
        const bool centred = t % 2;
        make_moments(h, second, mean, n, centred);
        error_metric_of(&metric, second, centred ? mean : NULL, n);
        double diagonal = 0;
        for (int k = 0; k < n; k++)
            diagonal += h[k][k];
        for (int k = 0; k < n; k++)
            h[k][k] += 0.01 * diagonal / n; // what error_metric_of adds
        for (uint32_t trial = 0; trial < 20; trial++) {
            double e[64], sum = 0;
            for (int k = 0; k < n; k++)
                e[k] = trial == 0 ? 1 : noise(77 + trial, (uint32_t)k);
            for (int k = 0; k < n; k++) {
                double with = e[k], ones = 1;
                for (int i = 0; i < k; i++) {
                    with += metric.carry[k][i] * e[i];
                    ones += metric.carry[k][i];
                }
                sum += metric.weight[k] * with * with;
                assert_true(fabs(ones - metric.ones[k]) < 1e-4 * (1 + fabs(ones)));
            }
            const double expected = quadratic(h, e, n) * n / diagonal;
            assert_true(fabs(sum - expected) < 1e-3 * expected);
        }
    }
}

static void no_moments_are_too_odd(void **state) {
    static const float odd[] = {0, 1e-38f, 1e38f, INFINITY, NAN, -1};
    static float second[64 * 64];
    struct error_metric metric;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        for (int k = 0; k < 64 * 64; k++)
            second[k] = odd[i];
        error_metric_of(&metric, second, NULL, 64);
        for (int k = 0; k < 64; k++) {
            assert_true(metric.weight[k] >= 0.005f * 0.999f && metric.weight[k] < 1e4f);
            for (int j = 0; j < k; j++)
                assert_true(isfinite(metric.carry[k][j]));
        }
    }
}

/* The error that matters becomes far less than that of the nearest points. */
static void integers_make_up_for_each_other(void **state) {
    static double h[64][64];
    static float second[64 * 64], mean[64], w[64 * WS];
    struct error_metric metric;
    make_moments(h, second, mean, 64, true);
    error_metric_of(&metric, second, mean, 64);
    for (size_t t = 0; t < 2; t++) {
        double sum = 0, nearest_sum = 0;
        make_weights(w, 64, 70);
        unsigned char *panel = quantized(types[t], w, 64, PANEL, &metric);
        unsigned char *nearest = quantized(types[t], w, 64, PANEL, NULL);
        for (int c = 0; c < PANEL; c++) {
            double e[64], e_nearest[64];
            for (int k = 0; k < 64; k++) {
                e[k] = value_at(panel, types[t], k, c) - w[k * WS + c];
                e_nearest[k] = value_at(nearest, types[t], k, c) - w[k * WS + c];
            }
            sum += quadratic(h, e, 64);
            nearest_sum += quadratic(h, e_nearest, 64);
        }
        assert_true(sum < 0.8 * nearest_sum);
        free(panel);
        free(nearest);
    }
}

/* An input that is never used may be as wrong as it likes, for the others' sake. */
static void importance_decides_which_inputs_are_precise(void **state) {
    static float second[64 * 64], w[64 * WS];
    struct error_metric metric;
    for (int k = 0; k < 64; k++)
        second[k * 65] = k % 4 == 0 ? 100 : 0.01f;
    error_metric_of(&metric, second, NULL, 64);
    make_weights(w, 64, 80);
    unsigned char *panel = quantized(DTYPE_Q4, w, 64, PANEL, &metric);
    unsigned char *plain = quantized(DTYPE_Q4, w, 64, PANEL, NULL);
    double sum = 0, plain_sum = 0;
    for (int k = 0; k < 64; k += 4)
        for (int c = 0; c < PANEL; c++) {
            sum += pow(value_at(panel, DTYPE_Q4, k, c) - w[k * WS + c], 2);
            plain_sum += pow(value_at(plain, DTYPE_Q4, k, c) - w[k * WS + c], 2);
        }
    assert_true(sum < 0.8 * plain_sum);
    free(panel);
    free(plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_worse_than_rounding_to_nearest),
        cmocka_unit_test(every_weight_is_on_the_nearest_point_of_its_grid),
        cmocka_unit_test(what_lies_on_a_grid_is_kept),
        cmocka_unit_test(what_is_filled_up_counts_for_nothing),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(extreme_weights_stay_finite),
        cmocka_unit_test(a_metric_is_the_quadratic_form_of_the_moments),
        cmocka_unit_test(no_moments_are_too_odd),
        cmocka_unit_test(integers_make_up_for_each_other),
        cmocka_unit_test(importance_decides_which_inputs_are_precise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
