/* pool.h - a pool of threads, which divide outputs and never a sum.
 *
 * pool_run hands out the indices 0..n-1 one by one through an atomic counter: the next free thread
 * takes the next index. Which thread computes an output therefore varies from run to run; the
 * output does not. The caller works too, as worker 0. Between runs workers spin for some
 * microseconds, then sleep. A run never waits for a thread that has no part of it, so it stays fast
 * where there are more threads than processors. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <gpt2/error.h>

struct pool;

/* Called for index i on worker 0..pool_size-1; the worker number selects per-thread scratch. */
typedef void (*pool_fn)(void *arg, int i, int worker);

/* A pool of n_threads including the caller (n_threads >= 1; the other threads start here). NULL:
 * err is set with GPT2_ERR_MEMORY or, where a thread cannot start, GPT2_ERR_RUNTIME. */
struct pool *pool_create(int n_threads, struct gpt2_error *err);
void pool_free(struct pool *pool); /* NULL is allowed */
int pool_size(const struct pool *pool);

/* Runs fn(arg, i, worker) for every i in 0..n-1 and returns when all are done. What the calls wrote
 * is visible to the caller, and to the calls of the next run. Called by one thread at a time, and
 * not from within fn. NULL pool: this thread does all of it, as worker 0. */
void pool_run(struct pool *pool, int n, pool_fn fn, void *arg);

#endif
