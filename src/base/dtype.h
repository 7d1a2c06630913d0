/* dtype.h - element types of weights, and their exact conversion to f32. */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first three are what weights are used in where they lie. F64 is narrowed when a model is
 * opened. The others are no types of an element but of panels: groups of integers with their scales
 * (kernels/panels.h). Q8 and Q4 are what we make of floats; the types after them hold the integers
 * of other quantized formats, and are named for their bits and their group, and M where they have
 * mins. */
enum dtype {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_F64,
    DTYPE_Q8,
    DTYPE_Q4,
    DTYPE_Q8_32,
    DTYPE_Q4_32,
    DTYPE_Q8_32M,
    DTYPE_Q4_32M,
    DTYPE_Q8_16,
    DTYPE_Q4_16,
    DTYPE_Q4_16M,
    DTYPE_COUNT
};
#define DTYPE_N_KERNELS 3 /* kernels read single elements of the types below this number */

const char *dtype_name(enum dtype dtype); /* "F32", as safetensors spells it; "Q8", "Q4_32" */
size_t dtype_size(enum dtype dtype);      /* bytes an element; 0 where it is quantized     */

/* *dtype = the type of an element that dtype_name calls so, F32, F16, BF16 or F64; false: none. */
bool dtype_find(enum dtype *dtype, const char *name);

static inline bool dtype_is_quantized(enum dtype dtype) {
    return dtype >= DTYPE_Q8;
}

/* Whether every weight is exactly one that a file of another format has: so these panels are those
 * numbers, kept in another order. */
static inline bool dtype_is_foreign(enum dtype dtype) {
    return dtype > DTYPE_Q4;
}

/* IEEE half to single: exact, subnormals, infinities and NaN included. */
float dtype_f16_to_f32(uint16_t bits);

/* Single to half and to bfloat16: the nearest, ties to even; what is too large becomes infinite,
 * NaN stays NaN (a quiet one). */
uint16_t dtype_f32_to_f16(float value);
uint16_t dtype_f32_to_bf16(float value);

/* dst[0..n) = the n elements at src (any alignment) as f32. Exact, except that F64 is rounded to
 * the nearest. */
void dtype_to_f32(float *dst, const void *src, enum dtype dtype, size_t n);

#endif
