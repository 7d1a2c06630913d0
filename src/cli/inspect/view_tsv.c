/* view_tsv.c - writes the tables of a view as tab-separated values.
 *
 * Tabs, newlines, backslashes and bytes that are not UTF-8 are escaped as \t, \n, \\, \xNN. Numbers
 * read back as the same double. */
#include "cli/inspect/view.h"

#include <math.h>

static void write_label(struct buffer *out, struct label label) {
    char c[ESCAPE_BYTES];
    for (size_t at = 0; label_next(label, &at, c);)
        buffer_text(out, c);
}

static void write_table(struct buffer *out, const struct view_table *table) {
    for (int c = 0; c < table->n_columns; c++)
        buffer_format(out, "%s%s", c ? "\t" : "", table->columns[c].name);
    buffer_byte(out, '\n');
    for (int r = 0; r < table->n_rows; r++) {
        for (int c = 0; c < table->n_columns; c++) {
            const struct cell *cell = table_cell(table, r, c);
            if (c)
                buffer_byte(out, '\t');
            if (cell->text.bytes)
                write_label(out, cell->text);
            else if (!isnan(cell->number))
                buffer_format(out, "%.17g", cell->number);
        }
        buffer_byte(out, '\n');
    }
}

void view_write_tsv(struct buffer *out, const struct view *view) {
    for (int i = 0; i < view->n_tables; i++) {
        if (i)
            buffer_byte(out, '\n');
        write_table(out, &view->tables[i]);
    }
}
