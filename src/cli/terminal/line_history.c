/* line_history.c - loads, appends to and cuts the file of lines that were typed. */
#include "cli/terminal/line_history.h"
#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/outfile.h"
#include "cli/io/input.h"
#include "cli/io/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *line_history_path(void) {
    const char *own = getenv("GPT2_HISTORY");
    if (own)
        return *own ? strdup(own) : NULL;
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct buffer path = {0};
    if (state && *state == '/') // its specification has others ignored
        buffer_bytes(&path, state, strlen(state));
    else if (home && *home == '/')
        buffer_format(&path, "%s/.local/state", home);
    else
        return NULL;
    buffer_format(&path, "/gpt2/history");
    return path.data;
}

static bool failed(struct gpt2_error *err, const char *what, const char *path) {
    return error_errno(err, GPT2_ERR_RUNTIME, errno, "history: cannot %s %s", what, path);
}

static void make_folders(const char *path) {
    char *folder = strdup(path);
    for (char *at = folder ? strchr(folder + 1, '/') : NULL; at; at = strchr(at + 1, '/')) {
        *at = 0;
        mkdir(folder, 0700); // what is there already is no failure, and open finds all others
        *at = '/';
    }
    free(folder);
}

static bool write_lines(int fd, const char *data, size_t n) {
    while (n > 0) {
        ssize_t wrote = write(fd, data, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return false;
        data += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

/* Replaces the file by one that has only these lines. */
static bool cut(const char *path, const char *data, size_t n, struct gpt2_error *err) {
    struct outfile file = {0};
    struct gpt2_error cause;
    return (outfile_open(&file, path, OUTFILE_PRIVATE, &cause) &&
            outfile_write(&file, data, n, &cause) && outfile_commit(&file, &cause)) ||
           command_error(err, cause.status, NULL, "history: %s", cause.message);
}

/* The end of the line that begins here; a NUL byte is none. */
static char *line_end(char *line, const char *last) {
    return memchr(line, '\n', (size_t)(last - line));
}

bool line_history_load(const char *path, void (*each)(void *user, const char *line), void *user,
                       struct gpt2_error *err) {
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT || failed(err, "open", path);
    struct buffer all = {0};
    char part[4096];
    for (size_t n; all.len <= INPUT_MAX && (n = fread(part, 1, sizeof part, file)) > 0;)
        buffer_bytes(&all, part, n);
    bool ok = !ferror(file) || failed(err, "read", path);
    fclose(file);
    if (ok && all.failed)
        ok = command_error(err, GPT2_ERR_MEMORY, NULL, "history: out of memory for %s", path);
    if (ok && all.len > INPUT_MAX) {
        buffer_free(&all);
        return command_error(err, GPT2_ERR_RUNTIME, NULL,
                             "history: %s: expected a file of at most %d MiB, found more", path,
                             INPUT_MAX_MIB);
    }
    if (!ok || !all.len) {
        buffer_free(&all);
        return ok;
    }
    size_t n_lines = 0;
    for (size_t i = 0; i < all.len; i++)
        n_lines += all.data[i] == '\n';
    char *line = all.data, *last = all.data + all.len;
    for (size_t skip = n_lines > LINE_HISTORY_KEPT ? n_lines - LINE_HISTORY_KEPT : 0; skip; skip--)
        line = line_end(line, last) + 1;
    if (n_lines > 2 * LINE_HISTORY_KEPT)
        ok = cut(path, line, (size_t)(last - line), err);
    for (char *end; ok && (end = line_end(line, last)); line = end + 1) {
        *end = 0;
        each(user, line);
    }
    buffer_free(&all);
    return ok;
}

bool line_history_add(const char *path, const char *line, struct gpt2_error *err) {
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    int fd = open(path, flags, 0600);
    if (fd < 0 && errno == ENOENT) {
        make_folders(path);
        fd = open(path, flags, 0600);
    }
    if (fd < 0)
        return failed(err, "open", path);
    struct buffer whole = {0}; // in one write, so that lines of two sessions do not mix
    buffer_bytes(&whole, line, strlen(line));
    buffer_bytes(&whole, "\n", 1);
    bool ok = !whole.failed && write_lines(fd, whole.data, whole.len);
    if (!ok)
        failed(err, "write", path);
    buffer_free(&whole);
    close(fd);
    return ok;
}
