/* tensors.h - what every weight container is turned into: a table of named, checked tensors.
 *
 * A reader (safetensors.c, later others) maps the file, checks it from the first byte to the last,
 * and fills this table. The loader in model/ never sees a container, only this. */
#ifndef WEIGHTS_TENSORS_H
#define WEIGHTS_TENSORS_H

#include "base/os.h"
#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_MAX_RANK 8

struct tensor {
    const char *name;               /* as the file spells it; owned by the table               */
    const char *dtype;              /* as safetensors spells it: "F32", "U8", ...; static      */
    int rank;                       /* 0..TENSOR_MAX_RANK                                      */
    int64_t shape[TENSOR_MAX_RANK]; /* each >= 0; the product and its bytes fit a size_t       */
    const void *data;               /* in the mapping, any alignment, row-major, little-endian */
    size_t n_bytes;                 /* exactly product(shape) * size of dtype                  */
};

struct tensors {
    const char *path; /* of the file, for messages; owned */
    struct os_file file;
    struct tensor *items; /* [count], in the order of the data */
    size_t count;
    void *storage; /* the names */
};

void tensors_close(struct tensors *tensors); /* unmaps and frees; a zeroed struct is allowed */

#endif
