/* names_in_columns.h - lays out names in columns, as ls does. */
#ifndef CLI_TERMINAL_NAMES_IN_COLUMNS_H
#define CLI_TERMINAL_NAMES_IN_COLUMNS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends lines of names to `out`, sorted by bytes down each column, in as many columns as
 * `width` has room for; a name is never broken. Each of the n names stands NUL-ended in `names`,
 * UTF-8 without control characters; spaces at its end are not shown. False: out of memory. */
bool names_in_columns(struct buffer *out, const char *names, size_t n, int width);

#endif
