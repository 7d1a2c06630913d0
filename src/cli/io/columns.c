/* columns.c - lays out tab-separated lines as a table for a terminal. */
#include "cli/io/columns.h"
#include "base/utf8.h"
#include "cli/io/fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_KEPT 24 /* lines: about a screen */
#define LAST_TEXT 20 /* columns of a text at the end for which decimals are given up */

struct tab_cell {
    const char *text;
    size_t n;
    char rounded[40]; /* a number with fewer decimals */
};

bool columns_is_row(const char *text, size_t n) {
    return n > 0 && memchr(text, '\t', n) != NULL;
}

bool columns_add(struct columns *columns, const char *text, size_t n) {
    buffer_bytes(&columns->kept, text, n);
    buffer_byte(&columns->kept, '\n');
    return ++columns->n_kept >= MOST_KEPT;
}

void columns_forget(struct columns *columns) {
    columns->kept.len = 0;
    columns->n_kept = 0;
}

/* -?[0-9]+(.[0-9]+)?, as results are printed; *decimals: digits after the point. */
static bool is_number(const char *text, size_t n, int *decimals) {
    size_t i = n > 0 && text[0] == '-', digits = 0;
    for (; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        digits++;
    *decimals = 0;
    if (digits > 0 && i + 1 < n && text[i] == '.')
        for (i++; i < n && text[i] >= '0' && text[i] <= '9'; i++)
            ++*decimals;
    return digits > 0 && i == n;
}

static bool is_unknown(const char *text, size_t n) {
    return n == 2 && memcmp(text, "NA", 2) == 0;
}

/* Splits text[0..n) at its tabs; what is after the last column stays in it. Returns how many. */
static int split(struct tab_cell *cells, const char *text, size_t n) {
    int n_cells = 0;
    for (;;) {
        const char *tab = n_cells + 1 < COLUMNS_MOST ? memchr(text, '\t', n) : NULL;
        cells[n_cells].text = text;
        cells[n_cells++].n = tab ? (size_t)(tab - text) : n;
        if (!tab)
            return n_cells;
        n -= (size_t)(tab + 1 - text);
        text = tab + 1;
    }
}

/* Rounds numbers to at most `most` decimals. */
static void round_cells(struct tab_cell *cells, int n_cells, int most) {
    for (int c = 0, decimals; c < n_cells; c++) {
        struct tab_cell *cell = &cells[c];
        if (cell->n >= sizeof cell->rounded || !is_number(cell->text, cell->n, &decimals) ||
            decimals <= most)
            continue;
        snprintf(cell->rounded, sizeof cell->rounded, "%.*s", (int)cell->n, cell->text);
        const double value = strtod(cell->rounded, NULL);
        cell->n = (size_t)snprintf(cell->rounded, sizeof cell->rounded, "%.*f", most, value);
        cell->text = cell->rounded;
    }
}

static int width_of(const struct tab_cell *cell) {
    return (int)utf8_count(cell->text, cell->n);
}

static bool is_heading(const struct tab_cell *cells, int n_cells) {
    int decimals;
    for (int c = 0; c < n_cells; c++)
        if (is_number(cells[c].text, cells[c].n, &decimals) ||
            is_unknown(cells[c].text, cells[c].n))
            return false;
    return true;
}

/* The line at *text, as cells, with their numbers rounded; moves *text after it. Returns how many.
 */
static int next_row(const char **text, struct tab_cell *cells, int decimals) {
    const char *newline = strchr(*text, '\n');
    const int n_cells = split(cells, *text, (size_t)(newline - *text));
    round_cells(cells, n_cells, decimals);
    *text = newline + 1;
    return n_cells;
}

/* Widens the columns for what is kept, with so many decimals. Returns the width of the table; of a
 * text in the last column no more than LAST_TEXT. */
static int measure(struct columns *columns, const struct columns *before, int decimals) {
    struct tab_cell cells[COLUMNS_MOST];
    int n_columns = 0, total = 0;
    memcpy(columns->column, before->column, sizeof columns->column);
    const char *text = columns->kept.data;
    for (int row = 0; row < columns->n_kept; row++) {
        const int n_cells = next_row(&text, cells, decimals);
        const bool heading = is_heading(cells, n_cells);
        n_columns = n_cells > n_columns ? n_cells : n_columns;
        for (int c = 0, any; c < n_cells; c++) {
            const int width = width_of(&cells[c]);
            if (width > columns->column[c].width)
                columns->column[c].width = width;
            if (!heading && !is_number(cells[c].text, cells[c].n, &any) &&
                !is_unknown(cells[c].text, cells[c].n))
                columns->column[c].is_text = true;
        }
    }
    for (int c = 0; c < n_columns; c++) {
        const bool last = c + 1 == n_columns;
        const int width = columns->column[c].width;
        const bool cut = last && columns->column[c].is_text && width > LAST_TEXT;
        total += (cut ? LAST_TEXT : width) + (last ? 0 : 2);
    }
    return total;
}

static void print_row(const struct columns *columns, const struct tab_cell *cells, int n_cells,
                      struct buffer *line) {
    for (int c = 0; c < n_cells; c++) {
        const bool is_text = columns->column[c].is_text;
        const int blank = columns->column[c].width - width_of(&cells[c]);
        buffer_format(line, "%*s", (c ? 2 : 0) + (is_text ? 0 : blank), "");
        buffer_bytes(line, cells[c].text, cells[c].n);
        if (is_text && c + 1 < n_cells)
            buffer_format(line, "%*s", blank, "");
    }
}

void columns_end(struct columns *columns, struct buffer *out, int width) {
    static const int decimals[] = {6, 4, 3, 2};
    const size_t n = sizeof decimals / sizeof *decimals;
    if (columns->n_kept == 0)
        return;
    out->failed |= columns->kept.failed;
    if (out->failed)
        return;
    const struct columns before = *columns;
    for (size_t i = 0; i < n; i++) {
        if (before.decimals && decimals[i] > before.decimals)
            continue;
        columns->decimals = decimals[i];
        if (measure(columns, &before, decimals[i]) <= width)
            break;
    }
    struct tab_cell cells[COLUMNS_MOST];
    struct buffer line = {0};
    const char *text = columns->kept.data;
    for (int row = 0; row < columns->n_kept; row++) {
        line.len = 0;
        print_row(columns, cells, next_row(&text, cells, columns->decimals), &line);
        out->failed |= line.failed;
        if (!line.failed)
            fold_line(out, line.data ? line.data : "", line.len, width);
        buffer_byte(out, '\n');
    }
    buffer_free(&line);
    columns_forget(columns);
}
