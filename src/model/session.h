/* session.h - one timeline: its position and its KV cache.
 *
 * Keys and values are kept in blocks of KV_BLOCK positions (model/kv.h draws them), all blocks of
 * the same positions side by side:
 *
 *   keys    [n_blocks][n_layer][n_head] blocks of kv_key_bytes
 *   values  [n_blocks][n_layer][n_head] blocks of kv_value_bytes
 *
 * So what a text has filled is one stretch from the beginning. Memory that was never written costs
 * nothing: a session takes what its tokens take, and may do so in 2 MiB pages. Cells at or after
 * `position` hold anything; they are never part of a result. */
#ifndef MODEL_SESSION_H
#define MODEL_SESSION_H

#include "model/kv.h"
#include <gpt2/session.h>
#include <stddef.h>

struct gpt2_session {
    const struct gpt2_model *model; /* borrowed */
    int capacity;
    int position;
    struct kv kv;
    int n_blocks; /* of KV_BLOCK positions, capacity rounded up */
    char *keys;   /* [n_key_bytes]   */
    char *values; /* [n_value_bytes] */
    size_t n_key_bytes, n_value_bytes;
    bool in_batch; /* set while a batch looks for a session given twice */
};

/* A block of a head. */
void *session_keys(const struct gpt2_session *session, int layer, int head, int block);
void *session_values(const struct gpt2_session *session, int layer, int head, int block);

#endif
