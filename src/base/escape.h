/* escape.h - text from outside in the forms in which it can be shown or quoted.
 *
 * Each function takes the character at s[0..n), n >= 1, writes its form to out, NUL-terminated, and
 * returns how many bytes of s the form stands for. Control characters are C0, DEL and C1 (U+0080 to
 * U+009F): terminals obey all three. */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#define ESCAPE_BYTES 12 /* room for every form, with its NUL */

/* Whether a text has any control character. */
bool escape_has_control(const char *text);

/* For a message: control characters as \xNN, everything else as it is, valid UTF-8 or not, as file
 * names may have any encoding. A byte that is no UTF-8 is a control character where it is one in
 * ISO 8859: 0x80 to 0x9F. */
size_t escape_message(char out[ESCAPE_BYTES], const unsigned char *s, size_t n);

/* For a field of a table, from which the bytes can be had back: \n, \t, \r, \\, and \xNN for each
 * other byte of a control character, of invalid UTF-8, and of U+FFFE and U+FFFF, which XML does not
 * have. */
size_t escape_field(char out[ESCAPE_BYTES], const unsigned char *s, size_t n);

/* For a JSON string (RFC 8259, section 7): \" and \\, control characters as \u00NN, U+FFFD for each
 * byte that is not valid UTF-8. */
size_t escape_json(char out[ESCAPE_BYTES], const unsigned char *s, size_t n);

#endif
