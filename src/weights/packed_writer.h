/* packed_writer.h - writes a packed file (packed.h), tensor by tensor, to a file or into memory.
 * One thread at a time. */
#ifndef WEIGHTS_PACKED_WRITER_H
#define WEIGHTS_PACKED_WRITER_H

#include "base/outfile.h"
#include "weights/tensors.h"

struct packed_writer {
    struct outfile file;
    unsigned char *memory;        /* [n_memory] of os_alloc, in place of a file; or NULL */
    size_t n_memory, at;          /* ... and how much of it is written                   */
    const struct tensor *tensors; /* [n_tensors] borrowed */
    size_t n_tensors;
    size_t current,
        left; /* the tensor that is being written, and how many of its bytes are missing */
    unsigned char *block;    /* [PACKED_BLOCK] what is not written yet */
    size_t n_block;          /* bytes in it */
    uint64_t *sums;          /* [n_sums] the table */
    size_t n_sums, n_blocks; /* blocks written so far */
    uint64_t table_at;       /* in the file */
};

/* n_bytes of any kind as a tensor of such a file (U8). Borrows name and data. */
struct tensor packed_bytes(const char *name, const void *data, size_t n_bytes);

/* Begins a file with these tensors, in this order; of each, name, note, dtype, rank, shape and
 * n_bytes count. Names and notes need no escapes in JSON. path NULL: the file's bytes go into
 * memory. `type` is for people who look at the header. The list is borrowed until the writer is
 * committed or discarded. Fails with GPT2_ERR_RUNTIME (outfile.h) or GPT2_ERR_MEMORY. */
bool packed_writer_create(struct packed_writer *writer, const char *path, const char *type,
                          const struct tensor *tensors, size_t n_tensors, struct gpt2_error *err);

/* The next bytes of the current tensor's data, not more than it has left. */
bool packed_write(struct packed_writer *writer, const void *data, size_t n_bytes,
                  struct gpt2_error *err);

/* All tensors are written: puts the file in place. */
bool packed_writer_commit(struct packed_writer *writer, struct gpt2_error *err);

/* The same for a file in memory: its bytes [*n_bytes], to be freed with os_free. NULL: err is set.
 */
void *packed_writer_take(struct packed_writer *writer, size_t *n_bytes, struct gpt2_error *err);

/* Gives up: no file remains. To be called after a failure too; a zeroed struct, or one after
 * a commit, is allowed. */
void packed_writer_discard(struct packed_writer *writer);

#endif
