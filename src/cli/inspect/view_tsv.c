/* view_tsv.c - writes the tables of a view as tab-separated values.
 *
 * Tabs, newlines, backslashes and bytes that are not UTF-8 are escaped as \t, \n, \\, \xNN. Numbers
 * read back as the same double. */
#include "cli/inspect/view.h"

#include <math.h>

static void write_label(FILE *out, struct label label) {
    char c[ESCAPE_BYTES];
    for (size_t at = 0; label_next(label, &at, c);)
        fputs(c, out);
}

static void write_table(FILE *out, const struct table *table) {
    for (int c = 0; c < table->n_columns; c++)
        fprintf(out, "%s%s", c ? "\t" : "", table->columns[c].name);
    fputc('\n', out);
    for (int r = 0; r < table->n_rows; r++) {
        for (int c = 0; c < table->n_columns; c++) {
            const struct cell *cell = table_cell(table, r, c);
            if (c)
                fputc('\t', out);
            if (cell->text.bytes)
                write_label(out, cell->text);
            else if (!isnan(cell->number))
                fprintf(out, "%.17g", cell->number);
        }
        fputc('\n', out);
    }
}

void view_write_tsv(FILE *out, const struct view *view) {
    for (int i = 0; i < view->n_tables; i++) {
        if (i)
            fputc('\n', out);
        write_table(out, &view->tables[i]);
    }
}
