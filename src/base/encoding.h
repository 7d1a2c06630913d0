/* encoding.h - whether a text is UTF-8, told by its first bytes. The one place that knows byte
 * order marks. */
#ifndef BASE_ENCODING_H
#define BASE_ENCODING_H

#include <stddef.h>

/* What a text that begins with s[0..n) is. NULL: it is taken as UTF-8 (or as bytes), and the text
 * begins after *mark bytes, 3 with a byte order mark and else 0. Otherwise the name of the
 * encoding, "UTF-16" or "UTF-32": the mark of one (Unicode 15, section 23.8), or, without a mark,
 * zero bytes where the first two characters of an ASCII text have them (RFC 4627, section 3). n may
 * be 0; more than ENCODING_BYTES bytes are not looked at. */
#define ENCODING_BYTES 4
const char *encoding_foreign(const unsigned char *s, size_t n, size_t *mark);

/* How many of the first bytes must be there before encoding_foreign can tell: more than n, where
 * s[0..n) is the beginning of a mark or may be that of UTF-16; else at most n. */
size_t encoding_needs(const unsigned char *s, size_t n);

#endif
