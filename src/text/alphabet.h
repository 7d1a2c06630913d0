/* alphabet.h - the printable characters that stand for bytes in GPT-2's vocabulary files.
 *
 * 188 printable characters of Latin-1 stand for themselves; the other 68 bytes are written, in
 * increasing order, as U+0100, U+0101, ...: a space as U+0120 (G with dot above), a newline as
 * U+010A (C with dot above). So every token is a string without spaces and controls. */
#ifndef TEXT_ALPHABET_H
#define TEXT_ALPHABET_H

#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>

/* The byte that a code point stands for, or -1. */
int alphabet_byte(uint32_t cp);

/* The byte that the character at s[0..n), n > 0, stands for, or -1; *n_used is how many bytes the
 * character has. */
static inline int alphabet_next(const unsigned char *s, size_t n, size_t *n_used) {
    uint32_t cp;
    if (*s > 0x20 && *s < 0x7F) { // most stand for themselves
        *n_used = 1;
        return *s;
    }
    *n_used = 2;
    if ((*s == 0xC4 || *s == 0xC5) && n > 1 && (s[1] & 0xC0) == 0x80)
        cp = (*s & 0x1Fu) << 6 | (s[1] & 0x3Fu); // U+0100 to U+017F, the space above all
    else
        *n_used = (size_t)utf8_decode(&cp, s, n);
    return *n_used ? alphabet_byte(cp) : -1;
}

/* Writes the bytes that text[0..len) stands for to out (room for len), their number to *n_bytes.
 * False: text has a character that stands for no byte. */
bool alphabet_decode(unsigned char *out, size_t *n_bytes, const char *text, size_t len);

/* The other way: writes the characters that stand for bytes[0..len), at most two bytes for each,
 * and returns how many bytes they have. */
size_t alphabet_encode(char *out, const unsigned char *bytes, size_t len);

#endif
