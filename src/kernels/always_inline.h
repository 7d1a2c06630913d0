/* always_inline.h - the attribute that makes a function a template.
 *
 * Kernels are written once, with tile sizes and element types as parameters. They are inlined into
 * one function for each combination, in which these parameters are constants. */
#ifndef KERNELS_ALWAYS_INLINE_H
#define KERNELS_ALWAYS_INLINE_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#endif
