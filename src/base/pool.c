/* pool.c - one atomic word hands out the work of one run after another.
 *
 * The word is a ticket: which run it is, how many indices the run has, and the next one of them.
 *
 *      63           40 39             20 19              0
 *     +---------------+-----------------+-----------------+
 *     |  generation   |  n of this run  |   next index    |
 *     +---------------+-----------------+-----------------+
 *
 * A thread draws work by adding 1 to the word; the value before the addition is its ticket. If the
 * index of the ticket is below n, the thread does that index: the run cannot end before, so its
 * function and argument stay valid. If the index is n or more, nothing is left to do, however late
 * the thread comes and whatever has been published since. So a run waits only for threads that have
 * drawn an index, never for one that is asleep or has lost its processor: where there are more
 * threads than processors, the others do the work.
 *
 * Threads without work spin for a while, as in decoding the next run comes within microseconds, and
 * then sleep on a condition variable. The caller waits for the last index in the same way. While no
 * thread is asleep, none takes the mutex, as its holder may have lost its processor.
 *
 * Beside another busy process, a thread that yields its processor gets it back after milliseconds.
 * A worker that waits yields: it holds no index, so the others go on without it. The caller does
 * not, as there is no next run without it; unless the pool itself has more threads than there are
 * processors, since the thread it waits for may need this one. */
#include "base/pool.h"
#include "base/error_internal.h"
#include "base/os.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* How long a thread spins before it sleeps. Gaps between the runs of one token are below 20 us, a
 * futex sleep and wake costs about 50 us here. */
#define SPIN_NS 50000

#define INDEX_BITS 20
#define MAX_INDEX  ((UINT64_C(1) << INDEX_BITS) - 1)
#define MAX_N      (1 << 18) /* of one ticket; leaves room for late draws, one a thread and run */

/* Something that threads sleep for. */
struct event {
    pthread_cond_t cond;
    atomic_int n_asleep; /* or about to be */
};

struct pool {
    int size;     /* including the caller              */
    bool crowded; /* more threads than processors      */
    pthread_t *threads;
    struct start *starts;

    /* of the current run */
    pool_fn fn;
    void *arg;
    int base; /* added to the ticket's index */

    _Alignas(64) atomic_uint_fast64_t ticket;
    _Alignas(64) atomic_int done; /* indices of this run that are finished */

    pthread_mutex_t mutex;
    struct event wake;     /* the ticket has changed        */
    struct event finished; /* done has reached the run's n  */
    atomic_bool stop;
};

struct start {
    struct pool *pool;
    int worker;
};

static uint64_t generation_of(uint64_t ticket) {
    return ticket >> (2 * INDEX_BITS);
}

static int n_of(uint64_t ticket) {
    return (int)(ticket >> INDEX_BITS & MAX_INDEX);
}

static int index_of(uint64_t ticket) {
    return (int)(ticket & MAX_INDEX);
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Wakes the threads that sleep for an event that has come. The event's store and this load, as well
 * as a sleeper's count and its look at the condition, are in one order for all threads: so either
 * the sleeper is seen here, or it sees the event. */
static void announce(struct pool *pool, struct event *event) {
    if (atomic_load(&event->n_asleep) == 0)
        return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&event->cond);
    pthread_mutex_unlock(&pool->mutex);
}

/* Draws and does work until none is left. */
static void work(struct pool *pool, int worker) {
    int count = 0, n;
    for (;;) {
        uint64_t ticket = atomic_fetch_add_explicit(&pool->ticket, 1, memory_order_acq_rel);
        n = n_of(ticket);
        if (index_of(ticket) >= n)
            break;
        pool->fn(pool->arg, pool->base + index_of(ticket), worker);
        count++;
    }
    // Until this, no other run can have begun, so n is still that of the run worked on.
    if (count && atomic_fetch_add(&pool->done, count) + count == n && worker != 0)
        announce(pool, &pool->finished);
}

static bool has_changed(struct pool *pool, uint64_t seen) {
    return generation_of(atomic_load(&pool->ticket)) != seen;
}

static bool is_done(struct pool *pool, uint64_t n) {
    return atomic_load(&pool->done) == (int)n;
}

/* Spins until the condition holds; false when the time is up. `offer`: yields the processor, which
 * costs little where no other thread waits for it. */
static bool spin(struct pool *pool, bool (*condition)(struct pool *, uint64_t), uint64_t argument,
                 bool offer) {
    uint64_t start = os_now_ns();
    do {
        for (int i = 0; i < 64; i++) {
            if (condition(pool, argument))
                return true;
            relax();
        }
        if (offer)
            os_yield();
    } while (os_now_ns() - start < SPIN_NS);
    return false;
}

/* Returns once the condition holds. The thread that makes it true announces the event. */
static void wait_for(struct pool *pool, bool (*condition)(struct pool *, uint64_t),
                     uint64_t argument, struct event *event, bool offer) {
    if (spin(pool, condition, argument, offer))
        return;
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&event->n_asleep, 1);
    while (!condition(pool, argument))
        pthread_cond_wait(&event->cond, &pool->mutex);
    atomic_fetch_sub(&event->n_asleep, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *arg) {
    struct start *start = arg;
    struct pool *pool = start->pool;
    uint64_t seen = 0;
    for (;;) {
        wait_for(pool, has_changed, seen, &pool->wake, true);
        if (atomic_load(&pool->stop))
            return NULL;
        seen = generation_of(atomic_load_explicit(&pool->ticket, memory_order_acquire));
        work(pool, start->worker);
    }
}

/* Makes a new ticket for n indices. A late draw that comes in between is overwritten: it has drawn
 * nothing. */
static void publish(struct pool *pool, int n) {
    uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_relaxed);
    atomic_store(&pool->ticket,
                 (generation_of(ticket) + 1) << (2 * INDEX_BITS) | (uint64_t)n << INDEX_BITS);
    announce(pool, &pool->wake);
}

struct pool *pool_create(int n_threads, struct gpt2_error *err) {
    struct pool *pool = os_alloc(1, sizeof *pool, "the thread pool", err);
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake.cond, NULL);
    pthread_cond_init(&pool->finished.cond, NULL);
    pool->size = 1;
    pool->crowded = n_threads > os_processors();
    pool->threads = os_alloc((size_t)n_threads, sizeof *pool->threads, "threads", err);
    pool->starts = os_alloc((size_t)n_threads, sizeof *pool->starts, "threads", err);
    if (!pool->threads || !pool->starts)
        goto fail;
    int code = 0;
    while (pool->size < n_threads && !code) {
        int worker = pool->size;
        pool->starts[worker] = (struct start){pool, worker};
        code = os_thread(&pool->threads[worker], worker_main, &pool->starts[worker]);
        pool->size += code == 0;
    }
    if (!code)
        return pool;
    error_errno(err, GPT2_ERR_RUNTIME, code, "cannot start thread %d of %d", pool->size + 1,
                n_threads);
fail:
    pool_free(pool);
    return NULL;
}

void pool_free(struct pool *pool) {
    if (!pool)
        return;
    atomic_store(&pool->stop, true);
    publish(pool, 0);
    for (int i = 1; i < pool->size; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->finished.cond);
    pthread_cond_destroy(&pool->wake.cond);
    pthread_mutex_destroy(&pool->mutex);
    os_free(pool->starts);
    os_free(pool->threads);
    os_free(pool);
}

int pool_size(const struct pool *pool) {
    return pool->size;
}

static void run_ticket(struct pool *pool, int base, int n, pool_fn fn, void *arg) {
    pool->fn = fn;
    pool->arg = arg;
    pool->base = base;
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    publish(pool, n);
    work(pool, 0);
    wait_for(pool, is_done, (uint64_t)n, &pool->finished, pool->crowded);
}

void pool_run(struct pool *pool, int n, pool_fn fn, void *arg) {
    if (!pool || pool->size == 1 || n == 1) {
        for (int i = 0; i < n; i++)
            fn(arg, i, 0);
        return;
    }
    for (int base = 0; base < n; base += MAX_N)
        run_ticket(pool, base, n - base < MAX_N ? n - base : MAX_N, fn, arg);
}
