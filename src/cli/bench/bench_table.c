/* bench_table.c - prints tables and prose as Markdown or for a terminal. */
#include "cli/bench/bench_table.h"
#include "cli/io/report.h"
#include "cli/io/wrap.h"

#include <string.h>

/* For a terminal: without what makes it Markdown, two spaces between columns. */
static bool print_rows(struct output *out, const struct bench_line *lines, int n_lines,
                       int n_columns, const int *width, struct gpt2_error *err) {
    bool ok = true;
    for (int r = 0; ok && r < n_lines; r++) {
        for (int c = 0; ok && c < n_columns; c++)
            ok = output_format(out, err, c == 0 ? "%-*s" : "  %*s", width[c], lines[r].cell[c]);
        ok = ok && output_string(out, "\n", err);
    }
    return ok;
}

/* A table that is too wide for the terminal, turned: the heading is its first column, and lines
 * become columns, as many beside each other as fit. */
static bool print_turned(struct output *out, const struct bench_line *lines, int n_lines,
                         int n_columns, struct gpt2_error *err) {
    int label = 0, widest = 0;
    for (int c = 0; c < n_columns; c++) {
        const int n = (int)strlen(lines[0].cell[c]);
        label = n > label ? n : label;
        for (int r = 1; r < n_lines; r++)
            widest =
                (int)strlen(lines[r].cell[c]) > widest ? (int)strlen(lines[r].cell[c]) : widest;
    }
    const int room = (out->width - label) / (widest + 2), fit = room > 1 ? room : 1;
    bool ok = true;
    for (int from = 1; ok && from < n_lines; from += fit)
        for (int c = 0; ok && c < n_columns; c++) {
            ok = (c > 0 || from == 1 || output_string(out, "\n", err)) &&
                 output_format(out, err, "%-*s", label, lines[0].cell[c]);
            for (int r = from; ok && r < from + fit && r < n_lines; r++)
                ok = output_format(out, err, "  %*s", widest, lines[r].cell[c]);
            ok = ok && output_string(out, "\n", err);
        }
    return ok;
}

bool bench_table(struct output *out, const struct bench_line *lines, int n_lines, int n_columns,
                 struct gpt2_error *err) {
    static const char dashes[] = "------------------------------------------------";
    int width[BENCH_COLUMNS] = {0};
    for (int r = 0; r < n_lines; r++)
        for (int c = 0; c < n_columns; c++) {
            int n = (int)strlen(lines[r].cell[c]);
            width[c] = n > width[c] ? n : width[c];
        }
    bool ok = output_string(out, "\n", err);
    int total = 2 * (n_columns - 1);
    for (int c = 0; c < n_columns; c++)
        total += width[c];
    if (out->width)
        return ok && (total > out->width ? print_turned(out, lines, n_lines, n_columns, err)
                                         : print_rows(out, lines, n_lines, n_columns, width, err));
    for (int r = 0; ok && r < n_lines; r++) {
        for (int c = 0; ok && c < n_columns; c++)
            ok = output_format(out, err, c == 0 ? "| %-*s " : "| %*s ", width[c], lines[r].cell[c]);
        ok = ok && output_string(out, "|\n", err);
        for (int c = 0; ok && r == 0 && c < n_columns; c++)
            ok = output_format(out, err, "| %.*s%c ", width[c] - 1, dashes, c == 0 ? '-' : ':');
        if (r == 0)
            ok = ok && output_string(out, "|\n", err);
    }
    return ok;
}

bool bench_prose(struct output *out, const char *text, struct gpt2_error *err) {
    if (!out->width)
        return output_string(out, text, err);
    struct buffer wrapped = {0};
    wrap_text(&wrapped, text, 0, 0, out->width < 100 ? out->width : 100);
    const bool ok = wrapped.failed ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory")
                                   : output_bytes(out, wrapped.data, wrapped.len, err);
    buffer_free(&wrapped);
    return ok;
}
