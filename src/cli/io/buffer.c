/* buffer.c - see buffer.h. */
#include "cli/io/buffer.h"
#include "cli/io/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_bytes(struct buffer *buffer, const char *bytes, size_t n) {
    if (buffer->failed)
        return;
    if (buffer->cap - buffer->len < n + 1) {
        size_t cap = buffer->cap * 2 + n + 256;
        char *grown = realloc(buffer->data, cap);
        if (!grown) {
            buffer->failed = true;
            return;
        }
        buffer->data = grown;
        buffer->cap = cap;
    }
    if (n > 0)
        memcpy(buffer->data + buffer->len, bytes, n);
    buffer->len += n;
    buffer->data[buffer->len] = 0;
}

void buffer_format(struct buffer *buffer, const char *format, ...) {
    char text[1024]; // strings of any length go through the other functions
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_bytes(buffer, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

void buffer_json(struct buffer *buffer, const char *bytes, size_t n) {
    buffer_bytes(buffer, "\"", 1);
    for (size_t i = 0; i < n;) {
        const unsigned char *s = (const unsigned char *)bytes + i;
        size_t len = output_character(s, n - i);
        if (len == 0) {
            buffer_bytes(buffer, "\xEF\xBF\xBD", 3);
            len = 1;
        } else if (*s == '"' || *s == '\\') {
            buffer_format(buffer, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7F) {
            buffer_format(buffer, "\\u%04x", *s);
        } else {
            buffer_bytes(buffer, bytes + i, len);
        }
        i += len;
    }
    buffer_bytes(buffer, "\"", 1);
}
