/* output.h - the result on standard output: whole UTF-8 characters, and failures are not lost.
 *
 * A full disk is reported and ends the program with 1. A reader that has gone away ends it with 141
 * without a word, whether SIGPIPE is ignored (then write fails with EPIPE) or not. */
#ifndef CLI_IO_OUTPUT_H
#define CLI_IO_OUTPUT_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

struct output {
    char held[8192]; /* what has not been written yet */
    size_t n_held;
    int fd; /* 0: standard output */
    bool broken_pipe;
};

/* Appends bytes. */
bool output_bytes(struct output *out, const char *bytes, size_t n, struct gpt2_error *err);
bool output_string(struct output *out, const char *string, struct gpt2_error *err);
bool output_format(struct output *out, struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends bytes as a JSON string, with its quotes. Invalid UTF-8 becomes U+FFFD. */
bool output_json_string(struct output *out, const char *bytes, size_t n, struct gpt2_error *err);

/* Writes what can be shown: all but an unfinished character at the end. */
bool output_flush_text(struct output *out, struct gpt2_error *err);

/* Writes all. */
bool output_flush(struct output *out, struct gpt2_error *err);

/* The exit code for a failed write: 141 in silence, or the reported error. */
int output_failed(const struct output *out, const struct gpt2_error *err);

#endif
