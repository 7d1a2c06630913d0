/* session.h - one timeline: its position and its KV cache.
 *
 * Keys and values are kept in blocks of KV_BLOCK positions (model/kv.h draws them), so that
 * attention reads a head from front to back:
 *
 *   keys    [n_layer][n_head][n_blocks] blocks of kv_key_bytes
 *   values  [n_layer][n_head][n_blocks] blocks of kv_value_bytes
 *
 * Cells at or after `position` hold anything; they are never part of a result. Memory that was
 * never written costs nothing: a session takes what its tokens take. */
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
    char *keys;
    char *values;
    bool in_batch; /* set while a batch looks for a session given twice */
};

/* A block of a head; the next one follows it. */
void *session_keys(const struct gpt2_session *session, int layer, int head, int block);
void *session_values(const struct gpt2_session *session, int layer, int head, int block);

#endif
