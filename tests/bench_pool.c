/* bench_pool.c - what a parallel region costs, and what is left of it on a busy machine.
 *
 *     bench_pool [THREADS...]      (default: 1 2 4)
 *
 * A region is one pool_run. "meet" has one index for each thread, which waits until all the others
 * have begun: what it takes at least until all take part and are done. "work" has 32 indices of
 * some 10 microseconds each, as a product in decoding has; it is shown as a share of what the
 * threads, or as many of them as there are processors, could do at best. "busy" is the same beside
 * another process that never sleeps. Medians of rounds that take turns. */
#include "base/os.h"
#include "base/pool.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_SIZES = 8, ROUNDS = 11, MEETINGS = 20000, WORK = 1000, INDICES = 32, STEPS = 2000 };

struct meeting {
    int size;
    atomic_int begun; /* in this region and all before */
};

static void meet(void *arg, int i, int worker) {
    struct meeting *m = arg;
    int all = atomic_fetch_add(&m->begun, 1) / m->size * m->size + m->size;
    while (atomic_load(&m->begun) < all) {
    }
}

/* A chain that no compiler shortens. */
static void steps(void *arg, int i, int worker) {
    unsigned *sums = arg, x = (unsigned)i;
    for (int k = 0; k < STEPS; k++)
        x = x * 1664525u + 1013904223u + (x >> 16);
    sums[i] = x;
}

/* Microseconds of a region. */
static double region(struct pool *pool, int n_regions, int n, pool_fn fn, void *arg) {
    uint64_t start = os_now_ns();
    for (int i = 0; i < n_regions; i++)
        pool_run(pool, n, fn, arg);
    return (double)(os_now_ns() - start) * 1e-3 / n_regions;
}

static double measure_work(struct pool *pool) {
    unsigned sums[INDICES];
    return region(pool, WORK, INDICES, steps, sums);
}

static double measure_meeting(struct pool *pool) {
    struct meeting m = {.size = pool_size(pool)};
    return m.size > os_cpus() ? 0 : region(pool, MEETINGS, m.size, meet, &m);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values) {
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

static pid_t start_busy_process(void) {
    pid_t child = fork();
    if (child == 0)
        for (volatile unsigned i = 0;; i++) {
        }
    return child;
}

int main(int argc, char **argv) {
    static double meeting[MAX_SIZES][ROUNDS], work[MAX_SIZES][ROUNDS], busy[MAX_SIZES][ROUNDS];
    struct pool *pools[MAX_SIZES];
    int sizes[MAX_SIZES] = {1, 2, 4}, n = argc > 1 ? 0 : 3, n_cpus = os_cpus();
    for (int i = 1; i < argc && n < MAX_SIZES; i++)
        sizes[n++] = atoi(argv[i]);
    for (int k = 0; k < n; k++) {
        struct gpt2_error err;
        pools[k] = pool_create(sizes[k], &err);
        if (!pools[k]) {
            fprintf(stderr, "bench_pool: %s\n", err.message);
            return 1;
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < n; k++) {
            meeting[k][round] = measure_meeting(pools[k]);
            work[k][round] = measure_work(pools[k]);
        }
        pid_t child = start_busy_process();
        for (int k = 0; k < n && child > 0; k++)
            busy[k][round] = measure_work(pools[k]);
        if (child > 0) {
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
        }
    }
    struct pool *one = pool_create(1, NULL);
    double alone = one ? measure_work(one) : 0;
    printf("%d processors\nthreads    meet us    work us  of best    busy us  of work\n", n_cpus);
    for (int k = 0; k < n; k++) {
        double t = median(work[k]), b = median(busy[k]);
        int used = sizes[k] < n_cpus ? sizes[k] : n_cpus;
        printf("%7d %10.2f %10.1f %7.0f%% %10.1f %7.0f%%\n", sizes[k], median(meeting[k]), t,
               100 * alone / used / t, b, 100 * t / b);
        pool_free(pools[k]);
    }
    pool_free(one);
    return 0;
}
