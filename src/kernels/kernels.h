/* kernels.h - the arithmetic of the forward pass: one table of functions for each kind of CPU.
 *
 * All variants compute the same bits. generic.c is the definition; a variant for an instruction set
 * has faster code that performs exactly the same roundings:
 *
 *   chain   An output of a matrix product is one chain of fused multiply-adds over k = 0, 1, 2 ...
 *           that starts from the value in y. Vectors run across outputs, so their width cannot
 *           change a sum, and a product may be cut at any k: the next call continues the chain.
 *   lanes16 A sum along a vector x[0..n) keeps 16 partial sums, p[i] over x[i], x[i+16], ... in
 *           order, each starting at +0, and adds them as a tree: p[i] += p[i+8] for i < 8, then
 *           the same with 4, 2 and 1. If n is not a multiple of 16, the missing elements are
 *           skipped, not added as zeros.
 *   exact   Everything else is add, mul, fma, div, sqrt and compare in the order written in
 *           generic.c or elementwise.h; exp, tanh and erf come from base/math.h.
 *
 * Weights (the w of gemm, gemv and gemm_nt, the src of to_f32) may have any alignment: they are
 * read where a file is mapped. Other pointers need the alignment of their elements. Outputs must
 * not overlap inputs unless stated. ys, xs and ws are strides: the distance between the starts of
 * two rows of y, x or w, in elements. Kernels do not allocate, use no threads and cannot fail. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include "base/dtype.h"
#include "kernels/panels.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In place: x[i] = act(x[i]) for i < n. */
typedef void (*activation_fn)(float *x, size_t n);

struct activation {
    const char *name; /* Hugging Face's name; an alias has its own entry */
    activation_fn fn;
};

/* Rows of x as `quantize` writes them. Row r: q + r * qs, scale + r * gs, sum + r * gs. */
struct quantized {
    const int8_t *q;    /* [m, groups * group], stride qs */
    const float *scale; /* [m, groups], stride gs         */
    const int32_t *sum; /* [m, groups], stride gs         */
    size_t qs, gs;
};

/* Attention weights of one row for a block of a Q8 cache, as quantize16 makes them. */
struct kv_weights {
    int32_t pairs[KV_BLOCK / 2]; /* positions 2i and 2i + 1 in the low and the high 16 bits */
    float scale;
};

#define KV_STREAMS 4  /* the most blocks of a Q8 cache that one call reads side by side */
#define PEAK_WAYS  10 /* ways of reading memory that peak_read knows */

struct kernels {
    const char *name; /* as in variants.def */

    /* y[r, c] = chain over k: fma(x[r, k], (f32)w[k, c], y[r, c])  r < m, c < n, k = 0..K-1
     * y [m, n], x [m, K] f32; w [K, n] of the given type.
     *
     * gemm: w is in panels that are `ps` elements apart: w[k, c] is element
     * (c / PANEL) * ps + k * ws + c % PANEL. In the panels of panels.h, ws is PANEL. A plain matrix
     * with rows of ws elements (weights in a file, a block of keys, the values of a head) is given
     * with ps = PANEL. w is read once for every `mr` rows of x. Fastest if n is a multiple of `nr`
     * and m of `mr`. For one row it reads several panels side by side, the fastest way to read
     * memory.
     *
     * gemv: for few rows of x (fastest for 1). w is a plain matrix, or columns of one, and is read
     * once, row by row, whatever m is. */
    void (*gemm[DTYPE_N_KERNELS])(float *y, size_t ys, const float *x, size_t xs, const void *w,
                                  size_t ws, size_t ps, int m, int n, int K);
    void (*gemv[DTYPE_N_KERNELS])(float *y, size_t ys, const float *x, size_t xs, const void *w,
                                  size_t ws, int m, int n, int K);
    int mr, nr; /* the register tile of gemm: rows and columns that are computed together */

    /* y[r, v] = lanes16 over k of x[r, k] * w[v, k], each partial sum a chain of fma.
     * y [m, n], x [m, K] f32; w [n, K] of the given type (wte). w is read once. */
    void (*gemm_nt[DTYPE_N_KERNELS])(float *y, size_t ys, const float *x, size_t xs, const void *w,
                                     size_t ws, int m, int n, int K);

    /* Quantized products (panels.h has the layout). Inputs k are in the groups of the type, those
     * of x too; the last group is padded with zeros. isum is the sum of q[r, k] * w[k, c] over the
     * k of a group, exact in int32, where w is the integer of panels.h. For each group g in order:
     *
     *   y[r, c] = fma((f32)isum, wscale[g, c] * xscale[r, g], y[r, c])
     *   and where there are mins: y[r, c] = fma((f32)xsum[r, g] * xscale[r, g], wmin[g, c], y[r,
     * c])
     *
     * y [m, n]; x: m rows, as quantize writes them; panels: those of the n columns, `ps` bytes
     * apart. The chain starts from the value in y and may be cut between groups: x and panels then
     * begin at a later group. n_groups is the number of groups of this call. NULL for types that
     * are not quantized. */
    void (*gemm_quantized[DTYPE_COUNT])(float *y, size_t ys, struct quantized x, const void *panels,
                                        size_t ps, int m, int n, int n_groups);

    /* Quantizes ONE row x[0..n), group by group; `group` is 16, 32 or 64:
     *   max   = the largest |x[k]| of the group
     *   scale = max / 127
     *   q[k]  = (int8) round-half-even(x[k] * (127 / max)); 0 for padding
     *   sum   = the sum of q
     * If max is below 2^-120, scale, q and sum are 0. If the group holds a NaN or an infinity, q
     * and sum are 0 and scale is NaN, so that every result that depends on it is NaN, which the
     * caller detects at the logits. Whole groups are written: q [groups * group], scale [groups],
     * sum [groups]. */
    void (*quantize)(int8_t *q, float *scale, int32_t *sum, const float *x, size_t n, int group);

    /* Attention over a Q8 cache (forward/kv.h has the layout). Its blocks may be anywhere in
     * memory. One row of x reads n_blocks of them side by side, 1 <= n_blocks <= KV_STREAMS.
     *
     * scores_q8: the product of KV_PANELS for ONE row of x and the first n outputs of each block,
     * where n is rounded up to a multiple of PANEL. Block i is at keys[i], its panels are `ps`
     * bytes apart, and its outputs begin at y[i * KV_BLOCK].
     *
     * mix_q8: n features of the values, n <= KV_GROUP, either for one row (m = 1) and n_blocks
     * blocks in order or for m rows and one block. isum is the sum of w * v over the positions of a
     * block, exact in int32:
     *
     *   y[r, c] = fma((f32)isum, w.scale, y[r, c])      (f32) rounds to the nearest, ties to even
     *
     * w [n_blocks] for one row, else [m]; its weights from `positions` on are 0. values[i] is the
     * panel of the first of the n features in block i. */
    void (*scores_q8)(float *y, struct quantized x, const void *const *keys, size_t ps,
                      int n_blocks, int n, int n_groups);
    void (*mix_q8)(float *y, size_t ys, const struct kv_weights *w, const void *const *values,
                   int n_blocks, int m, int n, int positions);

    /* Quantizes the weights of the first n positions of a block, 0 <= n <= KV_BLOCK; the others
     * become 0:
     *   x[j] = weights[j] * scales[j]       max = the largest |x[j]|
     *   w[j] = round-half-even(x[j] * (32767 / max))        w.scale = max / 32767
     * NaN and infinities are handled as in quantize; scale and w are 0 if max is below 2^-112. All
     * KV_BLOCK elements of both arrays must be readable. */
    void (*quantize16)(struct kv_weights *w, const float *weights, const float *scales, int n);

    /* dst[i] = (f32)src[i], exact. */
    void (*to_f32[DTYPE_N_KERNELS])(float *dst, const void *src, size_t n);

    /* Layer normalization of ONE token's vector x[0..n) (Ba, Kiros, Hinton 2016, arXiv 1607.06450):
     *   mean = lanes16(x) / n
     *   var  = lanes16((x - mean)^2) / n           biased; each square is added by an fma
     *   rstd = 1 / sqrt(var + epsilon)
     *   y[i] = fma((x[i] - mean) * rstd, gain[i], bias[i])
     * y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon);

    /* x[i] = exp(x[i] * scale - max_j(x[j] * scale)) in place, n >= 1; returns their lanes16 sum.
     * The attention weights are x[i] / sum; the caller divides the result of attention instead. */
    float (*softmax)(float *x, size_t n, float scale);

    void (*add)(float *y, const float *x, size_t n); /* y[i] += x[i] */
    void (*scale)(float *y, float factor, size_t n); /* y[i] *= factor */

    /* An adapter's product, added to the weights w (model/merge.h):
     *
     *   y[r, c] = (f32)((f64)w[r, c] + scale * s)    s = sum over j of u[r, j] * v[j, c], from 0,
     *                                                j = 0 .. rank - 1; each product and each sum
     *                                                rounded to f64, no fma
     *
     * y [m, n]; w [m, n] f32, which may be y; u [m, rank] without gaps; v [rank, n] in panels:
     * v[j, c] is element (c / PANEL * rank + j) * PANEL + c % PANEL. The last panel is whole: what
     * lies beyond n is read and has no effect. */
    void (*add_low_rank)(float *y, size_t ys, const void *w, size_t ws, const double *u,
                         const double *v, int m, int n, int rank, double scale);

    /* Ends with a NULL name. All variants have the same names. */
    const struct activation *activations;

    /* The best that the variant's instructions can reach (peak.h): loops that only multiply or only
     * read.
     *
     * peak_fma, peak_dot4: n steps of f32 multiply-adds, or of int8 products that are added four at
     * a time; return the number of operations, where a multiply-add counts as two. *x must be a
     * small positive number and is overwritten by an arbitrary one.
     *
     * peak_read: reads n_bytes (a multiple of 4096) at data (a multiple of 64) once and returns a
     * word that depends on every byte. Which `way`, 0 .. PEAK_WAYS - 1, is fastest depends on the
     * CPU. */
    double (*peak_fma)(float *x, int n);
    double (*peak_dot4)(int32_t *x, int n);
    const char *peak_dot4_name; /* of its instruction, "vpdpbusd", or "plain C" */
    uint64_t (*peak_read)(const void *data, size_t n_bytes, int way);
};

/* The i-th variant that this CPU can run, slowest first (0 is generic); NULL past the last one. */
const struct kernels *kernels_variant(int i);

/* The variant of that name if this CPU can run it, else NULL. NULL name: the fastest one. */
const struct kernels *kernels_select(const char *name);

/* Of the variants of this build, whether this CPU can run them or not: is there one of that name;
 * all names, slowest first, separated by ", ". */
bool kernels_is_known(const char *name);
const char *kernels_names(void);

/* The variant's activation of that Hugging Face name, or NULL if there is none. */
activation_fn kernels_activation(const struct kernels *kernels, const char *name);

#endif
