/* session_internal.h - one timeline: its position and its KV cache.
 *
 * Keys and values are kept in blocks of KV_BLOCK positions (forward/kv.h draws them), those of all
 * layers and heads together in a page:
 *
 *   pages  [n_blocks]  keys    [n_layer][n_head] blocks of kv_key_bytes
 *                      values  [n_layer][n_head] blocks of kv_value_bytes
 *
 * A fork shares the pages of its source. A session that writes into a page that it shares takes a
 * copy first, so at most the last page of a text is ever copied. Pages come as tokens come, and
 * cells at or after `position` hold anything; they are never part of a result. */
#ifndef FORWARD_SESSION_INTERNAL_H
#define FORWARD_SESSION_INTERNAL_H

#include "forward/kv.h"
#include "forward/page.h"
#include <gpt2/session.h>
#include <stddef.h>

struct gpt2_session {
    const struct gpt2_model *model; /* borrowed */
    int capacity;
    int position;
    struct kv kv;
    int n_blocks;        /* of KV_BLOCK positions, capacity rounded up */
    struct page **pages; /* [n_blocks]; NULL: nothing was written there yet       */
    struct page *spare;  /* one that is not in use, kept for the next; or NULL    */
    bool in_batch;       /* set while a batch looks for a session given twice     */
};

/* Makes the pages of the next n tokens the session's own; n is at most what its capacity leaves.
 * False: GPT2_ERR_MEMORY, with nothing lost. */
bool session_reserve(struct gpt2_session *session, int n, struct gpt2_error *err);

/* Bytes of a page's data. */
size_t session_page_bytes(const struct gpt2_session *session);

/* Puts a page of another session of the same model and type of cache in the place of pages[block],
 * as one more user of it. The position is the caller's. */
void session_put_page(struct gpt2_session *session, int block, struct page *page);

/* A block of a head, in a page that is there. */
void *session_keys(const struct gpt2_session *session, int layer, int head, int block);
void *session_values(const struct gpt2_session *session, int layer, int head, int block);

#endif
