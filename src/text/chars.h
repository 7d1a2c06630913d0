/* chars.h - the characters of a text, forwards and backwards. A byte that is not part of
 * well-formed UTF-8 counts as one character, CHAR_INVALID, which is of no class. */
#ifndef TEXT_CHARS_H
#define TEXT_CHARS_H

#include "base/utf8.h"

#define CHAR_INVALID 0x110000u

/* The character that text[i] begins, i < n: its length in bytes. */
static inline size_t char_after(uint32_t *cp, const unsigned char *text, size_t n, size_t i) {
    int len = utf8_decode(cp, text + i, n - i);
    if (len > 0)
        return (size_t)len;
    *cp = CHAR_INVALID;
    return 1;
}

/* The character that ends at text[i], i > 0. */
static inline size_t char_before(uint32_t *cp, const unsigned char *text, size_t i) {
    for (size_t back = 1; back <= 4 && back <= i; back++)
        if (utf8_decode(cp, text + i - back, back) == (int)back)
            return back;
    *cp = CHAR_INVALID;
    return 1;
}

#endif
