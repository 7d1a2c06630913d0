/* view_json.c - writes a view as one JSON object:
 *
 *   {"inspect": ..., "model": ..., "facts": {name: number}, "summary": [sentence],
 *    TABLE: [{column: value}], ...}
 *
 * Bytes of tokens that are not UTF-8 become U+FFFD. Numbers read back as the same double; a number
 * that is not finite, and an empty cell, is null. */
#include "base/json.h"
#include "cli/inspect/view.h"

#include <math.h>
#include <string.h>

static void write_string(struct buffer *out, struct label label) {
    buffer_json(out, label.bytes, label.n);
}

static void write_text(struct buffer *out, const char *text) {
    write_string(out, (struct label){text, strlen(text)});
}

static void write_number(struct buffer *out, double number) {
    if (isfinite(number))
        buffer_format(out, "%.17g", number);
    else
        buffer_text(out, "null");
}

static void write_table(struct buffer *out, const struct view_table *table) {
    buffer_text(out, ",\n ");
    write_text(out, table->name);
    buffer_text(out, ": [");
    for (int r = 0; r < table->n_rows; r++) {
        buffer_text(out, r ? ",\n  {" : "\n  {");
        for (int c = 0; c < table->n_columns; c++) {
            const struct cell *cell = table_cell(table, r, c);
            if (c)
                buffer_text(out, ", ");
            write_text(out, table->columns[c].name);
            buffer_text(out, ": ");
            if (cell->text.bytes)
                write_string(out, cell->text);
            else
                write_number(out, cell->number);
        }
        buffer_byte(out, '}');
    }
    buffer_byte(out, ']');
}

void view_write_json(struct buffer *out, const struct view *view) {
    buffer_text(out, "{\"inspect\": ");
    write_text(out, view->what);
    buffer_text(out, ",\n \"model\": ");
    write_text(out, view->model);
    buffer_text(out, ",\n \"facts\": {");
    for (int i = 0; i < view->n_facts; i++) {
        buffer_text(out, i ? ", " : "");
        write_text(out, view->facts[i].name);
        buffer_text(out, ": ");
        write_number(out, view->facts[i].value);
    }
    buffer_text(out, "},\n \"summary\": [");
    for (int i = 0; i < view->n_sentences; i++) {
        buffer_text(out, i ? ",\n  " : "\n  ");
        write_text(out, view->sentences[i]);
    }
    buffer_byte(out, ']');
    for (int i = 0; i < view->n_tables; i++)
        write_table(out, &view->tables[i]);
    buffer_text(out, "}\n");
}
