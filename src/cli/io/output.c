/* output.c - buffered writes to standard output. */
#include "cli/io/output.h"
#include "cli/io/report.h"

#include <errno.h>
#include <gpt2/tokenizer.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Writes the first n held bytes and moves the rest to the front. */
static bool write_held(struct output *out, size_t n, struct gpt2_error *err) {
    size_t done = 0;
    while (done < n) {
        ssize_t wrote = write(out->fd ? out->fd : STDOUT_FILENO, out->held + done, n - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            out->broken_pipe = errno == EPIPE;
            return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot write to %s: %s",
                                 out->fd ? "the output file" : "standard output", strerror(errno));
        }
        done += (size_t)wrote;
    }
    memmove(out->held, out->held + n, out->n_held - n);
    out->n_held -= n;
    return true;
}

bool output_flush(struct output *out, struct gpt2_error *err) {
    return write_held(out, out->n_held, err);
}

bool output_flush_text(struct output *out, struct gpt2_error *err) {
    return write_held(out, gpt2_utf8_whole(out->held, out->n_held), err);
}

bool output_bytes(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    while (n > 0) {
        if (out->n_held == sizeof out->held && !write_held(out, out->n_held, err))
            return false;
        size_t room = sizeof out->held - out->n_held;
        size_t part = n < room ? n : room;
        memcpy(out->held + out->n_held, bytes, part);
        out->n_held += part;
        bytes += part;
        n -= part;
    }
    return true;
}

bool output_string(struct output *out, const char *string, struct gpt2_error *err) {
    return output_bytes(out, string, strlen(string), err);
}

bool output_format(struct output *out, struct gpt2_error *err, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return output_bytes(out, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1, err);
}

size_t output_character(const unsigned char *s, size_t n) {
    size_t len = s[0] < 0x80   ? 1
                 : s[0] < 0xC2 ? 0
                 : s[0] < 0xE0 ? 2
                 : s[0] < 0xF0 ? 3
                 : s[0] < 0xF5 ? 4
                               : 0;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool bad = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] >= 0xA0) ||
               (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] >= 0x90);
    return bad ? 0 : len;
}

bool output_json_string(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    bool ok = output_string(out, "\"", err);
    for (size_t i = 0; ok && i < n;) {
        const unsigned char *s = (const unsigned char *)bytes + i;
        size_t len = output_character(s, n - i);
        if (len == 0) {
            ok = output_string(out, "\xEF\xBF\xBD", err);
            len = 1;
        } else if (*s == '"' || *s == '\\') {
            ok = output_format(out, err, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7F) {
            ok = output_format(out, err, "\\u%04x", *s);
        } else {
            ok = output_bytes(out, bytes + i, len, err);
        }
        i += len;
    }
    return ok && output_string(out, "\"", err);
}

int output_failed(const struct output *out, const struct gpt2_error *err) {
    return out->broken_pipe ? 128 + SIGPIPE : report(err);
}
