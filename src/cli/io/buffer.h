/* buffer.h - text that grows, and JSON written into it. */
#ifndef CLI_IO_BUFFER_H
#define CLI_IO_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Start from {0}. Where memory runs out `failed` is set and what follows is dropped. */
struct buffer {
    char *data; /* owned, NUL-ended once something is in it */
    size_t len, cap;
    bool failed;
};

void buffer_free(struct buffer *buffer);
void buffer_bytes(struct buffer *buffer, const char *bytes, size_t n);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void buffer_json(struct buffer *buffer, const char *bytes, size_t n);

#endif
