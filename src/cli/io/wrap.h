/* wrap.h - prose for the terminal, broken at its width. */
#ifndef CLI_IO_WRAP_H
#define CLI_IO_WRAP_H

#include "base/buffer.h"

/* Appends text, every line but the first indented by `indent`; the cursor is in column `at`
 * already. A line holds at most `width` columns, where its words allow it. A newline in the text is
 * a space, except before a space or another newline and after a line that begins with a space:
 * examples and tables stay as they are. A newline is written at the end. UTF-8 is counted in
 * characters. */
void wrap_text(struct buffer *out, const char *text, int at, int indent, int width);

/* Writes a page that was made so to standard output and frees it. Returns the exit code: 0, or that
 * of the error, which is reported: memory ran out while the page was made, or the write failed. */
int wrap_print(struct buffer *page);

/* The width for it: of the terminal that standard output is, 40 at least and 100 at most; else 80.
 */
int wrap_width(void);

/* Prints prose to standard error, at the width of the terminal that it is. */
void wrap_tell(const char *text);

#endif
