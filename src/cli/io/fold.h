/* fold.h - lines of tables broken where a terminal is too narrow for them. */
#ifndef CLI_IO_FOLD_H
#define CLI_IO_FOLD_H

#include "base/buffer.h"

#include <stddef.h>

/* Appends the line text[0..n), which has no newline, as lines of at most `width` columns, the last
 * without a newline. A line is broken between columns, which two spaces part, else between words,
 * else anywhere. What follows stands under the second column, or under the first character where
 * there is none, if that is in the left half, else four columns in. UTF-8 is counted in characters,
 * escape sequences of colours are not counted. */
void fold_line(struct buffer *out, const char *text, size_t n, int width);

#endif
