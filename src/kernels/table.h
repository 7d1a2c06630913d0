/* table.h - defines a variant's table from the functions of products.h, elementwise.h and peak.h,
 * or from those of the same names in generic.c. */
#ifndef KERNELS_TABLE_H
#define KERNELS_TABLE_H

#include "kernels/variants.h"

/* One function for each type of element. */
#define FOR_EACH_TYPE(op) \
    { [DTYPE_F32] = op##f32, [DTYPE_F16] = op##f16, [DTYPE_BF16] = op##bf16 }

/* The product of each quantized type. */
#define TYPE_PRODUCT(dtype, form) [dtype] = gemm_##form,
#define FOR_EACH_QUANTIZED \
    { PANEL_TYPES(TYPE_PRODUCT) }

/* Defines kernels_NAME. Without an entry in variants.def that is a compile error: undeclared. */
#define KERNELS_TABLE(name_, mr_, nr_)                                               \
    _Static_assert(sizeof kernels_##name_ != 0, "variants.def has an entry for it"); \
    const struct kernels kernels_##name_ = {                                         \
        .name = #name_,                                                              \
        .gemm = FOR_EACH_TYPE(gemm_),                                                \
        .gemv = FOR_EACH_TYPE(gemv_),                                                \
        .mr = mr_,                                                                   \
        .nr = nr_,                                                                   \
        .gemm_nt = FOR_EACH_TYPE(gemm_nt_),                                          \
        .gemm_quantized = FOR_EACH_QUANTIZED,                                        \
        .quantize = quantize,                                                        \
        .scores_q8 = scores_q8,                                                      \
        .mix_q8 = mix_q8,                                                            \
        .quantize16 = quantize16,                                                    \
        .to_f32 = FOR_EACH_TYPE(to_f32_),                                            \
        .layer_norm = layer_norm,                                                    \
        .softmax = softmax,                                                          \
        .add = add,                                                                  \
        .scale = scale,                                                              \
        .add_low_rank = add_low_rank,                                                \
        .activations = activations,                                                  \
        .peak_fma = peak_fma,                                                        \
        .peak_dot4 = peak_dot4,                                                      \
        .peak_dot4_name = PEAK_DOT,                                                  \
        .peak_read = peak_read,                                                      \
    }

#endif
