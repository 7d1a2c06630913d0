/* session.h - one timeline: its position and its KV cache.
 *
 * Keys and values are kept per layer and head, each in the order in which attention reads it:
 *
 *   keys    [n_layer][n_head][block][head_dim][64]      64 positions side by side, so that vectors
 *                                                       run across positions (kernels.h: chain)
 *              position  0    1    2  ...  63
 *     feature 0        k00  k10  k20      k63,0
 *             1        k01  k11  ...
 *
 *   values  [n_layer][n_head][position][head_dim]       one row per position; vectors run across
 *                                                       features
 *
 * Cells at or after `position` hold anything; they are never part of a result. */
#ifndef MODEL_SESSION_H
#define MODEL_SESSION_H

#include <gpt2/session.h>
#include <stddef.h>

#define KEY_BLOCK 64 /* positions in a block of keys: the widest register tile of gemm */

struct gpt2_session {
    const struct gpt2_model *model; /* borrowed */
    int capacity;
    int position;
    int head_dim;
    int n_blocks; /* of KEY_BLOCK positions, capacity rounded up */
    float *keys;
    float *values;
    bool in_batch; /* set while a batch looks for a session given twice */
};

/* The first block of keys of a head: [n_blocks][head_dim][KEY_BLOCK]. */
float *session_keys(const struct gpt2_session *session, int layer, int head);

/* The values of a head: [capacity][head_dim]. */
float *session_values(const struct gpt2_session *session, int layer, int head);

/* Writes one token's key and value, [head_dim] each, at `position`. */
void session_store(const struct gpt2_session *session, int layer, int head, int position,
                   const float *key, const float *value);

#endif
