/* outfile.c - writes a file under a temporary name and renames it when it is whole. */
#include "base/outfile.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "base/path.h"
#include "base/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TRIES 100 /* names of temporary files that exist already */

/* Linux keeps what one call writes in pages as large as the call, and maps large pages at a stroke:
 * of 125 MiB written by 8 MiB all are there in 0.4 ms, written by 256 KiB in 9 ms. */
#define BUFFER ((size_t)8 << 20)

/* The temporary files there are, for outfile_remove_unfinished. Who takes a name out owns it. */
struct unfinished {
    struct slot_head head;
    _Atomic(char *) name;
};
static struct unfinished first_unfinished[16];
static struct slots unfinished = SLOTS(first_unfinished);

static void enter(struct outfile *file) {
    file->unfinished = slots_take(&unfinished);
    if (file->unfinished)
        atomic_store(&file->unfinished->name, file->temporary);
}

/* True where the name is ours again: no handler has taken it. */
static bool leave(struct outfile *file) {
    struct unfinished *entry = file->unfinished;
    if (!entry)
        return true;
    const bool ours = atomic_exchange(&entry->name, NULL) != NULL;
    slots_give(entry);
    file->unfinished = NULL;
    return ours;
}

void outfile_remove_unfinished(void) {
    struct unfinished *entry;
    for (size_t i = 0; (entry = slots_at(&unfinished, i)) != NULL; i++) {
        const char *name = atomic_exchange(&entry->name, NULL);
        if (name)
            unlink(name);
    }
}

static void release(struct outfile *file) {
    if (file->temporary && leave(file))
        free(file->temporary);
    free(file->path);
    os_free(file->buffer);
    *file = (struct outfile){0};
}

void outfile_discard(struct outfile *file) {
    if (!file->path)
        return;
    if (file->fd >= 0)
        close(file->fd);
    if (file->temporary)
        unlink(file->temporary);
    release(file);
}

/* Sets *err from errno, then discards the file. */
static bool fail(struct outfile *file, const char *what, struct gpt2_error *err) {
    error_errno(err, GPT2_ERR_RUNTIME, errno, "%.300s: cannot %s", file->path, what);
    outfile_discard(file);
    return false;
}

/* Opens a new file in the target's folder; -1 with errno set. `name` has room for `size` bytes. */
static int create_temporary(const char *path, char *name, size_t size, mode_t mode) {
    int fd = -1;
    for (int i = 0; i < MAX_TRIES && fd < 0; i++) {
        snprintf(name, size, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

/* Makes the temporary file `name`, which becomes the file's, known to outfile_remove_unfinished: no
 * signal comes in between. False with errno set. */
static bool begin_temporary(struct outfile *file, char *name, size_t size, mode_t mode) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    file->fd = create_temporary(file->path, name, size, mode);
    const int reason = errno;
    if (file->fd >= 0) {
        file->temporary = name;
        enter(file);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = reason;
    return file->fd >= 0;
}

/* Sets *same where the descriptor is open and on that file. */
static bool same_file(bool *same, int fd, const struct stat *file, const char *path,
                      struct gpt2_error *err) {
    struct stat info = {0};
    const bool ok =
        fstat(fd, &info) == 0 || errno == EBADF ||
        error_errno(err, GPT2_ERR_RUNTIME, errno,
                    "%.300s: cannot look at descriptor %d, which may be the same file", path, fd);
    *same = look_is_one(&info, file);
    return ok;
}

bool outfile_stream(int *out, const char *path, struct gpt2_error *err) {
    static const struct {
        const char *path;
        int fd;
    } streams[] = {{"/dev/stdout", STDOUT_FILENO}, {"/dev/stderr", STDERR_FILENO}};
    *out = -1;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (!strcmp(path, streams[i].path))
            *out = streams[i].fd;
    int fd, end = 0;
    if ((sscanf(path, "/dev/fd/%d%n", &fd, &end) == 1 ||
         sscanf(path, "/proc/self/fd/%d%n", &fd, &end) == 1) &&
        !path[end] && fd >= 0)
        *out = fd;
    struct stat info;
    if (*out >= 0)
        return true;
    if (!look_at(&info, path, LOOK_THROUGH, GPT2_ERR_RUNTIME, err))
        return false;
    for (size_t i = 0; info.st_mode && *out < 0 && i < sizeof streams / sizeof *streams; i++) {
        bool same;
        if (!same_file(&same, streams[i].fd, &info, path, err))
            return false;
        *out = same ? streams[i].fd : -1;
    }
    return true;
}

#define MAX_LINKS 40 /* as Linux follows them */

/* The path that a link to nothing points to, through further links, as a new string; `path` itself
 * where it is no link. NULL with errno set. */
static char *link_target(const char *path) {
    char *target = strdup(path), text[4096];
    for (int i = 0; target && i < MAX_LINKS; i++) {
        ssize_t n = readlink(target, text, sizeof text - 1);
        if (n < 0 && (errno == EINVAL || errno == ENOENT || errno == ENOTDIR)) // no link
            return target;
        if (n < 0) {
            const int reason = errno;
            free(target);
            errno = reason;
            return NULL;
        }
        text[n] = 0;
        const char *slash = strrchr(target, '/');
        size_t folder = slash && *text != '/' ? (size_t)(slash - target) + 1 : 0;
        char *next = malloc(folder + (size_t)n + 1);
        if (next) {
            memcpy(next, target, folder);
            memcpy(next + folder, text, (size_t)n + 1);
        }
        free(target);
        target = next;
    }
    free(target);
    errno = target ? ELOOP : ENOMEM;
    return NULL;
}

char *outfile_target(const char *path, struct gpt2_error *err) {
    char *target = link_target(path);
    if (!target)
        error_errno(err, GPT2_ERR_RUNTIME, errno, "%.300s: cannot create", path);
    return target;
}

/* Gives the new file the mode of the old one, and its owner where the system lets us. */
static bool keep_mode(int fd, const struct stat *old) {
    if (fchown(fd, old->st_uid, old->st_gid) != 0 && errno != EPERM)
        return false;
    return fchmod(fd, old->st_mode & 07777) == 0;
}

/* Writes to a descriptor that is open: nothing is replaced, and `>>` appends. */
static bool open_stream(struct outfile *file, const char *path, int fd, struct gpt2_error *err) {
    file->path = strdup(path);
    if (!file->path) {
        *file = (struct outfile){0};
        return error_memory(err, "a path", strlen(path));
    }
    file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return file->fd >= 0 || fail(file, "write", err);
}

bool outfile_open(struct outfile *file, const char *path, unsigned flags, struct gpt2_error *err) {
    struct stat info;
    int stream;
    *file = (struct outfile){0};
    if (!look_at(&info, path, LOOK_THROUGH, GPT2_ERR_RUNTIME, err) ||
        !outfile_stream(&stream, path, err))
        return false;
    const bool exists = info.st_mode != 0, replaces = !exists || S_ISREG(info.st_mode);
    file->fd = -1;
    if (stream >= 0 && flags & OUTFILE_IN_PLACE)
        return open_stream(file, path, stream, err);
    if (stream >= 0) { // what `>>` names is not replaced
        *file = (struct outfile){0};
        return error_set(err, GPT2_ERR_RUNTIME, "%.300s: expected a file to write, found %s", path,
                         stream == STDOUT_FILENO   ? "standard output"
                         : stream == STDERR_FILENO ? "standard error"
                                                   : "an open descriptor");
    }
    if (!replaces && !(flags & OUTFILE_IN_PLACE)) {
        *file = (struct outfile){0};
        return error_set(err, GPT2_ERR_RUNTIME, "%.300s: expected a file to write, found a %s",
                         path, S_ISDIR(info.st_mode) ? "directory" : "device, pipe or socket");
    }
    // Links are followed to the file that is replaced or made.
    file->path = outfile_target(path, err);
    const size_t size = (file->path ? strlen(file->path) : 0) + 32;
    char *temporary = file->path && replaces ? malloc(size) : NULL;
    if (file->path && replaces && !temporary)
        error_memory(err, "a path", size);
    if (!file->path || (replaces && !temporary)) {
        release(file);
        return false;
    }
    const mode_t mode = flags & OUTFILE_PRIVATE ? 0600 : 0666;
    if (replaces ? !begin_temporary(file, temporary, size, mode)
                 : (file->fd = open(file->path, O_WRONLY | O_CLOEXEC)) < 0) {
        const int reason = errno;
        free(temporary);
        errno = reason;
        return fail(file, "create", err);
    }
    bool keeps = exists && replaces && !(flags & OUTFILE_PRIVATE);
    return !keeps || keep_mode(file->fd, &info) || fail(file, "set the mode", err);
}

bool outfile_create(struct outfile *file, const char *path, struct gpt2_error *err) {
    return outfile_open(file, path, 0, err);
}

/* Empties the buffer. */
static bool flush(struct outfile *file, struct gpt2_error *err) {
    for (size_t done = 0; done < file->held;) {
        ssize_t wrote = write(file->fd, file->buffer + done, file->held - done);
        if (wrote < 0 && errno != EINTR)
            return fail(file, "write", err);
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    file->held = 0;
    return true;
}

bool outfile_write(struct outfile *file, const void *data, size_t n_bytes, struct gpt2_error *err) {
    const char *at = data;
    if (!file->buffer && !(file->buffer = os_alloc(BUFFER, 1, "what is written", err))) {
        outfile_discard(file);
        return false;
    }
    while (n_bytes > 0) {
        size_t room = BUFFER - file->held, n = n_bytes < room ? n_bytes : room;
        memcpy(file->buffer + file->held, at, n);
        file->held += n;
        at += n;
        n_bytes -= n;
        if (file->held == BUFFER && !flush(file, err))
            return false;
    }
    return true;
}

bool outfile_write_at(struct outfile *file, uint64_t offset, const void *data, size_t n_bytes,
                      struct gpt2_error *err) {
    if (!flush(file, err))
        return false;
    for (size_t done = 0; done < n_bytes;) {
        ssize_t wrote =
            pwrite(file->fd, (const char *)data + done, n_bytes - done, (off_t)(offset + done));
        if (wrote < 0 && errno != EINTR)
            return fail(file, "write", err);
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

bool outfile_end_at(struct outfile *file, uint64_t offset, struct gpt2_error *err) {
    return flush(file, err) &&
           (ftruncate(file->fd, (off_t)offset) == 0 || fail(file, "write", err));
}

/* Puts the folder's entry of the file on the disk, too. */
static bool sync_folder_of(const char *path) {
    char *folder = path_directory(path, NULL);
    const bool ok = folder && os_sync_folder(folder);
    const int reason = folder ? errno : ENOMEM;
    free(folder);
    errno = reason;
    return ok;
}

bool outfile_commit(struct outfile *file, struct gpt2_error *err) {
    if (!flush(file, err))
        return false;
    if (file->temporary && fsync(file->fd) != 0)
        return fail(file, "write", err);
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0)
        return fail(file, "write", err);
    if (file->temporary && rename(file->temporary, file->path) != 0)
        return fail(file, "replace", err);
    if (file->temporary && !sync_folder_of(file->path)) {
        error_errno(err, GPT2_ERR_RUNTIME, errno, "%.300s: written, but cannot sync its folder",
                    file->path);
        release(file);
        return false;
    }
    release(file);
    return true;
}
