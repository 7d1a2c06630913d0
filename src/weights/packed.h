/* packed.h - the packed model file: one file that holds all of a model, as it is used.
 *
 * The container is safetensors, so that other tools can open it. What makes it ours:
 *
 *     8 bytes  N
 *     header   {"__metadata__":{"format":"gpt2-packed","version":"2", ...}, ... and spaces, so that
 *              the data begins at a multiple of 4096 bytes
 *     data     checksums     I64, the table described below
 *              config.json   U8, text
 *              tokenizer     U8, what text/ made of the tokenizer's files; may be missing
 *              weights       in the order in which a pass reads them, as the kernels read them
 *                            (model/packed_loader.c says which types and shapes)
 *              padding.K     U8, zeros: behind a tensor that does not end at a multiple of 64, as
 *                            the format allows no holes, so that each of the above begins at one
 *
 * The first entry of `checksums` is that of all bytes in front of the data, the following are those
 * of the blocks of PACKED_BLOCK bytes that the data behind the table consists of (the last block
 * may be shorter); then come zeros up to a multiple of 8 entries. So there is no byte in the file
 * whose change goes unnoticed. Blocks, not tensors, because they are checked by several threads. */
#ifndef WEIGHTS_PACKED_H
#define WEIGHTS_PACKED_H

#include "base/outfile.h"
#include "base/pool.h"
#include "weights/tensors.h"

#define PACKED_VERSION   "2" /* of everything that depends on it: names, layouts, the tokenizer */
#define PACKED_BLOCK     ((size_t)256 << 10)
#define PACKED_ALIGN     64 /* of each tensor */
#define PACKED_CHECKSUMS "checksums"
#define PACKED_CONFIG    "config.json"
#define PACKED_TOKENIZER "tokenizer"
#define PACKED_PADDING   "padding."

/* ---- reading ---- */

/* True if a file that begins with head[0..n) is a packed one, whole or not, of any version; at
 * least CONTAINER_HEAD bytes (containers.h) where the file has them. */
bool packed_recognise(const unsigned char *head, size_t n);

/* Maps the file and checks its header; the data is not looked at. Fails with GPT2_ERR_MODEL where
 * it is of another version, truncated or damaged. */
bool packed_open(struct tensors *out, const char *path, struct gpt2_error *err);

/* The same over bytes in memory, at a multiple of PACKED_ALIGN. They are borrowed; `name` stands
 * for the path in messages. */
bool packed_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                  struct gpt2_error *err);

/* NULL if it is not there. */
const struct tensor *packed_find(const struct tensors *tensors, const char *name);

/* Checks the data of one tensor, or with NULL of the whole file: then in some threads of its own,
 * which bring the file's pages in for whoever reads them next. Fails with GPT2_ERR_MODEL. */
bool packed_verify(const struct tensors *tensors, const struct tensor *only,
                   struct gpt2_error *err);

/* The same for the whole file, but bit by bit by whoever reads some of it: then a large file comes
 * from memory once and not twice. Any number of threads. */
struct packed_check;

/* Borrows `tensors`. NULL: out of memory. */
struct packed_check *packed_check_create(const struct tensors *tensors, struct gpt2_error *err);
void packed_check_free(struct packed_check *check); /* NULL is allowed */

/* Before some bytes are read: brings their pages in, as what is asked for ahead of its use does not
 * come from a page that is not there. Bytes elsewhere are passed over, here and below. */
void packed_check_begin(const struct packed_check *check, const void *data, size_t n_bytes);

/* When they have been read, and are in a cache: compares the blocks that end in them, unless
 * somebody has or is at it. What is found is kept for packed_check_finish. */
void packed_check_end(struct packed_check *check, const void *data, size_t n_bytes);

/* Compares what is left, with the threads of `pool`. False, each time: the file is damaged. */
bool packed_check_finish(struct packed_check *check, struct pool *pool, struct gpt2_error *err);

/* True once all of the file has been compared and is right. */
bool packed_check_passed(const struct packed_check *check);

/* ---- writing ---- */

struct packed_writer {
    struct outfile file;
    const struct tensor *tensors; /* [n_tensors] borrowed */
    size_t n_tensors;
    size_t current, left;    /* the tensor that is being written, and how many of its bytes lack */
    unsigned char *block;    /* [PACKED_BLOCK] what is not written yet */
    size_t n_block;          /* bytes in it */
    uint64_t *sums;          /* [n_sums] the table */
    size_t n_sums, n_blocks; /* blocks written so far */
    uint64_t table_at;       /* in the file */
};

/* Begins a file with these tensors, in this order; of each, name, dtype, rank, shape and n_bytes
 * count. Names need no escapes in JSON. `type` is shown to whoever looks at the header. The list is
 * borrowed until the end. Fails with GPT2_ERR_RUNTIME (outfile.h) or GPT2_ERR_MEMORY. */
bool packed_writer_create(struct packed_writer *writer, const char *path, const char *type,
                          const struct tensor *tensors, size_t n_tensors, struct gpt2_error *err);

/* The next bytes of the current tensor's data, not more than it has left. */
bool packed_write(struct packed_writer *writer, const void *data, size_t n_bytes,
                  struct gpt2_error *err);

/* All tensors are written: puts the file in place. */
bool packed_writer_commit(struct packed_writer *writer, struct gpt2_error *err);

/* Gives up: nothing is left behind. To be called after a failure too; a zeroed struct, or one after
 * a commit, is allowed. */
void packed_writer_discard(struct packed_writer *writer);

#endif
