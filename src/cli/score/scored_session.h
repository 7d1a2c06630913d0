/* scored_session.h - --load-session and --save-session of commands that score: what a context has
 * in a file is not read again. No score depends on it. */
#ifndef CLI_SCORE_SCORED_SESSION_H
#define CLI_SCORE_SCORED_SESSION_H

#include "cli/command/engine.h"

struct scored_session {
    struct gpt2_session *session; /* owned; NULL: nothing was loaded or saved */
    struct gpt2_ids ids;          /* owned; what it has read                  */
};

/* Loads a file. */
bool scored_session_load(struct scored_session *session, const struct engine *engine,
                         enum gpt2_kv kv, const char *path, struct gpt2_error *err);

/* Has the session read ids [n_ids], or where that is what it has read go on from there, and writes
 * them to a file. GPT2_ERR_INPUT where there are none, or more than the context holds. */
bool scored_session_save(struct scored_session *session, const struct engine *engine,
                         enum gpt2_kv kv, const int32_t *ids, size_t n_ids, const char *path,
                         struct gpt2_error *err);

/* The scorer does not read what is in the session; nothing where there is none. */
bool scored_session_use(const struct scored_session *session, struct gpt2_scorer *scorer,
                        struct gpt2_error *err);

/* Appends the text of what was loaded. GPT2_ERR_INPUT where these tokens are not those that the
 * tokenizer makes of it. */
struct buffer;
bool scored_session_text(const struct scored_session *session,
                         const struct gpt2_tokenizer *tokenizer, const char *path,
                         struct buffer *text, struct gpt2_error *err);

void scored_session_free(struct scored_session *session); /* a zeroed struct is allowed */

#endif
