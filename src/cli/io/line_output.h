/* line_output.h - the file that a job of many records writes, a line of JSON for each, and how it
 * goes on after a crash.
 *
 * Each line is one write, and has the job's fingerprint and a hash of the input's line that it
 * answers. --resume drops what follows the last whole line, compares that line's fingerprint with
 * this run's, and each line's hash with the input: what was answered is done. A file that is there
 * is not changed before the first line is written, or the job has ended well without one. */
#ifndef CLI_IO_LINE_OUTPUT_H
#define CLI_IO_LINE_OUTPUT_H

#include "base/buffer.h"
#include "base/os.h"

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What such lines look like. */
struct line_form {
    const char *starts[3]; /* what each begins with, one of these; NULL-ended. The id follows */
    const char *space;     /* after colons and commas: "" or " " */
};

struct line_output {
    int fd;           /* 0: not open */
    const char *path; /* borrowed, for messages */
    bool broken_pipe;
    uint64_t n_errors; /* among the lines that were found */
    bool is_to_cut;    /* to n_kept bytes, before the first line */
    size_t n_kept;
    struct os_file found;       /* what --resume found; its whole lines end at n_kept    */
    size_t found_at;            /* where the line begins that is compared next           */
    uint64_t n_found, n_passed; /* those lines, and how many of them have been compared  */
    const struct line_form *form;
    char *folder; /* of a file that is new: its entry is synced, too; NULL: no new file */
};

struct line_request {
    const char *path; /* NULL and "-": standard output */
    bool resume;
    const struct line_form *form;
    const char *fingerprint; /* of this run; used with resume alone */
};

/* A line of the input, borrowed. */
struct record_line {
    const char *bytes;
    size_t n;          /* without its line end */
    uint64_t number;   /* from 0 */
    bool is_json;      /* it may have an id */
    const char *input; /* its name */
};

/* out->n_found is how many records are done already. The file is locked against other jobs as long
 * as this process has it open; one that another process has is an error, and is not changed. */
bool line_output_open(struct line_output *out, const struct line_request *request,
                      struct gpt2_error *err);

/* Whether a line that was found answers the next record of the input: *is_done. False: it answers
 * another one, which the error names (GPT2_ERR_USAGE). */
bool line_output_pass(struct line_output *out, const struct record_line *line, bool *is_done,
                      struct gpt2_error *err);

/* The input has ended. False: more lines were found than it has records. */
bool line_output_passed(const struct line_output *out, struct gpt2_error *err);

/* Appends what says on what a line depends: "system_fingerprint" and "input", a hash of the
 * record's line (line_output_hash). */
void line_output_mark(struct buffer *text, const struct line_form *form, const char *fingerprint,
                      uint64_t hash);

/* FNV-1a of 64 bits (fnv.h). */
uint64_t line_output_hash(const char *bytes, size_t n);

bool line_output_line(struct line_output *out, const char *line, size_t n, struct gpt2_error *err);

/* `ended`: the job has ended well. A zeroed struct is allowed. */
bool line_output_close(struct line_output *out, bool ended, struct gpt2_error *err);

#endif
