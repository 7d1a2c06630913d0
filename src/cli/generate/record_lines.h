/* record_lines.h - the lines of a bulk job's input, and whether they are JSON or plain text.
 *
 * Where it is not said, the first line decides that is not blank. Blank lines in front of it are
 * held until then; in an input of nothing else they are prompts. */
#ifndef CLI_GENERATE_RECORD_LINES_H
#define CLI_GENERATE_RECORD_LINES_H

#include "cli/generate/bulk_job.h"
#include "cli/io/line_reader.h"

struct record_lines {
    struct line_reader reader;
    enum input_format format; /* INPUT_AUTO: not known yet */

    /* The line that was read last, valid until the next call. */
    const char *bytes;
    size_t n;
    size_t n_bytes; /* of the input that it took, line end and all */
    bool is_blank;

    struct buffer blanks; /* the lines that are held, each with "\n"       */
    size_t blanks_at;     /* how far they have been given                  */
    size_t n_blank_bytes; /* that they took                                */
    bool is_held;         /* the reader's line is what comes after them ... */
    enum line_state held; /* ... and this is its state                     */
};

/* `max`: of a line, and of the blank lines that are held together. As line_reader_open. */
bool record_lines_open(struct record_lines *lines, const char *path, enum input_format format,
                       size_t max, struct gpt2_error *err);

/* As line_reader_next; after LINE_READ and LINE_TOO_LONG the format is known. */
enum line_state record_lines_next(struct record_lines *lines, bool wait, struct gpt2_error *err);

/* A struct that was never opened must have a reader with fd -1. */
void record_lines_close(struct record_lines *lines);

#endif
