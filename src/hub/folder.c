/* folder.c - removes, checks and replaces the folder of a pulled model, one process at a time. */
#define _XOPEN_SOURCE 700 // lockf

#include "hub/folder.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "hub/environment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- looking ---- */

struct opened {
    int fd;           /* < 0: not open */
    const char *path; /* borrowed      */
};

/* Its fd is -1 with errno set where it failed. */
static struct opened open_folder(const char *path) {
    return (struct opened){open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path};
}

static void close_folder(const struct opened *folder) {
    if (folder->fd >= 0)
        close(folder->fd);
}

/* The entries of an open folder; closedir as ever. The folder stays open. */
static DIR *list_folder(const struct opened *folder) {
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && !list) {
        const int reason = errno;
        close(fd);
        errno = reason;
    }
    return list;
}

/* Looks at an entry itself, not through a link. */
static bool look_entry(struct stat *info, const struct opened *folder, const char *name,
                       struct gpt2_error *err) {
    return look_in(info, folder->fd, folder->path, name, LOOK_LINKS, GPT2_ERR_RUNTIME, err);
}

static bool has_manifest(bool *has, const struct opened *folder, struct gpt2_error *err) {
    struct stat info;
    const bool ok = look_entry(&info, folder, MANIFEST_NAME, err);
    *has = S_ISREG(info.st_mode);
    return ok;
}

bool folder_look(enum folder_kind *kind, const char *path, struct gpt2_error *err) {
    struct stat info;
    *kind = FOLDER_NOTHING;
    if (!look_at(&info, path, LOOK_LINKS, GPT2_ERR_RUNTIME, err))
        return false;
    if (info.st_mode)
        *kind = S_ISLNK(info.st_mode) ? FOLDER_LINK : FOLDER_FOREIGN;
    if (!S_ISDIR(info.st_mode))
        return true;
    const struct opened folder = open_folder(path);
    DIR *list = folder.fd >= 0 ? list_folder(&folder) : NULL;
    bool pulled = false;
    bool ok = list ? has_manifest(&pulled, &folder, err)
                   : error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot open the folder %s", path);
    const char *name = "";
    if (pulled)
        *kind = FOLDER_PULLED;
    else if (ok)
        ok = os_next_entry(&name, list, path, err);
    if (ok && !name)
        *kind = FOLDER_EMPTY;
    if (list)
        closedir(list);
    close_folder(&folder);
    return ok;
}

/* Opens a folder and reads its pulled.json; without one the list is empty. */
static bool open_listed(struct opened *folder, const char *path, struct manifest *list,
                        struct gpt2_error *err) {
    bool has;
    *list = (struct manifest){0};
    *folder = open_folder(path);
    if (folder->fd < 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot open the folder %s", path);
    bool ok = has_manifest(&has, folder, err);
    if (ok && has) {
        char *manifest = environment_format(err, "%s/" MANIFEST_NAME, path);
        ok = manifest && manifest_read(list, manifest, err);
        free(manifest);
        if (!ok)
            error_hint(err,
                       "it says which files were pulled; without it, remove or move them by hand");
    }
    if (!ok)
        close_folder(folder);
    return ok;
}

/* ---- removing ---- */

/* Folders are not ours, whatever their name. */
static bool remove_entry(const struct opened *folder, const char *name, uint64_t *n_bytes,
                         struct gpt2_error *err) {
    struct stat info;
    if (!look_entry(&info, folder, name, err))
        return false;
    if (!info.st_mode || S_ISDIR(info.st_mode))
        return true;
    if (unlinkat(folder->fd, name, 0) != 0 && errno != ENOENT)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot remove %s/%s", folder->path, name);
    *n_bytes += (uint64_t)info.st_size;
    return true;
}

static bool remove_file(const struct opened *folder, const char *name, bool partial,
                        uint64_t *n_bytes, struct gpt2_error *err) {
    char part[MANIFEST_FILE_NAME + 8];
    snprintf(part, sizeof part, "%s.part", name);
    return remove_entry(folder, name, n_bytes, err) &&
           (!partial || remove_entry(folder, part, n_bytes, err));
}

/* The folder, if nothing is in it; else the name of something that is. */
static bool remove_empty(const struct opened *folder, char kept[FOLDER_ENTRY],
                         struct gpt2_error *err) {
    const char *path = folder->path;
    if (rmdir(path) == 0)
        return true;
    const int reason = errno;
    if (reason != ENOTEMPTY && reason != EEXIST)
        return error_errno(err, GPT2_ERR_RUNTIME, reason, "cannot remove %s", path);
    DIR *list = list_folder(folder);
    if (!list)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot read %s", path);
    const char *entry;
    const bool ok = os_next_entry(&entry, list, path, err);
    snprintf(kept, FOLDER_ENTRY, "%s", entry ? entry : "");
    closedir(list);
    return ok && (entry || error_errno(err, GPT2_ERR_RUNTIME, reason, "cannot remove %s", path));
}

bool folder_remove(const char *path, bool partial, uint64_t *n_bytes, char kept[FOLDER_ENTRY],
                   struct gpt2_error *err) {
    struct manifest list;
    struct opened folder;
    kept[0] = 0;
    if (!open_listed(&folder, path, &list, err))
        return false;
    bool ok = !manifest_find(&list, "config.json") ||
              remove_file(&folder, "config.json", partial, n_bytes, err);
    for (size_t i = 0; ok && i < list.count; i++)
        ok = remove_file(&folder, list.files[i].name, partial, n_bytes, err);
    ok = ok && remove_entry(&folder, MANIFEST_NAME, n_bytes, err) &&
         remove_empty(&folder, kept, err);
    manifest_free(&list);
    close_folder(&folder);
    return ok;
}

void folder_tidy(const char *staging) {
    const struct opened folder = open_folder(staging);
    DIR *list = folder.fd < 0 ? NULL : list_folder(&folder);
    bool has = false, bare = list && has_manifest(&has, &folder, NULL);
    for (const char *name = ""; bare && name;)
        bare = os_next_entry(&name, list, staging, NULL) && (!name || !strcmp(name, MANIFEST_NAME));
    if (bare) {
        if (has)
            unlinkat(folder.fd, MANIFEST_NAME, 0);
        rmdir(staging);
    }
    if (list)
        closedir(list);
    close_folder(&folder);
}

/* ---- fetching and replacing ---- */

bool folder_plan(const char *staging, const struct manifest *plan, const char *repo,
                 const char *revision, bool final, struct gpt2_error *err) {
    struct manifest had, all = {0};
    uint64_t n_bytes = 0;
    struct opened folder;
    bool ok = open_listed(&folder, staging, &had, err);
    if (!ok)
        return false;
    memcpy(all.commit, plan->commit, sizeof all.commit);
    for (size_t i = 0; ok && i < plan->count; i++)
        ok = manifest_add(&all, &plan->files[i], err);
    for (size_t i = 0; ok && i < had.count; i++) {
        if (!final)
            ok = manifest_add(&all, &had.files[i], err);
        else if (!manifest_find(plan, had.files[i].name))
            ok = remove_file(&folder, had.files[i].name, true, &n_bytes, err);
    }
    struct stat info = {0};
    char *path = ok ? environment_format(err, "%s/" MANIFEST_NAME, staging) : NULL;
    ok = path && look_entry(&info, &folder, MANIFEST_NAME, err);
    if (ok && info.st_mode && !S_ISREG(info.st_mode))
        ok = error_set(err, GPT2_ERR_RUNTIME, "%s: expected a regular file or none", path);
    ok = ok && manifest_write(&all, repo, revision, path, err);
    free(path);
    manifest_free(&had);
    manifest_free(&all);
    close_folder(&folder);
    return ok;
}

bool folder_check(const char *path, const struct manifest *plan, struct gpt2_error *err) {
    struct manifest list;
    struct opened folder;
    bool ok = open_listed(&folder, path, &list, err);
    if (!ok)
        return false;
    for (size_t i = 0; ok && i < plan->count; i++) {
        const char *name = plan->files[i].name;
        struct stat info;
        ok = look_entry(&info, &folder, name, err);
        if (info.st_mode && (S_ISDIR(info.st_mode) || !manifest_find(&list, name))) {
            ok = error_set(err, GPT2_ERR_USAGE, "%s/%s: is there, and `gpt2 pull` did not make it",
                           path, name);
            error_hint(err, "move it away; the model's new commit has a file of that name");
        }
    }
    manifest_free(&list);
    close_folder(&folder);
    return ok;
}

/* Moves what is not ours by `list` from one folder to another, where nothing may have its name. */
static bool move_foreign(const struct opened *from, const struct opened *to,
                         const struct manifest *list, struct gpt2_error *err) {
    DIR *entries = list_folder(from);
    if (!entries)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot read %s", from->path);
    bool ok = true;
    for (const char *name; ok && (ok = os_next_entry(&name, entries, from->path, err)) && name;) {
        struct stat info, there;
        ok = look_entry(&info, from, name, err) && look_entry(&there, to, name, err);
        if (!ok ||
            ((!strcmp(name, MANIFEST_NAME) || manifest_find(list, name)) && !S_ISDIR(info.st_mode)))
            continue;
        if (there.st_mode)
            errno = EEXIST;
        else if (renameat(from->fd, name, to->fd, name) == 0)
            continue;
        ok = error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot move %s/%s to %s", from->path, name,
                         to->path);
    }
    closedir(entries);
    return ok;
}

/* Renames `path` to `aside` and `staging` to `path`. */
static bool swap_folders(const char *path, const char *staging, const char *aside,
                         struct gpt2_error *err) {
    if (rename(path, aside) != 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot rename %s to %s", path, aside);
    if (rename(staging, path) == 0)
        return true;
    const int reason = errno;
    if (rename(aside, path) == 0)
        return error_errno(err, GPT2_ERR_RUNTIME, reason, "cannot rename %s to %s", staging, path);
    return error_errno(err, GPT2_ERR_RUNTIME, reason,
                       "cannot rename %s to %s; what was there is in %s", staging, path, aside);
}

bool folder_replace(const char *path, const char *staging, struct gpt2_error *err) {
    struct manifest old = {0}, new = {0};
    struct opened from, to;
    char *aside = environment_format(err, "%s.removed-%ld", path, (long)getpid());
    const bool begun = aside && open_listed(&from, path, &old, err);
    const bool both = begun && open_listed(&to, staging, &new, err);
    bool ok =
        both && move_foreign(&from, &to, &old, err) && swap_folders(path, staging, aside, err);
    if (!ok && both) // back
        move_foreign(&to, &from, &new, NULL);
    if (ok) {
        uint64_t n_bytes = 0;
        char kept[FOLDER_ENTRY];
        ok = folder_remove(aside, false, &n_bytes, kept, err);
        if (ok && kept[0])
            ok = error_set(err, GPT2_ERR_RUNTIME,
                           "%s: the new commit is there; %s came meanwhile and is in %s", path,
                           kept, aside);
    }
    manifest_free(&old);
    manifest_free(&new);
    if (begun)
        close_folder(&from);
    if (both)
        close_folder(&to);
    free(aside);
    return ok;
}

/* ---- the lock ---- */

/* The owner of the lock removes its file, so the file that was opened may no longer be the lock. */
static bool is_current(bool *is, int lock, const char *path, struct gpt2_error *err) {
    struct stat ours, there;
    if (!look_at(&there, path, LOOK_LINKS, GPT2_ERR_RUNTIME, err))
        return false;
    if (fstat(lock, &ours) != 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot look at %s", path);
    *is = look_is_one(&ours, &there);
    return true;
}

struct folder_lock {
    int file;
    char path[]; /* kept: letting go of the lock takes no memory */
};

struct folder_lock *folder_lock(const char *staging, struct gpt2_error *err) {
    const size_t n = strlen(staging) + sizeof ".lock";
    struct folder_lock *lock = malloc(sizeof *lock + n);
    if (!lock) {
        error_memory(err, "a lock", sizeof *lock + n);
        return NULL;
    }
    snprintf(lock->path, n, "%s.lock", staging);
    for (bool ours = false; !ours;) {
        lock->file = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        bool ok = lock->file >= 0 || error_errno(err, GPT2_ERR_RUNTIME, errno, "%s", lock->path);
        if (ok && lockf(lock->file, F_TLOCK, 0) != 0)
            ok = errno == EACCES || errno == EAGAIN
                     ? error_set(err, GPT2_ERR_RUNTIME,
                                 "%s: another `gpt2 pull` of this model is running", lock->path)
                     : error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot lock %s", lock->path);
        ok = ok && is_current(&ours, lock->file, lock->path, err);
        if (!ours && lock->file >= 0)
            close(lock->file);
        if (!ok) {
            free(lock);
            return NULL;
        }
    }
    return lock;
}

void folder_unlock(struct folder_lock *lock) {
    if (!lock)
        return;
    unlink(lock->path);
    close(lock->file);
    free(lock);
}
