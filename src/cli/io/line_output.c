/* line_output.c - writes a line at a time, and finds where a file of them ends. */
#include "cli/io/line_output.h"
#include "base/os.h"
#include "base/outfile.h"
#include "base/path.h"
#include "cli/io/report.h"

#include <errno.h>
#include <fcntl.h>
#include <gpt2/record.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The place of the line that ends before `end`. */
static size_t line_start(const char *data, size_t end) {
    size_t at = end - 1;
    while (at > 0 && data[at - 1] != '\n')
        at--;
    return at;
}

/* How far the file is good: to the end of the last line that is a JSON object. A machine that lost
 * power may have left other bytes after it. False: out of memory, and nothing is known. */
static bool find_good_end(struct line_output *out, size_t *good, const char *data, size_t n,
                          struct gpt2_error *err) {
    while (n > 0 && data[n - 1] != '\n')
        n--;
    for (*good = n; n > 0; *good = n) {
        size_t start = line_start(data, n);
        struct gpt2_error fault = {0};
        struct gpt2_record *record = gpt2_record_parse(data + start, n - 1 - start, &fault);
        gpt2_record_free(record);
        if (record)
            buffer_bytes(&out->last, data + start, n - 1 - start);
        if (out->last.failed || (!record && fault.status == GPT2_ERR_MEMORY))
            return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the last line");
        if (record)
            return true;
        n = start;
    }
    return true;
}

/* True where a file without a whole line can be one that a job began: the beginning of its first
 * line, or nothing but zeros, as some file systems leave them where power is lost. */
static bool is_begun(const struct line_form *form, const char *data, size_t n) {
    size_t n_zeros = 0;
    while (n_zeros < n && data[n_zeros] == 0)
        n_zeros++;
    if (n_zeros == n)
        return true;
    for (int i = 0; form->starts[i]; i++) {
        size_t len = strlen(form->starts[i]);
        if (!memcmp(data, form->starts[i], len < n ? len : n) && !memchr(data, '\n', n))
            return true;
    }
    return false;
}

static bool resume(struct line_output *out, const char *path, const struct line_form *form,
                   const char *fingerprint, uint64_t *n_done, struct gpt2_error *err) {
    struct stat info;
    if (fstat(out->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return usage_error(err, "--resume: %s is no regular file", path);
    struct os_file file;
    if (!os_map_open(&file, out->fd, path, GPT2_ERR_RUNTIME, err))
        return false;
    const char *data = (const char *)file.data;
    const size_t size = file.size;
    size_t good;
    if (size == 0 || !find_good_end(out, &good, data, size, err)) {
        os_unmap(&file);
        return size == 0;
    }
    bool foreign = good == 0 && !is_begun(form, data, size);
    const size_t n_error = strlen(form->error); // quotes in a string would have backslashes
    for (size_t i = 0; i < good; i++) {
        *n_done += data[i] == '\n';
        if (data[i] == '"' && good - i > n_error && !memcmp(data + i, form->error, n_error))
            out->had_errors = true;
    }
    os_unmap(&file);
    if (foreign || (good > 0 && !strstr(out->last.data, form->mark)))
        return command_error(err, GPT2_ERR_USAGE, "name another --output; nothing was changed",
                             "--resume: %s: expected the output of such a job, found another file",
                             path);
    char mark[100];
    snprintf(mark, sizeof mark, "%s%s\"", form->mark, fingerprint);
    if (good > 0 && !strstr(out->last.data, mark))
        return command_error(err, GPT2_ERR_USAGE,
                             "give the same model and options, or another --output",
                             "--resume: %s was made with another model or other options", path);
    if (ftruncate(out->fd, (off_t)good) != 0 || lseek(out->fd, 0, SEEK_END) < 0)
        return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot cut %s: %s", path,
                             strerror(errno));
    return true;
}

/* Two jobs on one file would mix their lines. False: another process has it. Where the file system
 * has no locks there is none. */
static bool take_lock(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &lock) == 0 || (errno != EACCES && errno != EAGAIN);
}

bool line_output_open(struct line_output *out, const struct line_request *request, uint64_t *n_done,
                      struct gpt2_error *err) {
    const char *path = request->path;
    *n_done = 0;
    out->path = !path || !strcmp(path, "-") ? "standard output" : path;
    if (!path || !strcmp(path, "-")) {
        if (request->resume)
            return usage_error(err, "--resume needs an --output file");
        out->fd = STDOUT_FILENO;
        return true;
    }
    struct stat in, there;
    int stream = outfile_stream(path);
    if (stream >= 0 && request->resume)
        return usage_error(err, "--resume: %s is no file of its own", path);
    if (stream >= 0) {
        out->fd = fcntl(stream, F_DUPFD_CLOEXEC, 3);
        if (out->fd < 0) {
            out->fd = 0;
            return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot open %s: %s", path,
                                 strerror(errno));
        }
        return true;
    }
    bool exists = stat(path, &there) == 0;
    if (exists && fstat(request->input_fd, &in) == 0 && in.st_ino == there.st_ino &&
        in.st_dev == there.st_dev)
        return usage_error(err, "--output: %s is the input", path);
    // a FIFO that is opened for reading, too, does not wait for its reader
    const bool special = exists && !S_ISREG(there.st_mode);
    const int access = special && !request->resume ? O_WRONLY : O_RDWR;
    int fd = open(path, access | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot open %s: %s", path,
                             strerror(errno));
    out->fd = fd;
    if (!special && !take_lock(fd))
        return command_error(err, GPT2_ERR_RUNTIME, "name another --output",
                             "--output: another process writes to %s", path);
    if (!special && !request->resume && ftruncate(fd, 0) != 0)
        return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot cut %s: %s", path,
                             strerror(errno));
    if (!exists && !(out->folder = path_directory(path, err)))
        return false;
    return !request->resume || resume(out, path, request->form, request->fingerprint, n_done, err);
}

bool line_output_ends_with(const struct line_output *out, const char *id, struct gpt2_error *err) {
    const char *start = strchr(out->last.data, ':');
    const size_t n = strlen(id);
    start += start && start[1] == ' ';
    return (start && !strncmp(start + 1, id, n) && start[1 + n] == ',') ||
           command_error(err, GPT2_ERR_USAGE, "give the same --input and --shard",
                         "--resume: the last line of the output is not of record %.100s of the "
                         "input",
                         id);
}

bool line_output_line(struct line_output *out, const char *line, size_t n, struct gpt2_error *err) {
    while (n > 0) {
        ssize_t wrote = write(out->fd, line, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            out->broken_pipe = errno == EPIPE;
            return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot write to %s: %s", out->path,
                                 strerror(errno));
        }
        line += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

bool line_output_close(struct line_output *out, struct gpt2_error *err) {
    buffer_free(&out->last);
    int fd = out->fd;
    out->fd = 0;
    if (fd <= STDOUT_FILENO)
        return true;
    bool ok = fsync(fd) == 0 || errno == EINVAL || errno == EROFS; // a pipe, a device
    ok = ok && (!out->folder || os_sync_folder(out->folder));
    free(out->folder);
    out->folder = NULL;
    return close(fd) == 0 && ok
               ? true
               : command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot write to %s: %s", out->path,
                               strerror(errno));
}
