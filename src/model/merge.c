/* merge.c - adds the product of an adapter's two matrices to a weight matrix.
 *
 * All matrices are made in one run of the pool. A task is a piece of one matrix as large as a huge
 * page, as the first thread that writes to a page of new memory has the system clear it. Within it,
 * a few rows at a time are read, and written while they and v are in the cache. The matrices of the
 * blocks become panels at once, as passes read them best (relocate.h). */
#include "model/merge.h"

#include <string.h>

#define TASK_BYTES ((size_t)2 << 20) /* of out                                     */
#define ROWS       16                /* that are worked on together                */
#define COLUMNS    (16 * PANEL)      /* likewise: their v stays in an L2 cache     */

static void expand(float *out, const void *data, enum dtype dtype, size_t n,
                   const struct kernels *kernels) {
    if (dtype < DTYPE_N_KERNELS)
        kernels->to_f32[dtype](out, data, n);
    else
        dtype_to_f32(out, data, dtype, n);
}

/* Rows and columns of a matrix; `column` is a multiple of PANEL. */
struct merge_part {
    int row, n_rows;
    int column, n_columns;
};

/* out[n_rows, COLUMNS] = these weights as f32. */
static void read_weights(float *out, const struct matrix *from, struct merge_part part,
                         const struct kernels *kernels) {
    const size_t size = dtype_size(from->dtype), cols = (size_t)from->cols;
    const char *data = from->data;
    for (int r = 0; from->layout == LAYOUT_ROWS && r < part.n_rows; r++)
        expand(out + r * COLUMNS,
               data + ((size_t)(part.row + r) * cols + (size_t)part.column) * size, from->dtype,
               (size_t)part.n_columns, kernels);
    for (int c = 0; from->layout != LAYOUT_ROWS && c < part.n_columns; c += PANEL) {
        char turned[ROWS * PANEL * sizeof(float)];
        const int n = part.n_columns - c < PANEL ? part.n_columns - c : PANEL;
        const size_t column = (size_t)(part.column + c), K = (size_t)from->rows;
        const char *at = data + (column * K + (size_t)part.row * PANEL) * size; // [in, PANEL]
        if (from->layout == LAYOUT_COLUMNS) {
            panels_turn(turned, data + (column * K + (size_t)part.row) * size, K * size, size,
                        part.n_rows, n);
            at = turned;
        }
        for (int r = 0; r < part.n_rows; r++)
            expand(out + r * COLUMNS + c, at + (size_t)r * PANEL * size, from->dtype, (size_t)n,
                   kernels);
    }
}

/* At most ROWS and COLUMNS of out: those that lie side by side in it at a time. */
static void merge_block(const struct merge *m, struct merge_part part,
                        const struct kernels *kernels) {
    const size_t cols = (size_t)m->from.cols, rank = (size_t)m->rank;
    const bool rows = m->layout == LAYOUT_ROWS;
    const int most = rows ? part.n_columns : PANEL;
    const size_t stride = rows ? cols : PANEL;
    float expanded[ROWS * COLUMNS];
    const char *from = (const char *)expanded;
    size_t from_stride = COLUMNS;
    if (m->from.layout == LAYOUT_ROWS && m->from.dtype == DTYPE_F32) {
        from = (const char *)m->from.data +
               ((size_t)part.row * cols + (size_t)part.column) * sizeof(float);
        from_stride = cols;
    } else {
        read_weights(expanded, &m->from, part, kernels);
    }
    for (int c = 0; c < part.n_columns; c += most, from += (size_t)most * sizeof(float)) {
        const size_t column = (size_t)(part.column + c);
        const int n = part.n_columns - c < most ? part.n_columns - c : most;
        float *out = m->out + (rows ? (size_t)part.row * cols + column
                                    : column * (size_t)m->from.rows + (size_t)part.row * PANEL);
        if (m->u)
            kernels->add_low_rank(out, stride, from, from_stride, m->u + (size_t)part.row * rank,
                                  m->v + column * rank, part.n_rows, n, m->rank, m->scale);
        for (int r = 0; !m->u && r < part.n_rows; r++)
            memcpy(out + (size_t)r * stride, from + (size_t)r * from_stride * sizeof(float),
                   (size_t)n * sizeof(float));
    }
}

struct merge_tasks {
    const struct merge *merges;
    const struct kernels *kernels;
};

/* A task makes so many rows, or in panels columns, of all of it. */
static int size_of_task(const struct merge *m) {
    const bool rows = m->layout == LAYOUT_ROWS;
    const int most = rows ? m->from.rows : m->from.cols, unit = rows ? 1 : PANEL;
    const size_t bytes = (size_t)(rows ? m->from.cols : m->from.rows * PANEL) * sizeof(float);
    const size_t n = TASK_BYTES < bytes ? (size_t)unit : TASK_BYTES / bytes * (size_t)unit;
    return n < (size_t)most ? (int)n : most;
}

static int n_tasks(const struct merge *m) {
    return ((m->layout == LAYOUT_ROWS ? m->from.rows : m->from.cols) - 1) / size_of_task(m) + 1;
}

static void merge_task(void *arg, int task, int worker) {
    const struct merge_tasks *tasks = arg;
    const struct merge *m = tasks->merges;
    for (; task >= n_tasks(m); m++)
        task -= n_tasks(m);
    const int n = size_of_task(m), first = task * n;
    struct merge_part all = {0, m->from.rows, 0, m->from.cols};
    if (m->layout == LAYOUT_ROWS)
        all.row = first, all.n_rows = all.n_rows - first < n ? all.n_rows - first : n;
    else
        all.column = first, all.n_columns = all.n_columns - first < n ? all.n_columns - first : n;
    for (int r = 0; r < all.n_rows; r += ROWS)
        for (int c = 0; c < all.n_columns; c += COLUMNS) {
            const int rows = all.n_rows - r, columns = all.n_columns - c;
            merge_block(m,
                        (struct merge_part){all.row + r, rows < ROWS ? rows : ROWS, all.column + c,
                                            columns < COLUMNS ? columns : COLUMNS},
                        tasks->kernels);
        }
}

void merge_all(const struct merge *merges, size_t n, const struct kernels *kernels,
               struct pool *pool) {
    struct merge_tasks tasks = {merges, kernels};
    int total = 0;
    for (size_t i = 0; i < n; i++)
        total += n_tasks(&merges[i]);
    pool_run(pool, total, merge_task, &tasks);
}

/* ---- factors ---- */

size_t merge_v_count(int rank, int cols) {
    return (size_t)panels_count(cols) * PANEL * (size_t)rank;
}

void merge_read_factor(double *out, const struct tensor *t, bool transposed, bool panels) {
    float values[256];
    const size_t n = sizeof values / sizeof *values;
    const size_t rows = (size_t)t->shape[0], cols = (size_t)t->shape[1];
    enum dtype dtype = DTYPE_F32;
    dtype_find(&dtype, t->dtype);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < cols; k++) {
            if (k % n == 0)
                dtype_to_f32(values, (const char *)t->data + (i * cols + k) * dtype_size(dtype),
                             dtype, cols - k < n ? cols - k : n);
            const size_t row = transposed ? k : i, col = transposed ? i : k;
            const size_t at =
                panels ? (col / PANEL * (transposed ? cols : rows) + row) * PANEL + col % PANEL
                       : row * (transposed ? rows : cols) + col;
            out[at] = (double)values[k % n];
        }
}

void merge_vector(float *vector, const float *add, double scale, size_t n) {
    for (size_t i = 0; i < n; i++)
        vector[i] = (float)((double)vector[i] + scale * (double)add[i]);
}
