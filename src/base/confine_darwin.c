/* confine_darwin.c - macOS has sandbox_init only, which is deprecated and whose rules are written
 * in a language without a specification: nothing is given up. */
#include "base/confine.h"
#include "base/confine_internal.h"

const char *confine_system_files(const struct confine_place *places, size_t n) {
    return "nothing for this system";
}

const char *confine_system_calls(unsigned keeps) {
    return "nothing for this system";
}

void confine_system_child(void) {}
