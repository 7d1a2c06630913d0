/* session_pool.c - hands out sessions and keeps returned ones within the memory bound. */
#include "decode/session_pool.h"
#include "base/os.h"

#include <gpt2/model.h>

#define ROUND 64 /* capacities are multiples of it, so that sessions fit more than one text */

static size_t bytes_of(const struct gpt2_session *session) {
    return gpt2_session_token_bytes(session) * (size_t)gpt2_session_capacity(session);
}

bool session_pool_init(struct session_pool *pool, const struct gpt2_model *model, enum gpt2_kv kv,
                       size_t max_bytes, int max_sessions, struct gpt2_error *err) {
    *pool = (struct session_pool){.model = model, .kv = kv, .max_bytes = max_bytes};
    pool->cap_free = max_sessions;
    pool->empty =
        gpt2_session_create(model, &(struct gpt2_session_options){.n_ctx = 1, .kv = kv}, err);
    if (!pool->empty)
        return false;
    pool->resting =
        os_alloc((size_t)max_sessions, sizeof(struct gpt2_session *), "a pool of sessions", err);
    return pool->resting != NULL;
}

static void drop(struct session_pool *pool, struct gpt2_session *session) {
    pool->n_bytes -= bytes_of(session);
    gpt2_session_free(session);
}

void session_pool_free(struct session_pool *pool) {
    while (pool->n_free > 0)
        drop(pool, pool->resting[--pool->n_free]);
    gpt2_session_free(pool->empty);
    os_free(pool->resting);
    *pool = (struct session_pool){0};
}

/* The smallest resting session that is large enough, but not one of many times the size. */
static int find(const struct session_pool *pool, int n_ctx) {
    int best = -1, least = 2 * n_ctx + 1;
    for (int i = 0; i < pool->n_free; i++) {
        int capacity = gpt2_session_capacity(pool->resting[i]);
        if (capacity >= n_ctx && capacity < least) {
            best = i;
            least = capacity;
        }
    }
    return best;
}

bool session_pool_take(struct session_pool *pool, int n_ctx, bool must, struct gpt2_session **out,
                       struct gpt2_error *err) {
    int max = gpt2_model_config(pool->model)->n_ctx;
    n_ctx = n_ctx > max - ROUND ? max : (n_ctx + ROUND - 1) / ROUND * ROUND;
    *out = NULL;
    int found = find(pool, n_ctx);
    if (found >= 0) {
        *out = pool->resting[found];
        pool->resting[found] = pool->resting[--pool->n_free];
        pool->n_used++;
        return true;
    }
    struct gpt2_session *session = gpt2_session_create(
        pool->model, &(struct gpt2_session_options){.n_ctx = n_ctx, .kv = pool->kv}, err);
    if (!session)
        return false;
    // memory that was never written costs nothing, so it may be asked for first and weighed then
    size_t n_bytes = bytes_of(session);
    while (pool->n_free > 0 && pool->n_bytes + n_bytes > pool->max_bytes)
        drop(pool, pool->resting[--pool->n_free]);
    if (!must && pool->n_bytes + n_bytes > pool->max_bytes) {
        gpt2_session_free(session);
        return true;
    }
    pool->n_bytes += n_bytes;
    pool->n_used++;
    *out = session;
    return true;
}

void session_pool_give(struct session_pool *pool, struct gpt2_session *session) {
    if (!session)
        return;
    pool->n_used--;
    // As a copy of one that has read nothing it keeps memory for its first tokens alone: a pool of
    // sessions that each had a long text once would only ever grow.
    if (pool->n_free < pool->cap_free && gpt2_session_fork(session, pool->empty, NULL))
        pool->resting[pool->n_free++] = session;
    else
        drop(pool, session);
}
