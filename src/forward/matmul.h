/* matmul.h - threaded matrix products over kernels: y = x . W + b for one row or a thousand.
 *
 * Threads divide columns (and rows), never a sum; blocks end where a chain can continue. So the
 * bits of y do not depend on m, on the number of threads, on the layout of W or on the kernel
 * variant (kernels.h). */
#ifndef FORWARD_MATMUL_H
#define FORWARD_MATMUL_H

#include "base/pool.h"
#include "forward/weight_access.h"
#include "kernels/kernels.h"
#include "model/weights.h"

/* What makes a row of a product's input: called once for each row, by any thread, right before the
 * row is read, which then still lies in that thread's cache. */
struct row_maker {
    pool_fn make; /* make(arg, row, worker) */
    void *arg;
};

/* Threads, kernels and scratch. */
struct matmul {
    struct pool *pool;             /* borrowed */
    const struct kernels *kernels; /* borrowed */
    float **scratch;               /* [pool_size] a thread's own copy of weights; owned */
    struct weight_access access;   /* what the current run does with the weights it reads */

    /* x as integers, for quantized weights (kernels.h: quantize); owned */
    int max_rows;
    size_t max_in;  /* inputs of a row, whole groups of any size */
    size_t groups;  /* of a row, of the smallest size            */
    int8_t *q;      /* [max_rows, max_in]                        */
    float *q_scale; /* [max_rows, groups]                        */
    int32_t *q_sum; /* [max_rows, groups]                        */
};

/* Allocates the scratch, for up to max_rows rows of up to max_in inputs. Free with matmul_free,
 * which accepts a zeroed struct. */
bool matmul_init(struct matmul *mm, struct pool *pool, const struct kernels *kernels, int max_rows,
                 int max_in, struct gpt2_error *err);
void matmul_free(struct matmul *mm);

/* Bytes of that scratch. */
size_t matmul_bytes(const struct pool *pool, int max_rows, int max_in);

/* y[r, o] = bias[o] + chain over k of x[r, k] * weight[k, o], then act in place if act is not NULL.
 * y [m, out] with stride ys, x [m, in] with stride xs, m >= 1. The chain starts from the bias. With
 * quantized weights x is quantized first, each row by itself, and the chain is that of
 * gemm_quantized; then m and in must be within what matmul_init was told. `maker` makes the rows of
 * x; NULL: they are there. */
void matmul_linear(const struct matmul *mm, float *y, size_t ys, const float *x, size_t xs,
                   const struct linear *linear, activation_fn act, int m,
                   const struct row_maker *maker);

/* logits[r, v] = lanes16 over k of x[r, k] * head[v, k]          (kernels.h: gemm_nt)
 * logits [m, n_vocab] with stride ls, x [m, n_embd] with stride xs. A quantized head is a linear
 * layer without bias: a chain from 0. */
void matmul_head(const struct matmul *mm, float *logits, size_t ls, const float *x, size_t xs,
                 const struct matrix *head, int m);

#endif
