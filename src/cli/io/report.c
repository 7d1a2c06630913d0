/* report.c - the one place that prints errors. */
#include "cli/io/report.h"
#include "cli/io/terminal.h"

#include <stdarg.h>
#include <stdio.h>

/* Words of the command line and of the environment end up in messages: control bytes (C0, DEL, and
 * C1 as UTF-8) are shown, not obeyed. */
static void print_line(const char *label, const char *text) {
    fputs(label, stderr);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool c1 = p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0;
        if (*p < 0x20 || *p == 0x7F || c1)
            fprintf(stderr, "\\x%02X", *p);
        else
            fputc(*p, stderr);
    }
    fputc('\n', stderr);
}

int report(const struct gpt2_error *err) {
    fflush(stdout);
    terminal_clear_status();
    print_line("gpt2: error: ", err->message);
    if (err->hint[0])
        print_line("hint: ", err->hint);
    return err->status;
}

void report_note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    terminal_clear_status();
    fputs("gpt2: note: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

bool usage_error(struct gpt2_error *err, const char *format, ...) {
    err->status = GPT2_ERR_USAGE;
    err->hint[0] = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return false;
}

bool command_error(struct gpt2_error *err, enum gpt2_status status, const char *hint,
                   const char *format, ...) {
    err->status = status;
    snprintf(err->hint, sizeof err->hint, "%s", hint ? hint : "");
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return false;
}
