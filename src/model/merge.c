/* merge.c - adds the product of an adapter's two matrices to a weight matrix.
 *
 * Products are rounded, then summed from j = 0 up, in double: no fma, so that every compiler and
 * every instruction set gives these bits (-ffp-contract=off). Rows and columns are taken in blocks,
 * so that sums stay in registers; this changes no sum. */
#include "model/merge.h"
#include "kernels/panels.h"

#include <string.h>

#define ROWS  4 /* of a block: sums of ROWS x WIDTH doubles */
#define WIDTH 4

/* out[cols] = a row of the matrix as f32. */
static void read_row(float *out, const struct matrix *from, int row) {
    const size_t size = dtype_size(from->dtype), cols = (size_t)from->cols;
    const char *data = from->data;
    if (from->layout == LAYOUT_ROWS) {
        dtype_to_f32(out, data + (size_t)row * cols * size, from->dtype, cols);
        return;
    }
    if (from->layout == LAYOUT_COLUMNS) {
        for (size_t col = 0; col < cols; col++, data += (size_t)from->rows * size)
            dtype_to_f32(out + col, data + (size_t)row * size, from->dtype, 1);
        return;
    }
    for (size_t col = 0; col < cols; col += PANEL) { // [panels, rows, PANEL]
        const size_t at = (col / PANEL * (size_t)from->rows + (size_t)row) * PANEL;
        dtype_to_f32(out + col, data + at * size, from->dtype,
                     cols - col < PANEL ? cols - col : PANEL);
    }
}

static void add_block(float *const out[ROWS], const double *const u[ROWS], const double *v,
                      int cols, int rank, double scale) {
    double sum[ROWS][WIDTH] = {{0}};
    for (int j = 0; j < rank; j++, v += cols)
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < WIDTH; c++)
                sum[r][c] += u[r][j] * v[c];
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < WIDTH; c++)
            out[r][c] = (float)((double)out[r][c] + scale * sum[r][c]);
}

static void add_element(float *out, const double *u, const double *v, int cols,
                        const struct lora_product *p) {
    double sum = 0;
    for (int j = 0; j < p->rank; j++, v += cols)
        sum += u[j] * *v;
    *out = (float)((double)*out + p->scale * sum);
}

struct merge_task {
    float *out;
    const struct matrix *from;
    const struct lora_product *product;
};

#define TASK 16 /* rows, a multiple of ROWS */

static void merge_rows(void *arg, int task, int worker) {
    const struct merge_task *t = arg;
    const struct lora_product *p = t->product;
    const int cols = t->from->cols, first = task * TASK;
    const int end = first + TASK < t->from->rows ? first + TASK : t->from->rows;
    for (int row = first; row < end; row += ROWS) {
        float *out[ROWS];
        const double *u[ROWS];
        const int n = end - row < ROWS ? end - row : ROWS;
        for (int r = 0; r < n; r++) {
            out[r] = t->out + (size_t)(row + r) * (size_t)cols;
            u[r] = p->u + (size_t)(row + r) * (size_t)p->rank;
            read_row(out[r], t->from, row + r);
        }
        int col = 0;
        for (; n == ROWS && col + WIDTH <= cols; col += WIDTH) {
            float *const at[ROWS] = {out[0] + col, out[1] + col, out[2] + col, out[3] + col};
            add_block(at, u, p->v + col, cols, p->rank, p->scale);
        }
        for (int r = 0; r < n; r++)
            for (int c = col; c < cols; c++)
                add_element(out[r] + c, u[r], p->v + c, cols, p);
    }
}

void merge(float *out, const struct matrix *from, const struct lora_product *product,
           struct pool *pool) {
    struct merge_task task = {out, from, product};
    const int n = (from->rows + TASK - 1) / TASK;
    if (pool)
        pool_run(pool, n, merge_rows, &task);
    for (int i = 0; !pool && i < n; i++)
        merge_rows(&task, i, 0);
}

void merge_vector(float *vector, const float *add, double scale, size_t n) {
    for (size_t i = 0; i < n; i++)
        vector[i] = (float)((double)vector[i] + scale * (double)add[i]);
}
