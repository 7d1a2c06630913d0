/* kv.c - the three types of KV cache: what differs between them is here and nowhere else. */
#include "model/kv.h"

#include <string.h>

struct kv kv_of(enum gpt2_kv type, int head_dim) {
    static const enum dtype dtypes[] = {[GPT2_KV_AUTO] = DTYPE_F32,
                                        [GPT2_KV_F32] = DTYPE_F32,
                                        [GPT2_KV_F16] = DTYPE_F16,
                                        [GPT2_KV_Q8] = DTYPE_Q8};
    return (struct kv){type, dtypes[type], head_dim};
}

const char *kv_name(enum gpt2_kv type) {
    static const char *const names[] = {
        [GPT2_KV_AUTO] = "auto", [GPT2_KV_F32] = "f32", [GPT2_KV_F16] = "f16", [GPT2_KV_Q8] = "q8"};
    return names[type];
}

size_t kv_key_bytes(const struct kv *kv) {
    return KV_BLOCK / PANEL * panel_bytes(kv->dtype, kv->head_dim);
}

/* Bytes of the scales in front of a block of quantized values. */
static size_t scale_bytes(const struct kv *kv) {
    return (size_t)panels_groups(kv->head_dim) * KV_BLOCK * sizeof(float);
}

size_t kv_value_bytes(const struct kv *kv) {
    size_t n = (size_t)KV_BLOCK * (size_t)kv->head_dim;
    return kv->type == GPT2_KV_Q8 ? scale_bytes(kv) + n : n * dtype_size(kv->dtype);
}

/* One group of a key as a column of a panel: four inputs side by side, PANEL outputs apart. */
static void store_key_group(char *group, int at, const int8_t *q, float scale) {
    uint16_t half = dtype_f32_to_f16(scale);
    memcpy(group + (size_t)at * sizeof half, &half, sizeof half);
    char *column = group + PANEL * sizeof half + (size_t)at * 4;
    for (int k = 0; k < GROUP; k += 4) {
        uint32_t four;
        memcpy(&four, q + k, sizeof four);
        four ^= 0x80808080; // q + 128 in each byte
        memcpy(column + (size_t)k * PANEL, &four, sizeof four);
    }
}

/* A group at a time, so that nothing is larger than a group. */
static void store_q8(const struct kv *kv, const struct kernels *kernels, char *keys, char *values,
                     int at, const float *key, const float *value) {
    float *scales = (float *)values;
    char *panel = keys + (size_t)(at / PANEL) * panel_bytes(DTYPE_Q8, kv->head_dim);
    char *row = values + scale_bytes(kv) + (size_t)at * (size_t)kv->head_dim;
    int8_t q[GROUP];
    float scale;
    int32_t sum;
    for (int k = 0, g = 0; k < kv->head_dim; k += GROUP, g++) {
        size_t n = (size_t)(kv->head_dim - k < GROUP ? kv->head_dim - k : GROUP);
        kernels->quantize(q, &scale, &sum, key + k, n);
        store_key_group(panel + (size_t)g * Q8_GROUP_BYTES, at % PANEL, q, scale);
        kernels->quantize(q, &scale, &sum, value + k, n);
        scales[g * KV_BLOCK + at] = scale;
        memcpy(row + k, q, n);
    }
}

/* Positions in the inner loop: a cache line of a panel is written while it is at hand. */
static void store_f32(const struct kv *kv, float *keys, float *values, int at, const float *key,
                      const float *value, size_t stride, int n) {
    size_t head_dim = (size_t)kv->head_dim;
    for (size_t d = 0; d < head_dim; d++)
        for (size_t i = 0; i < (size_t)n; i++)
            keys[d * KV_BLOCK + (size_t)at + i] = key[i * stride + d];
    for (size_t i = 0; i < (size_t)n; i++)
        memcpy(values + ((size_t)at + i) * head_dim, value + i * stride, head_dim * sizeof *value);
}

static void store_f16(const struct kv *kv, uint16_t *keys, uint16_t *values, int at,
                      const float *key, const float *value, size_t stride, int n) {
    size_t head_dim = (size_t)kv->head_dim;
    for (size_t d = 0; d < head_dim; d++)
        for (size_t i = 0; i < (size_t)n; i++)
            keys[d * KV_BLOCK + (size_t)at + i] = dtype_f32_to_f16(key[i * stride + d]);
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t d = 0; d < head_dim; d++)
            values[((size_t)at + i) * head_dim + d] = dtype_f32_to_f16(value[i * stride + d]);
}

void kv_store(const struct kv *kv, const struct kernels *kernels, void *keys, void *values, int at,
              const float *key, const float *value, size_t stride, int n) {
    if (kv->type == GPT2_KV_F32)
        store_f32(kv, keys, values, at, key, value, stride, n);
    else if (kv->type == GPT2_KV_F16)
        store_f16(kv, keys, values, at, key, value, stride, n);
    else
        for (int i = 0; i < n; i++)
            store_q8(kv, kernels, keys, values, at + i, key + (size_t)i * stride,
                     value + (size_t)i * stride);
}

struct kv_queries kv_prepare(const struct kv *kv, const struct kernels *kernels, const float *x,
                             size_t stride, int m, struct kv_room room) {
    struct kv_queries queries = {.x = x, .stride = stride};
    if (kv->type == GPT2_KV_Q8) {
        size_t groups = (size_t)panels_groups(kv->head_dim);
        for (size_t r = 0; r < (size_t)m; r++)
            kernels->quantize(room.q + r * groups * GROUP, room.scale + r * groups,
                              room.sum + r * groups, x + r * stride, (size_t)kv->head_dim);
        queries.q = (struct quantized){room.q, room.scale, room.sum, groups * GROUP, groups};
    }
    return queries;
}

void kv_scores(const struct kv *kv, const struct kernels *kernels, float *scores, size_t stride,
               const struct kv_queries *queries, const void *keys, int m, int n) {
    for (int r = 0; r < m; r++)
        memset(scores + (size_t)r * stride, 0, (size_t)n * sizeof *scores);
    if (kv->type == GPT2_KV_Q8)
        kernels->gemm_q8(scores, stride, queries->q, keys, panel_bytes(DTYPE_Q8, kv->head_dim), m,
                         n, panels_groups(kv->head_dim));
    else
        kernels->gemm[kv->dtype](scores, stride, queries->x, queries->stride, keys, KV_BLOCK, PANEL,
                                 m, n, kv->head_dim);
}

/* The rows are taken some at a time, whose weights times scales fit a small array. */
#define MIX_ROWS 8

/* A whole block, whatever counts of it: compilers make vectors of loops with constant bounds. */
static void scale_weights(float *restrict scaled, const float *restrict weights,
                          const float *restrict scales) {
    for (int j = 0; j < KV_BLOCK; j++)
        scaled[j] = weights[j] * scales[j];
}

static void mix_q8(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
                   const float *weights, size_t ws, const void *values, int from, int to, int m) {
    size_t head_dim = (size_t)kv->head_dim;
    const int8_t *rows = (const int8_t *)values + scale_bytes(kv) + (size_t)from * head_dim;
    for (size_t k = 0, g = 0; k < head_dim; k += GROUP, g++) {
        const float *scales = (const float *)values + g * KV_BLOCK;
        int n = (int)(head_dim - k < GROUP ? head_dim - k : GROUP);
        for (int row = 0; row < m; row += MIX_ROWS) {
            float scaled[MIX_ROWS][KV_BLOCK];
            int n_rows = m - row < MIX_ROWS ? m - row : MIX_ROWS;
            for (int r = 0; r < n_rows; r++)
                scale_weights(scaled[r], weights + (size_t)(row + r) * ws, scales);
            kernels->gemm[DTYPE_I8](o + (size_t)row * os + k, os, scaled[0] + from, KV_BLOCK,
                                    rows + k, head_dim, PANEL, n_rows, n, to - from);
        }
    }
}

void kv_mix(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
            const float *weights, size_t ws, const void *values, int from, int to, int m) {
    if (kv->type == GPT2_KV_Q8) {
        mix_q8(kv, kernels, o, os, weights, ws, values, from, to, m);
    } else {
        size_t head_dim = (size_t)kv->head_dim;
        const char *rows = (const char *)values + (size_t)from * head_dim * dtype_size(kv->dtype);
        kernels->gemm[kv->dtype](o, os, weights + from, ws, rows, head_dim, PANEL, m, kv->head_dim,
                                 to - from);
    }
}
