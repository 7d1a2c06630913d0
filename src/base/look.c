/* look.c - stat and access with an answer of three kinds: something, nothing, not known. */
#include "base/look.h"
#include "base/error_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool is_nothing(int reason) {
    return reason == ENOENT || reason == ENOTDIR || reason == ENAMETOOLONG;
}

static bool look(struct stat *info, int folder, const char *path, enum look_links links) {
    if (fstatat(folder, path, info, links == LOOK_LINKS ? AT_SYMLINK_NOFOLLOW : 0) == 0)
        return true;
    *info = (struct stat){0};
    return is_nothing(errno);
}

bool look_at(struct stat *info, const char *path, enum look_links links, enum gpt2_status status,
             struct gpt2_error *err) {
    if (look(info, AT_FDCWD, path, links))
        return true;
    const int reason = errno;
    error_errno(err, status, reason, "cannot look at %s", path);
    errno = reason;
    return false;
}

bool look_in(struct stat *info, int folder, const char *folder_path, const char *name,
             enum look_links links, enum gpt2_status status, struct gpt2_error *err) {
    if (look(info, folder, name, links))
        return true;
    const int reason = errno;
    error_errno(err, status, reason, "cannot look at %s/%s", folder_path, name);
    errno = reason;
    return false;
}

bool look_is_one(const struct stat *a, const struct stat *b) {
    return a->st_mode && b->st_mode && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool look_exists(bool *is, const char *path, enum gpt2_status status, struct gpt2_error *err) {
    struct stat info;
    const bool ok = look_at(&info, path, LOOK_LINKS, status, err);
    *is = info.st_mode != 0;
    return ok;
}

bool look_is_directory(bool *is, const char *path, enum gpt2_status status,
                       struct gpt2_error *err) {
    struct stat info;
    const bool ok = look_at(&info, path, LOOK_THROUGH, status, err);
    *is = S_ISDIR(info.st_mode);
    return ok;
}

bool look_may_read(const char *path, enum gpt2_status status, struct gpt2_error *err) {
    bool is_directory;
    if (!look_is_directory(&is_directory, path, status, err))
        return false;
    return faccessat(AT_FDCWD, path, is_directory ? R_OK | X_OK : R_OK, AT_EACCESS) == 0 ||
           is_nothing(errno) || error_errno(err, status, errno, "%s: cannot open", path);
}
