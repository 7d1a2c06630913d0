/* test_math.c - our own exp, tanh, log and normal distribution against the C library's f64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/math.h"
#include "kernels/kernels.h"
#include <float.h>
#include <stdbool.h>

/* |got - expected| in units of the last place of f32 (or of the smallest subnormal). */
static double ulps(float got, double expected) {
    int exponent;
    frexp(expected, &exponent);
    double ulp = ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
    return fabs((double)got - expected) / ulp;
}

/* Largest error of fn over [from, to]. */
static double worst(float (*fn)(float), double (*reference)(double), float from, float to) {
    double most = 0;
    const int n = 400000;
    for (int i = 0; i <= n; i++) {
        float x = from + (to - from) * ((float)i / (float)n);
        most = fmax(most, ulps(fn(x), reference((double)x)));
    }
    return most;
}

static double reference_tail(double x) {
    return 0.5 * erfc(fabs(x) / sqrt(2.0));
}

static double reference_normal(double x) {
    return 0.5 * erfc(-x / sqrt(2.0));
}

static void exp_is_within_1_1_ulps(void **state) {
    assert_true(worst(math_exp, exp, -1.0f, 1.0f) < 1.1);
    assert_true(worst(math_exp, exp, -87.0f, 88.7f) < 1.1);
    assert_true(worst(math_exp, exp, -104.0f, -87.0f) < 1.1); // subnormal results
}

static void exp_has_the_right_ends(void **state) {
    assert_true(math_exp(0.0f) == 1.0f);
    assert_true(math_exp(-0.0f) == 1.0f);
    assert_true(math_exp(88.72f) < INFINITY);
    assert_true(math_exp(88.73f) == INFINITY);
    assert_true(math_exp(FLT_MAX) == INFINITY);
    assert_true(math_exp(INFINITY) == INFINITY);
    assert_true(math_exp(-103.0f) > 0.0f);
    assert_true(math_exp(-104.0f) == 0.0f);
    assert_true(math_exp(-FLT_MAX) == 0.0f);
    assert_true(math_exp(-INFINITY) == 0.0f);
    assert_true(isnan(math_exp(NAN)));
}

static void tanh_is_within_two_ulps(void **state) {
    assert_true(worst(math_tanh, tanh, -0.7f, 0.7f) < 2.0);
    assert_true(worst(math_tanh, tanh, -12.0f, 12.0f) < 2.0);
    assert_true(math_tanh(1e-30f) == 1e-30f);
    assert_true(math_tanh(INFINITY) == 1.0f && math_tanh(-INFINITY) == -1.0f);
    assert_true(math_tanh(0.0f) == 0.0f && signbit(math_tanh(-0.0f)));
    assert_true(isnan(math_tanh(NAN)));
}

static void normal_is_accurate_in_both_tails(void **state) {
    assert_true(worst(math_normal_tail, reference_tail, 0.0f, 13.0f) < 8.0);
    assert_true(worst(math_normal, reference_normal, -13.0f, 13.0f) < 8.0);
    assert_true(math_normal(0.0f) == 0.5f);
    assert_true(math_normal(INFINITY) == 1.0f && math_normal(-INFINITY) == 0.0f);
    assert_true(math_normal(FLT_MAX) == 1.0f && math_normal(-FLT_MAX) == 0.0f);
    assert_true(isnan(math_normal(NAN)));
}

static void exp_f64_is_accurate(void **state) {
    for (int i = 0; i <= 300000; i++) {
        double x = -745.0 + 1454.7 * i / 300000.0;
        double expected = exp(x);
        assert_true(fabs(math_exp_f64(x) - expected) <= 1e-15 * expected + 5e-324);
    }
    assert_true(math_exp_f64(0.0) == 1.0);
    assert_true(math_exp_f64(-746.0) == 0.0 && math_exp_f64(-INFINITY) == 0.0);
    assert_true(math_exp_f64(710.0) == INFINITY && math_exp_f64(INFINITY) == INFINITY);
    assert_true(isnan(math_exp_f64((double)NAN)));
}

static void log_f64_is_accurate(void **state) {
    for (int i = 0; i <= 300000; i++) {
        double x = ldexp(1.0 + (i % 1000) / 1000.0, i / 150 - 1060);
        assert_true(fabs(math_log_f64(x) - log(x)) <= 1e-15 * fabs(log(x)));
        double near_1 = 0.5 + i / 200000.0;
        assert_true(fabs(math_log_f64(near_1) - log(near_1)) <= 1e-15 * fabs(log(near_1)));
    }
    assert_true(math_log_f64(1.0) == 0.0);
    assert_true(math_log_f64(0.0) == -INFINITY);
    assert_true(math_log_f64(INFINITY) == INFINITY);
    assert_true(math_log_f64(5e-324) == log(5e-324));
    assert_true(isnan(math_log_f64(-1.0)) && isnan(math_log_f64((double)NAN)));
}

/* --- activations, as the generic variant has them
 * ---------------------------------------------------
 */

static double sigmoid64(double x) {
    return 1.0 / (1.0 + exp(-x));
}

static double gelu_new64(double x) {
    return 0.5 * x * (1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

static double gelu_fast64(double x) {
    return 0.5 * x * (1.0 + tanh(0.7978845608 * x * (1.0 + 0.044715 * x * x)));
}

static double gelu64(double x) {
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

static double gelu_10_64(double x) {
    return fmin(10.0, fmax(-10.0, gelu64(x)));
}

static double quick_gelu64(double x) {
    return x * sigmoid64(1.702 * x);
}

static double relu64(double x) {
    return x > 0 ? x : 0;
}

static double relu2_64(double x) {
    return x > 0 ? x * x : 0;
}

static double relu6_64(double x) {
    return fmin(6.0, relu64(x));
}

static double leaky64(double x) {
    return x > 0 ? x : 0.01 * x;
}

static double silu64(double x) {
    return x * sigmoid64(x);
}

static double mish64(double x) {
    return x * tanh(log1p(exp(x)));
}

static double laplace64(double x) {
    return 0.5 * erfc(-(x - 0.707107) / (0.282095 * sqrt(2.0)));
}

static double linear64(double x) {
    return x;
}

static const struct {
    const char *name;
    double (*reference)(double);
} activations[] = {
    {"gelu_new", gelu_new64},
    {"gelu_pytorch_tanh", gelu_new64},
    {"gelu_accurate", gelu_new64},
    {"gelu_fast", gelu_fast64},
    {"gelu", gelu64},
    {"gelu_python", gelu64},
    {"gelu_10", gelu_10_64},
    {"quick_gelu", quick_gelu64},
    {"relu", relu64},
    {"relu2", relu2_64},
    {"relu6", relu6_64},
    {"leaky_relu", leaky64},
    {"silu", silu64},
    {"swish", silu64},
    {"sigmoid", sigmoid64},
    {"tanh", tanh},
    {"mish", mish64},
    {"laplace", laplace64},
    {"linear", linear64},
};

#define N_ACTIVATIONS ((int)(sizeof activations / sizeof *activations))

static float apply(const char *name, float x) {
    activation_fn fn = kernels_activation(kernels_variant(0), name);
    assert_non_null(fn);
    fn(&x, 1);
    return x;
}

static void activations_match_their_formulas(void **state) {
    for (int a = 0; a < N_ACTIVATIONS; a++)
        for (int i = -30000; i <= 30000; i++) {
            float x = (float)i / 2000.0f;
            double expected = activations[a].reference((double)x);
            double error = fabs((double)apply(activations[a].name, x) - expected);
            if (!(error <= 2e-6 * fabs(expected) + 2e-7 * fmin(1.0, fabs((double)x))))
                fail_msg("%s(%g): error %g of %g", activations[a].name, (double)x, error, expected);
        }
    int n = 0;
    while (kernels_variant(0)->activations[n].name)
        n++;
    assert_int_equal(n, N_ACTIVATIONS);
}

/* Values computed in f64 elsewhere, with the published formulas. */
static void gelus_have_their_published_values(void **state) {
    static const struct {
        float x;
        double gelu_new, gelu, quick_gelu;
    } points[] = {
        {-3.0f, -0.00363739208177, -0.00404969409489, -0.0180713097078},
        {-1.0f, -0.158808009392, -0.158655253931, -0.154204234067},
        {-0.5f, -0.154285990175, -0.154268769363, -0.149611563394},
        {0.5f, 0.345714009825, 0.345731230637, 0.350388436606},
        {1.0f, 0.841191990608, 0.841344746069, 0.845795765933},
        {3.0f, 2.99636260792, 2.99595030591, 2.98192869029},
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        assert_true(fabs((double)apply("gelu_new", points[i].x) - points[i].gelu_new) < 1.5e-7);
        assert_true(fabs((double)apply("gelu", points[i].x) - points[i].gelu) < 1.5e-7);
        assert_true(fabs((double)apply("quick_gelu", points[i].x) - points[i].quick_gelu) < 1.5e-7);
    }
}

/* Far out everything saturates; nothing finite becomes NaN. NaN stays. */
static void activations_saturate(void **state) {
    for (int a = 0; a < N_ACTIVATIONS; a++) {
        static const float far[] = {1e3f, 1e6f, 1e12f, 1e18f, 1e30f, FLT_MAX};
        for (int i = 0; i < 6; i++) {
            assert_false(isnan(apply(activations[a].name, far[i])));
            assert_false(isnan(apply(activations[a].name, -far[i])));
        }
        assert_true(isnan(apply(activations[a].name, NAN)));
    }
    static const char *const gelus[] = {"gelu_new", "gelu", "quick_gelu", "silu", "mish", "relu"};
    for (int i = 0; i < 6; i++) {
        assert_true(apply(gelus[i], 1e30f) == 1e30f);
        assert_true(apply(gelus[i], -1e30f) == 0.0f);
        assert_true(apply(gelus[i], 0.0f) == 0.0f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_1_1_ulps),
        cmocka_unit_test(exp_has_the_right_ends),
        cmocka_unit_test(tanh_is_within_two_ulps),
        cmocka_unit_test(normal_is_accurate_in_both_tails),
        cmocka_unit_test(exp_f64_is_accurate),
        cmocka_unit_test(log_f64_is_accurate),
        cmocka_unit_test(activations_match_their_formulas),
        cmocka_unit_test(gelus_have_their_published_values),
        cmocka_unit_test(activations_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
