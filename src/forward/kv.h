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
 *           q8: f32 scale[groups][KV_BLOCK], then panels of PANEL features (the last one filled up)
 *           i8 [KV_BLOCK / 2][PANEL][2]: two positions of one feature side by side, which is what
 *           products of 16-bit integers take
 *                          feature 0    feature 1         feature 15
 *           position 0, 1  v00 v10      v01 v11     ...   v0,15 v1,15
 *                    2, 3  v20 v30      v21 v31     ...
 *
 * Keys and values are rounded once, when they are stored, and every pass reads the rounded ones,
 * also the one that stored them. So the type is part of what is computed, and prompting and
 * decoding agree bit for bit within each type:
 *
 *   f32  as they are.
 *   f16  the nearest f16. Above 65504 that is infinite; it is refused at the logits.
 *   q8   `quantize` (kernels.h) of a position's key, its scales rounded to f16; and of its value.
 *        NaN, Inf, and keys too large for such a scale are refused at the logits, too.
 *        Queries are quantized too, so that a score is one exact sum of integers for each KV_GROUP
 *        of features. The weights of the values of a block, times their scales, become integers of
 * 16 bits (`quantize16`), so that what a block adds is one exact sum, too. They are those of the
 * positions that the row sees: a fact of the row, not of the tile that it is in. */
#ifndef FORWARD_KV_H
#define FORWARD_KV_H

#include "kernels/kernels.h"
#include <gpt2/session.h>

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

/* Asks for the cache lines where kv_store will write position `at` of a block: a key is a column
 * there, a cache line for every four features or for each. */
void kv_prefetch(const struct kv *kv, const void *keys, const void *values, int at);

/* Makes the positions from `at` on of a block zeros. */
void kv_clear(const struct kv *kv, void *keys, void *values, int at);

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

/* How many blocks of a head are best taken at a time for m rows: those that are read side by side,
 * 1..KV_STREAMS. Any number in that range gives the same bits. */
int kv_streams(const struct kv *kv, int m);

/* scores[r, j] = queries[r] . keys[j] for r < m and the first n positions of n_blocks blocks that
 * follow one another in the text, each anywhere in memory. Scores after those, up to the end of the
 * last block, may be written too. 1 <= n_blocks <= KV_STREAMS. */
void kv_scores(const struct kv *kv, const struct kernels *kernels, float *scores, size_t stride,
               const struct kv_queries *queries, const void *const *keys, int n_blocks, int m,
               int n);

/* o[r] += weights[r, j] values[j] for r < m, in the order of the positions j of such blocks. Row r
 * sees the first `seen` + r positions, from none (`seen` + r <= 0) to all of the blocks'.
 * o [m, head_dim], stride os; weights [m, n_blocks * KV_BLOCK], stride ws; those of positions that
 * a row does not see may hold anything. */
void kv_mix(const struct kv *kv, const struct kernels *kernels, float *o, size_t os,
            const float *weights, size_t ws, const void *const *values, int n_blocks, int seen,
            int m);

#endif
