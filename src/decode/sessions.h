/* sessions.h - a pool of sessions, used again from text to text, within a bound of memory. */
#ifndef DECODE_SESSIONS_H
#define DECODE_SESSIONS_H

#include <gpt2/session.h>
#include <stdbool.h>
#include <stddef.h>

struct sessions {
    const struct gpt2_model *model; /* borrowed */
    enum gpt2_kv kv;
    size_t max_bytes;              /* of keys and values of all sessions there are */
    size_t n_bytes;                /* ... now                                      */
    int n_used;                    /* handed out                                   */
    int n_free, cap_free;          /* resting                                      */
    struct gpt2_session **resting; /* [n_free], cap_free of room                 */
};

bool sessions_init(struct sessions *pool, const struct gpt2_model *model, enum gpt2_kv kv,
                   size_t max_bytes, int max_sessions, struct gpt2_error *err);
void sessions_free(struct sessions *pool); /* resting ones only; a zeroed struct is allowed */

/* An empty session for at least n_ctx tokens in *out, or NULL there while others have to come back
 * first. With `must` it is granted beyond the bound. False: GPT2_ERR_MEMORY. */
bool sessions_take(struct sessions *pool, int n_ctx, bool must, struct gpt2_session **out,
                   struct gpt2_error *err);
void sessions_give(struct sessions *pool, struct gpt2_session *session); /* NULL is allowed */

#endif
