/* word.h - eight bytes of text as one integer, the first byte lowest. */
#ifndef TEXT_WORD_H
#define TEXT_WORD_H

#include <stdint.h>
#include <string.h>

static inline uint64_t word_load(const void *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

#endif
