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

static void write_string(FILE *out, struct label label) {
    json_print_string(out, label.bytes, label.n);
}

static void write_text(FILE *out, const char *text) {
    write_string(out, (struct label){text, strlen(text)});
}

static void write_number(FILE *out, double number) {
    if (isfinite(number))
        fprintf(out, "%.17g", number);
    else
        fputs("null", out);
}

static void write_table(FILE *out, const struct table *table) {
    fputs(",\n ", out);
    write_text(out, table->name);
    fputs(": [", out);
    for (int r = 0; r < table->n_rows; r++) {
        fputs(r ? ",\n  {" : "\n  {", out);
        for (int c = 0; c < table->n_columns; c++) {
            const struct cell *cell = table_cell(table, r, c);
            if (c)
                fputs(", ", out);
            write_text(out, table->columns[c].name);
            fputs(": ", out);
            if (cell->text.bytes)
                write_string(out, cell->text);
            else
                write_number(out, cell->number);
        }
        fputc('}', out);
    }
    fputc(']', out);
}

void view_write_json(FILE *out, const struct view *view) {
    fputs("{\"inspect\": ", out);
    write_text(out, view->what);
    fputs(",\n \"model\": ", out);
    write_text(out, view->model);
    fputs(",\n \"facts\": {", out);
    for (int i = 0; i < view->n_facts; i++) {
        fputs(i ? ", " : "", out);
        write_text(out, view->facts[i].name);
        fputs(": ", out);
        write_number(out, view->facts[i].value);
    }
    fputs("},\n \"summary\": [", out);
    for (int i = 0; i < view->n_sentences; i++) {
        fputs(i ? ",\n  " : "\n  ", out);
        write_text(out, view->sentences[i]);
    }
    fputc(']', out);
    for (int i = 0; i < view->n_tables; i++)
        write_table(out, &view->tables[i]);
    fputs("}\n", out);
}
