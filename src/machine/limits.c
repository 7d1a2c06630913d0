/* limits.c - measures what the threads of a runtime can read and multiply at best.
 *
 * The loops are the kernel row's (kernels/peak.h); here they are handed to the threads in small
 * tasks, as the forward pass hands out its own, so that a thread that lost its processor for a
 * while delays a limit no more than it delays the work. */
#include "base/error.h"
#include "base/os.h"
#include "machine/runtime.h"

#include <gpt2/limits.h>
#include <stdlib.h>
#include <string.h>

/* Tasks for each thread: more even out, fewer cost less. */
#define READ_TASKS 32
#define PEAK_TASKS 8

#define BLOCK     ((size_t)4096)     /* peak_read takes whole ones                             */
#define MIN_TASK  ((size_t)64 << 10) /* bytes that are worth handing out                       */
#define MIN_READ  ((size_t)16 << 20) /* bytes of one measurement, at least: half a millisecond */
#define PASSES    256                /* at most, over a small buffer                           */
#define TASK_NS   200000             /* what a task of arithmetic takes, about                 */
#define MAX_STEPS (1 << 22)          /* of it; no sum of dot4 overflows                        */

/* What a round measures: two ways of multiplying, and each way of reading each buffer. */
enum { FMA, DOT4, READ_SMALL, READ_HUGE = READ_SMALL + PEAK_WAYS, N_LOOPS = READ_HUGE + PEAK_WAYS };

/* What a thread's loops leave behind, on a cache line of its own. */
struct slot {
    _Alignas(64) float x;
    int32_t sum;
    uint64_t word;
    double operations;
};

struct gpt2_limits {
    struct gpt2_runtime *runtime; /* borrowed */
    size_t n_bytes, task_bytes;
    char *small, *huge; /* [n_bytes]; huge is NULL where the system has none */
    struct slot *slots; /* [threads] */
    int fma_steps, dot_steps;
    int n_rounds, n_samples, next; /* of a ring: its size, how many are in it, the next one */
    double *samples;               /* [N_LOOPS, n_rounds] operations or bytes a nanosecond */
    double *sorted;                /* [n_rounds] scratch of best_median                    */
};

struct job {
    struct gpt2_limits *limits;
    char *buffer;
    int way;
};

static void fill_task(void *arg, int i, int worker) {
    const struct job *job = arg;
    size_t at = (size_t)i * job->limits->task_bytes, left = job->limits->n_bytes - at;
    memset(job->buffer + at, 0x2D, left < job->limits->task_bytes ? left : job->limits->task_bytes);
}

static void read_task(void *arg, int i, int worker) {
    const struct job *job = arg;
    const struct gpt2_limits *limits = job->limits;
    size_t at = (size_t)i * limits->task_bytes, left = limits->n_bytes - at;
    size_t n = left < limits->task_bytes ? left : limits->task_bytes;
    limits->slots[worker].word ^=
        limits->runtime->kernels->peak_read(job->buffer + at, n, job->way);
}

static void fma_task(void *arg, int i, int worker) {
    const struct gpt2_limits *limits = ((const struct job *)arg)->limits;
    struct slot *slot = &limits->slots[worker];
    slot->x = 0.5f;
    slot->operations += limits->runtime->kernels->peak_fma(&slot->x, limits->fma_steps);
}

static void dot_task(void *arg, int i, int worker) {
    const struct gpt2_limits *limits = ((const struct job *)arg)->limits;
    struct slot *slot = &limits->slots[worker];
    slot->operations += limits->runtime->kernels->peak_dot4(&slot->sum, limits->dot_steps);
}

static int n_read_tasks(const struct gpt2_limits *limits) {
    return (int)((limits->n_bytes + limits->task_bytes - 1) / limits->task_bytes);
}

/* Doubles the steps until a task is long enough to be timed. */
static void set_steps(struct gpt2_limits *limits, int *steps, pool_fn task) {
    struct job job = {.limits = limits};
    for (*steps = 16; *steps < MAX_STEPS; *steps *= 2) {
        uint64_t start = os_now_ns();
        task(&job, 0, 0);
        if (os_now_ns() - start >= TASK_NS)
            break;
    }
}

/* A buffer on pages of one kind, or NULL: memory is out (err is set), or there are no such pages
 * (err is not set). */
static char *create_buffer(struct gpt2_limits *limits, bool huge, bool *failed,
                           struct gpt2_error *err) {
    struct job job = {.limits = limits};
    job.buffer = os_alloc_huge(limits->n_bytes, "the buffer to be read", err);
    *failed = !job.buffer;
    if (*failed)
        return NULL;
    if (!huge)
        os_small_pages(job.buffer, limits->n_bytes);
    pool_run(limits->runtime->pool, n_read_tasks(limits), fill_task, &job);
    // The system may give none, or too few to speak of a buffer on huge pages.
    if (huge && os_huge_bytes(job.buffer, limits->n_bytes) < limits->n_bytes / 10 * 9) {
        os_free_huge(job.buffer, limits->n_bytes);
        return NULL;
    }
    return job.buffer;
}

struct gpt2_limits *gpt2_limits_create(struct gpt2_runtime *runtime, size_t n_bytes, int n_rounds,
                                       struct gpt2_error *err) {
    if (n_rounds < 1) {
        error_set(err, GPT2_ERR_USAGE, "limits: expected at least 1 round, got %d", n_rounds);
        return NULL;
    }
    if (n_bytes > SIZE_MAX / 2) {
        error_memory(err, "the buffer to be read", n_bytes);
        return NULL;
    }
    struct gpt2_limits *limits = os_alloc(1, sizeof *limits, "the limits", err);
    if (!limits)
        return NULL;
    size_t threads = (size_t)pool_size(runtime->pool);
    limits->runtime = runtime;
    limits->n_rounds = n_rounds;
    limits->n_bytes = n_bytes ? (n_bytes + BLOCK - 1) / BLOCK * BLOCK : BLOCK;
    limits->task_bytes = limits->n_bytes / (threads * READ_TASKS) / BLOCK * BLOCK;
    if (limits->task_bytes < MIN_TASK)
        limits->task_bytes = MIN_TASK;
    limits->slots = os_alloc(threads, sizeof *limits->slots, "the limits", err);
    limits->samples =
        os_alloc((size_t)n_rounds, N_LOOPS * sizeof *limits->samples, "the limits", err);
    limits->sorted = os_alloc((size_t)n_rounds, sizeof *limits->sorted, "the limits", err);
    bool failed = !limits->slots || !limits->samples || !limits->sorted;
    if (!failed)
        limits->small = create_buffer(limits, false, &failed, err);
    if (!failed)
        limits->huge = create_buffer(limits, true, &failed, err);
    if (failed) {
        gpt2_limits_free(limits);
        return NULL;
    }
    set_steps(limits, &limits->fma_steps, fma_task);
    set_steps(limits, &limits->dot_steps, dot_task);
    return limits;
}

void gpt2_limits_free(struct gpt2_limits *limits) {
    if (!limits)
        return;
    os_free_huge(limits->small, limits->n_bytes);
    os_free_huge(limits->huge, limits->n_bytes);
    os_free(limits->sorted);
    os_free(limits->samples);
    os_free(limits->slots);
    os_free(limits);
}

/* The samples of a loop: [n_rounds]. */
static double *samples_of(const struct gpt2_limits *limits, int loop) {
    return limits->samples + (size_t)loop * (size_t)limits->n_rounds;
}

/* Operations a nanosecond of one kind of arithmetic. */
static double multiply(struct gpt2_limits *limits, pool_fn task) {
    struct job job = {.limits = limits};
    int threads = pool_size(limits->runtime->pool);
    double operations = 0;
    for (int i = 0; i < threads; i++)
        limits->slots[i].operations = 0;
    uint64_t start = os_now_ns();
    pool_run(limits->runtime->pool, threads * PEAK_TASKS, task, &job);
    uint64_t spent = os_now_ns() - start;
    for (int i = 0; i < threads; i++)
        operations += limits->slots[i].operations;
    return operations / (double)(spent ? spent : 1);
}

/* Bytes a nanosecond of one way of reading. */
static double read_buffer(struct gpt2_limits *limits, char *buffer, int way) {
    struct job job = {limits, buffer, way};
    size_t passes = MIN_READ / limits->n_bytes + 1;
    if (passes > PASSES)
        passes = PASSES;
    uint64_t start = os_now_ns();
    for (size_t i = 0; i < passes; i++)
        pool_run(limits->runtime->pool, n_read_tasks(limits), read_task, &job);
    uint64_t spent = os_now_ns() - start;
    return (double)limits->n_bytes * (double)passes / (double)(spent ? spent : 1);
}

void gpt2_limits_round(struct gpt2_limits *limits) {
    int i = limits->next;
    samples_of(limits, FMA)[i] = multiply(limits, fma_task);
    samples_of(limits, DOT4)[i] = multiply(limits, dot_task);
    for (int way = 0; way < PEAK_WAYS; way++) {
        samples_of(limits, READ_SMALL + way)[i] = read_buffer(limits, limits->small, way);
        if (limits->huge)
            samples_of(limits, READ_HUGE + way)[i] = read_buffer(limits, limits->huge, way);
    }
    limits->next = (i + 1) % limits->n_rounds;
    if (limits->n_samples < limits->n_rounds)
        limits->n_samples++;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The largest of the medians of n loops, per second. The best sample would be luck. */
static double best_median(const struct gpt2_limits *limits, int loop, int n) {
    size_t count = (size_t)limits->n_samples;
    double best = 0;
    for (int i = loop; count > 0 && i < loop + n; i++) {
        memcpy(limits->sorted, samples_of(limits, i), count * sizeof *limits->sorted);
        qsort(limits->sorted, count, sizeof *limits->sorted, compare);
        double median = (limits->sorted[(count - 1) / 2] + limits->sorted[count / 2]) / 2;
        best = median > best ? median : best;
    }
    return best * 1e9;
}

void gpt2_limits_rates(const struct gpt2_limits *limits, struct gpt2_rates *rates) {
    rates->read_small = best_median(limits, READ_SMALL, PEAK_WAYS);
    rates->read_huge = limits->huge ? best_median(limits, READ_HUGE, PEAK_WAYS) : 0;
    rates->fma = best_median(limits, FMA, 1);
    rates->dot4 = best_median(limits, DOT4, 1);
}
