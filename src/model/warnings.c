/* warnings.c - keeps the sentences that the loader has for the user. */
#include "model/warnings.h"
#include "base/error_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool warnings_add(struct warnings *notes, struct gpt2_error *err, const char *format, ...) {
    struct gpt2_error note; // names from files go to the terminal: escaped as errors are
    char text[sizeof note.message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(&note, GPT2_OK, "%s", text);

    size_t n_bytes = (notes->count + 1) * sizeof *notes->items;
    char **items = realloc(notes->items, n_bytes);
    if (!items)
        return error_memory(err, "notes", n_bytes);
    notes->items = items;
    char *copy = strdup(note.message);
    if (!copy)
        return error_memory(err, "a note", strlen(note.message) + 1);
    notes->items[notes->count++] = copy;
    return true;
}

void warnings_free(struct warnings *notes) {
    for (size_t i = 0; i < notes->count; i++)
        free(notes->items[i]);
    free(notes->items);
    *notes = (struct warnings){0};
}
