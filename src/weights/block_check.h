/* block_check.h - compares the data of a file, block by block, with the checksums that its
 * container carries (struct checksums in tensors.h). Blocks, not tensors, so that several threads
 * can share the work. Where the container carries none, everything passes. */
#ifndef WEIGHTS_BLOCK_CHECK_H
#define WEIGHTS_BLOCK_CHECK_H

#include "base/pool.h"
#include "weights/tensors.h"

/* ---- at once ---- */

/* Compares the blocks that hold the data of one tensor of the table. Fails with GPT2_ERR_MODEL. */
bool block_check_tensor(const struct tensors *tensors, const struct tensor *tensor,
                        struct gpt2_error *err);

/* Compares the whole file, in some threads of its own, which bring its pages into memory for the
 * reads that follow. Fails with GPT2_ERR_MODEL or GPT2_ERR_MEMORY. */
bool block_check_all(const struct tensors *tensors, struct gpt2_error *err);

/* ---- while the data is read ----
 *
 * The whole file, but block by block as its data is read for use: then a large file comes from
 * memory once and not twice. Any number of threads may call these at the same time. */
struct block_check;

/* Borrows `tensors`, which has checksums. NULL: out of memory, err is set. */
struct block_check *block_check_create(const struct tensors *tensors, struct gpt2_error *err);
void block_check_free(struct block_check *check); /* NULL is allowed */

/* Before some bytes are read: brings their pages into memory, as prefetching a page that is not
 * mapped has no effect. Bytes outside the blocks are ignored, here and below. */
void block_check_begin(const struct block_check *check, const void *data, size_t n_bytes);

/* After they have been read, and are in a cache: compares the blocks that end in them, except those
 * that some thread has compared or is comparing. The outcome is kept for block_check_finish. */
void block_check_end(struct block_check *check, const void *data, size_t n_bytes);

/* Compares the blocks that are left, with the threads of `pool`. False, each time it is called: the
 * file is damaged; err is set with GPT2_ERR_MODEL. */
bool block_check_finish(struct block_check *check, struct pool *pool, struct gpt2_error *err);

/* True once the whole file has been compared and is right. */
bool block_check_passed(const struct block_check *check);

#endif
