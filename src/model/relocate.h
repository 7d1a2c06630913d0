/* relocate.h - moving weights from a mapped file into memory of their own: panels on 2 MiB pages.
 *
 * A mapped file has 4 KiB pages and, mostly, a layout in which a thread reads pieces far apart. The
 * copy is read in a few streams for each thread and with a 500th of the page-table entries. It
 * costs time and memory once, so it pays for long runs (tools/bench/README.md). Bits do not change.
 *
 * The model keeps where its matrices are in the file and where they are copied to; a matrix is read
 * from the copy from the moment that it is complete (weights.h: matrix_now). So passes of
 * other threads may go on meanwhile; only one pass at a time makes copies. */
#ifndef MODEL_RELOCATE_H
#define MODEL_RELOCATE_H

#include "model/weights.h"

/* Writes the panels of outputs column..column + n_columns - 1 of W (`n_in` inputs; column is a
 * multiple of PANEL) to where they belong in `panels`, whose layout is LAYOUT_PANELS. Returns the
 * matrix to read them from; only these panels are valid in it. Any thread; disjoint columns. */
struct matrix relocate_panels(void *panels, const struct matrix *w, int n_in, int column,
                              int n_columns);

/* The same for rows row..row + n_rows - 1 of a matrix in LAYOUT_ROWS, whose copy is in rows too.
 * The file's pages that they came from leave this process's memory, as a head is too large to be
 * there twice. */
struct matrix relocate_rows(struct matrix_copy *copy, const struct matrix *w, int row, int n_rows);

/* The copy of `source` is complete: from now on it is read there. The file's pages that it came
 * from leave this process's memory, so that no more than one matrix is there twice. */
void relocate_ready(struct matrix_copy *copy, const struct matrix *source);

/* Takes and returns the right to make copies in a pass. False: nothing is left to copy, or another
 * pass is making copies. */
bool relocate_begin(const struct gpt2_model *model);
void relocate_end(const struct gpt2_model *model);

/* Frees the copies: gpt2_model_close. */
void relocate_free(struct gpt2_model *model);

#endif
