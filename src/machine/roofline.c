/* roofline.c - measures what the threads of a runtime can read and multiply at best.
 *
 * The loops are the kernel variant's (kernels/peak.h); here they are handed to the threads in small
 * tasks, as the forward pass hands out its own, so that a thread that lost its processor for a
 * while delays a limit no more than it delays the work. */
#include "base/error_internal.h"
#include "base/os.h"
#include "machine/runtime_internal.h"

#include <gpt2/roofline.h>
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

/* The buffer that no cache holds, if 4 times as much as the weights is more than any. */
#define FAR_TIMES 4
#define MOST_FAR  ((size_t)1 << 30)

/* What a round measures: two ways of multiplying, each way of reading the buffers of the weights'
 * size, and the fastest way of reading the far one. */
enum {
    FMA,
    DOT4,
    READ_FAR,
    READ_SMALL,
    READ_HUGE = READ_SMALL + PEAK_WAYS,
    N_LOOPS = READ_HUGE + PEAK_WAYS
};

/* The result of a thread's loops, on a cache line of its own. */
struct slot {
    _Alignas(64) float x;
    int32_t sum;
    uint64_t word;
    double operations;
};

struct gpt2_roofline {
    struct gpt2_runtime *runtime; /* borrowed */
    size_t n_bytes, far_bytes;
    char *huge;  /* [far_bytes], of which n_bytes are the weights'; NULL: there are no such pages */
    char *small; /* [n_bytes], or [far_bytes] if huge is NULL */
    struct slot *slots; /* [threads] */
    int fma_steps, dot_steps;
    int n_rounds, n_samples, next; /* of a ring: its size, how many are in it, the next one */
    double *samples;               /* [N_LOOPS, n_rounds] operations or bytes a nanosecond */
    double *sorted;                /* [n_rounds] scratch of best_median                    */
};

/* A loop that the threads run. buffer and way: of those that read. */
struct roofline_loop {
    struct gpt2_roofline *roofline;
    char *buffer;
    size_t n_bytes;
    int way;
};

/* Bytes of a task of reading. */
static size_t task_bytes(const struct roofline_loop *loop) {
    size_t tasks = (size_t)pool_size(loop->roofline->runtime->pool) * READ_TASKS;
    size_t bytes = loop->n_bytes / tasks / BLOCK * BLOCK;
    return bytes < MIN_TASK ? MIN_TASK : bytes;
}

static int n_read_tasks(const struct roofline_loop *loop) {
    return (int)((loop->n_bytes + task_bytes(loop) - 1) / task_bytes(loop));
}

static void fill_task(void *arg, int i, int worker) {
    const struct roofline_loop *loop = arg;
    size_t n = task_bytes(loop), at = (size_t)i * n, left = loop->n_bytes - at;
    memset(loop->buffer + at, 0x2D, left < n ? left : n);
}

static void read_task(void *arg, int i, int worker) {
    const struct roofline_loop *loop = arg;
    const struct gpt2_roofline *roofline = loop->roofline;
    size_t n = task_bytes(loop), at = (size_t)i * n, left = loop->n_bytes - at;
    roofline->slots[worker].word ^=
        roofline->runtime->kernels->peak_read(loop->buffer + at, left < n ? left : n, loop->way);
}

static void fma_task(void *arg, int i, int worker) {
    const struct gpt2_roofline *roofline = ((const struct roofline_loop *)arg)->roofline;
    struct slot *slot = &roofline->slots[worker];
    slot->x = 0.5f;
    slot->operations += roofline->runtime->kernels->peak_fma(&slot->x, roofline->fma_steps);
}

static void dot_task(void *arg, int i, int worker) {
    const struct gpt2_roofline *roofline = ((const struct roofline_loop *)arg)->roofline;
    struct slot *slot = &roofline->slots[worker];
    slot->operations += roofline->runtime->kernels->peak_dot4(&slot->sum, roofline->dot_steps);
}

/* Doubles the steps until a task is long enough to be timed. */
static void set_steps(struct gpt2_roofline *roofline, int *steps, pool_fn task) {
    struct roofline_loop loop = {.roofline = roofline};
    for (*steps = 16; *steps < MAX_STEPS; *steps *= 2) {
        uint64_t start = os_now_ns();
        task(&loop, 0, 0);
        if (os_now_ns() - start >= TASK_NS)
            break;
    }
}

/* A buffer on pages of one kind, or NULL: memory is out (err is set), or there are no such pages
 * (err is not set). */
static char *create_buffer(struct gpt2_roofline *roofline, size_t n_bytes, bool huge, bool *failed,
                           struct gpt2_error *err) {
    struct roofline_loop loop = {.roofline = roofline, .n_bytes = n_bytes};
    loop.buffer = os_alloc_huge(n_bytes, "the buffer to be read", err);
    *failed = !loop.buffer;
    if (*failed)
        return NULL;
    if (!huge)
        os_small_pages(loop.buffer, n_bytes);
    pool_run(roofline->runtime->pool, n_read_tasks(&loop), fill_task, &loop);
    // The system may give none, or too few to speak of a buffer on huge pages.
    if (huge && os_huge_bytes(loop.buffer, n_bytes) < n_bytes / 10 * 9) {
        os_free_huge(loop.buffer, n_bytes);
        return NULL;
    }
    return loop.buffer;
}

/* Bytes of the buffer on small pages. */
static size_t small_bytes(const struct gpt2_roofline *roofline) {
    return roofline->huge ? roofline->n_bytes : roofline->far_bytes;
}

static size_t near_bytes(size_t n_bytes) {
    return n_bytes ? (n_bytes + BLOCK - 1) / BLOCK * BLOCK : BLOCK;
}

static size_t far_bytes(size_t near) {
    const size_t far = near < MOST_FAR / FAR_TIMES ? FAR_TIMES * near : MOST_FAR;
    return far < near ? near : far;
}

uint64_t gpt2_roofline_bytes(size_t n_bytes) {
    const size_t near = near_bytes(n_bytes);
    return (uint64_t)near + far_bytes(near);
}

struct gpt2_roofline *gpt2_roofline_create(struct gpt2_runtime *runtime, size_t n_bytes,
                                           int n_rounds, struct gpt2_error *err) {
    if (n_rounds < 1) {
        error_set(err, GPT2_ERR_USAGE, "limits: expected at least 1 round, got %d", n_rounds);
        return NULL;
    }
    if (n_bytes > SIZE_MAX / 2) {
        error_memory(err, "the buffer to be read", n_bytes);
        return NULL;
    }
    struct gpt2_roofline *roofline = os_alloc(1, sizeof *roofline, "the limits", err);
    if (!roofline)
        return NULL;
    size_t threads = (size_t)pool_size(runtime->pool);
    roofline->runtime = runtime;
    roofline->n_rounds = n_rounds;
    roofline->n_bytes = near_bytes(n_bytes);
    roofline->far_bytes = far_bytes(roofline->n_bytes);
    roofline->slots = os_alloc(threads, sizeof *roofline->slots, "the limits", err);
    roofline->samples =
        os_alloc((size_t)n_rounds, N_LOOPS * sizeof *roofline->samples, "the limits", err);
    roofline->sorted = os_alloc((size_t)n_rounds, sizeof *roofline->sorted, "the limits", err);
    bool failed = !roofline->slots || !roofline->samples || !roofline->sorted;
    if (!failed)
        roofline->huge = create_buffer(roofline, roofline->far_bytes, true, &failed, err);
    if (!failed)
        roofline->small = create_buffer(roofline, small_bytes(roofline), false, &failed, err);
    if (failed) {
        gpt2_roofline_free(roofline);
        return NULL;
    }
    set_steps(roofline, &roofline->fma_steps, fma_task);
    set_steps(roofline, &roofline->dot_steps, dot_task);
    return roofline;
}

void gpt2_roofline_free(struct gpt2_roofline *roofline) {
    if (!roofline)
        return;
    os_free_huge(roofline->small, small_bytes(roofline));
    os_free_huge(roofline->huge, roofline->far_bytes);
    os_free(roofline->sorted);
    os_free(roofline->samples);
    os_free(roofline->slots);
    os_free(roofline);
}

/* The samples of a loop: [n_rounds]. */
static double *samples_of(const struct gpt2_roofline *roofline, int loop) {
    return roofline->samples + (size_t)loop * (size_t)roofline->n_rounds;
}

/* Operations a nanosecond of one kind of arithmetic. */
static double multiply(struct gpt2_roofline *roofline, pool_fn task) {
    struct roofline_loop loop = {.roofline = roofline};
    int threads = pool_size(roofline->runtime->pool);
    double operations = 0;
    for (int i = 0; i < threads; i++)
        roofline->slots[i].operations = 0;
    uint64_t start = os_now_ns();
    pool_run(roofline->runtime->pool, threads * PEAK_TASKS, task, &loop);
    uint64_t spent = os_now_ns() - start;
    for (int i = 0; i < threads; i++)
        operations += roofline->slots[i].operations;
    return operations / (double)(spent ? spent : 1);
}

/* Bytes a nanosecond of one way of reading. */
static double read_buffer(struct gpt2_roofline *roofline, char *buffer, size_t n_bytes, int way) {
    struct roofline_loop loop = {roofline, buffer, n_bytes, way};
    size_t passes = MIN_READ / n_bytes + 1;
    if (passes > PASSES)
        passes = PASSES;
    uint64_t start = os_now_ns();
    for (size_t i = 0; i < passes; i++)
        pool_run(roofline->runtime->pool, n_read_tasks(&loop), read_task, &loop);
    uint64_t spent = os_now_ns() - start;
    return (double)n_bytes * (double)passes / (double)(spent ? spent : 1);
}

void gpt2_roofline_round(struct gpt2_roofline *roofline) {
    int i = roofline->next;
    samples_of(roofline, FMA)[i] = multiply(roofline, fma_task);
    samples_of(roofline, DOT4)[i] = multiply(roofline, dot_task);
    double best = 0;
    int fastest = 0;
    for (int way = 0; way < PEAK_WAYS; way++) {
        double rate = read_buffer(roofline, roofline->small, roofline->n_bytes, way);
        samples_of(roofline, READ_SMALL + way)[i] = rate;
        if (roofline->huge) {
            rate = read_buffer(roofline, roofline->huge, roofline->n_bytes, way);
            samples_of(roofline, READ_HUGE + way)[i] = rate;
        }
        fastest = rate > best ? way : fastest;
        best = rate > best ? rate : best;
    }
    samples_of(roofline, READ_FAR)[i] = read_buffer(
        roofline, roofline->huge ? roofline->huge : roofline->small, roofline->far_bytes, fastest);
    roofline->next = (i + 1) % roofline->n_rounds;
    if (roofline->n_samples < roofline->n_rounds)
        roofline->n_samples++;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The largest of the medians of n loops, per second. The best sample would be luck. */
static double best_median(const struct gpt2_roofline *roofline, int loop, int n) {
    size_t count = (size_t)roofline->n_samples;
    double best = 0;
    for (int i = loop; count > 0 && i < loop + n; i++) {
        memcpy(roofline->sorted, samples_of(roofline, i), count * sizeof *roofline->sorted);
        qsort(roofline->sorted, count, sizeof *roofline->sorted, compare);
        double median = (roofline->sorted[(count - 1) / 2] + roofline->sorted[count / 2]) / 2;
        best = median > best ? median : best;
    }
    return best * 1e9;
}

void gpt2_roofline_rates(const struct gpt2_roofline *roofline, struct gpt2_rates *rates) {
    rates->read_small = best_median(roofline, READ_SMALL, PEAK_WAYS);
    rates->read_huge = roofline->huge ? best_median(roofline, READ_HUGE, PEAK_WAYS) : 0;
    rates->fma = best_median(roofline, FMA, 1);
    rates->dot4 = best_median(roofline, DOT4, 1);
    rates->read_far = best_median(roofline, READ_FAR, 1);
    rates->far_bytes = roofline->far_bytes;
    rates->dot4_name = roofline->runtime->kernels->peak_dot4_name;
}
