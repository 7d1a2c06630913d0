/* confine_bsd.c - unveil and pledge of OpenBSD; the other BSDs give up nothing. */
#define __BSD_VISIBLE 1 // unveil, pledge

#include "base/confine.h"
#include "base/confine_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__OpenBSD__)

const char *confine_system_files(const struct confine_place *places, size_t n) {
    if (unveil("/", places ? "r" : "rwc") != 0)
        return "unveil failed";
    for (size_t i = 0; i < n; i++) // a folder that is not there is none
        (void)unveil(places[i].path, places[i].is_directory ? "rwc" : "rw");
    return unveil(NULL, NULL) == 0 ? NULL : "unveil failed";
}

const char *confine_system_calls(unsigned keeps) {
    char promises[80];
    snprintf(promises, sizeof promises, "stdio tty%s%s%s",
             keeps & (CONFINE_READS | CONFINE_WRITES) ? " rpath" : "",
             keeps & CONFINE_WRITES ? " wpath cpath fattr" : "",
             keeps & CONFINE_SERVES ? " inet" : "");
    return pledge(promises, NULL) == 0 ? NULL : "pledge failed";
}

#else

const char *confine_system_files(const struct confine_place *places, size_t n) {
    return "nothing for this system";
}

const char *confine_system_calls(unsigned keeps) {
    return "nothing for this system";
}

#endif

void confine_system_child(void) {}
