/* matmul.c - cuts a matrix product into tasks for the threads and blocks for the caches.
 *
 * A task is a rectangle of outputs; no sum is ever shared. Products read panels (kernels/panels.h).
 * Where the model has its weights in panels, they are read where they lie. Where it has them as a
 * file's rows, a few rows of x stream them as they are (gemv), and many rows pack them, a block of
 * k at a time, into strips in the thread's scratch. Where it has a linear layer's outputs one after
 * the other, a block of k is always packed first, into panels there, whatever the rows of x.
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
 * Every task acquires its part of W and releases what it has read (weight_access.h); a pass that
 * moves weights then computes from the copy. */
#include "forward/matmul.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/prefetch.h"
#include "forward/each_row.h"
#include "forward/tiling.h"

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

/* Inputs of a panel of F16 or BF16 that are turned and then converted: 4 KiB on the stack. */
#define TURN_INPUTS 128

/* Vocabulary rows in a task of the head, and rows of x that meet them at a time: both stay in L2. A
 * few rows of x, which meet each once, go through long streams of them. */
#define HEAD_COLUMNS     64
#define HEAD_COLUMNS_FEW 1024
#define HEAD_ROWS        48

bool matmul_init(struct matmul *mm, struct pool *pool, const struct kernels *kernels, int max_rows,
                 int max_in, struct gpt2_error *err) {
    int n = pool_size(pool);
    size_t rows = (size_t)max_rows, in = (size_t)round_up(max_in, PANEL_MAX_GROUP);
    size_t groups = in / PANEL_MIN_GROUP;
    *mm = (struct matmul){
        .pool = pool, .kernels = kernels, .max_rows = max_rows, .max_in = in, .groups = groups};
    assert(kernels->mr <= ROWS && kernels->mr <= Q_ROWS); // else a block of rows would be empty
    mm->scratch = os_alloc((size_t)n, sizeof *mm->scratch, "matmul scratch", err);
    mm->q = os_alloc(rows, in, "quantized activations", err);
    mm->q_scale = os_alloc(rows, groups * sizeof *mm->q_scale, "quantized activations", err);
    mm->q_sum = os_alloc(rows, groups * sizeof *mm->q_sum, "quantized activations", err);
    bool ok = mm->scratch && mm->q && mm->q_scale && mm->q_sum;
    for (int i = 0; ok && i < n; i++)
        ok = (mm->scratch[i] = os_alloc(SCRATCH, sizeof(float), "matmul scratch", err)) != NULL;
    if (!ok)
        matmul_free(mm);
    return ok;
}

size_t matmul_bytes(const struct pool *pool, int max_rows, int max_in) {
    const size_t in = (size_t)round_up(max_in, PANEL_MAX_GROUP);
    const size_t row = in + in / PANEL_MIN_GROUP * (sizeof(float) + sizeof(int32_t));
    return (size_t)max_rows * row + (size_t)pool_size(pool) * SCRATCH * sizeof(float);
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
struct product {
    const struct matmul *mm;
    float *y;
    size_t ys;
    const float *x;
    size_t xs;
    struct weight_product weights;
    const float *bias; /* NULL: 0 */
    activation_fn act;
    int m;
    const struct row_maker *maker; /* NULL: the rows of x are there */
    struct tiling cut;
    int column_tasks;
};

/* A rectangle of outputs. */
struct rectangle {
    int row, n_rows, column, n_columns;
};

/* The rectangle of task i. */
static struct rectangle rectangle_of(const struct product *p, int i) {
    int row = i / p->column_tasks * p->cut.rows;
    int column = i % p->column_tasks * p->cut.columns;
    return (struct rectangle){row, min(p->cut.rows, p->m - row), column,
                              min(p->cut.columns, p->weights.n_out - column)};
}

static const void *element(const struct matrix *w, int row, int column) {
    size_t i = (size_t)row * (size_t)w->cols + (size_t)column;
    return (const char *)w->data + i * dtype_size(w->dtype);
}

/* Where the panel of output `column` has input k, the first of a group where it is quantized. */
static const void *panel_at(const void *panels, enum dtype dtype, int n_in, int column, int k) {
    return (const char *)panels + (size_t)(column / PANEL) * panel_bytes(dtype, n_in) +
           panel_bytes(dtype, k);
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

/* Packs inputs k.. of columns c.. of W, which lie column after column, into panels of n_k inputs.
 */
static void pack_columns(float *panels, const struct kernels *kernels, const struct matrix *w,
                         int k, int n_k, int c, int n_columns) {
    const size_t size = dtype_size(w->dtype), stride = (size_t)w->rows * size;
    const char *from = (const char *)w->data + (size_t)c * stride + (size_t)k * size;
    for (int p = 0; p < n_columns; p += PANEL) {
        float *to = panels + (size_t)p * (size_t)n_k;
        const char *at = from + (size_t)p * stride;
        const int n = min(PANEL, n_columns - p);
        if (w->dtype == DTYPE_F32) {
            panels_turn(to, at, stride, size, n_k, n);
            continue;
        }
        for (int i = 0; i < n_k; i += TURN_INPUTS) {
            uint16_t turned[TURN_INPUTS * PANEL] = {0};
            const int n_turned = min(TURN_INPUTS, n_k - i);
            panels_turn(turned, at + (size_t)i * size, stride, size, n_turned, n);
            kernels->to_f32[w->dtype](to + i * PANEL, turned, (size_t)n_turned * PANEL);
        }
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

/* y += x . w for n columns and n_k inputs from k on; `row` counts in the whole product. */
static void add_strip(const struct product *p, float *y, size_t ys, struct strip w, int row, int m,
                      int n, int k, int n_k) {
    const struct matmul *mm = p->mm;
    const struct kernels *kernels = mm->kernels;
    if (dtype_is_quantized(w.dtype)) {
        size_t g = (size_t)row * mm->groups + (size_t)panels_groups(w.dtype, k);
        struct quantized x = {mm->q + (size_t)row * mm->max_in + k, mm->q_scale + g, mm->q_sum + g,
                              mm->max_in, mm->groups};
        kernels->gemm_quantized[w.dtype](y, ys, x, w.data, w.ps, m, n, panels_groups(w.dtype, n_k));
    } else {
        kernels->gemm[w.dtype](y, ys, p->x + (size_t)row * p->xs + k, p->xs, w.data, w.ws, w.ps, m,
                               n, n_k);
    }
}

/* Inputs k.. of some columns in the scratch, as f32: strips of what lies in rows, else panels. */
static void fill_scratch(float *scratch, const struct kernels *kernels, const struct matrix *w,
                         int n_in, int k, int n_k, int c, int n_columns) {
    if (w->layout == LAYOUT_ROWS)
        pack(scratch, kernels, w, k, n_k, c, n_columns);
    else if (w->layout == LAYOUT_COLUMNS)
        pack_columns(scratch, kernels, w, k, n_k, c, n_columns);
    else
        expand(scratch, kernels, w, n_in, k, n_k, c, n_columns);
}

/* What chains begin with: m rows of the bias of n columns. */
static void begin(const struct product *p, float *y, size_t ys, int m, int column, int n) {
    for (int r = 0; r < m; r++) {
        if (p->bias)
            memcpy(y + (size_t)r * ys, p->bias + column, (size_t)n * sizeof *y);
        else
            memset(y + (size_t)r * ys, 0, (size_t)n * sizeof *y);
    }
}

/* What is done with sums. */
static void end(const struct product *p, float *y, size_t ys, int m, int n) {
    for (int r = 0; p->act && r < m; r++)
        p->act(y + (size_t)r * ys, (size_t)n);
}

/* y[part] = act(bias + x[part] . w), block after block of k and of rows. A block of y begins and
 * ends while it is in a cache. */
static void compute_blocks(const struct product *p, const struct matrix *w, struct rectangle part,
                           int worker) {
    const struct kernels *kernels = p->mm->kernels;
    const int n_in = p->weights.n_in;
    const bool quantized = dtype_is_quantized(w->dtype), panels = w->layout == LAYOUT_PANELS;
    const bool copied = !panels || (w->dtype == DTYPE_BF16 && part.n_rows >= EXPAND_ROWS);
    int row_block = (quantized ? Q_ROWS : ROWS) / kernels->mr * kernels->mr;
    int k_block = quantized ? Q_K_BLOCK : K_BLOCK;
    if (part.n_rows <= STREAM_ROWS && panels)
        k_block = n_in; // every panel is read once, in one go
    if (copied)
        k_block = min(k_block, scratch_inputs(part.n_columns));
    for (int k = 0; k < n_in; k += k_block) {
        int n_k = min(k_block, n_in - k);
        float *scratch = copied ? scratch_for(p->mm, worker, part.n_columns, n_k) : NULL;
        if (copied)
            fill_scratch(scratch, kernels, w, n_in, k, n_k, part.column, part.n_columns);
        for (int row = 0; row < part.n_rows; row += row_block) {
            int m = min(row_block, part.n_rows - row);
            for (int s = 0; s < part.n_columns; s += STRIP) {
                struct strip strip =
                    scratch ? strip_in_scratch(scratch, w->layout == LAYOUT_ROWS, s, n_k)
                            : strip_in_place(w, n_in, part.column + s, k);
                const int column = part.column + s, n = min(STRIP, part.n_columns - s);
                float *y = p->y + (size_t)(part.row + row) * p->ys + column;
                if (k == 0)
                    begin(p, y, p->ys, m, column, n);
                add_strip(p, y, p->ys, strip, part.row + row, m, n, k, n_k);
                if (k + n_k == n_in)
                    end(p, y, p->ys, m, n);
            }
        }
    }
}

/* The same, by the columns that are worked on together. Few rows take panels strip after strip: one
 * that is expanded is used while it is near, and its panels are read in as few pieces as can be. */
static void compute_columns(const struct product *p, const struct matrix *w, struct rectangle part,
                            int worker) {
    bool few = part.n_rows <= STREAM_ROWS && w->layout == LAYOUT_PANELS;
    int columns = few ? STRIP : part.n_columns;
    for (int c = 0; c < part.n_columns; c += columns) {
        int column = part.column + c, n_columns = min(columns, part.n_columns - c);
        compute_blocks(p, w, (struct rectangle){part.row, part.n_rows, column, n_columns}, worker);
        weights_release(&p->weights, weight_part(column, n_columns));
    }
}

/* A rectangle of y, from the bias to the activation. */
static void compute(const struct product *p, struct rectangle part, int worker) {
    struct weight_part outputs = weight_part(part.column, part.n_columns);
    struct matrix w = weights_acquire(&p->weights, outputs);
    if (w.layout == LAYOUT_ROWS && p->m <= STREAM_ROWS) {
        float *y = p->y + (size_t)part.row * p->ys + part.column;
        begin(p, y, p->ys, part.n_rows, part.column, part.n_columns);
        p->mm->kernels->gemv[w.dtype](y, p->ys, p->x + (size_t)part.row * p->xs, p->xs,
                                      element(&w, 0, part.column), (size_t)w.cols, part.n_rows,
                                      part.n_columns, p->weights.n_in);
        weights_release(&p->weights, outputs);
        end(p, y, p->ys, part.n_rows, part.n_columns);
    } else {
        compute_columns(p, &w, part, worker);
    }
}

static void rectangle_task(void *arg, int i, int worker) {
    compute(arg, rectangle_of(arg, i), worker);
}

/* Few rows go through four panels side by side, each in another quarter of W, and then through
 * those after them, so that each of the four streams goes on where it was: what is read ahead, by
 * the hardware or by a kernel, is never wrong, and four neighbours would start again at every
 * strip.
 *
 *      panel   0 | 1 | 2 | ... | q | q+1 | q+2 | ... | 2q | 2q+1 | ... | 3q | ...  4q-1 | rest
 *      walk    0   1   2         0   1     2           0    1            0        q-1
 */
#define STREAMS   (STRIP / PANEL)
#define WALK_ROWS 16

static int n_walks(const struct product *p) {
    return p->weights.n_out / PANEL / STREAMS;
}

/* Walks that make a task: so many bytes of each stream, at least. */
#define MIN_STREAM 131072

static int n_walk_tasks(const struct product *p, int threads) {
    size_t bytes = panel_bytes(p->weights.matrix->dtype, p->weights.n_in);
    int walks = n_walks(p), tasks = divide_up(walks, divide_up(MIN_STREAM, (int)bytes));
    return min(walks, round_up(tasks, threads));
}

/* Walks that are made at a time have so many outputs, which lie in the thread's scratch, in half of
 * an L1 cache, before they go to their places. What all of them begin with is written before the
 * first: a sum that is loaded right after it was stored makes a core wait, and the weights with it.
 */
#define WALKED 4096
_Static_assert(WALKED >= WALK_ROWS * STRIP && WALKED <= SCRATCH, "at least one walk, and room");

/* Walks i .. i + n - 1. Each has [m, STRIP] of the scratch, PANEL columns for each stream. */
static void walks(const struct product *p, const struct matrix *m, int i, int n, int worker) {
    const int q = n_walks(p);
    const size_t size = (size_t)p->m * STRIP;
    float *y = p->mm->scratch[worker];
    for (int k = 0; k < n; k++)
        for (int s = 0; s < STREAMS; s++)
            begin(p, y + (size_t)k * size + s * PANEL, STRIP, p->m, (s * q + i + k) * PANEL, PANEL);
    for (int k = 0; k < n; k++) {
        struct strip w = strip_in_place(m, p->weights.n_in, (i + k) * PANEL, 0);
        w.ps *= (size_t)q;
        add_strip(p, y + (size_t)k * size, STRIP, w, 0, p->m, STRIP, 0, p->weights.n_in);
    }
    end(p, y, 0, 1, n * p->m * STRIP);
    for (int r = 0; r < p->m; r++)
        for (int s = 0; s < STREAMS; s++)
            for (int k = 0; k < n; k++)
                memcpy(p->y + (size_t)r * p->ys + (s * q + i + k) * PANEL,
                       y + (size_t)k * size + r * STRIP + s * PANEL, PANEL * sizeof *y);
}

/* Task i: some walks. The last task: the columns that are left. */
static void walk_task(void *arg, int i, int worker) {
    const struct product *p = arg;
    const int q = n_walks(p), tasks = p->column_tasks, at_once = WALKED / (p->m * STRIP);
    if (i == tasks) {
        compute(p, (struct rectangle){0, p->m, q * STRIP, p->weights.n_out - q * STRIP}, worker);
        return;
    }
    int first = (int)((int64_t)q * i / tasks), to = (int)((int64_t)q * (i + 1) / tasks);
    struct weight_part streams = {first * PANEL, (to - first) * PANEL, STREAMS, q * PANEL};
    struct matrix w = weights_acquire(&p->weights, streams);
    for (int k = first; k < to; k += at_once)
        walks(p, &w, k, min(at_once, to - k), worker);
    weights_release(&p->weights, streams);
}

static void quantize_row(void *arg, int row, int worker) {
    const struct product *p = arg;
    const struct matmul *mm = p->mm;
    if (p->maker)
        p->maker->make(p->maker->arg, row, worker);
    size_t g = (size_t)row * mm->groups;
    mm->kernels->quantize(mm->q + (size_t)row * mm->max_in, mm->q_scale + g, mm->q_sum + g,
                          p->x + (size_t)row * p->xs, (size_t)p->weights.n_in,
                          panel_form(p->weights.matrix->dtype).group);
}

/* Makes the rows of x, and of them those that the kernels read. */
static void make_rows(struct product *p) {
    const bool quantized = dtype_is_quantized(p->weights.matrix->dtype);
    assert(!quantized || (p->m <= p->mm->max_rows && (size_t)p->weights.n_in <= p->mm->max_in));
    if (quantized)
        each_row(p->mm->pool, p->m, quantize_row, p);
    else if (p->maker)
        each_row(p->mm->pool, p->m, p->maker->make, p->maker->arg);
}

/* Outputs are columns of W, or panels. */
static void run_linear(struct product *p) {
    const struct weight_product *weights = &p->weights;
    const struct matrix *w = weights->matrix;
    int threads = pool_size(p->mm->pool);
    const bool rows = w->layout == LAYOUT_ROWS, panels = w->layout == LAYOUT_PANELS;
    make_rows(p);
    if (panels && p->m <= WALK_ROWS && !weights->copy) {
        p->column_tasks = n_walk_tasks(p, threads);
        bool rest = n_walks(p) * STRIP < weights->n_out;
        pool_run(p->mm->pool, p->column_tasks + rest, walk_task, p);
        return;
    }
    if (weights->copy)
        p->cut = tiling_strips(p->m);
    else if (rows && p->m <= STREAM_ROWS)
        p->cut = tiling_stream(p->m, weights->n_out, dtype_size(w->dtype), threads);
    else // few rows are read together, each panel once
        p->cut = tiling_blocks(p->m, weights->n_out, p->mm->kernels->mr, panels ? 0 : STREAM_ROWS,
                               threads, p->m <= STREAM_ROWS ? 1 : threads);
    p->column_tasks = divide_up(weights->n_out, p->cut.columns);
    pool_run(p->mm->pool, divide_up(p->m, p->cut.rows) * p->column_tasks, rectangle_task, p);
}

void matmul_linear(const struct matmul *mm, float *y, size_t ys, const float *x, size_t xs,
                   const struct linear *linear, activation_fn act, int m,
                   const struct row_maker *maker) {
    struct product p = {
        .mm = mm, .y = y, .ys = ys, .x = x, .xs = xs, .act = act, .m = m, .maker = maker};
    p.weights = weights_product_begin(&mm->access, &linear->weight, OUTPUTS_ARE_COLUMNS);
    p.bias = linear->bias;
    run_linear(&p);
    weights_product_end(&p.weights);
}

static void head_task(void *arg, int i, int worker) {
    const struct product *p = arg;
    int column = i * p->cut.columns, n_columns = min(p->cut.columns, p->weights.n_out - column);
    struct matrix w = weights_acquire(&p->weights, weight_part(column, n_columns));
    for (int row = 0; row < p->m; row += HEAD_ROWS)
        p->mm->kernels->gemm_nt[w.dtype](
            p->y + (size_t)row * p->ys + column, p->ys, p->x + (size_t)row * p->xs, p->xs,
            element(&w, column, 0), (size_t)w.cols, min(HEAD_ROWS, p->m - row), n_columns, w.cols);
    weights_release(&p->weights, weight_part(column, n_columns));
}

void matmul_head(const struct matmul *mm, float *logits, size_t ls, const float *x, size_t xs,
                 const struct matrix *head, int m) {
    struct product p = {.mm = mm, .y = logits, .ys = ls, .x = x, .xs = xs, .m = m};
    p.weights = weights_product_begin(&mm->access, head, OUTPUTS_ARE_ROWS);
    if (p.weights.matrix->layout == LAYOUT_PANELS) {
        run_linear(&p);
    } else {
        p.cut =
            (struct tiling){m, m <= WALK_ROWS && !p.weights.copy ? HEAD_COLUMNS_FEW : HEAD_COLUMNS};
        pool_run(mm->pool, divide_up(head->rows, p.cut.columns), head_task, &p);
    }
    weights_product_end(&p.weights);
}
