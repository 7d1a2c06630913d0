/* matmul.c - cuts a matrix product into tasks for the threads and blocks for the caches.
 *
 * A task is a rectangle of outputs; no sum is ever shared. Products read panels (kernels/panels.h).
 * Where the model has its weights in panels, they are read where they lie. Where it has them as a
 * file's rows, a few rows of x stream them as they are (gemv), and many rows pack them, a block of
 * k at a time, into strips in the thread's scratch:
 *
 *      W [in, out]           columns of a task           scratch of the thread
 *      +-----------------------------------+
 *      |          | STRIP| STRIP| ...  |   |             strip 0: [k_block, STRIP] f32
 *      |  k_block | .... | .... | .... |   |    ---->    strip 1: [k_block, STRIP]
 *      |          |      |      |      |   |             strip 2: [k_block, STRIP]
 *      +-----------------------------------+
 *
 * y is bias first, then bias + the first block's products, and so on: one chain for each output,
 * interrupted between blocks and never reordered.
 *
 * A pass that moves weights (relocate.h) lets each task copy its part of W to where it shall be,
 * and computes from there: the move costs the writing, the reading is done anyway. */
#include "forward/matmul.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/prefetch.h"
#include "forward/tiling.h"
#include "model/relocate.h"
#include "weights/packed.h"

#include <assert.h>
#include <string.h>

/* Up to this many rows a file's rows are streamed unpacked: packing costs as much as the arithmetic
 * of some 50 rows, because then nothing is computed while W comes from memory. */
#define STREAM_ROWS 64

/* From this many rows on, panels of BF16 are expanded to f32 first: what takes two instructions,
 * where F16 takes one, is done once and not for every register tile. */
#define EXPAND_ROWS 24

/* A thread's scratch, 384 KiB of packed strips or expanded panels, and a block of x, 192 KiB, fill
 * half of a 1 MiB L2 cache. How many inputs of some columns it holds: scratch_inputs. */
#define K_BLOCK   384
#define ROWS      128
#define SCRATCH   (K_BLOCK * TILING_COLUMNS) /* floats */
#define Q_K_BLOCK 1536 /* the same for int8: K_BLOCK times the size of a float */
#define Q_ROWS    128

/* Rows of W that are on their way from memory while one is packed. */
#define PACK_AHEAD 8

/* Vocabulary rows in a task of the head, and rows of x that meet them at a time: both stay in L2.
 */
#define HEAD_COLUMNS 64
#define HEAD_ROWS    48

/* Below this many rows x is quantized before another thread could wake up. */
#define FEW_ROWS 4

bool matmul_init(struct matmul *mm, struct pool *pool, const struct kernels *kernels, int max_rows,
                 int max_in, struct gpt2_error *err) {
    int n = pool_size(pool);
    size_t rows = (size_t)max_rows, groups = (size_t)panels_groups(max_in);
    *mm = (struct matmul){.pool = pool, .kernels = kernels, .max_rows = max_rows, .groups = groups};
    assert(kernels->mr <= ROWS && kernels->mr <= Q_ROWS); // else a block of rows would be empty
    mm->scratch = os_alloc((size_t)n, sizeof *mm->scratch, "matmul scratch", err);
    mm->q = os_alloc(rows, groups * GROUP, "quantized activations", err);
    mm->q_scale = os_alloc(rows, groups * sizeof *mm->q_scale, "quantized activations", err);
    mm->q_sum = os_alloc(rows, groups * sizeof *mm->q_sum, "quantized activations", err);
    bool ok = mm->scratch && mm->q && mm->q_scale && mm->q_sum;
    for (int i = 0; ok && i < n; i++)
        ok = (mm->scratch[i] = os_alloc(SCRATCH, sizeof(float), "matmul scratch", err)) != NULL;
    if (!ok)
        matmul_free(mm);
    return ok;
}

void matmul_free(struct matmul *mm) {
    for (int i = 0; mm->scratch && i < pool_size(mm->pool); i++)
        os_free(mm->scratch[i]);
    os_free(mm->scratch);
    os_free(mm->q);
    os_free(mm->q_scale);
    os_free(mm->q_sum);
    *mm = (struct matmul){0};
}

/* One product, cut into row_tasks x column_tasks rectangles. */
struct job {
    const struct matmul *mm;
    float *y;
    size_t ys;
    const float *x;
    size_t xs;
    const struct matrix *w; /* where it is read from      */
    void *move_to;          /* panels to write, or NULL   */
    int n_in, n_out;
    const float *bias; /* NULL: 0 */
    activation_fn act;
    int m;
    struct tiling cut;
    int column_tasks;
};

/* The rectangle of task i. */
struct part {
    int row, n_rows, column, n_columns;
};

static struct part part_of(const struct job *job, int i) {
    int row = i / job->column_tasks * job->cut.rows;
    int column = i % job->column_tasks * job->cut.columns;
    return (struct part){row, min(job->cut.rows, job->m - row), column,
                         min(job->cut.columns, job->n_out - column)};
}

static const void *element(const struct matrix *w, int row, int column) {
    size_t i = (size_t)row * (size_t)w->cols + (size_t)column;
    return (const char *)w->data + i * dtype_size(w->dtype);
}

/* Where the panel of output `column` has input k. */
static const void *panel_at(const void *panels, enum dtype dtype, int n_in, int column, int k) {
    size_t within = dtype == DTYPE_Q8   ? (size_t)(k / GROUP) * Q8_GROUP_BYTES
                    : dtype == DTYPE_Q4 ? (size_t)(k / GROUP) * Q4_GROUP_BYTES
                                        : (size_t)k * PANEL * dtype_size(dtype);
    return (const char *)panels + (size_t)(column / PANEL) * panel_bytes(dtype, n_in) + within;
}

/* Some columns of W as a kernel takes them: k at k * ws, panels ps elements (quantized: bytes)
 * apart. */
struct strip {
    const void *data;
    enum dtype dtype;
    size_t ws, ps;
};

/* How many inputs of some columns fit a thread's scratch. */
static int scratch_inputs(int n_columns) {
    return SCRATCH / round_up(n_columns, STRIP);
}

/* A thread's scratch, as room for n_k inputs of some columns: what pack and expand write. */
static float *scratch_for(const struct matmul *mm, int worker, int n_columns, int n_k) {
    assert(n_k <= scratch_inputs(n_columns));
    return mm->scratch[worker];
}

/* Packs rows k.. of columns c.. of W into strips of n_k inputs each. Goes along the rows of W,
 * which is how they come from memory, and asks for later rows meanwhile. */
static void pack(float *strips, const struct kernels *kernels, const struct matrix *w, int k,
                 int n_k, int c, int n_columns) {
    for (int i = 0; i < n_k; i++) {
        int later = min(k + i + PACK_AHEAD, w->rows - 1);
        prefetch(element(w, later, c), (size_t)n_columns * dtype_size(w->dtype));
        for (int s = 0; s < n_columns; s += STRIP)
            kernels->to_f32[w->dtype](strips + (size_t)s * (size_t)n_k + (size_t)i * STRIP,
                                      element(w, k + i, c + s), (size_t)min(STRIP, n_columns - s));
    }
}

/* Expands inputs k.. of panels of BF16. */
static void expand(float *panels, const struct kernels *kernels, const struct matrix *w, int n_in,
                   int k, int n_k, int c, int n_columns) {
    for (int p = 0; p < n_columns; p += PANEL)
        kernels->to_f32[w->dtype](panels + (size_t)p * (size_t)n_k,
                                  panel_at(w->data, w->dtype, n_in, c + p, k), (size_t)n_k * PANEL);
}

/* Column s of what was packed (strips) or expanded (panels) of n_k inputs. */
static struct strip strip_in_scratch(const float *scratch, bool packed, int s, int n_k) {
    const float *data = scratch + (size_t)s * (size_t)n_k;
    return packed ? (struct strip){data, DTYPE_F32, STRIP, PANEL}
                  : (struct strip){data, DTYPE_F32, PANEL, (size_t)n_k * PANEL};
}

/* Inputs k.. of the panels from `column` on, where they lie. */
static struct strip strip_in_place(const struct matrix *w, int n_in, int column, int k) {
    size_t ps = panel_bytes(w->dtype, n_in);
    return (struct strip){panel_at(w->data, w->dtype, n_in, column, k), w->dtype, PANEL,
                          dtype_is_quantized(w->dtype) ? ps : ps / dtype_size(w->dtype)};
}

/* y += x . w for n columns and n_k inputs from k on; `row` counts in the whole job. */
static void add_strip(const struct job *job, float *y, struct strip w, int row, int m, int n, int k,
                      int n_k) {
    const struct matmul *mm = job->mm;
    const struct kernels *kernels = mm->kernels;
    if (dtype_is_quantized(w.dtype)) {
        size_t g = (size_t)row * mm->groups + (size_t)(k / GROUP);
        struct quantized x = {mm->q + g * GROUP, mm->q_scale + g, mm->q_sum + g, mm->groups * GROUP,
                              mm->groups};
        (w.dtype == DTYPE_Q8 ? kernels->gemm_q8 : kernels->gemm_q4)(y, job->ys, x, w.data, w.ps, m,
                                                                    n, panels_groups(n_k));
    } else {
        kernels->gemm[w.dtype](y, job->ys, job->x + (size_t)row * job->xs + k, job->xs, w.data,
                               w.ws, w.ps, m, n, n_k);
    }
}

/* Around the use of some weights, where checksums are still to be compared: when they have been
 * read from memory, while something was computed, they are near. */
enum check { BEFORE, AFTER };

static void check_bytes(const struct job *job, enum check when, const void *data, size_t n_bytes) {
    if (job->mm->check && when == BEFORE)
        packed_check_begin(job->mm->check, data, n_bytes);
    else if (job->mm->check)
        packed_check_end(job->mm->check, data, n_bytes);
}

/* The same for the panels of some columns. */
static void check_panels(const struct job *job, enum check when, const struct matrix *w, int column,
                         int n_columns) {
    if (w->layout == LAYOUT_PANELS)
        check_bytes(job, when, panel_at(w->data, w->dtype, job->n_in, column, 0),
                    (size_t)panels_count(n_columns) * panel_bytes(w->dtype, job->n_in));
}

/* y[part] += x[part] . w, block after block of k and of rows. */
static void add_blocks(const struct job *job, struct part part, int worker) {
    const struct matrix *w = job->w;
    const struct kernels *kernels = job->mm->kernels;
    bool quantized = dtype_is_quantized(w->dtype), rows = w->layout == LAYOUT_ROWS;
    bool expanded = !rows && w->dtype == DTYPE_BF16 && part.n_rows >= EXPAND_ROWS;
    int row_block = (quantized ? Q_ROWS : ROWS) / kernels->mr * kernels->mr;
    int k_block = quantized ? Q_K_BLOCK : K_BLOCK;
    if (part.n_rows <= STREAM_ROWS && !rows)
        k_block = job->n_in; // every panel is read once, in one go
    if (rows || expanded)
        k_block = min(k_block, scratch_inputs(part.n_columns));
    for (int k = 0; k < job->n_in; k += k_block) {
        int n_k = min(k_block, job->n_in - k);
        float *scratch =
            rows || expanded ? scratch_for(job->mm, worker, part.n_columns, n_k) : NULL;
        if (rows)
            pack(scratch, kernels, w, k, n_k, part.column, part.n_columns);
        else if (expanded)
            expand(scratch, kernels, w, job->n_in, k, n_k, part.column, part.n_columns);
        for (int row = 0; row < part.n_rows; row += row_block) {
            int m = min(row_block, part.n_rows - row);
            for (int s = 0; s < part.n_columns; s += STRIP) {
                struct strip strip = scratch ? strip_in_scratch(scratch, rows, s, n_k)
                                             : strip_in_place(w, job->n_in, part.column + s, k);
                float *y = job->y + (size_t)(part.row + row) * job->ys + part.column + s;
                int n = min(STRIP, part.n_columns - s);
                add_strip(job, y, strip, part.row + row, m, n, k, n_k);
                if (k + n_k == job->n_in && row + m == part.n_rows)
                    check_panels(job, AFTER, w, part.column + s, n);
            }
        }
    }
}

/* The same, by the columns that are worked on together. Few rows take panels strip after strip: one
 * that is expanded is used while it is near, and its panels are read in as few pieces as can be. */
static void add_columns(const struct job *job, struct part part, int worker) {
    bool few = part.n_rows <= STREAM_ROWS && job->w->layout == LAYOUT_PANELS;
    int columns = few ? STRIP : part.n_columns;
    for (int c = 0; c < part.n_columns; c += columns)
        add_blocks(
            job,
            (struct part){part.row, part.n_rows, part.column + c, min(columns, part.n_columns - c)},
            worker);
}

static void linear_part(const struct job *whole, struct part part, int worker) {
    struct job job = *whole;
    float *y = job.y + (size_t)part.row * job.ys + part.column;
    struct matrix moved;

    check_panels(whole, BEFORE, whole->w, part.column, part.n_columns);
    if (job.move_to) {
        // at once, as moving forgets what it has read
        check_panels(whole, AFTER, whole->w, part.column, part.n_columns);
        moved = relocate_panels(job.move_to, job.w, job.n_in, part.column, part.n_columns);
        job.w = &moved;
    }
    for (int r = 0; r < part.n_rows; r++) {
        if (job.bias)
            memcpy(y + (size_t)r * job.ys, job.bias + part.column,
                   (size_t)part.n_columns * sizeof *y);
        else
            memset(y + (size_t)r * job.ys, 0, (size_t)part.n_columns * sizeof *y);
    }
    if (job.w->layout == LAYOUT_ROWS && job.m <= STREAM_ROWS)
        job.mm->kernels->gemv[job.w->dtype](y, job.ys, job.x + (size_t)part.row * job.xs, job.xs,
                                            element(job.w, 0, part.column), (size_t)job.w->cols,
                                            part.n_rows, part.n_columns, job.n_in);
    else
        add_columns(&job, part, worker);
    for (int r = 0; job.act && r < part.n_rows; r++)
        job.act(y + (size_t)r * job.ys, (size_t)part.n_columns);
}

static void linear_task(void *arg, int i, int worker) {
    linear_part(arg, part_of(arg, i), worker);
}

/* One row goes through four panels side by side, each in another quarter of W, and then through
 * those behind them, so that each of the four streams goes on where it was: hardware that reads
 * ahead is never wrong, and four neighbours would make it start again at every strip.
 *
 *      panel   0 | 1 | 2 | ... | q | q+1 | q+2 | ... | 2q | 2q+1 | ... | 3q | ...  4q-1 | rest
 *      walk    0   1   2         0   1     2           0    1            0        q-1
 */
#define STREAMS (STRIP / PANEL)

static int n_walks(const struct job *job) {
    return job->n_out / PANEL / STREAMS;
}

/* Walks that make a task: so many bytes of each stream, at least. */
#define MIN_STREAM 131072

static int n_walk_tasks(const struct job *job, int threads) {
    size_t bytes = panel_bytes(job->w->dtype, job->n_in);
    int walks = n_walks(job), tasks = divide_up(walks, divide_up(MIN_STREAM, (int)bytes));
    return min(walks, round_up(tasks, threads));
}

static void walk(const struct job *job, int i) {
    const int q = n_walks(job);
    struct strip w = strip_in_place(job->w, job->n_in, i * PANEL, 0);
    float y[STRIP] = {0};
    w.ps *= (size_t)q;
    for (int s = 0; job->bias && s < STREAMS; s++)
        memcpy(y + s * PANEL, job->bias + (s * q + i) * PANEL, PANEL * sizeof *y);
    add_strip(job, y, w, 0, 1, STRIP, 0, job->n_in);
    if (job->act)
        job->act(y, STRIP);
    for (int s = 0; s < STREAMS; s++)
        memcpy(job->y + (s * q + i) * PANEL, y + s * PANEL, PANEL * sizeof *y);
}

/* Task i: some walks. The last task: the columns that are left. */
static void walk_task(void *arg, int i, int worker) {
    const struct job *job = arg;
    const int q = n_walks(job), tasks = job->column_tasks;
    if (i == tasks) {
        linear_part(job, (struct part){0, 1, q * STRIP, job->n_out - q * STRIP}, worker);
        return;
    }
    int first = (int)((int64_t)q * i / tasks), end = (int)((int64_t)q * (i + 1) / tasks);
    for (int s = 0; s < STREAMS; s++)
        check_panels(job, BEFORE, job->w, (s * q + first) * PANEL, (end - first) * PANEL);
    for (int k = first; k < end; k++)
        walk(job, k);
    for (int s = 0; s < STREAMS; s++)
        check_panels(job, AFTER, job->w, (s * q + first) * PANEL, (end - first) * PANEL);
}

static void quantize_row(void *arg, int row, int worker) {
    const struct job *job = arg;
    const struct matmul *mm = job->mm;
    size_t g = (size_t)row * mm->groups;
    mm->kernels->quantize(mm->q + g * GROUP, mm->q_scale + g, mm->q_sum + g,
                          job->x + (size_t)row * job->xs, (size_t)job->n_in);
}

static void quantize_rows(struct job *job) {
    assert(job->m <= job->mm->max_rows && (size_t)panels_groups(job->n_in) <= job->mm->groups);
    if (job->m > FEW_ROWS) {
        pool_run(job->mm->pool, job->m, quantize_row, job);
    } else {
        for (int row = 0; row < job->m; row++)
            quantize_row(job, row, 0);
    }
}

/* `w` is where the weights are, `copy` where they are moved to by this pass, or NULL. */
static void run(struct job *job, const struct matrix *w, struct matrix_copy *copy) {
    int threads = pool_size(job->mm->pool);
    job->w = w;
    job->move_to = copy ? copy->data : NULL;
    if (dtype_is_quantized(w->dtype))
        quantize_rows(job);
    bool rows = w->layout == LAYOUT_ROWS;
    if (!rows && job->m == 1 && !copy) {
        job->column_tasks = n_walk_tasks(job, threads);
        bool rest = n_walks(job) * STRIP < job->n_out;
        pool_run(job->mm->pool, job->column_tasks + rest, walk_task, job);
        return;
    }
    if (copy)
        job->cut = tiling_strips(job->m);
    else if (rows && job->m <= STREAM_ROWS)
        job->cut = tiling_stream(job->m, job->n_out, dtype_size(w->dtype), threads);
    else // few rows are read together, each panel once
        job->cut = tiling_blocks(job->m, job->n_out, job->mm->kernels->mr, rows ? STREAM_ROWS : 0,
                                 threads, job->m <= STREAM_ROWS ? 1 : threads);
    job->column_tasks = divide_up(job->n_out, job->cut.columns);
    pool_run(job->mm->pool, divide_up(job->m, job->cut.rows) * job->column_tasks, linear_task, job);
    if (copy)
        relocate_ready(copy, w);
}

/* The copy that this pass has to make of a matrix, or NULL. */
static struct matrix_copy *wanted_copy(const struct matmul *mm, const struct matrix *w) {
    return mm->moving && w->copy && matrix_now(w) == w ? w->copy : NULL;
}

void matmul_linear(const struct matmul *mm, float *y, size_t ys, const float *x, size_t xs,
                   const struct linear *linear, activation_fn act, int m) {
    const struct matrix *w = &linear->weight;
    struct job job = {.mm = mm, .y = y, .ys = ys, .x = x, .xs = xs, .act = act, .m = m};
    job.n_in = w->rows;
    job.n_out = w->cols;
    job.bias = linear->bias;
    run(&job, matrix_now(w), wanted_copy(mm, w));
}

static void head_task(void *arg, int i, int worker) {
    const struct job *job = arg;
    const struct matrix *w = job->w;
    int column = i * HEAD_COLUMNS;
    int n_columns = min(HEAD_COLUMNS, w->rows - column);
    const void *rows = element(w, column, 0);
    size_t n_bytes = (size_t)n_columns * (size_t)w->cols * dtype_size(w->dtype);
    check_bytes(job, BEFORE, rows, n_bytes);
    if (job->move_to) {
        const void *source = rows;
        check_bytes(job, AFTER, source, n_bytes);
        rows = memcpy((char *)job->move_to + ((const char *)rows - (const char *)w->data), rows,
                      n_bytes);
        os_forget(w->copy->file, source, n_bytes); // a head is too large to be there twice
    }
    for (int row = 0; row < job->m; row += HEAD_ROWS)
        job->mm->kernels->gemm_nt[w->dtype](
            job->y + (size_t)row * job->ys + column, job->ys, job->x + (size_t)row * job->xs,
            job->xs, rows, (size_t)w->cols, min(HEAD_ROWS, job->m - row), n_columns, w->cols);
    if (!job->move_to)
        check_bytes(job, AFTER, rows, n_bytes);
}

void matmul_head(const struct matmul *mm, float *logits, size_t ls, const float *x, size_t xs,
                 const struct matrix *head, int m) {
    struct job job = {.mm = mm, .y = logits, .ys = ls, .x = x, .xs = xs, .m = m};
    struct matrix_copy *copy = wanted_copy(mm, head);
    const struct matrix *w = matrix_now(head);
    job.n_in = w->cols;
    job.n_out = w->rows;
    if (w->layout == LAYOUT_PANELS) {
        run(&job, w, copy);
        return;
    }
    job.w = w;
    job.move_to = copy ? copy->data : NULL;
    pool_run(mm->pool, divide_up(w->rows, HEAD_COLUMNS), head_task, &job);
    if (copy)
        relocate_ready(copy, w);
}
