/* notes.h - what the loader noticed and the user may want to know: a list of sentences. */
#ifndef MODEL_NOTES_H
#define MODEL_NOTES_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

struct notes {
    char **items; /* [count] owned */
    size_t count;
};

/* Appends a sentence (printf-style, as long as an error message, and escaped like one). False where
 * memory is out; err is then set. */
bool notes_add(struct notes *notes, struct gpt2_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void notes_free(struct notes *notes); /* a zeroed struct is allowed */

#endif
