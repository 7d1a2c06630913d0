/* leveldb.c - a table is read from its end:
 *
 *     data blocks, metaindex block     each followed by a type (0: not compressed) and the masked
 *     index block                      CRC-32C of block and type, 5 bytes
 *     footer, 48 bytes                 where the metaindex and the index are (offset, size), zeros
 *                                      up to 40 bytes, and a magic number
 *
 *     block    entries, then where some of them begin (not needed here) and the count of those
 *     entry    shared, unshared, size    varints: how much of the key is that of the entry before
 *              the rest of the key, the value
 *
 * The index block's values are where the data blocks are. */
#include "weights/tensorflow/leveldb.h"
#include "base/crc32.h"
#include "base/error_internal.h"

#include <inttypes.h>
#include <string.h>

#define FOOTER_SIZE  48u
#define TRAILER_SIZE 5u
#define MAGIC        0xDB4775248B80FB57u
#define MAX_KEY      256u
#define MAX_ENTRIES  1000000u /* so that blocks listed many times cost no more than patience */

struct leveldb_table {
    const unsigned char *bytes; /* [n_bytes] */
    size_t n_bytes;
    const char *name;
    leveldb_visit visit;
    void *context;
    uint32_t n_entries;
    struct gpt2_error *err;
};

static bool refuse(const struct leveldb_table *t, const char *what) {
    return error_set(t->err, GPT2_ERR_MODEL, "%s: %s", t->name, what);
}

static uint64_t load(const unsigned char *p, int n) {
    uint64_t value = 0;
    for (int i = n; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

uint32_t leveldb_mask(uint32_t crc) {
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

bool leveldb_varint(uint64_t *value, const unsigned char **at, const unsigned char *end) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        const unsigned char byte = *(*at)++;
        if (shift == 63 && byte > 1)
            return false;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* A block: its place is an offset and a size. Checked against its checksum. */
static bool find_block(const unsigned char **block, size_t *size, const struct leveldb_table *t,
                       const unsigned char **at, const unsigned char *end) {
    uint64_t offset, n;
    if (!leveldb_varint(&offset, at, end) || !leveldb_varint(&n, at, end) ||
        offset > t->n_bytes - FOOTER_SIZE || n > t->n_bytes - FOOTER_SIZE - offset ||
        t->n_bytes - FOOTER_SIZE - offset - n < TRAILER_SIZE)
        return refuse(t, "a block lies outside the file: truncated or damaged");
    *block = t->bytes + offset;
    *size = (size_t)n;
    const unsigned char *trailer = *block + n;
    if (leveldb_mask(crc32_castagnoli(*block, *size + 1)) != load(trailer + 1, 4))
        return error_set(t->err, GPT2_ERR_MODEL,
                         "%s: the checksum of the block at byte %" PRIu64
                         " is wrong: the file is damaged",
                         t->name, offset);
    if (*trailer != 0)
        return error_set(t->err, GPT2_ERR_MODEL,
                         "%s: expected blocks that are not compressed, as TensorFlow writes them, "
                         "found compression %d",
                         t->name, *trailer);
    return true;
}

/* Tells visit every entry of a block. */
static bool walk_block(struct leveldb_table *t, const unsigned char *block, size_t size,
                       leveldb_visit visit, void *context) {
    char key[MAX_KEY];
    size_t n_key = 0;
    const uint64_t n_restarts = size >= 4 ? load(block + size - 4, 4) : UINT64_MAX;
    if (n_restarts > (size - 4) / 4)
        return refuse(t, "a block's list of restarts is longer than the block: damaged");
    const unsigned char *at = block, *end = block + size - 4 - 4 * (size_t)n_restarts;
    while (at < end) {
        uint64_t shared, unshared, n_value;
        if (!leveldb_varint(&shared, &at, end) || !leveldb_varint(&unshared, &at, end) ||
            !leveldb_varint(&n_value, &at, end) || shared > n_key ||
            unshared > (size_t)(end - at) || n_value > (size_t)(end - at) - unshared)
            return refuse(t, "an entry is longer than its block: damaged");
        if (unshared > MAX_KEY - shared)
            return error_set(t->err, GPT2_ERR_MODEL, "%s: expected keys of at most %u bytes",
                             t->name, MAX_KEY);
        if (++t->n_entries > MAX_ENTRIES)
            return error_set(t->err, GPT2_ERR_MODEL, "%s: expected at most %u entries", t->name,
                             MAX_ENTRIES);
        memcpy(key + shared, at, (size_t)unshared);
        n_key = (size_t)(shared + unshared);
        at += unshared;
        if (!visit(context, key, n_key, at, (size_t)n_value, t->err))
            return false;
        at += n_value;
    }
    return true;
}

static bool visit_index(void *context, const char *key, size_t n_key, const unsigned char *value,
                        size_t n_value, struct gpt2_error *err) {
    struct leveldb_table *t = context;
    const unsigned char *block = NULL;
    size_t size = 0;
    return find_block(&block, &size, t, &value, value + n_value) &&
           walk_block(t, block, size, t->visit, t->context);
}

bool leveldb_walk(const unsigned char *bytes, size_t n_bytes, const char *name, leveldb_visit visit,
                  void *context, struct gpt2_error *err) {
    struct leveldb_table t = {bytes, n_bytes, name, visit, context, 0, err};
    const unsigned char *block = NULL;
    size_t size = 0;
    if (n_bytes < FOOTER_SIZE || load(bytes + n_bytes - 8, 8) != MAGIC)
        return refuse(&t, "expected a table of LevelDB, found no magic number at its end: "
                          "truncated, or another thing");
    const unsigned char *at = bytes + n_bytes - FOOTER_SIZE, *end = bytes + n_bytes - 8;
    return find_block(&block, &size, &t, &at, end) && // the metaindex: nothing in it matters
           find_block(&block, &size, &t, &at, end) && walk_block(&t, block, size, visit_index, &t);
}
