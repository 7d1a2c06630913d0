/* dtype.h - element types of weights, and their exact conversion to f32. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

/* The first three are used where they lie; F64 is narrowed when a model is opened. */
enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_F64, DTYPE_COUNT };
#define DTYPE_N_KERNELS 3 /* kernels exist for the types below this number */

const char *dtype_name(enum dtype dtype); /* "F32", as safetensors spells it */
size_t dtype_size(enum dtype dtype);      /* bytes an element                */

/* IEEE half to single: exact, subnormals, infinities and NaN included. */
float dtype_f16_to_f32(uint16_t bits);

/* dst[0..n) = the n elements at src (any alignment) as f32. Exact, except that F64 is rounded to
 * the nearest. */
void dtype_to_f32(float *dst, const void *src, enum dtype dtype, size_t n);

#endif
