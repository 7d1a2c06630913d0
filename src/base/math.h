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

/* e^x, within 1 ulp. x = n ln2 + r, |r| <= ln2 / 2, e^x = 2^n e^r. Adding 1.5 * 2^23 rounds to an
 * integer and leaves it in the low bits. 2^n is multiplied in two halves, so that the result becomes
 * subnormal, zero (x <= -104) or infinite (x >= 88.73) by ordinary rounding.
 * Fit: (e^r - 1 - r) / r^2 on |r| <= ln2 / 2. */
static inline float math_exp(float x) {
    const float magic = 0x1.8p23f;
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float t = fmaf(x, 0x1.715476p0f, magic); // 1 / ln2
    float n = t - magic;
    float r = fmaf(n, -0x1.62e4p-1f, x); // ln2 in two parts; n times the first is exact
    r = fmaf(n, -0x1.7f7d1cp-20f, r);
    float p = EXP4;
    p = fmaf(p, r, EXP3);
    p = fmaf(p, r, EXP2);
    p = fmaf(p, r, EXP1);
    p = fmaf(p, r, EXP0);
    p = fmaf(p, r * r, r) + 1.0f;
    int32_t i = (int32_t)(math_bits(t) - math_bits(magic));
    int32_t half = i >> 1;
    float a = math_from_bits((uint32_t)(half + 127) << 23);
    float b = math_from_bits((uint32_t)(i - half + 127) << 23);
    return p * a * b;
}
