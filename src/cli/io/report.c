/* report.c - the one place that prints errors. */
#include "cli/io/report.h"
#include "base/error_internal.h"
#include "base/escape.h"
#include "cli/io/fold.h"
#include "cli/io/terminal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Notes name files and words of the command line as they are; errors are escaped already. */
static void print_line(const char *label, const char *text) {
    char form[ESCAPE_BYTES];
    fputs(label, stderr);
    for (size_t left = strlen(text), used; left > 0; text += used, left -= used) {
        used = escape_message(form, (const unsigned char *)text, left);
        fputs(form, stderr);
    }
    fputc('\n', stderr);
}

int report(const struct gpt2_error *err) {
    terminal_clear_status();
    print_line("gpt2: error: ", err->message);
    if (err->hint[0])
        print_line("hint: ", err->hint);
    return err->status;
}

void report_note(const char *format, ...) {
    struct gpt2_error note;
    va_list args;
    va_start(args, format);
    error_format(&note, GPT2_OK, format, args);
    va_end(args);
    terminal_clear_status();
    print_line("gpt2: note: ", note.message);
}

void report_done(const char *format, ...) {
    struct gpt2_error line;
    va_list args;
    va_start(args, format);
    error_format(&line, GPT2_OK, format, args);
    va_end(args);
    print_line("", line.message);
}

void report_table(const struct buffer *table) {
    const int columns = isatty(STDERR_FILENO) ? terminal_columns(STDERR_FILENO) : INT_MAX;
    struct buffer folded = {0};
    for (size_t at = 0; at < table->len; at++) {
        const char *line = table->data + at;
        const size_t n = strcspn(line, "\n");
        fold_line(&folded, line, n, columns < 40 ? 40 : columns);
        buffer_byte(&folded, '\n');
        at += n;
    }
    if (folded.data)
        fputs(folded.data, stderr);
    buffer_free(&folded);
}

bool usage_error(struct gpt2_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_format(err, GPT2_ERR_USAGE, format, args);
    va_end(args);
    return false;
}

bool command_error(struct gpt2_error *err, enum gpt2_status status, const char *hint,
                   const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_format(err, status, format, args);
    va_end(args);
    if (hint)
        snprintf(err->hint, sizeof err->hint, "%s", hint);
    return false;
}
