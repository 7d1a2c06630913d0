/* panels.h - weights in the order in which a product reads them.
 *
 * A matrix [K inputs, n outputs] is cut into panels of PANEL outputs. A panel is one stretch of
 * memory that holds all K inputs of its outputs, and a product walks through a few of them side by
 * side, from front to back: hardware that reads ahead does so for each, and together they get from
 * memory a third more than one would. 16 outputs are as narrow as a panel can be: a step of one is
 * a cache line, and every variant's vectors fit. The last panel is filled up with zeros. Panels
 * follow one another; each begins at a multiple of 32 bytes.
 *
 * F32, F16, BF16: [K][PANEL] elements.
 *
 * Q8: for each group of GROUP inputs (the last one filled up with zeros)
 *
 *     f16 scale[PANEL]                             weight = (byte - 128) * scale, byte in 1..255
 *     u8  w[GROUP / 4][PANEL][4]                   four inputs of one output side by side, which
 *                                                  is what 4-way integer dot products take
 *              output 0        output 1             output 15
 *     step 0   k0 k1 k2 k3     k0 k1 k2 k3    ...   k0 k1 k2 k3
 *     step 1   k4 k5 k6 k7     k4 k5 k6 k7    ...   k4 k5 k6 k7
 *
 * Q4: for each group of GROUP inputs
 *
 *     f16 scale[PANEL]
 *     f16 min[PANEL]                               weight = nibble * scale + min, nibble in 0..15
 *     u8  w[GROUP / 8][PANEL][4]                   low nibble: what Q8 has at this step;
 *                                                  high nibble: at this step + GROUP / 8
 *
 * In a group that is filled up, the scale counts for its real inputs only; the bytes behind them
 * are 128 in Q8 and 0 in Q4, and the activations there are 0. */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "base/dtype.h"
#include <stddef.h>

#define PANEL 16 /* outputs */
#define STRIP                                                                                \
    64 /* outputs that a product is best given at a time: those of some panels side by side, \
        * which one row walks through and which stay in the first cache for many rows */
#define GROUP    64 /* inputs that share a scale */
#define KV_BLOCK 64 /* positions of the KV cache that lie together (forward/kv.h) */

#define KV_PANEL_BYTES ((size_t)KV_BLOCK * PANEL) /* of values in a Q8 cache */
#define Q8_GROUP_BYTES ((size_t)PANEL * (2 + GROUP))
#define Q4_GROUP_BYTES ((size_t)PANEL * (4 + GROUP / 2))

static inline int panels_groups(int K) {
    return (K + GROUP - 1) / GROUP;
}

/* Bytes of one panel for K inputs: a multiple of 32. */
static inline size_t panel_bytes(enum dtype dtype, int K) {
    if (dtype == DTYPE_Q8)
        return (size_t)panels_groups(K) * Q8_GROUP_BYTES;
    if (dtype == DTYPE_Q4)
        return (size_t)panels_groups(K) * Q4_GROUP_BYTES;
    return (size_t)K * PANEL * dtype_size(dtype);
}

static inline int panels_count(int n) {
    return (n + PANEL - 1) / PANEL;
}

/* out[k] = the f32 weights of one output of a panel of any type, 0 <= column < PANEL, k < K. Q8:
 * (byte - 128) * scale; Q4: fma(nibble, scale, min); rounded once. */
void panels_column(float *out, const void *panel, enum dtype dtype, int column, int K);

#endif
