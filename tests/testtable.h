/* testtable.h - puts a block into a whole table of LevelDB, with the right checksums: for tests and
 * fuzzing of what is after them. */
#ifndef TESTTABLE_H
#define TESTTABLE_H

#include "base/crc32.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct testtable {
    unsigned char data[8192];
    size_t n;
};

/* Appends; what does not fit ends the program: a test without its input is over. */
static inline void testtable_put(struct testtable *t, const void *data, size_t n) {
    if (n > sizeof t->data - t->n)
        abort();
    if (n)
        memcpy(t->data + t->n, data, n);
    t->n += n;
}

static inline uint32_t testtable_mask(uint32_t crc) {
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

/* One restart at 0, then type and checksum. The place in the table, as two varints of 3 bytes. */
static inline void testtable_block(struct testtable *t, unsigned char place[6], const void *block,
                                   size_t n) {
    static const unsigned char end[] = {0, 0, 0, 0, 1, 0, 0, 0, 0}; // and type 0
    const size_t at = t->n, size = n + 8;
    testtable_put(t, block, n);
    testtable_put(t, end, sizeof end);
    const uint32_t crc = testtable_mask(crc32_castagnoli(t->data + at, size + 1));
    testtable_put(t, &crc, 4);
    for (int i = 0; i < 3; i++) {
        place[i] = (unsigned char)(at >> 7 * i | (i < 2 ? 128 : 0));
        place[3 + i] = (unsigned char)(size >> 7 * i | (i < 2 ? 128 : 0));
    }
}

/* A table whose only data block has these entries. */
static inline void testtable_wrap(struct testtable *t, const void *entries, size_t n) {
    static const unsigned char magic[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};
    unsigned char data[6], meta[6], index[6], entry[4 + 6] = {0, 1, 6, 'z'};
    const unsigned char zeros[28] = {0};
    t->n = 0;
    testtable_block(t, data, entries, n);
    testtable_block(t, meta, "", 0);
    memcpy(entry + 4, data, 6);
    testtable_block(t, index, entry, sizeof entry);
    testtable_put(t, meta, 6);
    testtable_put(t, index, 6);
    testtable_put(t, zeros, sizeof zeros);
    testtable_put(t, magic, 8);
}

#endif
