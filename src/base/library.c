/* library.c - finds a library and its functions by dlopen and dlsym. */
#include "base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* Why dlopen failed; NULL: there is no such file, as every system says in its own words. */
static const char *reason(void) {
    const bool no_memory = errno == ENOMEM; // which not all of its words say
    const char *why = dlerror(), *words = "no such file";
    if (no_memory || !why)
        return "out of memory";
    for (const char *at = why; *at; at++)
        if (!strncasecmp(at, words, strlen(words)))
            return NULL;
    return why;
}

bool library_load(const char *const *names, size_t n_names, const struct library_symbol *symbols,
                  size_t n_symbols, const char **why) {
    void *handle = NULL;
    *why = NULL;
    for (size_t i = 0; !handle && !*why && i < n_names; i++) {
        errno = 0;
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        *why = handle ? NULL : reason();
    }
    bool found = handle != NULL;
    for (size_t i = 0; found && i < n_symbols; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        memcpy(symbols[i].function, &symbol, sizeof symbol);
        found = symbol != NULL;
        *why = found ? NULL : dlerror();
    }
    return found;
}
