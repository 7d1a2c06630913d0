/* utf8.h - UTF-8 decoded strictly and encoded, one character at a time. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Decodes the character that s[0..n) begins with (n >= 1): returns its length 1..4 and sets *cp.
 * Returns 0, *cp untouched, where no well-formed character begins: stray continuation bytes,
 * overlong forms, surrogates, values above U+10FFFF, unfinished characters. (Unicode 15, table
 * 3-7: only the second byte's range depends on the first.) */
static inline int utf8_decode(uint32_t *cp, const unsigned char *s, size_t n) {
    uint32_t b = s[0];
    if (b < 0x80) {
        *cp = b;
        return 1;
    }
    if (b < 0xC2 || b > 0xF4 || n < 2 || (s[1] & 0xC0) != 0x80)
        return 0;
    if (b < 0xE0) {
        *cp = (b & 0x1F) << 6 | (s[1] & 0x3F);
        return 2;
    }
    if (n < 3 || (s[2] & 0xC0) != 0x80)
        return 0;
    if (b < 0xF0) {
        uint32_t value = (b & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3F);
        if (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF))
            return 0;
        *cp = value;
        return 3;
    }
    if (n < 4 || (s[3] & 0xC0) != 0x80)
        return 0;
    uint32_t value = (b & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 |
                     (uint32_t)(s[2] & 0x3F) << 6 | (s[3] & 0x3F);
    if (value < 0x10000 || value > 0x10FFFF)
        return 0;
    *cp = value;
    return 4;
}

/* The length of the valid character at s[0..n), n >= 1, or 0. */
static inline size_t utf8_length(const unsigned char *s, size_t n) {
    uint32_t cp;
    return (size_t)utf8_decode(&cp, s, n);
}

/* True of bytes that go on with a character and never begin one. Text has as many characters as
 * bytes for which this is false. */
static inline bool utf8_is_continuation(char byte) {
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* Characters in text[0..n). Ends within one count it where it begins. */
static inline size_t utf8_count(const char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += !utf8_is_continuation(text[i]);
    return count;
}

/* True where s[0..n), n >= 1, is no character yet, but becomes one with the right bytes after it.
 */
static inline bool utf8_is_unfinished(const unsigned char *s, size_t n) {
    // Of what may follow, the least or the greatest completes every beginning that can be
    // completed.
    unsigned char least[4], greatest[4];
    if (n >= sizeof least || utf8_length(s, n) > 0)
        return false;
    memset(least, 0x80, sizeof least);
    memset(greatest, 0xBF, sizeof greatest);
    memcpy(least, s, n);
    memcpy(greatest, s, n);
    return utf8_length(least, sizeof least) > n || utf8_length(greatest, sizeof greatest) > n;
}

/* Writes cp, a Unicode scalar value, and returns its length 1..4. No NUL is added. */
static inline size_t utf8_encode(char out[4], uint32_t cp) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3F));
    out[0] = (char)(0xF00 >> n | cp); // n ones and a zero, cut to a byte
    return n;
}

#endif
