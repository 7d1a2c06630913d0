/* out_file.c - see out_file.h. */
#include "cli/io/out_file.h"
#include "cli/io/find_model.h"
#include "cli/io/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void forget(struct out_file *file, struct output *out) {
    free(file->path);
    free(file->temporary);
    *file = (struct out_file){0};
    out->fd = 0;
}

bool out_file_open(struct out_file *file, const char *path, struct output *out,
                   struct gpt2_error *err) {
    struct stat info;
    bool exists = stat(path, &info) == 0, replaces = !exists || S_ISREG(info.st_mode);
    // A pipe has a name in /dev/fd but no path.
    file->path = exists && replaces ? canonical_path(path) : strdup(path);
    size_t size = file->path ? strlen(file->path) + 32 : 0;
    file->temporary = replaces && size ? malloc(size) : NULL;
    if (!file->path || (replaces && !file->temporary)) {
        forget(file, out);
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    }
    if (replaces)
        snprintf(file->temporary, size, "%s.%ld.tmp", file->path, (long)getpid());
    int fd = replaces ? open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
                      : open(file->path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        out->fd = fd;
        return true;
    }
    command_error(err, GPT2_ERR_RUNTIME, NULL, "%.300s: cannot create: %s", file->path,
                  strerror(errno));
    forget(file, out);
    return false;
}

bool out_file_keep(struct out_file *file, struct output *out, struct gpt2_error *err) {
    if (!output_flush(out, err)) {
        out_file_drop(file, out);
        return false;
    }
    bool ok = !file->temporary || fsync(out->fd) == 0;
    ok = close(out->fd) == 0 && ok;
    const char *what = ok ? "replace" : "write";
    ok = ok && (!file->temporary || rename(file->temporary, file->path) == 0);
    if (!ok) {
        command_error(err, GPT2_ERR_RUNTIME, NULL, "%.300s: cannot %s: %s", file->path, what,
                      strerror(errno));
        if (file->temporary)
            unlink(file->temporary);
    }
    forget(file, out);
    return ok;
}

void out_file_drop(struct out_file *file, struct output *out) {
    if (!file->path)
        return;
    close(out->fd);
    if (file->temporary)
        unlink(file->temporary);
    forget(file, out);
}
