/* packed.h - the packed model file: one file that holds all of a model, ready for use.
 *
 * The container is safetensors, so that other tools can open it. What makes it ours:
 *
 *     8 bytes  N
 *     header   {"__metadata__":{"format":"gpt2-packed","version":"3", ...}, ... and spaces, so that
 *              the data begins at a multiple of 4096 bytes. Of each quantized tensor NAME the
 *              metadata also has "NAME": its form (model/packed_form.h), the group first
 *     data     checksums     I64, the table described below
 *              config.json   U8, text
 *              tokenizer     U8, what text/ made of the tokenizer's files; may be missing
 *              weights       in the order in which a pass reads them, as the kernels read them
 *                            (model/packed_loader.c says which types and shapes)
 *              padding.K     U8, zeros: after a tensor that does not end at a multiple of 64, so
 *                            that the next one begins at one: the format allows no holes
 *
 * Version 2 is read, too. It has no forms: there a quantized tensor is what we make of floats, Q8
 * or Q4, and the bytes of a group tell which. Files of any other version are refused.
 *
 * The first entry of `checksums` is the checksum (base/checksum.h) of all bytes before the data.
 * The next ones are those of the blocks of PACKED_BLOCK bytes into which the data after the table
 * is cut; the last block may be shorter. Then come zeros up to a multiple of 8 entries. So a change
 * of any byte of the file is noticed. */
#ifndef WEIGHTS_PACKED_H
#define WEIGHTS_PACKED_H

#include "weights/containers.h"

#define PACKED_VERSION   3 /* of everything that depends on it: names, layouts, the tokenizer */
#define PACKED_OLDEST    2 /* the first version that is read                                 */
#define PACKED_BLOCK     ((size_t)256 << 10)
#define PACKED_ALIGN     64 /* of each tensor */
#define PACKED_CHECKSUMS "checksums"
#define PACKED_CONFIG    "config.json"
#define PACKED_TOKENIZER "tokenizer"
#define PACKED_PADDING   "padding."

/* A file begins with this after its first 8 bytes; the version and a quote follow. A file that
 * another tool has written again may order its header otherwise: then it is not recognised, and its
 * checksums would not be right anyway. */
#define PACKED_MAGIC "{\"__metadata__\":{\"format\":\"gpt2-packed\",\"version\":\""

/* Entries of the table of checksums for so many blocks. */
size_t packed_table_entries(size_t n_blocks);

/* The format is container_packed (containers.h); it recognises files of any version, whole or not.
 *
 * A tensors_parse (tensors.h). Checks the header and takes the table of checksums from it; the data
 * is not looked at (block_check.h does). The bytes lie at a multiple of PACKED_ALIGN. Fails with
 * GPT2_ERR_MODEL where the file is of another version, truncated or damaged. tensors->config stays
 * NULL: container_packed's own `parse` fills it. */
bool packed_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                  struct gpt2_error *err);

/* The tensor of that name; NULL if there is none. */
const struct tensor *packed_find(const struct tensors *tensors, const char *name);

#endif
