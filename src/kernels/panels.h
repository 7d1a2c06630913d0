/* panels.h - weights in the order in which a product reads them.
 *
 * A matrix [K inputs, n outputs] is stored as panels of PANEL outputs. A panel is a contiguous
 * block of memory with all K inputs of its outputs. A product reads a few panels side by side from
 * start to end: the hardware prefetches each of them, and together they reach a third more memory
 * bandwidth than one does. 16 outputs are the narrowest useful panel: one input of F32 is a cache
 * line, and the vectors of every variant fit. The last panel is padded with zeros. Panels are
 * stored one after the other, each at a multiple of 32 bytes from the first.
 *
 * F32, F16, BF16: [K][PANEL] elements.
 *
 * Q8: for each group of GROUP inputs (the last one is padded)
 *
 *     f16 scale[PANEL]                             weight = (byte - 128) * scale, byte in 1..255
 *     u8  w[GROUP / 4][PANEL][4]                   four inputs of one output are adjacent, as
 *                                                  4-way integer dot products take them
 *              output 0        output 1             output 15
 *     step 0   k0 k1 k2 k3     k0 k1 k2 k3    ...   k0 k1 k2 k3
 *     step 1   k4 k5 k6 k7     k4 k5 k6 k7    ...   k4 k5 k6 k7
 *
 * Q4: for each group of GROUP inputs
 *
 *     f16 scale[PANEL]
 *     f16 min[PANEL]                               weight = nibble * scale + min, nibble in 0..15
 *     u8  w[GROUP / 8][PANEL][4]                   low nibble: the inputs of this step of Q8;
 *                                                  high nibble: those of step + GROUP / 8
 *
 * A group's scale and min are computed from its real inputs. Padding is 128 in Q8 and 0 in Q4; the
 * activations there are 0. */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "base/dtype.h"
#include <stddef.h>

#define PANEL    16 /* outputs of a panel */
#define GROUP    64 /* inputs that share a scale */
#define KV_BLOCK 64 /* positions in a block of the KV cache (forward/kv.h) */

/* The number of outputs that a product is best called with: those of four panels, which one row
 * reads side by side, and blocks of which stay in the L1 cache while many rows use them. */
#define STRIP (4 * PANEL)

#define KV_PANEL_BYTES ((size_t)KV_BLOCK * PANEL) /* a panel of values in a Q8 cache */
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

/* out[k] = weight k of one output of a panel of any type as f32, 0 <= column < PANEL, k < K. Q8 is
 * (byte - 128) * scale, Q4 is fma(nibble, scale, min), each rounded once. */
void panels_column(float *out, const void *panel, enum dtype dtype, int column, int K);

#endif
