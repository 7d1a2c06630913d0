/* merge.h - the arithmetic of an adapter: W' = (float)((double)W + c * s), gpt2/lora.h. */
#ifndef MODEL_MERGE_H
#define MODEL_MERGE_H

#include "base/pool.h"
#include "model/weights.h"

/* s[row, col] = sum over j of u[row, j] * v[j, col] */
struct lora_product {
    const double *u; /* [rows, rank] */
    const double *v; /* [rank, cols] */
    int rank;
    double scale; /* c */
};

/* out[rows, cols] = the plain matrix `from`, in any layout, with the product added. `pool` may be
 * NULL. */
void merge(float *out, const struct matrix *from, const struct lora_product *product,
           struct pool *pool);

/* The same for the vector[n], whose product is scale * add[n]. */
void merge_vector(float *vector, const float *add, double scale, size_t n);

#endif
