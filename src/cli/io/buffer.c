/* buffer.c - see buffer.h. */
#include "cli/io/buffer.h"
#include "base/escape.h"

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
    char form[ESCAPE_BYTES];
    buffer_bytes(buffer, "\"", 1);
    for (size_t used; n > 0; bytes += used, n -= used) {
        used = escape_json(form, (const unsigned char *)bytes, n);
        buffer_bytes(buffer, form, strlen(form));
    }
    buffer_bytes(buffer, "\"", 1);
}
