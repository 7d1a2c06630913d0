/* prefix_cache.h - texts that begin alike: what one of them has read, the others do not read again.
 *
 * A cache remembers which tokens texts begin with, those that are being read and those that were
 * read lately, and keeps the keys and values of what another text has begun with, too. A session
 * takes them as gpt2_session_fork does, so that nothing is computed differently: its logits are the
 * same bits as if it had read everything itself.
 *
 *     struct gpt2_prefix *prefix = gpt2_prefix_begin(cache, ids, n_ids, &err);
 *     if (gpt2_prefix_waits(prefix))
 *         ...;                                   // another text is about to read the same: later
 *     gpt2_prefix_take(prefix, session, &err);   // the session has read gpt2_session_position(...)
 *     ... run the session over more of ids ...
 *     gpt2_prefix_read(prefix);                  // after each run: others may want what it read
 *     gpt2_prefix_end(prefix);                   // before the session reads anything else
 *
 * Memory: pages of 64 tokens, at most max_bytes of them together; those that were not used for the
 * longest time go first. Beginnings of less than 16 tokens are not worth their copy and are left
 * alone. gpt2_generator and gpt2_scorer have such a cache inside. For one thread at a time. */
#ifndef GPT2_PREFIX_CACHE_H
#define GPT2_PREFIX_CACHE_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/session.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_prefix_cache;

struct gpt2_prefix_cache_options {
    size_t max_bytes; /* of keys and values that are kept; 0: none are                   */
    enum gpt2_kv kv;  /* of the sessions                                                 */
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Borrows the model. Fails with GPT2_ERR_USAGE for a type of cache that there is not, or
 * GPT2_ERR_MEMORY. */
struct gpt2_prefix_cache *gpt2_prefix_cache_create(const struct gpt2_model *model,
                                                   const struct gpt2_prefix_cache_options *options,
                                                   struct gpt2_error *err);

/* Every text has ended. NULL is allowed. */
void gpt2_prefix_cache_free(struct gpt2_prefix_cache *cache);

/* Bytes of the pages that are kept now; some may belong to sessions at the same time. */
size_t gpt2_prefix_cache_bytes(const struct gpt2_prefix_cache *cache);

/* A text, from when it is known until its session goes on to something else. */
struct gpt2_prefix;

/* Says that ids [n_ids], at least 1, will be read. They are copied. NULL: GPT2_ERR_USAGE
 * without an id, or GPT2_ERR_MEMORY. */
struct gpt2_prefix *gpt2_prefix_begin(struct gpt2_prefix_cache *cache, const int32_t *ids,
                                      int n_ids, struct gpt2_error *err);

/* True while another text is reading a longer common beginning than what could be taken now. That
 * text does not wait itself, so that its reading ends the wait, and so does its end. */
bool gpt2_prefix_waits(const struct gpt2_prefix *prefix);

/* How many of the ids could be taken now. */
int gpt2_prefix_ready(const struct gpt2_prefix *prefix);

/* Makes the session, whatever it held, one that has read as much of the ids as is kept, but never
 * all: the last of them is left to give logits. From now on the text is one that reads; the session
 * is borrowed until its end. Once for each text. False (GPT2_ERR_USAGE): the session is of another
 * model or type of cache, or too small for the ids. */
bool gpt2_prefix_take(struct gpt2_prefix *prefix, struct gpt2_session *session,
                      struct gpt2_error *err);

/* The session has read more of the ids (or other tokens after them): keeps what others want. */
void gpt2_prefix_read(struct gpt2_prefix *prefix);

/* Keeps what a session has read of ids [n_ids], at least 1, as if other texts began so: a session
 * of the cache's model and type, such as one that was loaded from a file. It is not needed
 * afterwards. What does not fit max_bytes is not kept. False: GPT2_ERR_USAGE, no id, another model
 * or type, or GPT2_ERR_MEMORY. */
bool gpt2_prefix_keep(struct gpt2_prefix_cache *cache, const struct gpt2_session *session,
                      const int32_t *ids, int n_ids, struct gpt2_error *err);

/* The text ends, read or not. NULL is allowed. */
void gpt2_prefix_end(struct gpt2_prefix *prefix);

#ifdef __cplusplus
}
#endif
#endif
