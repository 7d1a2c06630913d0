/* suggest.h - the known name that a mistyped one is nearest to. */
#ifndef CLI_IO_SUGGEST_H
#define CLI_IO_SUGGEST_H

#include <stddef.h>

/* The best one so far; starts with `distance` at how far a suggestion may be, plus 1. */
struct suggestion {
    const char *name; /* NULL: none */
    int distance;
};

/* Compares word[0..n) with `name`, which is borrowed. A name that takes more edits than half of the
 * word's letters is none. */
void suggest(struct suggestion *best, const char *word, size_t n, const char *name);

#endif
