/* line_output.h - the file that a job of many records writes, a line of JSON for each, and how it
 * goes on after a crash.
 *
 * Each line is one write. --resume drops what follows the last whole line, compares that
 * line's fingerprint with this run's, and counts the lines: as many records are done. */
#ifndef CLI_IO_LINE_OUTPUT_H
#define CLI_IO_LINE_OUTPUT_H

#include "base/buffer.h"

#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

struct line_output {
    int fd;           /* 0: not open */
    const char *path; /* borrowed, for messages */
    bool broken_pipe;
    bool had_errors;    /* among the lines that were found */
    struct buffer last; /* the last line that was found; empty: none */
    char *folder;       /* of a file that is new: its entry is synced, too; NULL: no new file */
};

/* What such lines look like. */
struct line_form {
    const char *starts[3]; /* what each begins with, one of these; NULL-ended. The id follows */
    const char *error;     /* what stands in the line of a record that failed, from a quote on */
    const char *mark;      /* what stands before the fingerprint, which ends with a quote    */
};

struct line_request {
    const char *path; /* NULL and "-": standard output */
    bool resume;
    int input_fd; /* the output must be another file */
    const struct line_form *form;
    const char *fingerprint; /* of this run; used with resume alone */
};

/* *n_done is how many records are done already. The file is locked against other jobs as long as
 * this process has it open; one that another process has is an error, and is not changed. */
bool line_output_open(struct line_output *out, const struct line_request *request, uint64_t *n_done,
                      struct gpt2_error *err);

/* Whether the last line that was found is of the record with this id (JSON): else the error says
 * that it is another input. */
bool line_output_ends_with(const struct line_output *out, const char *id, struct gpt2_error *err);

bool line_output_line(struct line_output *out, const char *line, size_t n, struct gpt2_error *err);
bool line_output_close(struct line_output *out, struct gpt2_error *err);

#endif
