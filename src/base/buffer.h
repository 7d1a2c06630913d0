/* buffer.h - bytes that grow in memory, for text and for files that are made before they are
 * written.
 *
 * Start from {0}. Where memory runs out `failed` is set, and it stays set: what follows is dropped,
 * and the maker of the bytes looks once, at the end. A stream in memory (open_memstream) is not
 * used anywhere: with glibc 2.36 it can lose bytes and still close without an error. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    char *data; /* owned, NUL-ended once something was appended */
    size_t len, cap;
    bool failed;
};

void buffer_free(struct buffer *buffer); /* leaves {0} */

void buffer_bytes(struct buffer *buffer, const void *bytes, size_t n);
void buffer_append(struct buffer *buffer, const struct buffer *from); /* its failure too */
void buffer_byte(struct buffer *buffer, char byte);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As "%.*g" with so many digits, 17 at most, and a point whatever locale the program has set. */
void buffer_real(struct buffer *buffer, int digits, double value);

/* As a JSON string with its quotes. What is not ASCII stays as it is; invalid UTF-8 becomes U+FFFD,
 * control characters are escaped. */
void buffer_json(struct buffer *buffer, const char *bytes, size_t n);

/* Appends `byte` until the length is a multiple of `unit`. */
void buffer_pad(struct buffer *buffer, size_t unit, char byte);

/* Hands the bytes over, to be freed with free(): NUL-ended, *n of them before the NUL, never NULL
 * where nothing failed. NULL: memory ran out. The buffer is empty afterwards. */
char *buffer_take(struct buffer *buffer, size_t *n);

#endif
