/* path.c - takes paths apart and puts them together. */
#include "base/path.h"
#include "base/error_internal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_ends_in(const char *path, const char *end) {
    const size_t n = path ? strlen(path) : 0, n_end = strlen(end);
    return n >= n_end && !strcmp(path + n - n_end, end);
}

char *path_join(const char *dir, const char *name, struct gpt2_error *err) {
    size_t n_dir = strlen(dir), size = n_dir + strlen(name) + 2;
    char *path = malloc(size);
    if (!path) {
        error_memory(err, "a path", size);
        return NULL;
    }
    snprintf(path, size, "%s%s%s", dir, n_dir && dir[n_dir - 1] == '/' ? "" : "/", name);
    return path;
}

/* path[0..n) as a new string, without slashes at its end; "." for nothing. */
static char *trimmed(const char *path, size_t n, struct gpt2_error *err) {
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *dir = malloc(n + 2);
    if (dir)
        snprintf(dir, n + 2, "%.*s", n ? (int)n : 1, n ? path : ".");
    else
        error_memory(err, "a path", n + 2);
    return dir;
}

char *path_directory(const char *path, struct gpt2_error *err) {
    return trimmed(path, (size_t)(path_name(path) - path), err);
}

char *path_without_slash(const char *path, struct gpt2_error *err) {
    return trimmed(path, strlen(path), err);
}

bool path_matches(const char *name, const char *pattern) {
    return fnmatch(pattern, name, 0) == 0;
}
