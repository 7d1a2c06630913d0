/* kv.c - the three types of KV cache: what differs between them is here and nowhere else. */
#include "forward/kv.h"
#include "base/prefetch.h"
#include "forward/tiling.h"

#include <assert.h>
#include <string.h>

struct kv kv_of(enum gpt2_kv type, int head_dim) {
    static const enum dtype dtypes[] = {[GPT2_KV_AUTO] = DTYPE_F32,
                                        [GPT2_KV_F32] = DTYPE_F32,
                                        [GPT2_KV_F16] = DTYPE_F16,
                                        [GPT2_KV_Q8] = KV_PANELS};
    return (struct kv){type, dtypes[type], head_dim};
}

const char *kv_name(enum gpt2_kv type) {
    static const char *const names[] = {
        [GPT2_KV_AUTO] = "auto", [GPT2_KV_F32] = "f32", [GPT2_KV_F16] = "f16", [GPT2_KV_Q8] = "q8"};
    return names[type];
}

/* Rows of a head that are on their way while one is quantized: they are a row of the pass apart,
 * too far for the hardware to see them come. */
#define ROWS_AHEAD 4

static void prefetch_row(const struct kv *kv, const float *x, size_t stride, int i, int n) {
    if (i < n)
        prefetch(x + (size_t)i * stride, (size_t)kv->head_dim * sizeof *x);
}

_Static_assert(KV_GROUP % PANEL == 0, "the features of a group are whole panels of values");

/* How many groups the features of a head are. */
static int groups_of(const struct kv *kv) {
    return divide_up(kv->head_dim, KV_GROUP);
}

size_t kv_key_bytes(const struct kv *kv) {
    return KV_BLOCK / PANEL * panel_bytes(kv->dtype, kv->head_dim);
}

/* Bytes of the scales before a block of quantized values. */
static size_t scale_bytes(const struct kv *kv) {
    return (size_t)groups_of(kv) * KV_BLOCK * sizeof(float);
}

size_t kv_value_bytes(const struct kv *kv) {
    if (kv->type == GPT2_KV_Q8)
        return scale_bytes(kv) + (size_t)panels_count(kv->head_dim) * KV_PANEL_BYTES;
    return (size_t)KV_BLOCK * (size_t)kv->head_dim * dtype_size(kv->dtype);
}

/* One group of a key as a column of a panel: four inputs side by side, PANEL outputs apart. */
static void store_key_group(char *group, int at, const int8_t *q, float scale) {
    uint16_t half = dtype_f32_to_f16(scale);
    memcpy(group + (size_t)at * sizeof half, &half, sizeof half);
    char *column = group + PANEL * sizeof half + (size_t)at * 4;
    for (int k = 0; k < KV_GROUP; k += 4) {
        uint32_t four;
        memcpy(&four, q + k, sizeof four);
        four ^= 0x80808080; // q + 128 in each byte
        memcpy(column + (size_t)k * PANEL, &four, sizeof four);
    }
}

/* One group of a value: a byte in each pair of positions, PANEL pairs to a panel's step. */
static void store_value_group(char *panels, int at, const int8_t *q, int n) {
    char *step = panels + (size_t)(at / 2) * 2 * PANEL + at % 2;
    for (int k = 0; k < n; k++)
        step[(size_t)(k / PANEL) * KV_PANEL_BYTES + (size_t)(k % PANEL) * 2] = (char)q[k];
}

/* A group at a time, so that nothing is larger than a group. */
static void store_q8(const struct kv *kv, const struct kernels *kernels, char *keys, char *values,
                     int at, const float *key, const float *value) {
    float *scales = (float *)values;
    char *panel = keys + (size_t)(at / PANEL) * panel_bytes(KV_PANELS, kv->head_dim);
    char *bytes = values + scale_bytes(kv);
    int8_t q[KV_GROUP];
    float scale;
    int32_t sum;
    for (int k = 0, g = 0; k < kv->head_dim; k += KV_GROUP, g++) {
        int n = min(kv->head_dim - k, KV_GROUP);
        kernels->quantize(q, &scale, &sum, key + k, (size_t)n, KV_GROUP);
        store_key_group(panel + (size_t)g * panel_group_bytes(KV_PANELS), at % PANEL, q, scale);
        kernels->quantize(q, &scale, &sum, value + k, (size_t)n, KV_GROUP);
        scales[g * KV_BLOCK + at] = scale;
        store_value_group(bytes + (size_t)(k / PANEL) * KV_PANEL_BYTES, at, q, n);
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
        for (int i = 0; i < n; i++) {
            prefetch_row(kv, key, stride, i + ROWS_AHEAD, n);
            prefetch_row(kv, value, stride, i + ROWS_AHEAD, n);
            store_q8(kv, kernels, keys, values, at + i, key + (size_t)i * stride,
                     value + (size_t)i * stride);
        }
}

void kv_prefetch(const struct kv *kv, const void *keys, const void *values, int at) {
    const char *key = keys, *value = values;
    if (kv->type == GPT2_KV_Q8) {
        prefetch(key + (size_t)(at / PANEL) * panel_bytes(KV_PANELS, kv->head_dim),
                 panel_bytes(KV_PANELS, kv->head_dim));
        for (int g = 0; g < groups_of(kv); g++)
            prefetch(value + (size_t)(g * KV_BLOCK + at) * sizeof(float), sizeof(float));
        value += scale_bytes(kv) + (size_t)(at / 2) * 2 * PANEL;
        for (int p = 0; p < panels_count(kv->head_dim); p++)
            prefetch(value + (size_t)p * KV_PANEL_BYTES, sizeof(char));
        return;
    }
    const size_t size = dtype_size(kv->dtype), head_dim = (size_t)kv->head_dim;
    for (size_t d = 0; d < head_dim; d++)
        prefetch(key + (d * KV_BLOCK + (size_t)at) * size, size);
    prefetch(value + (size_t)at * head_dim * size, head_dim * size);
}

/* `size` bytes a number. */
static void clear_floats(const struct kv *kv, char *keys, char *values, int at, size_t size) {
    size_t head_dim = (size_t)kv->head_dim, n = (size_t)(KV_BLOCK - at);
    for (size_t d = 0; d < head_dim; d++)
        memset(keys + (d * KV_BLOCK + (size_t)at) * size, 0, n * size);
    memset(values + (size_t)at * head_dim * size, 0, n * head_dim * size);
}

void kv_clear(const struct kv *kv, void *keys, void *values, int at) {
    if (kv->type != GPT2_KV_Q8) {
        clear_floats(kv, keys, values, at, dtype_size(kv->dtype));
        return;
    }
    const int8_t q[KV_GROUP] = {0};
    float *scales = values;
    for (; at < KV_BLOCK; at++) {
        char *panel = (char *)keys + (size_t)(at / PANEL) * panel_bytes(KV_PANELS, kv->head_dim);
        char *bytes = (char *)values + scale_bytes(kv);
        for (int k = 0, g = 0; k < kv->head_dim; k += KV_GROUP, g++) {
            store_key_group(panel + (size_t)g * panel_group_bytes(KV_PANELS), at % PANEL, q, 0);
            scales[g * KV_BLOCK + at] = 0;
            store_value_group(bytes + (size_t)(k / PANEL) * KV_PANEL_BYTES, at, q,
                              min(kv->head_dim - k, KV_GROUP));
        }
    }
}

struct kv_queries kv_prepare(const struct kv *kv, const struct kernels *kernels, const float *x,
                             size_t stride, int m, struct kv_room room) {
    struct kv_queries queries = {.x = x, .stride = stride};
    if (kv->type == GPT2_KV_Q8) {
        size_t groups = (size_t)groups_of(kv);
        for (size_t r = 0; r < (size_t)m; r++) {
            prefetch_row(kv, x, stride, (int)r + ROWS_AHEAD, m);
            kernels->quantize(room.q + r * groups * KV_GROUP, room.scale + r * groups,
                              room.sum + r * groups, x + r * stride, (size_t)kv->head_dim,
                              KV_GROUP);
        }
        queries.q = (struct quantized){room.q, room.scale, room.sum, groups * KV_GROUP, groups};
    }
    return queries;
}

int kv_streams(const struct kv *kv, int m) {
    return kv->type == GPT2_KV_Q8 && m == 1 ? KV_STREAMS : 1;
}

/* ---- scores ---- */

void kv_scores(const struct kv *kv, const struct kernels *kernels, float *scores, size_t stride,
               const struct kv_queries *queries, const void *const *keys, int n_blocks, int m,
               int n) {
    const size_t ps = panel_bytes(kv->dtype, kv->head_dim);
    const int groups = groups_of(kv);
    for (int r = 0; r < m; r++)
        memset(scores + (size_t)r * stride, 0, (size_t)n_blocks * KV_BLOCK * sizeof *scores);
    if (kv->type == GPT2_KV_Q8 && m == 1) {
        kernels->scores_q8(scores, queries->q, keys, ps, n_blocks, min(n, KV_BLOCK), groups);
        return;
    }
    for (int i = 0; i < n_blocks; i++, scores += KV_BLOCK, n -= KV_BLOCK) {
        int n_here = min(n, KV_BLOCK);
        if (kv->type == GPT2_KV_Q8)
            kernels->gemm_quantized[KV_PANELS](scores, stride, queries->q, keys[i], ps, m, n_here,
                                               groups);
        else
            kernels->gemm[kv->dtype](scores, stride, queries->x, queries->stride, keys[i], KV_BLOCK,
                                     PANEL, m, n_here, kv->head_dim);
    }
}

/* ---- values ---- */

/* n, as far as a block has it. */
static int within_block(int n) {
    return n < 0 ? 0 : min(n, KV_BLOCK);
}

/* The rows that share a block whose bytes have been made 16-bit lanes. */
#define MIX_ROWS 12

_Static_assert(MIX_ROWS >= KV_STREAMS, "one row has the weights of all its blocks side by side");

/* Some rows and one block, or one row and some blocks; the features of one group. */
static void mix_group(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
                      const float *weights, size_t ws, const void *const *values, int n_blocks,
                      int seen, int m, int group) {
    struct kv_weights w[MIX_ROWS];
    const void *panels[KV_STREAMS];
    const int first = group * KV_GROUP;
    assert((m == 1 && n_blocks <= KV_STREAMS) || (m <= MIX_ROWS && n_blocks == 1));
    for (int i = 0; i < n_blocks; i++) {
        const char *block = values[i];
        const float *scales = (const float *)values[i] + group * KV_BLOCK;
        panels[i] = block + scale_bytes(kv) + (size_t)(first / PANEL) * KV_PANEL_BYTES;
        for (int r = 0; r < m; r++)
            kernels->quantize16(&w[i + r], weights + (size_t)r * ws + (size_t)i * KV_BLOCK, scales,
                                within_block(seen + r - i * KV_BLOCK));
    }
    int n = min(kv->head_dim - first, KV_GROUP);
    kernels->mix_q8(o + first, os, w, panels, n_blocks, m, n, within_block(seen + m - 1));
}

static void mix_quantized(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
                          const float *weights, size_t ws, const void *const *values, int n_blocks,
                          int seen, int m) {
    for (int row = 0; row < m; row += MIX_ROWS) {
        int n = min(m - row, MIX_ROWS);
        for (int g = 0; g < groups_of(kv); g++)
            mix_group(kv, kernels, o + (size_t)row * os, os, weights + (size_t)row * ws, ws, values,
                      n_blocks, seen + row, n, g);
    }
}

/* Continues the chains of m rows by positions from <= j < to of a block. */
static void mix_positions(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
                          const float *weights, size_t ws, const void *values, int from, int to,
                          int m) {
    size_t head_dim = (size_t)kv->head_dim;
    const char *rows = (const char *)values + (size_t)from * head_dim * dtype_size(kv->dtype);
    kernels->gemm[kv->dtype](o, os, weights + from, ws, rows, head_dim, PANEL, m, kv->head_dim,
                             to - from);
}

/* f32 and f16: the positions that all rows see, a register tile of rows at a time; then each row's
 * own last ones, alone. No row ever adds a position that it must not see, not even with weight
 * zero. */
static void mix_float(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
                      const float *weights, size_t ws, const void *values, int seen, int m) {
    int n;
    for (int row = 0; row < m; row += n) {
        n = min(m - row, kernels->mr);
        int shared = within_block(seen + row);
        if (shared > 0)
            mix_positions(kv, kernels, o + (size_t)row * os, os, weights + (size_t)row * ws, ws,
                          values, 0, shared, n);
        for (int r = row + 1; r < row + n; r++)
            if (within_block(seen + r) > shared)
                mix_positions(kv, kernels, o + (size_t)r * os, os, weights + (size_t)r * ws, ws,
                              values, shared, within_block(seen + r), 1);
    }
}

void kv_mix(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
            const float *weights, size_t ws, const void *const *values, int n_blocks, int seen,
            int m) {
    for (int i = 0, n; i < n_blocks; i += n) {
        const float *from = weights + (size_t)i * KV_BLOCK;
        n = min(kv_streams(kv, m), n_blocks - i);
        if (kv->type == GPT2_KV_Q8)
            mix_quantized(kv, kernels, o, os, from, ws, values + i, n, seen - i * KV_BLOCK, m);
        else
            mix_float(kv, kernels, o, os, from, ws, values[i], seen - i * KV_BLOCK, m);
    }
}
