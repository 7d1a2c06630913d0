/* elementwise.h - the kernels that need no hand-written vectors, in plain C.
 *
 * The file of each variant includes this one and compiles it for its instruction set: the compiler
 * vectorizes the loops. The IEEE operations and their order are the same, so the bits are too. Sums
 * along a vector are lanes16 (kernels.h). softmax, gelu_tanh and the parts of quantize and
 * quantize16 are defined before this file is included, in generic.c or vectorized.h. */
#ifndef KERNELS_ELEMENTWISE_H
#define KERNELS_ELEMENTWISE_H

#include "base/math.h"
#include "kernels/always_inline.h"
#include "kernels/kernels.h"
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

static void add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scale(float *y, float factor, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] *= factor;
}

/* What has a scale: 2^-120 .. finite. Smaller ones are zeros, and infinity and NaN give NaN. */
ALWAYS_INLINE bool has_scale(uint32_t largest) {
    return largest >= 0x03800000 && largest < 0x7F800000;
}

ALWAYS_INLINE void quantize_group(int8_t *q, float *scale, int32_t *sum, const float *x,
                                  int group) {
    uint32_t largest = largest_magnitude(x, group);
    *scale = 0;
    *sum = 0;
    if (has_scale(largest)) {
        float max = math_from_bits(largest);
        *scale = max / 127.0f;
        *sum = quantize_by(q, x, 127.0f / max, group);
    } else {
        memset(q, 0, (size_t)group);
        if (largest >= 0x7F800000)
            *scale = NAN;
    }
}

/* Four groups at once: their largest elements, scales and sums are found side by side. */
ALWAYS_INLINE void quantize_4_groups(int8_t *q, float *scale, int32_t *sum, const float *x,
                                     int group) {
    uint32_t largest[4];
    largest_magnitudes_4(largest, x, group);
    bool all = true;
    for (int g = 0; g < 4; g++)
        all = has_scale(largest[g]) && all;
    if (!all) {
        for (int g = 0; g < 4; g++)
            quantize_group(q + g * group, scale + g, sum + g, x + g * group, group);
        return;
    }
    float max[4], per_scale[4];
    memcpy(max, largest, sizeof max);
    for (int g = 0; g < 4; g++)
        scale[g] = max[g] / 127.0f;
    for (int g = 0; g < 4; g++)
        per_scale[g] = 127.0f / max[g];
    quantize_4_by(q, sum, x, per_scale, group);
}

ALWAYS_INLINE void quantize_groups(int8_t *q, float *scale, int32_t *sum, const float *x, size_t n,
                                   int group) {
    for (; n >= 4 * (size_t)group; n -= 4 * (size_t)group) {
        quantize_4_groups(q, scale, sum, x, group);
        q += 4 * group;
        scale += 4;
        sum += 4;
        x += 4 * group;
    }
    for (; n >= (size_t)group; n -= (size_t)group) {
        quantize_group(q, scale++, sum++, x, group);
        q += group;
        x += group;
    }
    if (n > 0) {
        float last[PANEL_MAX_GROUP] = {0};
        memcpy(last, x, n * sizeof *x);
        quantize_group(q, scale, sum, last, group);
    }
}

static void quantize(int8_t *q, float *scale, int32_t *sum, const float *x, size_t n, int group) {
    if (group == 64)
        quantize_groups(q, scale, sum, x, n, 64);
    else if (group == 32)
        quantize_groups(q, scale, sum, x, n, 32);
    else
        quantize_groups(q, scale, sum, x, n, 16);
}

static void quantize16(struct kv_weights *w, const float *weights, const float *scales, int n) {
    float x[KV_BLOCK];
    int16_t q[KV_BLOCK] = {0};
    for (int j = 0; j < KV_BLOCK; j++)
        x[j] = j < n ? weights[j] * scales[j] : 0;
    uint32_t largest = largest_magnitude(x, KV_BLOCK);
    w->scale = largest >= 0x7F800000 ? NAN : 0;
    if (largest >= 0x07800000 && largest < 0x7F800000) { // 2^-112 .. finite
        float max = math_from_bits(largest);
        w->scale = max / 32767.0f;
        quantize16_by(q, x, 32767.0f / max);
    }
    memcpy(w->pairs, q, sizeof w->pairs);
}

/* The activations, as ACT2FN of Hugging Face's transformers defines them. */
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

/* Phi with mean sqrt(1/2) and deviation sqrt(1 / (4 pi)), both rounded as in transformers. */
static void laplace(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = math_normal((x[i] - 0.707107f) / 0.282095f);
}

static void linear(float *x, size_t n) {}

static const struct activation activations[] = {
    {"gelu_new", gelu_tanh},
    {"gelu_pytorch_tanh", gelu_tanh},
    {"gelu_accurate", gelu_tanh},
    {"gelu_fast", gelu_tanh}, // its constant has fewer digits, but is the same f32
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
