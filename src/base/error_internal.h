/* error_internal.h - filling a struct gpt2_error. */
#ifndef BASE_ERROR_INTERNAL_H
#define BASE_ERROR_INTERNAL_H

#include <gpt2/error.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sets status and message (printf-style, truncated to fit, control bytes shown as \xNN), clears the
 * hint, and returns false, so that a failing function can end in `return error_set(err, ...)`.
 * `err` may be NULL. */
bool error_set(struct gpt2_error *err, enum gpt2_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a va_list, and nothing returned. */
void error_format(struct gpt2_error *err, enum gpt2_status status, const char *format,
                  va_list args);

/* Adds the remedy to an error that was just set. Returns false. `err` may be NULL. An error of
 * memory gets none, nor one that error_errno says is of the system, but for a full disk: what a
 * caller has to say of a damaged file is no remedy for that. */
bool error_hint(struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True where all words of `reserved`, the array that ends a struct of options (gpt2/version.h), are
 * 0; else false, with GPT2_ERR_USAGE for `what`, the struct. */
#define error_reserved(reserved, what, err) \
    error_reserved_words(reserved, sizeof(reserved) / sizeof *(reserved), what, err)
bool error_reserved_words(const uint64_t *reserved, size_t n, const char *what,
                          struct gpt2_error *err);

/* The message for a failed allocation of n_bytes for `what`. Returns false. */
bool error_memory(struct gpt2_error *err, const char *what, unsigned long long n_bytes);

/* True where an errno says what the system lacks or could not do (memory, descriptors, a disk or
 * a file server that fails, a signal that came), and so nothing about the file that was asked for.
 */
bool error_is_of_system(int reason);

/* The message for a system call that failed: the text, ": " and what `reason`, an errno, means,
 * which stands there even where the text is too long. The status is GPT2_ERR_MEMORY where `reason`
 * is ENOMEM, GPT2_ERR_RUNTIME where it is of the system otherwise, else `status`. Returns false. */
bool error_errno(struct gpt2_error *err, enum gpt2_status status, int reason, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

#endif
