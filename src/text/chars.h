/* chars.h - the characters of a text, forwards and backwards. A byte that is not part of
 * well-formed UTF-8 counts as one character, CHAR_INVALID, which is of no class. */
#ifndef TEXT_CHARS_H
#define TEXT_CHARS_H

#include "base/utf8.h"

#define CHAR_INVALID 0x110000u

/* The character that text[i] begins, i < n: its length in bytes. */
static inline size_t char_after(uint32_t *cp, const unsigned char *text, size_t n, size_t i) {
    uint32_t decoded = CHAR_INVALID;
    int len = utf8_decode(&decoded, text + i, n - i);
    *cp = len > 0 ? decoded : CHAR_INVALID;
    return len > 0 ? (size_t)len : 1;
}

/* The character that ends at text[i], i > 0. */
static inline size_t char_before(uint32_t *cp, const unsigned char *text, size_t i) {
    for (size_t back = 1; back <= 4 && back <= i; back++) {
        uint32_t decoded = CHAR_INVALID;
        if (utf8_decode(&decoded, text + i - back, back) == (int)back) {
            *cp = decoded;
            return back;
        }
    }
    *cp = CHAR_INVALID;
    return 1;
}

#endif
