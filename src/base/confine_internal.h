/* confine_internal.h - what confine.c asks of the system: one file each, confine_SYSTEM.c. */
#ifndef BASE_CONFINE_INTERNAL_H
#define BASE_CONFINE_INTERNAL_H

#include <stddef.h>

/* A place that may be written to. */
struct confine_place {
    char *path;       /* owned                                                        */
    int is_directory; /* 1: files in it are made, written, renamed and removed; 0: it */
                      /* is written to                                                */
};

/* NULL: done; else why not, in words. `places` NULL: writing anywhere. */
const char *confine_system_files(const struct confine_place *places, size_t n);
const char *confine_system_calls(unsigned keeps);
void confine_system_child(void);

#endif
