/* alphabet.h - the printable characters that stand for bytes in GPT-2's vocabulary files.
 *
 * 188 printable characters of Latin-1 stand for themselves; the other 68 bytes are written, in
 * increasing order, as U+0100, U+0101, ...: a space as U+0120 (G with dot above), a newline as
 * U+010A (C with dot above). So every token is a string without spaces and controls. */
#ifndef TEXT_ALPHABET_H
#define TEXT_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the bytes that text[0..len) stands for to out (room for len), their number to *n_bytes.
 * False: text has a character that stands for no byte. */
bool alphabet_decode(unsigned char *out, size_t *n_bytes, const char *text, size_t len);

/* The other way: writes the characters that stand for bytes[0..len), at most two bytes for each,
 * and returns how many bytes they have. */
size_t alphabet_encode(char *out, const unsigned char *bytes, size_t len);

#endif
