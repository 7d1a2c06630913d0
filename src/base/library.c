/* library.c - finds a library and its functions by dlopen and dlsym. */
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

bool library_load(const char *const *names, size_t n_names, const struct library_symbol *symbols,
                  size_t n_symbols) {
    void *handle = NULL;
    for (size_t i = 0; !handle && i < n_names; i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    bool found = handle != NULL;
    for (size_t i = 0; found && i < n_symbols; i++) {
        void *symbol = dlsym(handle, symbols[i].name);
        memcpy(symbols[i].function, &symbol, sizeof symbol);
        found = symbol != NULL;
    }
    return found;
}
