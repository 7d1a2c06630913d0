/* buffer.c - bytes that grow in memory. */
#include "base/buffer.h"
#include "base/escape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

/* Room for n more bytes and a NUL. */
static bool reserve(struct buffer *buffer, size_t n) {
    if (buffer->failed)
        return false;
    if (buffer->cap - buffer->len > n)
        return true;
    const size_t most = SIZE_MAX / 4;
    const size_t cap = buffer->cap * 2 + n + 256;
    char *grown = n < most && buffer->cap < most ? realloc(buffer->data, cap) : NULL;
    if (!grown) {
        buffer->failed = true;
        return false;
    }
    buffer->data = grown;
    buffer->cap = cap;
    return true;
}

void buffer_bytes(struct buffer *buffer, const void *bytes, size_t n) {
    if (!reserve(buffer, n))
        return;
    if (n > 0)
        memcpy(buffer->data + buffer->len, bytes, n);
    buffer->len += n;
    buffer->data[buffer->len] = 0;
}

void buffer_append(struct buffer *buffer, const struct buffer *from) {
    buffer_bytes(buffer, from->data, from->len);
    buffer->failed = buffer->failed || from->failed;
}

void buffer_byte(struct buffer *buffer, char byte) {
    buffer_bytes(buffer, &byte, 1);
}

void buffer_text(struct buffer *buffer, const char *text) {
    buffer_bytes(buffer, text, strlen(text));
}

void buffer_format(struct buffer *buffer, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    if (reserve(buffer, 64)) {
        const size_t room = buffer->cap - buffer->len;
        const int n = vsnprintf(buffer->data + buffer->len, room, format, args);
        if (n < 0)
            buffer->failed = true;
        else if ((size_t)n < room)
            buffer->len += (size_t)n;
        else if (reserve(buffer, (size_t)n))
            buffer->len += (size_t)vsnprintf(buffer->data + buffer->len, buffer->cap - buffer->len,
                                             format, again);
    }
    va_end(again);
    va_end(args);
}

void buffer_real(struct buffer *buffer, int digits, double value) {
    const size_t from = buffer->len;
    buffer_format(buffer, "%.*g", digits, value);
    char *comma = buffer->failed ? NULL : strchr(buffer->data + from, ',');
    if (comma)
        *comma = '.';
}

void buffer_json(struct buffer *buffer, const char *bytes, size_t n) {
    char form[ESCAPE_BYTES];
    buffer_byte(buffer, '"');
    for (size_t used; n > 0; bytes += used, n -= used) {
        used = escape_json(form, (const unsigned char *)bytes, n);
        buffer_text(buffer, form);
    }
    buffer_byte(buffer, '"');
}

void buffer_pad(struct buffer *buffer, size_t unit, char byte) {
    while (buffer->len % unit && !buffer->failed)
        buffer_byte(buffer, byte);
}

char *buffer_take(struct buffer *buffer, size_t *n) {
    buffer_bytes(buffer, NULL, 0); // at least a NUL
    char *data = buffer->failed ? NULL : buffer->data;
    *n = data ? buffer->len : 0;
    if (!data)
        free(buffer->data);
    *buffer = (struct buffer){0};
    return data;
}
