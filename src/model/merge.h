/* merge.h - the arithmetic of an adapter: W' = (float)((double)W + c * s), gpt2/lora.h. */
#ifndef MODEL_MERGE_H
#define MODEL_MERGE_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include "model/weights.h"

/* What becomes of one matrix: out = from + c * s, s[row, col] = sum over j of u[row, j] * v[j,
 * col].
 */
struct merge {
    float *out;         /* [rows, cols] of `from`; in panels padded with zeros by the caller */
    enum layout layout; /* of out: LAYOUT_ROWS or LAYOUT_PANELS                              */
    struct matrix from; /* plain, in any layout; in LAYOUT_ROWS also DTYPE_F64               */
    const double *u;    /* [rows, rank]; NULL: out = from                                    */
    const double *v;    /* [rank, cols] in panels (kernels.h, add_low_rank)                  */
    int rank;
    double scale; /* c */
};

/* Makes all of them. `pool` may be NULL: in this thread alone. */
void merge_all(const struct merge *merges, size_t n, const struct kernels *kernels,
               struct pool *pool);

/* How many doubles v takes. */
size_t merge_v_count(int rank, int cols);

/* Writes the matrix `t`, transposed or not, as u (panels: false) or as v (true; columns that only
 * fill up the last panel stay as they are). */
void merge_read_factor(double *out, const struct tensor *t, bool transposed, bool panels);

/* The same arithmetic for vector[n]: its s is add[n]. */
void merge_vector(float *vector, const float *add, double scale, size_t n);

#endif
