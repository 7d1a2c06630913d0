/* pretokenize.h - cutting text into pieces, within which bytes may merge into tokens.
 *
 * GPT-2 cuts with this regular expression, tried from left to right at each position:
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * so that a word carries the one space before it, digits, letters and the rest do not mix, and of
 * several white space characters the last stays with what follows. */
#ifndef TEXT_PRETOKENIZE_H
#define TEXT_PRETOKENIZE_H

#include <stddef.h>

/* The end of the piece that starts at text[start] (start < n, at the end of another piece or 0).
 * A byte that is not part of well-formed UTF-8 counts as one character of no class. */
size_t pretokenize_next(const unsigned char *text, size_t n, size_t start);

/* The last place in text[0..n), a whole text's beginning, where a piece ends whatever comes before
 * and after, so that both sides may be cut apart by themselves; 0 where there is none. It is where
 * the class of the characters changes, but not after white space (whose last character goes with
 * what follows) and not between an apostrophe and a letter (which may be a contraction). */
size_t pretokenize_cut(const unsigned char *text, size_t n);

#endif
