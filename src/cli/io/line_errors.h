/* line_errors.h - what a command that reads line by line does with a line that it cannot answer: it
 * says so, answers the other lines, and ends with GPT2_ERR_RECORDS, as bulk jobs do. */
#ifndef CLI_IO_LINE_ERRORS_H
#define CLI_IO_LINE_ERRORS_H

#include "base/buffer.h"
#include "cli/io/output.h"

#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

/* True if `err` is a fault of the line's own text (GPT2_ERR_INPUT), such as a byte that no token of
 * the vocabulary has. Then it is reported with the input's name and the line's number, counted in
 * *n, and the caller answers the line without a result. False: `err` ends the command. Without a
 * name nothing is said. */
bool line_errors_take(uint64_t *n, const char *name, uint64_t number, const struct gpt2_error *err);

/* Says "NAME, line NUMBER: ..." of any error. */
void line_errors_report(const char *name, uint64_t number, const struct gpt2_error *err);

/* Appends what "error" is in the answer to such a line: {"code": CODE, "message": MESSAGE}, with
 * `space`, " " or "", after colons and commas as in the rest of the line. CODE is "invalid_option"
 * of an option that is unknown or wrong, "invalid_record" of anything else in the line, "failed"
 * of what is no fault of it. A record without an id that could be read is found by "line": LINE,
 * from 1; 0: there is none. (With an id the answer does not depend on the line's place.) */
void line_errors_json(struct buffer *out, const struct gpt2_error *fault, uint64_t line,
                      const char *space);

/* The same with spaces, to an output. */
bool line_errors_output(struct output *out, const struct gpt2_error *fault, uint64_t line,
                        struct gpt2_error *err);

/* The exit code of a command that answered everything else. */
int line_errors_code(uint64_t n);

#endif
