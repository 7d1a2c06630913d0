#include "base/error_internal.h"

#include <gpt2/version.h>
#include <stdarg.h>
#include <stdio.h>

/* Formats into out[cap], truncated to fit, with bytes that could steer a terminal written as \xNN.
 * Names in a message may come from a file that somebody made to do just that. Bytes >= 0x80 are
 * kept: they are UTF-8 in every sane file name, except for the C1 controls (U+0080..U+009F), which
 * terminals obey too. */
static void format_printable(char *out, size_t cap, const char *format, va_list args) {
    char text[sizeof((struct gpt2_error *)0)->message];
    vsnprintf(text, sizeof text, format, args);
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && n + 5 < cap; p++) {
        bool c1 = p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0;
        if (*p < 0x20 || *p == 0x7F || c1)
            n += (size_t)snprintf(out + n, cap - n, "\\x%02X", *p);
        else
            out[n++] = (char)*p;
    }
    out[n] = 0;
}

bool error_set(struct gpt2_error *err, enum gpt2_status status, const char *format, ...) {
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    format_printable(err->message, sizeof err->message, format, args);
    va_end(args);
    err->status = status;
    err->hint[0] = 0;
    return false;
}

bool error_hint(struct gpt2_error *err, const char *format, ...) {
    if (!err)
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

bool error_reserved(const uint64_t *reserved, const char *what, struct gpt2_error *err) {
    for (int i = 0; i < GPT2_RESERVED; i++)
        if (reserved[i] != 0) {
            error_set(err, GPT2_ERR_USAGE, "%s: expected 0 in `reserved`, got other bytes", what);
            return error_hint(err,
                              "set options to {0} first; or this library is older (%s) than "
                              "what the program was compiled for",
                              GPT2_VERSION);
        }
    return true;
}
