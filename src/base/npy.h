/* npy.h - arrays as NumPy's files: .npy (numpy/lib/format.py, version 1.0) has one, .npz several by
 * name (a zip file of .npy files, PKWARE's APPNOTE 6.3.9, stored: not compressed). Arrays are f32,
 * little-endian, the last index runs fastest ("C order"). What stands around the numbers is
 * appended to a buffer; the caller writes the numbers themselves. */
#ifndef BASE_NPY_H
#define BASE_NPY_H

#include "base/buffer.h"

#include <stddef.h>
#include <stdint.h>

#define NPY_RANK 4 /* the most indexes an array has */

/* Appends what stands before the numbers of an array [shape[0], ..., shape[rank - 1]], rank 1 to
 * NPY_RANK. Of any shape with the same rank above 1, and 16 or fewer digits an index, it has the
 * same length. */
void npy_header(struct buffer *out, const size_t *shape, int rank);

/* A .npz file that is being written. Start from {0}. */
struct npy_zip {
    struct buffer directory; /* of the entries so far */
    uint64_t offset;         /* bytes of the file so far */
    uint64_t n_entries;
};

/* Appends what stands before the numbers of the array `name` ("resid.0"); the caller then writes
 * `data`, the product of the shape in floats, after it. Sizes have 64 bits (ZIP64) in every entry,
 * as in NumPy's own files. */
void npy_zip_entry(struct npy_zip *npz, struct buffer *out, const char *name, const size_t *shape,
                   int rank, const float *data);

/* Appends what stands after the last array, and frees the directory: `npz` is {0} afterwards.
 * out->failed tells whether memory ran out in any of the calls. */
void npy_zip_end(struct npy_zip *npz, struct buffer *out);

#endif
