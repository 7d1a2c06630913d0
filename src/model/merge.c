/* merge.c - adds the product of an adapter's two matrices to a weight matrix.
 *
 * All matrices are made in one run of the pool. A task is a piece of one matrix as large as a huge
 * page, as the first thread that writes to a page of new memory has the system clear it. Within it,
 * a few rows at a time are read, and written while they and v are in the cache. */
#include "model/merge.h"

#include <string.h>

#define TASK_BYTES ((size_t)2 << 20) /* of out                                   */
#define V_BYTES    ((size_t)1 << 18) /* of v, at a time: less than an L2 cache   */
#define FEW_ROWS   4                 /* at a time where all of v is so small     */
#define MANY_ROWS  16                /* else: with a panel of v they stay in L1  */

static void expand(float *out, const void *data, enum dtype dtype, size_t n,
                   const struct kernels *kernels) {
    if (dtype < DTYPE_N_KERNELS)
        kernels->to_f32[dtype](out, data, n);
    else
        dtype_to_f32(out, data, dtype, n);
}

/* out[n, cols] = rows of the matrix as f32. */
static void read_rows(float *out, const struct matrix *from, int row, int n,
                      const struct kernels *kernels) {
    const size_t size = dtype_size(from->dtype), cols = (size_t)from->cols;
    const char *data = from->data;
    if (from->layout == LAYOUT_ROWS) {
        expand(out, data + (size_t)row * cols * size, from->dtype, (size_t)n * cols, kernels);
        return;
    }
    for (size_t col = 0; col < cols; col += PANEL) { // [panels, rows, PANEL], or made so
        char turned[MANY_ROWS * PANEL * sizeof(float)];
        const size_t n_cols = cols - col < PANEL ? cols - col : PANEL;
        const char *at = data + (col * (size_t)from->rows + (size_t)row * PANEL) * size;
        if (from->layout == LAYOUT_COLUMNS) {
            panels_turn(turned, data + (col * (size_t)from->rows + (size_t)row) * size,
                        (size_t)from->rows * size, size, n, (int)n_cols);
            at = turned;
        }
        for (size_t r = 0; r < (size_t)n; r++)
            expand(out + r * cols + col, at + r * PANEL * size, from->dtype, n_cols, kernels);
    }
}

/* Rows of out, at most MANY_ROWS. */
static void merge_rows(const struct merge *m, int row, int n, int n_cols,
                       const struct kernels *kernels) {
    const size_t cols = (size_t)m->from.cols, rank = (size_t)m->rank;
    float *out = m->out + (size_t)row * cols;
    const bool in_place = m->from.layout == LAYOUT_ROWS && m->from.dtype == DTYPE_F32;
    const char *from = (const char *)out;
    if (m->u && in_place)
        from = (const char *)m->from.data + (size_t)row * cols * sizeof(float);
    else
        read_rows(out, &m->from, row, n, kernels);
    for (int col = 0; m->u && col < m->from.cols; col += n_cols)
        kernels->add_low_rank(out + col, cols, from + (size_t)col * sizeof(float), cols,
                              m->u + (size_t)row * rank, m->v + (size_t)col * rank, n,
                              m->from.cols - col < n_cols ? m->from.cols - col : n_cols, m->rank,
                              m->scale);
}

struct merge_tasks {
    const struct merge *merges;
    const struct kernels *kernels;
};

static int rows_of_task(const struct merge *m) {
    const size_t rows = TASK_BYTES / sizeof(float) / (size_t)m->from.cols;
    return rows < 1 ? 1 : rows < (size_t)m->from.rows ? (int)rows : m->from.rows;
}

static int n_tasks(const struct merge *m) {
    return (m->from.rows - 1) / rows_of_task(m) + 1;
}

static void merge_task(void *arg, int task, int worker) {
    const struct merge_tasks *tasks = arg;
    const struct merge *m = tasks->merges;
    for (; task >= n_tasks(m); m++)
        task -= n_tasks(m);
    const int first = task * rows_of_task(m), left = m->from.rows - first;
    const int end = first + (left < rows_of_task(m) ? left : rows_of_task(m));
    const size_t panel = (size_t)(m->rank > 0 ? m->rank : 1) * PANEL * sizeof(double);
    const int most = V_BYTES < panel ? PANEL : (int)(V_BYTES / panel) * PANEL;
    const int rows = most < m->from.cols ? MANY_ROWS : FEW_ROWS;
    for (int row = first; row < end; row += rows)
        merge_rows(m, row, end - row < rows ? end - row : rows, most, tasks->kernels);
}

void merge_all(const struct merge *merges, size_t n, const struct kernels *kernels,
               struct pool *pool) {
    struct merge_tasks tasks = {merges, kernels};
    int total = 0;
    for (size_t i = 0; i < n; i++)
        total += n_tasks(&merges[i]);
    if (pool)
        pool_run(pool, total, merge_task, &tasks);
    for (int i = 0; !pool && i < total; i++)
        merge_task(&tasks, i, 0);
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
