/* names_in_columns.c - lays out names in columns, as ls does. */
#include "cli/terminal/names_in_columns.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define GAP 2 /* columns between names */

static int compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t length_of(const char *name) {
    size_t n = strlen(name);
    while (n > 0 && name[n - 1] == ' ')
        n--;
    return n;
}

static size_t width_of(const char *name) {
    return utf8_count(name, length_of(name));
}

static void put_row(struct buffer *out, const char *const *names, size_t n, size_t row,
                    size_t n_rows, size_t widest) {
    for (size_t i = row; i < n; i += n_rows) {
        buffer_bytes(out, names[i], length_of(names[i]));
        if (i + n_rows < n)
            buffer_format(out, "%*s", (int)(widest - width_of(names[i])) + GAP, "");
    }
    buffer_byte(out, '\n');
}

bool names_in_columns(struct buffer *out, const char *names, size_t n, int width) {
    const char **sorted = malloc((n ? n : 1) * sizeof *sorted);
    if (!sorted)
        return false;
    size_t widest = 0;
    for (size_t i = 0; i < n; names += strlen(names) + 1) {
        const size_t columns = width_of(names);
        widest = columns > widest ? columns : widest;
        sorted[i++] = names;
    }
    qsort(sorted, n, sizeof *sorted, compare);
    const size_t room = width > 0 ? (size_t)width : 0, fit = (room + GAP) / (widest + GAP);
    const size_t n_columns = fit ? fit : 1, n_rows = (n + n_columns - 1) / n_columns;
    for (size_t row = 0; row < n_rows; row++)
        put_row(out, sorted, n, row, n_rows, widest);
    free(sorted);
    return !out->failed;
}
