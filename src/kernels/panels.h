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
 * Quantized types keep small integers, and for each group of inputs and output a scale, perhaps a
 * min too (struct panel_form says which type has what):
 *
 *     scale[PANEL]                                 f16 or f32
 *     min[PANEL]                                   of the same type; or nothing
 *
 * Integers of 8 bits: weight = (byte - 128) * scale + min
 *
 *     u8  w[group / 4][PANEL][4]                   four inputs of one output are adjacent, as
 *                                                  4-way integer dot products take them
 *              output 0        output 1             output 15
 *     step 0   k0 k1 k2 k3     k0 k1 k2 k3    ...   k0 k1 k2 k3
 *     step 1   k4 k5 k6 k7     k4 k5 k6 k7    ...   k4 k5 k6 k7
 *
 * Integers of 4 bits: weight = nibble * scale + min, or without a min (nibble - 8) * scale
 *
 *     u8  w[group / 8][PANEL][4]                   low nibble: the inputs of this step of 8 bits;
 *                                                  high nibble: those of step + group / 8
 *
 * The last group is filled up with integers of 0 (the byte 128, the nibble 0 or 8), and the
 * activations there are 0; its scale and min are those of its real inputs. */
#ifndef KERNELS_PANELS_H
#define KERNELS_PANELS_H

#include "base/dtype.h"
#include <stdbool.h>
#include <stddef.h>

#define PANEL 16 /* outputs of a panel */
#define GROUP 64 /* inputs that share a scale in the types that we make, Q8 and Q4 */

/* The number of outputs that a product is best called with: those of four panels, which one row
 * reads side by side, and blocks of which stay in the L1 cache while many rows use them. */
#define STRIP (4 * PANEL)

/* Blocks of the KV cache (forward/kv.h). Their groups are their own. */
#define KV_BLOCK       64                         /* positions in a block              */
#define KV_GROUP       64                         /* features that share a scale in Q8 */
#define KV_PANELS      DTYPE_Q8                   /* what keys are in Q8: panels of that type */
#define KV_PANEL_BYTES ((size_t)KV_BLOCK * PANEL) /* a panel of values in Q8 */

/* What a quantized panel is made of. */
struct panel_form {
    int group;       /* inputs that share a scale: 16, 32 or 64   */
    int bits;        /* of an integer: 8 or 4                     */
    int scale_bytes; /* of a scale and of a min: 2, f16, or 4, f32 */
    bool mins;
};

#define PANEL_F16 2
#define PANEL_F32 4

/* The forms there are, each with a product of its own (kernels.h): FORM(name, group, bits,
 * scale_bytes, mins). */
#define PANEL_FORMS(FORM)                \
    FORM(q8, GROUP, 8, PANEL_F16, false) \
    FORM(q4, GROUP, 4, PANEL_F16, true)  \
    FORM(q8_32, 32, 8, PANEL_F16, false) \
    FORM(q4_32, 32, 4, PANEL_F16, false) \
    FORM(q8_32m, 32, 8, PANEL_F32, true) \
    FORM(q4_32m, 32, 4, PANEL_F32, true) \
    FORM(q8_16, 16, 8, PANEL_F32, false) \
    FORM(q4_16, 16, 4, PANEL_F32, false) \
    FORM(q4_16m, 16, 4, PANEL_F32, true)

/* The form of each quantized type: TYPE(dtype, form). */
#define PANEL_TYPES(TYPE)      \
    TYPE(DTYPE_Q8, q8)         \
    TYPE(DTYPE_Q4, q4)         \
    TYPE(DTYPE_Q8_32, q8_32)   \
    TYPE(DTYPE_Q4_32, q4_32)   \
    TYPE(DTYPE_Q8_32M, q8_32m) \
    TYPE(DTYPE_Q4_32M, q4_32m) \
    TYPE(DTYPE_Q8_16, q8_16)   \
    TYPE(DTYPE_Q4_16, q4_16)   \
    TYPE(DTYPE_Q4_16M, q4_16m)

#define PANEL_MIN_GROUP 16
#define PANEL_MAX_GROUP 64

enum panel_form_id {
#define FORM(name, ...) PANEL_FORM_##name,
    PANEL_FORMS(FORM)
#undef FORM
};

/* Of a quantized type. */
static inline struct panel_form panel_form(enum dtype dtype) {
    static const struct panel_form forms[] = {
#define FORM(name, group, bits, scale_bytes, mins) {group, bits, scale_bytes, mins},
        PANEL_FORMS(FORM)
#undef FORM
    };
    switch (dtype) {
#define TYPE(dtype, form) \
    case dtype:           \
        return forms[PANEL_FORM_##form];
        PANEL_TYPES(TYPE)
#undef TYPE
    default:
        return (struct panel_form){1, 0, 0, false};
    }
}

/* Bytes before the integers of a group, and of all of it: multiples of 32. */
static inline size_t panel_form_head(struct panel_form form) {
    return (size_t)PANEL * (size_t)(form.scale_bytes * (form.mins ? 2 : 1));
}

static inline size_t panel_form_bytes(struct panel_form form) {
    return panel_form_head(form) + (size_t)PANEL * (size_t)(form.group * form.bits / 8);
}

static inline size_t panel_group_bytes(enum dtype dtype) {
    return panel_form_bytes(panel_form(dtype));
}

/* How many groups K inputs are. */
static inline int panels_groups(enum dtype dtype, int K) {
    int group = panel_form(dtype).group;
    return (K + group - 1) / group;
}

/* Bytes of one panel for K inputs: a multiple of 32. */
static inline size_t panel_bytes(enum dtype dtype, int K) {
    if (dtype_is_quantized(dtype))
        return (size_t)panels_groups(dtype, K) * panel_group_bytes(dtype);
    return (size_t)K * PANEL * dtype_size(dtype);
}

static inline int panels_count(int n) {
    return (n + PANEL - 1) / PANEL;
}

/* Writes n_k inputs of n outputs, n <= PANEL, to a panel [n_k][PANEL] of elements of `size` bytes,
 * 2 or 4, from a matrix that has its outputs one after the other: the inputs of output c lie at
 * from + c * stride (bytes), at any alignment. Elements of the panel past n stay. */
void panels_turn(void *panel, const void *from, size_t stride, size_t size, int n_k, int n);

/* out[k] = weight k of one output of a panel of any type as f32, 0 <= column < PANEL, k < K: the
 * integer times the scale, or the fma of these and the min, rounded once. */
void panels_column(float *out, const void *panel, enum dtype dtype, int column, int K);

/* The same of input k alone, of a quantized type. */
float panels_weight(const void *panel, enum dtype dtype, int column, int k);

#endif
