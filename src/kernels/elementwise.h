/* elementwise.h - the ops that need no hand-written vectors, once, in plain C.
 *
 * Each row's file includes this and compiles it with its own instruction set: the compiler turns
 * the loops into vectors of that width. The IEEE operations are the same ones in the same order, so
 * the bits are the same too. A sum along a vector keeps to lanes16 (kernels.h). */
#ifndef KERNELS_ELEMENTWISE_H
#define KERNELS_ELEMENTWISE_H

#include "base/math.h"
#include "kernels/rows.h"
#include <string.h>

/* The tree at the end of lanes16. */
ALWAYS_INLINE float sum_tree(const float p[16]) {
    float q[8];
    for (int i = 0; i < 8; i++)
        q[i] = p[i] + p[i + 8];
    for (int i = 0; i < 4; i++)
        q[i] += q[i + 4];
    for (int i = 0; i < 2; i++)
        q[i] += q[i + 2];
    return q[0] + q[1];
}

/* lanes16 of x. */
static float sum_lanes(const float *x, size_t n) {
    float p[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t lane = 0; lane < 16; lane++)
            p[lane] += x[i + lane];
    for (size_t lane = 0; i + lane < n; lane++)
        p[lane] += x[i + lane];
    return sum_tree(p);
}

/* lanes16 of (x - mean)^2. */
static float sum_squares(const float *x, size_t n, float mean) {
    float p[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t lane = 0; lane < 16; lane++)
            p[lane] = fmaf(x[i + lane] - mean, x[i + lane] - mean, p[lane]);
    for (size_t lane = 0; i + lane < n; lane++)
        p[lane] = fmaf(x[i + lane] - mean, x[i + lane] - mean, p[lane]);
    return sum_tree(p);
}

static void layer_norm(float *y, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon) {
    float mean = sum_lanes(x, n) / (float)n;
    float var = sum_squares(x, n, mean) / (float)n;
    float rstd = 1.0f / sqrtf(var + epsilon);
    for (size_t i = 0; i < n; i++)
        y[i] = fmaf((x[i] - mean) * rstd, gain[i], bias[i]);
}

/* The largest x[i] * scale; NaN is passed over (it comes out of the exp). Exact, so in any order.
 */
static float max_scaled(const float *x, size_t n, float scale) {
    float p[16];
    for (size_t lane = 0; lane < 16; lane++)
        p[lane] = -INFINITY;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t lane = 0; lane < 16; lane++)
            p[lane] = x[i + lane] * scale > p[lane] ? x[i + lane] * scale : p[lane];
    for (size_t lane = 0; i + lane < n; lane++)
        p[lane] = x[i + lane] * scale > p[lane] ? x[i + lane] * scale : p[lane];
    float max = p[0];
    for (size_t lane = 1; lane < 16; lane++)
        max = p[lane] > max ? p[lane] : max;
    return max;
}

static float softmax(float *x, size_t n, float scale) {
    float max = max_scaled(x, n, scale);
    for (size_t i = 0; i < n; i++)
        x[i] = math_exp(x[i] * scale - max);
    return sum_lanes(x, n);
}

static void add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scale(float *y, float factor, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] *= factor;
}

/* The largest |x[i]| of n <= GROUP elements, as bits: the order of these integers is that of the
 * numbers, with Inf and NaN above all of them. */
ALWAYS_INLINE uint32_t largest_magnitude(const float *x, int n) {
    uint32_t largest = 0;
    for (int i = 0; i < n; i++) {
        uint32_t magnitude = math_bits(x[i]) & 0x7FFFFFFF;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

/* q of n <= GROUP elements; returns their sum. Adding 1.5 * 2^23 rounds to an integer, ties to
 * even, and leaves its two's complement in the low bits. */
ALWAYS_INLINE int32_t quantize_by(int8_t *q, const float *x, int n, float per_scale) {
    int32_t sum = 0;
    for (int i = 0; i < n; i++) {
        int8_t rounded = (int8_t)(uint8_t)math_bits(x[i] * per_scale + 0x1.8p23f);
        q[i] = rounded;
        sum += rounded;
    }
    return sum;
}

ALWAYS_INLINE void quantize_group(int8_t *q, float *scale, int32_t *sum, const float *x, int n) {
    uint32_t largest = largest_magnitude(x, n);
    *scale = 0;
    *sum = 0;
    if (largest >= 0x03800000 && largest < 0x7F800000) { // 2^-120 .. finite
        float max = math_from_bits(largest);
        *scale = max / 127.0f;
        *sum = quantize_by(q, x, n, 127.0f / max);
    } else {
        memset(q, 0, (size_t)n);
        if (largest >= 0x7F800000)
            *scale = NAN;
    }
}

static void quantize(int8_t *q, float *scale, int32_t *sum, const float *x, size_t n) {
    for (; n >= GROUP; n -= GROUP) {
        quantize_group(q, scale++, sum++, x, GROUP);
        q += GROUP;
        x += GROUP;
    }
    if (n > 0) {
        quantize_group(q, scale, sum, x, (int)n);
        memset(q + n, 0, GROUP - n);
    }
}

static void quantize16(struct kv_weights *w, const float *weights, const float *scales, int n) {
    float x[KV_BLOCK];
    for (int j = 0; j < KV_BLOCK; j++)
        x[j] = j < n ? weights[j] * scales[j] : 0;
    uint32_t largest = largest_magnitude(x, KV_BLOCK);
    if (largest >= 0x07800000 && largest < 0x7F800000) { // 2^-112 .. finite
        float max = math_from_bits(largest), per_scale = 32767.0f / max;
        uint16_t rounded[KV_BLOCK];
        for (int j = 0; j < KV_BLOCK; j++)
            rounded[j] = (uint16_t)math_bits(x[j] * per_scale + 0x1.8p23f);
        memcpy(w->pairs, rounded, sizeof w->pairs);
        w->scale = max / 32767.0f;
    } else {
        memset(w->pairs, 0, sizeof w->pairs);
        w->scale = largest >= 0x7F800000 ? NAN : 0;
    }
}

/* Activations under Hugging Face's names, as its ACT2FN defines them.
 *
 * gelu_new is GPT-2's: x (1 + tanh u) / 2 with (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), which keeps
 * its accuracy where tanh is near -1. For large negative x exp becomes infinite, the result -0. */
static void gelu_tanh(float *x, size_t n) {
    const float root = 0x1.988454p-1f; // sqrt(2 / pi)
    for (size_t i = 0; i < n; i++) {
        float u = root * fmaf(0.044715f * x[i] * x[i], x[i], x[i]);
        x[i] = x[i] / (1.0f + math_exp(-2.0f * u));
    }
}

static void gelu_erf(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] * math_normal(x[i]);
}

static void gelu_10(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float v = x[i] * math_normal(x[i]);
        v = v > 10.0f ? 10.0f : v;
        x[i] = v < -10.0f ? -10.0f : v;
    }
}

static void quick_gelu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] / (1.0f + math_exp(-1.702f * x[i]));
}

static void silu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] / (1.0f + math_exp(-x[i]));
}

static void sigmoid(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = 1.0f / (1.0f + math_exp(-x[i]));
}

static void tanh_(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = math_tanh(x[i]);
}

/* x tanh(ln(1 + e)), e = exp x, and tanh(ln(1 + e)) = e (e + 2) / (e (e + 2) + 2): 1 from 20 on. */
static void mish(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float e = math_exp(x[i] > 20.0f ? 20.0f : x[i]);
        float q = e * (e + 2.0f);
        x[i] = x[i] * (q / (q + 2.0f));
    }
}

static void relu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < 0.0f ? 0.0f : x[i];
}

static void relu2(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float v = x[i] < 0.0f ? 0.0f : x[i];
        x[i] = v * v;
    }
}

static void relu6(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float v = x[i] < 0.0f ? 0.0f : x[i];
        x[i] = v > 6.0f ? 6.0f : v;
    }
}

static void leaky_relu(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < 0.0f ? 0.01f * x[i] : x[i];
}

/* Phi with mean sqrt(1/2) and deviation sqrt(1 / (4 pi)), both as HF rounds them. */
static void laplace(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = math_normal((x[i] - 0.707107f) / 0.282095f);
}

static void linear(float *x, size_t n) {}

static const struct activation activations[] = {
    {"gelu_new", gelu_tanh},
    {"gelu_pytorch_tanh", gelu_tanh},
    {"gelu_accurate", gelu_tanh},
    {"gelu_fast", gelu_tanh}, // its shorter constant is the same f32
    {"gelu", gelu_erf},
    {"gelu_python", gelu_erf},
    {"gelu_10", gelu_10},
    {"quick_gelu", quick_gelu},
    {"relu", relu},
    {"relu2", relu2},
    {"relu6", relu6},
    {"leaky_relu", leaky_relu},
    {"silu", silu},
    {"swish", silu},
    {"sigmoid", sigmoid},
    {"tanh", tanh_},
    {"mish", mish},
    {"laplace", laplace},
    {"linear", linear},
    {NULL, NULL},
};

#endif
