/* table.h - what a variant's file ends with: its functions, under the names that products.h,
 * quantized.h, kv_q8.h, elementwise.h and peak.h gave them, in the places of the table. */
#ifndef KERNELS_TABLE_H
#define KERNELS_TABLE_H

#include "kernels/variants.h"

/* One function for each type of element. */
#define FOR_EACH_TYPE(op) \
    { [DTYPE_F32] = op##f32, [DTYPE_F16] = op##f16, [DTYPE_BF16] = op##bf16 }

/* Defines kernels_NAME, which variants.def has an entry for: without one the name is undeclared. */
#define KERNELS_TABLE(name_, mr_, nr_)                                               \
    _Static_assert(sizeof kernels_##name_ != 0, "variants.def has an entry for it"); \
    const struct kernels kernels_##name_ = {                                         \
        .name = #name_,                                                              \
        .gemm = FOR_EACH_TYPE(gemm_),                                                \
        .gemv = FOR_EACH_TYPE(gemv_),                                                \
        .mr = mr_,                                                                   \
        .nr = nr_,                                                                   \
        .gemm_nt = FOR_EACH_TYPE(gemm_nt_),                                          \
        .gemm_q8 = gemm_q8,                                                          \
        .gemm_q4 = gemm_q4,                                                          \
        .quantize = quantize,                                                        \
        .scores_q8 = scores_q8,                                                      \
        .mix_q8 = mix_q8,                                                            \
        .quantize16 = quantize16,                                                    \
        .to_f32 = FOR_EACH_TYPE(to_f32_),                                            \
        .layer_norm = layer_norm,                                                    \
        .softmax = softmax,                                                          \
        .add = add,                                                                  \
        .scale = scale,                                                              \
        .activations = activations,                                                  \
        .peak_fma = peak_fma,                                                        \
        .peak_dot4 = peak_dot4,                                                      \
        .peak_read = peak_read,                                                      \
    }

#endif
