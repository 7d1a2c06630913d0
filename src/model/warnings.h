/* warnings.h - what the loader noticed and the user may want to know: a list of sentences. */
#ifndef MODEL_WARNINGS_H
#define MODEL_WARNINGS_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

struct warnings {
    char **items; /* [count] owned */
    size_t count;
};

/* Appends a sentence (printf-style, as long as an error message, and escaped like one). False where
 * memory is out; err is then set. */
bool warnings_add(struct warnings *notes, struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void warnings_free(struct warnings *notes); /* a zeroed struct is allowed */

#endif
