/* bench_table.h - what `gpt2 bench` prints for people: Markdown, or, where the output fits its
 * lines to a terminal (output_fit), tables that are no wider. */
#ifndef CLI_BENCH_BENCH_TABLE_H
#define CLI_BENCH_BENCH_TABLE_H

#include "cli/io/output.h"

#define BENCH_COLUMNS 9

/* Each cell is ASCII. */
struct bench_line {
    char cell[BENCH_COLUMNS][48];
};

/* Prints an empty line and a table. The first line is the heading; the first column has words, the
 * others numbers. On a terminal a table that is too wide is turned: its lines become columns, as
 * many beside each other as fit. */
bool bench_table(struct output *out, const struct bench_line *lines, int n_lines, int n_columns,
                 struct gpt2_error *err);

/* Prints a paragraph, whose line breaks are for Markdown; on a terminal its width has them. */
bool bench_prose(struct output *out, const char *text, struct gpt2_error *err);

#endif
