/* variants.h - the variants that exist in this build, for select.c. */
#ifndef KERNELS_VARIANTS_H
#define KERNELS_VARIANTS_H

#include "kernels/kernels.h"

extern const struct kernels kernels_generic;
#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_avx512vnni;
#endif

/* Kernels are written once with their tile sizes and element type as parameters, and inlined into
 * one function for each combination, where these are constants. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#endif
