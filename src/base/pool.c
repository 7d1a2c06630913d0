/* pool.c - a generation counter wakes the workers, an atomic index hands out the work.
 *
 * A run is published by raising `generation`. Workers first spin on it, because in decoding the
 * next run comes within microseconds; then they sleep on a condition variable. The caller waits for
 * the workers in the same way. The spin is bounded in time, so that with more threads than
 * processors the others get to run. */
#include "base/pool.h"
#include "base/error.h"
#include "base/os.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How long a thread spins before it sleeps. Gaps between the runs of one token are below 20 us, a
 * futex sleep and wake costs about 50 us here. */
#define SPIN_NS 50000

struct pool {
    int size; /* including the caller */
    pthread_t *threads;
    struct start *starts;

    /* the current run */
    pool_fn fn;
    void *arg;
    int n;
    _Alignas(64) atomic_int next;        /* the next index to hand out            */
    _Alignas(64) atomic_uint generation; /* raised to publish a run             */
    _Alignas(64) atomic_int busy;        /* workers that have not finished it     */

    pthread_mutex_t mutex;
    pthread_cond_t wake; /* generation changed */
    pthread_cond_t done; /* busy reached 0     */
    bool stop;           /* read after generation changed */
};

struct start {
    struct pool *pool;
    int worker;
};

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(struct pool *pool, int worker) {
    for (;;) {
        int i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (i >= pool->n)
            return;
        pool->fn(pool->arg, i, worker);
    }
}

/* Spins until *generation differs from `seen`; false when the time is up. */
static bool spin_generation(struct pool *pool, unsigned seen) {
    uint64_t start = os_now_ns();
    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&pool->generation, memory_order_acquire) != seen)
                return true;
            relax();
        }
        sched_yield(); // gives the processor away if somebody waits for it, else costs little
    } while (os_now_ns() - start < SPIN_NS);
    return false;
}

static bool spin_done(struct pool *pool) {
    uint64_t start = os_now_ns();
    do {
        for (int i = 0; i < 64; i++) {
            if (atomic_load_explicit(&pool->busy, memory_order_acquire) == 0)
                return true;
            relax();
        }
        sched_yield();
    } while (os_now_ns() - start < SPIN_NS);
    return false;
}

static void *worker_main(void *arg) {
    struct start *start = arg;
    struct pool *pool = start->pool;
    unsigned seen = 0;
    for (;;) {
        if (!spin_generation(pool, seen)) {
            pthread_mutex_lock(&pool->mutex);
            while (atomic_load_explicit(&pool->generation, memory_order_acquire) == seen)
                pthread_cond_wait(&pool->wake, &pool->mutex);
            pthread_mutex_unlock(&pool->mutex);
        }
        seen++;
        if (pool->stop)
            return NULL;
        work(pool, start->worker);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
}

/* Publishes what was written to *pool. The mutex is held so that no worker can go to sleep between
 * its check of the generation and its wait. */
static void publish(struct pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->generation, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

struct pool *pool_create(int n_threads, struct gpt2_error *err) {
    struct pool *pool = os_alloc(1, sizeof *pool, "the thread pool", err);
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->size = 1;
    pool->threads = os_alloc((size_t)n_threads, sizeof *pool->threads, "threads", err);
    pool->starts = os_alloc((size_t)n_threads, sizeof *pool->starts, "threads", err);
    if (!pool->threads || !pool->starts)
        goto fail;
    while (pool->size < n_threads) {
        int worker = pool->size;
        pool->starts[worker] = (struct start){pool, worker};
        int code = pthread_create(&pool->threads[worker], NULL, worker_main, &pool->starts[worker]);
        if (code) {
            error_set(err, GPT2_ERR_RUNTIME, "cannot start thread %d of %d: %s", worker + 1,
                      n_threads, strerror(code));
            goto fail;
        }
        pool->size++;
    }
    return pool;
fail:
    pool_free(pool);
    return NULL;
}

void pool_free(struct pool *pool) {
    if (!pool)
        return;
    pool->stop = true;
    publish(pool);
    for (int i = 1; i < pool->size; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    os_free(pool->starts);
    os_free(pool->threads);
    os_free(pool);
}

int pool_size(const struct pool *pool) {
    return pool->size;
}

void pool_run(struct pool *pool, int n, pool_fn fn, void *arg) {
    if (pool->size == 1 || n <= 1) {
        for (int i = 0; i < n; i++)
            fn(arg, i, 0);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    pool->n = n;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->busy, pool->size - 1, memory_order_relaxed);
    publish(pool);
    work(pool, 0);
    if (!spin_done(pool)) {
        pthread_mutex_lock(&pool->mutex);
        while (atomic_load_explicit(&pool->busy, memory_order_acquire) != 0)
            pthread_cond_wait(&pool->done, &pool->mutex);
        pthread_mutex_unlock(&pool->mutex);
    }
}
