/* columns.h - tab-separated lines laid out for a terminal: columns aligned, numbers rounded until
 * they fit.
 *
 * The widths are known when all lines are, so lines are kept: columns_add keeps one, columns_end
 * lays out what is kept and appends it. A table that is written bit by bit is laid out bit by bit:
 * a column becomes wider from one time to the next, never narrower, and decimals become fewer. */
#ifndef CLI_IO_COLUMNS_H
#define CLI_IO_COLUMNS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#define COLUMNS_MOST 64 /* columns that are aligned; what follows is not */

struct columns {
    struct buffer kept;
    int n_kept;   /* lines */
    int decimals; /* 0: nothing was laid out yet */
    struct {
        int width;
        bool is_text; /* a line had something else than a number in it; aligned left */
    } column[COLUMNS_MOST];
};

/* Whether the line text[0..n) belongs to a table: it has a tab. */
bool columns_is_row(const char *text, size_t n);

/* Keeps a row, which has no newline. Returns true when so many are kept that columns_end is due. */
bool columns_add(struct columns *columns, const char *text, size_t n);

void columns_forget(struct columns *columns); /* what is kept */

/* Appends what is kept, each line with a newline, at most `width` columns wide: two spaces between
 * columns; numbers to the right, with at most 6, 4, 3 or 2 decimals, the most that fit; else lines
 * are broken (fold.h). A row without a number is a heading, aligned as its columns are. UTF-8 is
 * counted in characters. */
void columns_end(struct columns *columns, struct buffer *out, int width);

#endif
