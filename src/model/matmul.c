/* matmul.c - cuts a matrix product into tasks for the threads and blocks for the caches.
 *
 * A task is a rectangle of outputs; no sum is ever shared. A few rows: each task streams its
 * columns of W straight from the file's own layout (gemv). Many rows: W is expanded to f32 and
 * packed, a block of k at a time, into panels as wide as the register tile, so that gemm reads them
 * from cache in one sequence:
 *
 *      W [in, out]           columns of a task           scratch of the thread
 *      +-----------------------------------+
 *      |          |  nr  |  nr  |  nr  |   |             panel 0: [k_block, nr]
 *      |  k_block | .... | .... | .... |   |    ---->    panel 1: [k_block, nr]
 *      |          |      |      |      |   |             panel 2: [k_block, nr]
 *      +-----------------------------------+
 *
 * y is bias first, then bias + the first block's products, and so on: one chain for each output,
 * interrupted between blocks and never reordered. */
#include "model/matmul.h"
#include "base/error.h"
#include "base/os.h"

#include <string.h>

/* Up to this many rows W is streamed unpacked: packing costs as much as the arithmetic of some 50
 * rows, because then nothing is computed while W comes from memory. */
#define GEMV_ROWS 64

/* Bytes of a row of W that a streaming task should read in one go, at least. Shorter pieces cost
 * bandwidth: the hardware reads ahead, into columns that belong to another task. */
#define MIN_PIECE 4096

/* A thread's packed panels, 384 KiB, and a block of x, 192 KiB, fill half of a 1 MiB L2 cache. */
#define K_BLOCK 384
#define COLUMNS 256
#define ROWS    128
#define SCRATCH (K_BLOCK * COLUMNS)

/* Rows of W that are on their way from memory while one is packed. */
#define PACK_AHEAD 8

/* Vocabulary rows in a task of the head, and rows of x that meet them at a time: both stay in L2.
 */
#define HEAD_COLUMNS 64
#define HEAD_ROWS    48

bool matmul_init(struct matmul *mm, struct pool *pool, const struct kernels *kernels,
                 struct gpt2_error *err) {
    int n = pool_size(pool);
    *mm = (struct matmul){.pool = pool, .kernels = kernels};
    mm->scratch = os_alloc((size_t)n, sizeof *mm->scratch, "matmul scratch", err);
    for (int i = 0; mm->scratch && i < n; i++) {
        mm->scratch[i] = os_alloc(SCRATCH, sizeof(float), "matmul scratch", err);
        if (!mm->scratch[i])
            matmul_free(mm);
    }
    return mm->scratch != NULL;
}

void matmul_free(struct matmul *mm) {
    for (int i = 0; mm->scratch && i < pool_size(mm->pool); i++)
        os_free(mm->scratch[i]);
    os_free(mm->scratch);
    *mm = (struct matmul){0};
}

/* One product, cut into row_tasks x column_tasks rectangles. */
struct job {
    const struct matmul *mm;
    float *y;
    size_t ys;
    const float *x;
    size_t xs;
    const struct matrix *w;
    const float *bias;
    activation_fn act;
    int m;
    int rows, columns; /* of a task */
    int column_tasks;
};

static int min(int a, int b) {
    return a < b ? a : b;
}

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

static int round_up(int a, int b) {
    return divide_up(a, b) * b;
}

/* The rectangle of task i. */
struct part {
    int row, n_rows, column, n_columns;
};

static struct part part_of(const struct job *job, int i, int n_columns) {
    int row = i / job->column_tasks * job->rows;
    int column = i % job->column_tasks * job->columns;
    return (struct part){row, min(job->rows, job->m - row), column,
                         min(job->columns, n_columns - column)};
}

static const void *element(const struct matrix *w, int row, int column) {
    size_t i = (size_t)row * (size_t)w->cols + (size_t)column;
    return (const char *)w->data + i * dtype_size(w->dtype);
}

/* Packs rows k.. of columns c.. into panels of nr columns; the last panel may be narrower. Goes
 * along the rows of W, which is how they come from memory, and asks for later rows meanwhile. */
static void pack(float *panels, const struct kernels *kernels, const struct matrix *w, int k,
                 int n_k, int c, int n_columns) {
    for (int i = 0; i < n_k; i++) {
        int later = min(k + i + PACK_AHEAD, w->rows - 1);
        const char *ahead = element(w, later, c);
        for (size_t b = 0; b < (size_t)n_columns * dtype_size(w->dtype); b += 64)
            __builtin_prefetch(ahead + b, 0, 2);
        for (int p = 0; p < n_columns; p += kernels->nr) {
            int width = min(kernels->nr, n_columns - p);
            float *panel = panels + (size_t)p * (size_t)n_k;
            kernels->to_f32[w->dtype](panel + (size_t)i * (size_t)width, element(w, k + i, c + p),
                                      (size_t)width);
        }
    }
}

/* y[part] += x[part, k..] . w[k.., part] for n_k values of k. */
static void add_packed(const struct job *job, struct part part, int k, int n_k, float *panels) {
    const struct kernels *kernels = job->mm->kernels;
    pack(panels, kernels, job->w, k, n_k, part.column, part.n_columns);
    int block = ROWS / kernels->mr * kernels->mr;
    for (int row = 0; row < part.n_rows; row += block) {
        int n_rows = min(block, part.n_rows - row);
        const float *x = job->x + (size_t)(part.row + row) * job->xs + k;
        float *y = job->y + (size_t)(part.row + row) * job->ys + part.column;
        const float *panel = panels;
        for (int p = 0; p < part.n_columns; p += kernels->nr) {
            int width = min(kernels->nr, part.n_columns - p);
            kernels->gemm[DTYPE_F32](y + p, job->ys, x, job->xs, panel, (size_t)width, n_rows,
                                     width, n_k);
            panel += (size_t)n_k * (size_t)width;
        }
    }
}

static void linear_task(void *arg, int i, int worker) {
    const struct job *job = arg;
    const struct kernels *kernels = job->mm->kernels;
    const struct matrix *w = job->w;
    struct part part = part_of(job, i, w->cols);
    float *y = job->y + (size_t)part.row * job->ys + part.column;
    const float *x = job->x + (size_t)part.row * job->xs;

    for (int r = 0; r < part.n_rows; r++)
        memcpy(y + (size_t)r * job->ys, job->bias + part.column,
               (size_t)part.n_columns * sizeof *y);
    if (job->m <= GEMV_ROWS)
        kernels->gemv[w->dtype](y, job->ys, x, job->xs, element(w, 0, part.column), (size_t)w->cols,
                                part.n_rows, part.n_columns, w->rows);
    else
        for (int k = 0; k < w->rows; k += K_BLOCK)
            add_packed(job, part, k, min(K_BLOCK, w->rows - k), job->mm->scratch[worker]);
    for (int r = 0; job->act && r < part.n_rows; r++)
        job->act(y + (size_t)r * job->ys, (size_t)part.n_columns);
}

/* Pieces of rows for streaming: one task for each thread, or more where pieces stay long. */
static void cut_stream(struct job *job, int threads) {
    int piece = (int)(MIN_PIECE / dtype_size(job->w->dtype));
    job->rows = job->m;
    job->columns = divide_up(job->w->cols, threads);
    if (job->columns > 2 * piece)
        job->columns = divide_up(job->columns, job->columns / piece);
    job->columns = round_up(job->columns, 64);
}

/* Rectangles for packing: the cut with the least work for the thread that has most of it, where
 * packing counts as GEMV_ROWS rows. */
static void cut_packed(struct job *job, int threads) {
    const struct kernels *kernels = job->mm->kernels;
    int64_t least = INT64_MAX;
    for (int n = 1; n <= threads; n++) {
        int rows = round_up(divide_up(job->m, n), kernels->mr);
        for (int columns = kernels->nr; columns <= COLUMNS; columns += kernels->nr) {
            int tasks = divide_up(job->m, rows) * divide_up(job->w->cols, columns);
            int64_t work = (int64_t)divide_up(tasks, threads) * columns * (rows + GEMV_ROWS);
            if (work < least || (work == least && columns > job->columns)) {
                least = work;
                job->rows = rows;
                job->columns = columns;
            }
        }
    }
}

void matmul_linear(const struct matmul *mm, float *y, size_t ys, const float *x, size_t xs,
                   const struct linear *linear, activation_fn act, int m) {
    struct job job = {.mm = mm, .y = y, .ys = ys, .x = x, .xs = xs, .act = act, .m = m};
    job.w = &linear->weight;
    job.bias = linear->bias;
    int threads = pool_size(mm->pool);
    if (m <= GEMV_ROWS)
        cut_stream(&job, threads);
    else
        cut_packed(&job, threads);
    job.column_tasks = divide_up(job.w->cols, job.columns);
    pool_run(mm->pool, divide_up(m, job.rows) * job.column_tasks, linear_task, &job);
}

static void head_task(void *arg, int i, int worker) {
    const struct job *job = arg;
    const struct matrix *w = job->w;
    int column = i * HEAD_COLUMNS;
    int n_columns = min(HEAD_COLUMNS, w->rows - column);
    for (int row = 0; row < job->m; row += HEAD_ROWS)
        job->mm->kernels->dots[w->dtype](job->y + (size_t)row * job->ys + column, job->ys,
                                         job->x + (size_t)row * job->xs, job->xs,
                                         element(w, column, 0), (size_t)w->cols,
                                         min(HEAD_ROWS, job->m - row), n_columns, w->cols);
}

void matmul_head(const struct matmul *mm, float *logits, size_t ls, const float *x, size_t xs,
                 const struct matrix *head, int m) {
    struct job job = {.mm = mm, .y = logits, .ys = ls, .x = x, .xs = xs, .w = head, .m = m};
    pool_run(mm->pool, divide_up(head->rows, HEAD_COLUMNS), head_task, &job);
}
