/* report.c - the one place that prints errors. */
#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>

int report(const struct gpt2_error *err) {
    fflush(stdout);
    fprintf(stderr, "gpt2: error: %s\n", err->message);
    if (err->hint[0])
        fprintf(stderr, "hint: %s\n", err->hint);
    return err->status;
}

void report_note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("gpt2: note: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

/* Words of the command line end up in messages: control bytes are shown, not obeyed. */
static void set_message(struct gpt2_error *err, const char *format, va_list args) {
    char text[sizeof err->message];
    vsnprintf(text, sizeof text, format, args);
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && n + 5 < sizeof err->message;
         p++) {
        if (*p < 0x20 || *p == 0x7F)
            n += (size_t)snprintf(err->message + n, sizeof err->message - n, "\\x%02X", *p);
        else
            err->message[n++] = (char)*p;
    }
    err->message[n] = 0;
}

bool usage_error(struct gpt2_error *err, const char *format, ...) {
    err->status = GPT2_ERR_USAGE;
    err->hint[0] = 0;
    va_list args;
    va_start(args, format);
    set_message(err, format, args);
    va_end(args);
    return false;
}

bool command_error(struct gpt2_error *err, enum gpt2_status status, const char *hint,
                   const char *format, ...) {
    err->status = status;
    snprintf(err->hint, sizeof err->hint, "%s", hint ? hint : "");
    va_list args;
    va_start(args, format);
    set_message(err, format, args);
    va_end(args);
    return false;
}
