/* error.c - fills errors with text that cannot steer a terminal. */
#include "base/error_internal.h"
#include "base/escape.h"

#include <errno.h>
#include <gpt2/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Formats into out[cap], truncated to fit. Names in a message may come from a file that was made to
 * steer a terminal. */
static void format_printable(char *out, size_t cap, const char *format, va_list args) {
    char text[sizeof((struct gpt2_error *)0)->message], form[ESCAPE_BYTES];
    vsnprintf(text, sizeof text, format, args);
    size_t n = 0, left = strlen(text);
    for (const unsigned char *p = (const unsigned char *)text;
         left > 0 && n + ESCAPE_BYTES <= cap;) {
        size_t used = escape_message(form, p, left);
        n += (size_t)snprintf(out + n, cap - n, "%s", form);
        p += used;
        left -= used;
    }
    out[n] = 0;
}

/* An error that takes no hint has this after the empty one. */
#define SEALED 1

static void clear_hint(struct gpt2_error *err, bool is_sealed) {
    err->hint[0] = 0;
    err->hint[1] = is_sealed ? SEALED : 0;
}

void error_format(struct gpt2_error *err, enum gpt2_status status, const char *format,
                  va_list args) {
    if (!err)
        return;
    format_printable(err->message, sizeof err->message, format, args);
    err->status = status;
    clear_hint(err, status == GPT2_ERR_MEMORY);
}

bool error_set(struct gpt2_error *err, enum gpt2_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_format(err, status, format, args);
    va_end(args);
    return false;
}

bool error_is_of_system(int reason) {
    return reason == ENOMEM || reason == EMFILE || reason == ENFILE || reason == EAGAIN ||
           reason == EINTR || reason == EIO || reason == ENOSPC || reason == ESTALE ||
           reason == ETIMEDOUT;
}

bool error_errno(struct gpt2_error *err, enum gpt2_status status, int reason, const char *format,
                 ...) {
    if (!err)
        return false;
    const char *why = strerror(reason);
    const size_t cap = sizeof err->message, n_why = strlen(": ") + strlen(why);
    va_list args;
    va_start(args, format);
    format_printable(err->message, n_why < cap ? cap - n_why : cap, format, args);
    va_end(args);
    const size_t n = strlen(err->message);
    snprintf(err->message + n, cap - n, ": %s", why);
    err->status = reason == ENOMEM             ? GPT2_ERR_MEMORY
                  : error_is_of_system(reason) ? GPT2_ERR_RUNTIME
                                               : status;
    clear_hint(err, error_is_of_system(reason) && reason != ENOSPC);
    return false;
}

bool error_hint(struct gpt2_error *err, const char *format, ...) {
    if (!err || (err->hint[0] == 0 && err->hint[1] == SEALED))
        return false;
    va_list args;
    va_start(args, format);
    format_printable(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return false;
}

bool error_memory(struct gpt2_error *err, const char *what, unsigned long long n_bytes) {
    return error_set(err, GPT2_ERR_MEMORY, "out of memory: %llu bytes for %s", n_bytes, what);
}

bool error_reserved_words(const uint64_t *reserved, size_t n, const char *what,
                          struct gpt2_error *err) {
    for (size_t i = 0; i < n; i++)
        if (reserved[i] != 0) {
            error_set(err, GPT2_ERR_USAGE, "%s: expected 0 in `reserved`, got other bytes", what);
            return error_hint(err,
                              "set options to {0} first; or this library is older (%s) than "
                              "what the program was compiled for",
                              GPT2_VERSION);
        }
    return true;
}
