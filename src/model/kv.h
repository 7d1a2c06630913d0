/* kv.h - the types in which a session keeps keys and values, and what attention does with them.
 *
 * A block holds KV_BLOCK positions of one head, in the order in which attention reads it:
 *
 *   keys    f32, f16: [head_dim][KV_BLOCK]; q8: panels (kernels/panels.h) of head_dim inputs, where
 *           each position is an output. Vectors run across positions
 *                position  0    1    2  ...  63
 *       feature 0        k00  k10  k20      k63,0
 *               1        k01  k11  ...
 *
 *   values  f32, f16: [KV_BLOCK][head_dim], a row for each position; vectors run across features
 *           q8: f32 scale[groups][KV_BLOCK], then i8 [KV_BLOCK][head_dim]
 *
 * Keys and values are rounded once, when they are stored, and everybody reads the rounded ones, the
 * pass that stored them included. So the type is part of what is computed, and prompting and
 * decoding agree bit for bit within each type:
 *
 *   f32  as they are.
 *   f16  the nearest f16. Above 65504 that is infinite; it is refused at the logits.
 *   q8   `quantize` (kernels.h) of a position's key, its scales rounded to f16; and of its value.
 *        NaN, Inf, and keys too large for such a scale are refused at the logits, too.
 *        Queries are quantized too, so that a score is one exact sum of integers for each GROUP of
 *        features. The weight of a value is multiplied by the value's scale, rounded once, before
 *        it enters the chain over positions. */
#ifndef MODEL_KV_H
#define MODEL_KV_H

#include "kernels/kernels.h"
#include <gpt2/session.h>

#define KV_BLOCK 64 /* positions: a multiple of PANEL */

struct kv {
    enum gpt2_kv type; /* not GPT2_KV_AUTO                    */
    enum dtype dtype;  /* of the keys: F32, F16, Q8 */
    int head_dim;
};

struct kv kv_of(enum gpt2_kv type, int head_dim);

const char *kv_name(enum gpt2_kv type); /* "auto", "f32", "f16", "q8" */

/* Bytes of a block: multiples of 64 but for the values of odd heads in f32 and f16. */
size_t kv_key_bytes(const struct kv *kv);
size_t kv_value_bytes(const struct kv *kv);

/* Writes keys and values of n tokens, [n, head_dim] each with the same stride, as the positions
 * at, at + 1, ... of a block; at + n <= KV_BLOCK. */
void kv_store(const struct kv *kv, const struct kernels *kernels, void *keys, void *values, int at,
              const float *key, const float *value, size_t stride, int n);

/* Some rows of queries: as they are, and for q8 quantized. */
struct kv_queries {
    const float *x; /* [m, head_dim], stride `stride` */
    size_t stride;
    struct quantized q;
};

/* Room for the quantized queries of m rows, within which kv_prepare writes. */
struct kv_room {
    int8_t *q;
    float *scale;
    int32_t *sum;
};

struct kv_queries kv_prepare(const struct kv *kv, const struct kernels *kernels, const float *x,
                             size_t stride, int m, struct kv_room room);

/* scores[r, j] = queries[r] . keys[j] for r < m and the first n positions of a block. */
void kv_scores(const struct kv *kv, const struct kernels *kernels, float *scores, size_t stride,
               const struct kv_queries *queries, const void *keys, int m, int n);

/* o[r] += weights[r, j] values[j] for r < m, in the order of the block's positions from <= j < to.
 * o [m, head_dim], stride os; weights [m, KV_BLOCK], stride ws, where the others may hold anything.
 */
void kv_mix(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
            const float *weights, size_t ws, const void *values, int from, int to, int m);

#endif
