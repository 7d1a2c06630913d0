/* report.h - what the program says to standard error, and how it ends. */
#ifndef CLI_IO_REPORT_H
#define CLI_IO_REPORT_H

#include <gpt2/error.h>
#include <stdbool.h>

/* Prints "gpt2: error: ..." and, where there is one, "hint: ..."; returns the exit code. */
int report(const struct gpt2_error *err);

/* Prints "gpt2: note: ..." */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints a line that says what was done. Control characters in it are escaped. */
void report_done(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the lines of a table, broken (fold.h) where standard error is a terminal too narrow for
 * them. */
struct buffer;
void report_table(const struct buffer *table);

/* Fills err as the library does. Return false. */
bool usage_error(struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool command_error(struct gpt2_error *err, enum gpt2_status status, const char *hint,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
