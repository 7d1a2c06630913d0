/* line_errors.h - what a command that reads line by line does with a line that it cannot answer: it
 * says so, answers the other lines, and ends with GPT2_ERR_RECORDS, as bulk jobs do. */
#ifndef CLI_IO_LINE_ERRORS_H
#define CLI_IO_LINE_ERRORS_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

/* True if `err` is a fault of the line's own text (GPT2_ERR_INPUT), such as a byte that no token of
 * the vocabulary has. Then it is reported with the input's name and the line's number, counted in
 * *n, and the caller answers the line without a result. False: `err` ends the command. */
bool line_errors_take(uint64_t *n, const char *name, uint64_t number, const struct gpt2_error *err);

/* The exit code of a command that answered everything else. */
int line_errors_code(uint64_t n);

#endif
