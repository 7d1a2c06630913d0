/* kernels.h - the arithmetic of the forward pass, as a table of functions per kind of CPU.
 *
 * Every variant in the table computes the same bits. generic.c is the definition; a variant for an
 * instruction set replaces entries by faster code that performs the very same roundings:
 *
 *   chain   An output of a matrix product is one chain of fused multiply-adds over k = 0, 1, 2 ...
 *           that starts from what y holds. Vectors run across outputs, so their width cannot change
 *           a sum, and a product may be cut at any k: the next call continues the chain.
 *   lanes16 A sum along a vector x[0..n) keeps 16 partial sums, p[i] over x[i], x[i+16], ... in
 *           order, each starting at +0, and adds them as a tree: p[i] += p[i+8] for i < 8, then
 *           +4, +2, +1. Where n is no multiple of 16 the missing elements are skipped (not added as
 *           zeros).
 *   exact   Everything else is add, mul, fma, div, sqrt, compare, in the order written in generic.c
 *           or elementwise.h; exp, tanh and erf are our own (base/math.h).
 *
 * Weights (the w of gemv and gemm_nt, the src of to_f32) may lie at any address: they are used
 * where a file has them, and files are not always aligned. Other pointers need the alignment of
 * their elements only. Outputs never overlap inputs unless said. Rows of a matrix are `stride`
 * elements apart (names: ys, xs, ws). Kernels do not allocate, do not know threads and cannot fail.
 */
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
    const char *name; /* Hugging Face's name, an alias has an entry of its own */
    activation_fn fn;
};

/* Rows of x as `quantize` wrote them. Row r: q + r * qs, scale + r * gs, sum + r * gs. */
struct quantized {
    const int8_t *q;    /* [m, groups * GROUP], stride qs */
    const float *scale; /* [m, groups], stride gs         */
    const int32_t *sum; /* [m, groups], stride gs         */
    size_t qs, gs;
};

/* Attention weights of one row for a block of a Q8 cache, as quantize16 makes them. */
struct kv_weights {
    int32_t pairs[KV_BLOCK / 2]; /* positions 2i and 2i + 1 in the low and the high 16 bits */
    float scale;
};

#define KV_STREAMS 4 /* blocks that are read side by side */
#define PEAK_WAYS  6 /* of reading memory */

struct kernels {
    const char *name; /* as in variants.def */

    /* y[r, c] = chain over k: fma(x[r, k], (f32)w[k, c], y[r, c])  r < m, c < n, k = 0..K-1
     * y [m, n], x [m, K] f32; w [K, n] of the given type.
     *
     * gemm: w is in panels that are `ps` elements apart: w[k, c] is element
     * (c / PANEL) * ps + k * ws + c % PANEL. ws is PANEL in panels as panels.h has them; rows as a
     * file, a block of keys or the values of a head have them are panels with ps = PANEL. w is read
     * once for every `mr` rows. Fastest where n is a multiple of `nr` and m of `mr`; for one row it
     * walks through several panels side by side, which is what memory is fastest at. gemv: for few
     * rows (fastest for 1). w is a slice of a matrix as the file has it and is streamed once, row
     * after row, whatever m is. */
    void (*gemm[DTYPE_N_KERNELS])(float *y, size_t ys, const float *x, size_t xs, const void *w,
                                  size_t ws, size_t ps, int m, int n, int K);
    void (*gemv[DTYPE_N_KERNELS])(float *y, size_t ys, const float *x, size_t xs, const void *w,
                                  size_t ws, int m, int n, int K);
    int mr, nr; /* the register tile of gemm: rows and columns computed at once */

    /* y[r, v] = lanes16 over k of x[r, k] * w[v, k], each partial sum a chain of fma.
     * y [m, n], x [m, K] f32; w [n, K] of the given type: rows of wte. w is streamed once. */
    void (*gemm_nt[DTYPE_N_KERNELS])(float *y, size_t ys, const float *x, size_t xs, const void *w,
                                     size_t ws, int m, int n, int K);

    /* Quantized products (panels.h draws the panels). Inputs k are cut into groups of GROUP; the
     * last group is filled up with zeros. With isum = sum of q[r, k] * w[k, c] over the group's k,
     * exact in int32, where w is the stored integer (Q8: less 128), for each group g in order:
     *
     *   y[r, c] = fma((f32)isum, wscale[g, c] * xscale[r, g], y[r, c])
     *   Q4 then: y[r, c] = fma((f32)xsum[r, g] * xscale[r, g], wmin[g, c], y[r, c])
     *
     * y [m, n]; x as quantize wrote it, m rows; panels: those of these n columns, `ps` bytes apart.
     * The chain starts from what y holds and may be cut between groups: x and panels then start at
     * a later group and n_groups counts those that are left to this call. */
    void (*gemm_q8)(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups);
    void (*gemm_q4)(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups);

    /* Quantizes ONE row x[0..n), group by group:
     *   max   = the largest |x[k]| of the group
     *   scale = max / 127
     *   q[k]  = (int8) round-half-even(x[k] * (127 / max))       0 where max is 0 or x is padding
     *   sum   = the sum of q
     * Where a group holds NaN or Inf, its q and sum are 0 and its scale is NaN: what depends on it
     * becomes NaN and is refused at the logits. max is below 2^-120: scale and q are 0.
     * Writes whole groups: q [groups * GROUP], scale [groups], sum [groups]. */
    void (*quantize)(int8_t *q, float *scale, int32_t *sum, const float *x, size_t n);

    /* Attention over a Q8 cache, whose blocks (forward/kv.h draws them) may lie anywhere. One row
     * walks through n_blocks of them side by side, 1 <= n_blocks <= KV_STREAMS.
     *
     * scores_q8: what gemm_q8 does for ONE row of x and the first n outputs of each block, up to a
     * multiple of PANEL. Those of keys[i] are y[i * KV_BLOCK ...]; its panels are `ps` bytes apart.
     *
     * mix_q8: up to GROUP features of the values, for one row and n_blocks blocks in order, or m
     * rows and one block. With isum = the sum of w * v over the block's positions, exact in int32:
     *
     *   y[r, c] = fma((f32)isum, w.scale, y[r, c])      (f32) rounds to the nearest, ties to even
     *
     * w: [n_blocks] or [m], 0 from `positions` on; values[i]: the panel of the first of the n
     * features. */
    void (*scores_q8)(float *y, struct quantized x, const void *const *keys, size_t ps,
                      int n_blocks, int n, int n_groups);
    void (*mix_q8)(float *y, size_t ys, const struct kv_weights *w, const void *const *values,
                   int n_blocks, int m, int n, int positions);

    /* The weights of the first n positions of a block, 0 <= n <= KV_BLOCK; the others are 0:
     *   x[j] = weights[j] * scales[j]       max = the largest |x[j]|
     *   w[j] = round-half-even(x[j] * (32767 / max))        w.scale = max / 32767
     * What is not finite, and a max below 2^-112, as in quantize. Both arrays have KV_BLOCK
     * elements that may be read. */
    void (*quantize16)(struct kv_weights *w, const float *weights, const float *scales, int n);

    /* dst[i] = (f32)src[i], exact. */
    void (*to_f32[DTYPE_N_KERNELS])(float *dst, const void *src, size_t n);

    /* Layer normalisation of ONE token's vector x[0..n) (Ba, Kiros, Hinton 2016, arXiv 1607.06450):
     *   mean = lanes16(x) / n
     *   var  = lanes16((x - mean)^2) / n           biased; the squares enter by fma
     *   rstd = 1 / sqrt(var + epsilon)
     *   y[i] = fma((x[i] - mean) * rstd, gain[i], bias[i])
     * Exactly one mean and one rstd; no other token is looked at. y may be x. */
    void (*layer_norm)(float *y, const float *x, const float *gain, const float *bias, size_t n,
                       float epsilon);

    /* x[i] = exp(x[i] * scale - max_j(x[j] * scale)) in place; returns the lanes16 sum of them.
     * n >= 1. The attention weights are x[i] / sum: the caller divides once, at the end. */
    float (*softmax)(float *x, size_t n, float scale);

    void (*add)(float *y, const float *x, size_t n); /* y[i] += x[i] */
    void (*scale)(float *y, float factor, size_t n); /* y[i] *= factor */

    const struct activation
        *activations; /* ends with a NULL name; every variant has the same names */

    /* What the variant's instructions could reach at best (peak.h): loops that only multiply, or
     * only read. n: steps; they return how many operations that were, a multiply-add counting as
     * two. *x is any small positive number, and afterwards any number. dot4: int8 products, four to
     * a sum. peak_read reads n_bytes (a multiple of 4096) at data (a multiple of 64) once, in one
     * of PEAK_WAYS ways, 0..PEAK_WAYS-1: which one is fastest differs from CPU to CPU. It returns a
     * word that depends on every byte. */
    double (*peak_fma)(float *x, int n);
    double (*peak_dot4)(int32_t *x, int n);
    uint64_t (*peak_read)(const void *data, size_t n_bytes, int way);
};

/* The i-th variant that this CPU can run, slowest first (0 is generic); NULL past the last one. */
const struct kernels *kernels_variant(int i);

/* The variant of that name if this CPU can run it, else NULL. NULL name: the fastest one. */
const struct kernels *kernels_select(const char *name);

/* The variants of this build, whether this CPU can run them or not: if there is one of that name,
 * and all names, slowest first, with ", " between them. */
bool kernels_is_known(const char *name);
const char *kernels_names(void);

/* A variant's activation of that Hugging Face name, or NULL: unknown names are refused, never
 * replaced. */
activation_fn kernels_activation(const struct kernels *kernels, const char *name);

#endif
