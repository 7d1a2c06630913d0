/* always_inline.h - how the kernels' templates are inlined.
 *
 * Kernels are written once with their tile sizes and element type as parameters, and inlined into
 * one function for each combination, where these are constants. */
#ifndef KERNELS_ALWAYS_INLINE_H
#define KERNELS_ALWAYS_INLINE_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#endif
