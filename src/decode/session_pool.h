/* session_pool.h - a pool of sessions, used again from text to text, within a bound of memory.
 *
 * A session that rests keeps one page (64 tokens) of its memory, however long its text was. */
#ifndef DECODE_SESSION_POOL_H
#define DECODE_SESSION_POOL_H

#include <gpt2/session.h>
#include <stdbool.h>
#include <stddef.h>

struct session_pool {
    const struct gpt2_model *model; /* borrowed */
    enum gpt2_kv kv;
    size_t max_bytes;              /* of keys and values of all sessions there are */
    size_t n_bytes;                /* ... now                                      */
    int n_used;                    /* handed out                                   */
    int n_free, cap_free;          /* resting                                      */
    struct gpt2_session **resting; /* [n_free], cap_free of room                 */
    struct gpt2_session *empty;    /* has read nothing */
};

bool session_pool_init(struct session_pool *pool, const struct gpt2_model *model, enum gpt2_kv kv,
                       size_t max_bytes, int max_sessions, struct gpt2_error *err);
void session_pool_free(
    struct session_pool *pool); /* resting ones only; a zeroed struct is allowed */

/* An empty session for at least n_ctx tokens in *out, or NULL there while others have to come back
 * first. With `must` it is granted beyond the bound. False: GPT2_ERR_MEMORY. */
bool session_pool_take(struct session_pool *pool, int n_ctx, bool must, struct gpt2_session **out,
                       struct gpt2_error *err);
void session_pool_give(struct session_pool *pool,
                       struct gpt2_session *session); /* NULL is allowed */

#endif
