/* library.h - loads a shared library at run time, so that only commands that need it pay for it. */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* A function of the library. */
struct library_symbol {
    const char *name;
    void *function; /* where its pointer goes, of whatever type: POSIX has it in a void pointer */
};

/* Loads the first library of `names` [n_names] that there is, and finds all `symbols` [n_symbols]
 * in it. It stays loaded. False: *why is NULL where there is none, else the system's words for why
 * it cannot be loaded (memory, a symbol that it lacks), valid until the next call. */
bool library_load(const char *const *names, size_t n_names, const struct library_symbol *symbols,
                  size_t n_symbols, const char **why);

#endif
