/* output.h - buffered writing of results, to standard output or to a file.
 *
 * Only whole UTF-8 characters are shown while text is generated, and every failed write is
 * reported: a full disk ends the program with exit code 1. A reader that closed its pipe ends it
 * with 141 and no message, whether SIGPIPE is ignored (write then fails with EPIPE) or not. */
#ifndef CLI_IO_OUTPUT_H
#define CLI_IO_OUTPUT_H

#include "base/buffer.h"
#include "base/outfile.h"
#include "cli/io/columns.h"

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

struct output {
    char held[8192]; /* not written yet */
    size_t n_held;
    struct outfile file; /* of output_open; zeroed: standard output */
    bool broken_pipe;
    int width;          /* output_fit: of the terminal; 0: lines are whole */
    struct buffer line; /* with a width: the line that has not ended       */
    bool is_table;      /* output_table: rows are kept in `columns`        */
    struct columns columns;
};

/* Directs an empty output to the file `path` (base/outfile.h, OUTFILE_IN_PLACE). The file appears
 * with output_commit, which writes what is held; output_discard removes it. After a failure of
 * output_open or output_commit no file is left, and output_discard does nothing. */
bool output_open(struct output *out, const char *path, struct gpt2_error *err);
bool output_commit(struct output *out, struct gpt2_error *err);
void output_discard(struct output *out);

/* The same for a path that --output gives: NULL and "-" are standard output, which output_end
 * flushes. output_is_file: whether it is neither. */
bool output_is_file(const char *path);
bool output_begin(struct output *out, const char *path, struct gpt2_error *err);
bool output_end(struct output *out, struct gpt2_error *err);

/* Has lines broken (fold.h) that are wider than the terminal, where the result goes to one: files
 * and pipes get them whole. Called before anything is appended, for tables and not for generated
 * text. */
void output_fit(struct output *out);

/* The same for tab-separated values, which a terminal gets with its columns aligned (columns.h).
 * Rows are held until another line or output_flush comes. */
void output_table(struct output *out);

/* Append bytes. The text of output_format is cut after 1023 bytes. */
bool output_bytes(struct output *out, const char *bytes, size_t n, struct gpt2_error *err);
bool output_string(struct output *out, const char *string, struct gpt2_error *err);
bool output_format(struct output *out, struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends a name or path from outside to a listing: control characters as \xNN, all else as it is.
 */
bool output_shown(struct output *out, const char *name, struct gpt2_error *err);

/* Appends bytes as a JSON string, with its quotes. Invalid UTF-8 becomes U+FFFD. */
bool output_json_string(struct output *out, const char *bytes, size_t n, struct gpt2_error *err);

/* Forgets what is held. */
void output_forget(struct output *out);

/* Writes what is held, except an unfinished character at its end. */
bool output_flush_text(struct output *out, struct gpt2_error *err);

/* Writes all that is held. */
bool output_flush(struct output *out, struct gpt2_error *err);

/* The exit code for a failed write: 141 in silence, or the reported error. */
int output_failed(const struct output *out, const struct gpt2_error *err);

#endif
