/* leveldb.h - the sorted table of LevelDB: keys and values in blocks with checksums. TensorFlow
 * keeps the index of a checkpoint in one. */
#ifndef WEIGHTS_TENSORFLOW_LEVELDB_H
#define WEIGHTS_TENSORFLOW_LEVELDB_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is told each entry in the order of the file; what it is told is borrowed for the call. False
 * ends the walk, with err set. */
typedef bool (*leveldb_visit)(void *context, const char *key, size_t n_key,
                              const unsigned char *value, size_t n_value, struct gpt2_error *err);

/* Walks along the table in bytes[0..n_bytes), checking it on the way. Fails with GPT2_ERR_MODEL
 * where it is truncated or damaged, its checksums do not match, or a block is compressed; `name`
 * stands for the bytes in messages. */
bool leveldb_walk(const unsigned char *bytes, size_t n_bytes, const char *name, leveldb_visit visit,
                  void *context, struct gpt2_error *err);

/* LevelDB's way of writing a CRC-32C, so that a checksum over data with checksums in it is none of
 * a simple kind. */
uint32_t leveldb_mask(uint32_t crc);

/* An integer in groups of 7 bits, lowest first. False: it does not end within *at .. end or 64
 * bits. */
bool leveldb_varint(uint64_t *value, const unsigned char **at, const unsigned char *end);

#endif
