/* math.h - our own exp, tanh, log and normal distribution: the same bits with every C library.
 *
 * Built from add, mul, fma, div, compare and integer arithmetic on the exponent, in a fixed order.
 * No branches, only selects, so that compilers turn loops over them into vectors, which compute per
 * lane what the scalar code computes. NaN stays NaN.
 *
 * The f64 pair is for the sampler: it does without fma, which is slow where the compiler may not
 * use the instruction, and it keeps about 15 digits.
 *
 * Coefficients are minimax fits of the relative error (Remez exchange in 50 digits, then rounded to
 * f32); the function, the interval and the error of the fit are given at each. tests/test_math.c
 * measures what is left after rounding. */
#ifndef BASE_MATH_H
#define BASE_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t math_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float math_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^x, within 1.1 ulp. x = n ln2 + r, |r| <= ln2 / 2, e^x = 2^n e^r. Adding 1.5 * 2^23 rounds to an
 * integer and leaves it in the low bits. 2^n is multiplied in two halves, so that the result
 * becomes subnormal, zero (x <= -104) or infinite (x >= 88.73) by ordinary rounding. Fit: (e^r - 1
 * - r) / r^2 on |r| <= ln2 / 2; 8e-9 of e^r. */
static inline float math_exp(float x) {
    const float magic = 0x1.8p23f;
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float t = fmaf(x, 0x1.715476p0f, magic); // 1 / ln2
    float n = t - magic;
    float r = fmaf(n, -0x1.62e4p-1f, x); // ln2 in two parts; n times the first is exact
    r = fmaf(n, -0x1.7f7d1cp-20f, r);
    float p = 0x1.6d754cp-10f;
    p = fmaf(p, r, 0x1.120b72p-7f);
    p = fmaf(p, r, 0x1.5554b8p-5f);
    p = fmaf(p, r, 0x1.5554dcp-3f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r * r, r) + 1.0f;
    int32_t i = (int32_t)(math_bits(t) - math_bits(magic));
    int32_t half = i >> 1;
    float a = math_from_bits((uint32_t)(half + 127) << 23);
    float b = math_from_bits((uint32_t)(i - half + 127) << 23);
    return p * a * b;
}

/* The normal distribution's lower tail at -|x|: Phi(-|x|) = erfc(|x| / sqrt2) / 2. Relative error
 * below 5e-7 down to the smallest normal number; the rounding of x^2 is put right to first order.
 * Fit: Phi(-x) e^(x^2 / 2) as a polynomial in t = 1 / (1 + 0.3 x) on 0 <= x <= 14.5; 3e-9. */
static inline float math_normal_tail(float x) {
    x = fabsf(x);
    x = x > 15.0f ? 15.0f : x; // the result is 0 from 14.2 on
    float t = 1.0f / fmaf(0.3f, x, 1.0f);
    float p = -0x1.47ff10p-6f;
    p = fmaf(p, t, 0x1.be012ep-4f);
    p = fmaf(p, t, -0x1.c0ae0ep-3f);
    p = fmaf(p, t, 0x1.6d0bd6p-3f);
    p = fmaf(p, t, -0x1.10f9bep-4f);
    p = fmaf(p, t, 0x1.691138p-4f);
    p = fmaf(p, t, 0x1.4edcf4p-4f);
    p = fmaf(p, t, 0x1.bfb26cp-4f);
    p = fmaf(p, t, 0x1.ea7000p-4f);
    p = fmaf(p, t, 0x1.ea2b6cp-4f);
    p = fmaf(p, t, 0x1.7b79bcp-21f);
    float square = x * x;
    float missing = fmaf(x, x, -square);
    return math_exp(-0.5f * square) * fmaf(-0.5f * missing, p, p);
}

/* Phi(x), accurate in both tails. */
static inline float math_normal(float x) {
    float tail = math_normal_tail(x);
    return x < 0.0f ? tail : 1.0f - tail;
}

/* tanh x, within 2 ulp. Fit near 0: (tanh x / x - 1) / x^2 in x^2 on |x| <= 0.625; 4e-9. */
static inline float math_tanh(float x) {
    float a = fabsf(x);
    float s = x * x;
    float p = -0x1.76ac12p-8f;
    p = fmaf(p, s, 0x1.5256d6p-6f);
    p = fmaf(p, s, -0x1.b84448p-5f);
    p = fmaf(p, s, 0x1.110768p-3f);
    p = fmaf(p, s, -0x1.555534p-2f);
    float small = fmaf(a * s, p, a);
    float large = 1.0f - 2.0f / (1.0f + math_exp(2.0f * a));
    return copysignf(a < 0.625f ? small : large, x);
}

static inline uint64_t math_bits_f64(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double math_from_bits_f64(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define MATH_LN2_HIGH 0x1.62e42fep-1 /* 28 bits: exact times any exponent */
#define MATH_LN2_LOW  0x1.f473de6af278fp-30

/* e^x in f64 without fma; as math_exp, with the Taylor series up to r^13 / 13! (remainder 4e-18).
 */
static inline double math_exp_f64(double x) {
    const double magic = 0x1.8p52;
    x = x < -746.0 ? -746.0 : x;
    x = x > 710.0 ? 710.0 : x;
    double t = x * 0x1.71547652b82fep+0 + magic;
    double n = t - magic;
    double r = (x - n * MATH_LN2_HIGH) - n * MATH_LN2_LOW;
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = (p * (r * r) + r) + 1.0;
    int32_t i = (int32_t)(uint32_t)(math_bits_f64(t) - math_bits_f64(magic));
    int32_t half = i >> 1;
    double a = math_from_bits_f64((uint64_t)(half + 1023) << 52);
    double b = math_from_bits_f64((uint64_t)(i - half + 1023) << 52);
    return p * a * b;
}

/* ln x in f64 without fma. x = 2^n m with m in [sqrt(1/2), sqrt 2); s = (m - 1) / (m + 1);
 * ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...), cut after s^19 (remainder 3e-18 of it).
 * 0 gives -inf; negative numbers and NaN give NaN. */
static inline double math_log_f64(double x) {
    if (!(x > 0.0))
        return x == 0.0 ? -INFINITY : NAN;
    if (x > 0x1.fffffffffffffp1023)
        return INFINITY;
    int n = 0;
    if (x < 0x1p-1022) { // subnormal
        x *= 0x1p54;
        n = -54;
    }
    uint64_t bits = math_bits_f64(x);
    n += (int)(bits >> 52) - 1023;
    double m = math_from_bits_f64((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000);
    if (m > 0x1.6a09e667f3bcdp0) {
        m *= 0.5;
        n++;
    }
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double p = 1.0 / 19;
    p = p * z + 1.0 / 17;
    p = p * z + 1.0 / 15;
    p = p * z + 1.0 / 13;
    p = p * z + 1.0 / 11;
    p = p * z + 1.0 / 9;
    p = p * z + 1.0 / 7;
    p = p * z + 1.0 / 5;
    p = p * z + 1.0 / 3;
    double log_m = 2.0 * (s * z * p) + 2.0 * s;
    return n * MATH_LN2_HIGH + (n * MATH_LN2_LOW + log_m);
}

#endif
