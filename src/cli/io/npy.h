/* npy.h - arrays as NumPy's .npy files (numpy/lib/format.py, version 1.0): f32, little-endian, rows
 * one after the other. */
#ifndef CLI_IO_NPY_H
#define CLI_IO_NPY_H

#include "base/buffer.h"

#include <stddef.h>

/* Appends what stands before the data of an array [shape[0], ..., shape[rank - 1]]. */
void npy_header(struct buffer *out, const size_t *shape, int rank);

#endif
