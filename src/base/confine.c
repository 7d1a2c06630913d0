/* confine.c - which places are written to, and what is said about it; confine_linux.c,
 * confine_bsd.c and confine_darwin.c do it, of which the Makefile takes one. */
#include "base/confine.h"
#include "base/confine_internal.h"
#include "base/look.h"
#include "base/outfile.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

/* What the runtimes of coverage have: gcc's and clang's write their files at the end. */
#pragma weak __gcov_dump
#pragma weak __llvm_profile_write_file
extern void __gcov_dump(void);
extern int __llvm_profile_write_file(void);

/* What watches this process and opens files in it; NULL: nothing does. */
static const char *watcher(void) {
#if defined(SANITIZED)
    return "none: this build has a sanitizer";
#endif
    const char *preloaded = getenv("LD_PRELOAD"); // valgrind's own library is there
    if (preloaded && strstr(preloaded, "vgpreload"))
        return "none: under valgrind";
    if (__gcov_dump || __llvm_profile_write_file)
        return "none: this build measures coverage";
    return NULL;
}

static const char no_step[] = "not asked for";
static const char *files = no_step, *calls = no_step; /* NULL: given up; else why not */
static char state[240];

/* What outfile_open or a plain open of that path writes to. False: memory is
 * out, or the path could not be looked at. */
static bool add_place(struct confine_place *place, const char *path) {
    struct stat info;
    char *target = outfile_target(path, NULL);
    if (!target)
        return false;
    const bool is_known = look_at(&info, target, LOOK_THROUGH, GPT2_ERR_RUNTIME, NULL);
    place->is_directory = !is_known || !info.st_mode || S_ISREG(info.st_mode);
    place->path = place->is_directory ? path_directory(target, NULL) : target;
    if (place->is_directory)
        free(target);
    return place->path != NULL;
}

void confine_files(const char *const *outputs, size_t n) {
    files = watcher();
    if (files)
        return;
    struct confine_place *places = calloc(n + 1, sizeof *places);
    size_t n_places = 0;
    bool ok = places != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        int stream = -1;
        if (!outputs[i] || !strcmp(outputs[i], "-"))
            continue;
        ok = outfile_stream(&stream, outputs[i], NULL);
        if (ok && stream < 0) {
            ok = add_place(&places[n_places], outputs[i]);
            n_places += ok;
        }
    }
    files = ok ? confine_system_files(places, n_places)
               : "out of memory, or an output could not be looked at";
    for (size_t i = 0; i < n_places; i++)
        free(places[i].path);
    free(places);
}

void confine_programs(void) {
    files = watcher();
    if (!files)
        files = confine_system_files(NULL, 0);
}

void confine_calls(unsigned keeps) {
    calls = watcher();
    if (!calls)
        calls = confine_system_calls(keeps);
}

void confine_child(void) {
    confine_system_child();
}

const char *confine_state(void) {
    if (!files && !calls)
        return "files, calls";
    if (files && !strncmp(files, "none", 4))
        return files;
    snprintf(state, sizeof state, "%s (%s%s%s)",
             !files   ? "files"
             : !calls ? "calls"
                      : "none",
             files ? files : "", files && calls && strcmp(files, calls) ? "; " : "",
             calls && !(files && !strcmp(files, calls)) ? calls : "");
    return state;
}
