/* matmul.h - threaded matrix products over kernels: y = x . W + b for one row or a thousand.
 *
 * Threads divide columns (and rows), never a sum; blocks end where a chain can continue. So the
 * bits of y do not depend on m, on the number of threads or on the kernel row (kernels.h). */
#ifndef MODEL_MATMUL_H
#define MODEL_MATMUL_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include "model/weights.h"

/* Threads, kernels and each thread's scratch for packed panels. */
struct matmul {
    struct pool *pool;             /* borrowed */
    const struct kernels *kernels; /* borrowed */
    float **scratch;               /* [pool_size] packed panels of a thread; owned */
};

/* Allocates the scratch. Free with matmul_free, which accepts a zeroed struct. */
bool matmul_init(struct matmul *mm, struct pool *pool, const struct kernels *kernels,
                 struct gpt2_error *err);
void matmul_free(struct matmul *mm);

/* y[r, o] = bias[o] + chain over k of x[r, k] * weight[k, o], then act in place if act is not NULL.
 * y [m, out] with stride ys, x [m, in] with stride xs, m >= 1. The chain starts from the bias. */
void matmul_linear(const struct matmul *mm, float *y, size_t ys, const float *x, size_t xs,
                   const struct linear *linear, activation_fn act, int m);

/* logits[r, v] = lanes16 over k of x[r, k] * head[v, k]          (kernels.h: dots)
 * logits [m, n_vocab] with stride ls, x [m, n_embd] with stride xs. */
void matmul_head(const struct matmul *mm, float *logits, size_t ls, const float *x, size_t xs,
                 const struct matrix *head, int m);

#endif
