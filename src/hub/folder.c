/* folder.c - removes, checks and replaces the folder of a pulled model, one process at a time. */
#define _XOPEN_SOURCE 700 // lockf

#include "hub/folder.h"
#include "base/error_internal.h"
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

static int open_folder(const char *path) {
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The entries of an open folder; closedir as ever. The descriptor stays open. */
static DIR *list_folder(int folder) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (fd >= 0 && !list) {
        const int reason = errno;
        close(fd);
        errno = reason;
    }
    return list;
}

static bool is_there(int folder, const char *name) {
    struct stat info;
    return fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_folder(int folder, const char *name) {
    struct stat info;
    return fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

static bool has_manifest(int folder) {
    struct stat info;
    return fstatat(folder, MANIFEST_NAME, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
}

bool folder_look(enum folder_kind *kind, const char *path, struct gpt2_error *err) {
    struct stat info;
    *kind = FOLDER_NOTHING;
    if (lstat(path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR ||
               error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot look for %s", path);
    *kind = S_ISLNK(info.st_mode) ? FOLDER_LINK : FOLDER_FOREIGN;
    if (!S_ISDIR(info.st_mode))
        return true;
    const int folder = open_folder(path);
    DIR *list = folder >= 0 ? list_folder(folder) : NULL;
    bool ok = list || error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot open the folder %s", path);
    const char *name = "";
    if (list && has_manifest(folder))
        *kind = FOLDER_PULLED;
    else if (list)
        ok = os_next_entry(&name, list, path, err);
    if (ok && !name)
        *kind = FOLDER_EMPTY;
    if (list)
        closedir(list);
    if (folder >= 0)
        close(folder);
    return ok;
}

/* Opens a folder and reads its pulled.json; without one the list is empty. -1: it failed. */
static int open_listed(const char *path, struct manifest *list, struct gpt2_error *err) {
    *list = (struct manifest){0};
    int folder = open_folder(path);
    if (folder < 0) {
        error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot open the folder %s", path);
        return -1;
    }
    if (!has_manifest(folder))
        return folder;
    char *manifest = environment_format(err, "%s/" MANIFEST_NAME, path);
    bool ok = manifest && manifest_read(list, manifest, err);
    free(manifest);
    if (ok)
        return folder;
    error_hint(err, "it says which files were pulled; without it, remove or move them by hand");
    close(folder);
    return -1;
}

/* ---- removing ---- */

/* Folders are not ours, whatever their name. */
static bool remove_entry(int folder, const char *path, const char *name, uint64_t *n_bytes,
                         struct gpt2_error *err) {
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(info.st_mode))
        return true;
    if (unlinkat(folder, name, 0) != 0 && errno != ENOENT)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot remove %s/%s", path, name);
    *n_bytes += (uint64_t)info.st_size;
    return true;
}

static bool remove_file(int folder, const char *path, const char *name, bool partial,
                        uint64_t *n_bytes, struct gpt2_error *err) {
    char part[MANIFEST_FILE_NAME + 8];
    snprintf(part, sizeof part, "%s.part", name);
    return remove_entry(folder, path, name, n_bytes, err) &&
           (!partial || remove_entry(folder, path, part, n_bytes, err));
}

/* The folder, if nothing is in it; else the name of something that is. */
static bool remove_empty(int folder, const char *path, char kept[FOLDER_ENTRY],
                         struct gpt2_error *err) {
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
    kept[0] = 0;
    int folder = open_listed(path, &list, err);
    if (folder < 0)
        return false;
    bool ok = !manifest_find(&list, "config.json") ||
              remove_file(folder, path, "config.json", partial, n_bytes, err);
    for (size_t i = 0; ok && i < list.count; i++)
        ok = remove_file(folder, path, list.files[i].name, partial, n_bytes, err);
    ok = ok && remove_entry(folder, path, MANIFEST_NAME, n_bytes, err) &&
         remove_empty(folder, path, kept, err);
    manifest_free(&list);
    close(folder);
    return ok;
}

void folder_tidy(const char *staging) {
    int folder = open_folder(staging);
    DIR *list = folder < 0 ? NULL : list_folder(folder);
    bool bare = list != NULL;
    for (const char *name = ""; bare && name;)
        bare = os_next_entry(&name, list, staging, NULL) && (!name || !strcmp(name, MANIFEST_NAME));
    if (bare) {
        if (has_manifest(folder))
            unlinkat(folder, MANIFEST_NAME, 0);
        rmdir(staging);
    }
    if (list)
        closedir(list);
    if (folder >= 0)
        close(folder);
}

/* ---- fetching and replacing ---- */

bool folder_plan(const char *staging, const struct manifest *plan, const char *repo,
                 const char *revision, bool final, struct gpt2_error *err) {
    struct manifest had, all = {0};
    uint64_t n_bytes = 0;
    int folder = open_listed(staging, &had, err);
    bool ok = folder >= 0;
    memcpy(all.commit, plan->commit, sizeof all.commit);
    for (size_t i = 0; ok && i < plan->count; i++)
        ok = manifest_add(&all, &plan->files[i], err);
    for (size_t i = 0; ok && i < had.count; i++) {
        if (!final)
            ok = manifest_add(&all, &had.files[i], err);
        else if (!manifest_find(plan, had.files[i].name))
            ok = remove_file(folder, staging, had.files[i].name, true, &n_bytes, err);
    }
    char *path = ok ? environment_format(err, "%s/" MANIFEST_NAME, staging) : NULL;
    if (path && is_there(folder, MANIFEST_NAME) && !has_manifest(folder))
        ok = error_set(err, GPT2_ERR_RUNTIME, "%s: expected a regular file or none", path);
    ok = ok && path && manifest_write(&all, repo, revision, path, err);
    free(path);
    manifest_free(&had);
    manifest_free(&all);
    if (folder >= 0)
        close(folder);
    return ok;
}

bool folder_check(const char *path, const struct manifest *plan, struct gpt2_error *err) {
    struct manifest list;
    int folder = open_listed(path, &list, err);
    bool ok = folder >= 0;
    for (size_t i = 0; ok && i < plan->count; i++) {
        const char *name = plan->files[i].name;
        if (is_there(folder, name) && (is_folder(folder, name) || !manifest_find(&list, name))) {
            ok = error_set(err, GPT2_ERR_USAGE, "%s/%s: is there, and `gpt2 pull` did not make it",
                           path, name);
            error_hint(err, "move it away; the model's new commit has a file of that name");
        }
    }
    manifest_free(&list);
    if (folder >= 0)
        close(folder);
    return ok;
}

/* Moves what is not ours by `list` from one folder to another, where nothing may have its name. */
static bool move_foreign(int from, const char *from_path, int to, const char *to_path,
                         const struct manifest *list, struct gpt2_error *err) {
    DIR *entries = list_folder(from);
    if (!entries)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot read %s", from_path);
    bool ok = true;
    for (const char *name; ok && (ok = os_next_entry(&name, entries, from_path, err)) && name;) {
        if ((!strcmp(name, MANIFEST_NAME) || manifest_find(list, name)) && !is_folder(from, name))
            continue;
        if (is_there(to, name))
            errno = EEXIST;
        else if (renameat(from, name, to, name) == 0)
            continue;
        ok = error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot move %s/%s to %s", from_path, name,
                         to_path);
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
    struct manifest old, new = {0};
    char *aside = environment_format(err, "%s.removed-%ld", path, (long)getpid());
    int from = aside ? open_listed(path, &old, err) : -1;
    int to = from >= 0 ? open_listed(staging, &new, err) : -1;
    bool ok = to >= 0 && move_foreign(from, path, to, staging, &old, err) &&
              swap_folders(path, staging, aside, err);
    if (!ok && to >= 0) // back
        move_foreign(to, staging, from, path, &new, NULL);
    if (ok) {
        uint64_t n_bytes = 0;
        char kept[FOLDER_ENTRY];
        ok = folder_remove(aside, false, &n_bytes, kept, err);
        if (ok && kept[0])
            ok = error_set(err, GPT2_ERR_RUNTIME,
                           "%s: the new commit is there; %s came meanwhile and is in %s", path,
                           kept, aside);
    }
    if (from >= 0)
        manifest_free(&old);
    manifest_free(&new);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    free(aside);
    return ok;
}

/* ---- the lock ---- */

/* The owner of the lock removes its file, so the file that was opened may no longer be the lock. */
static bool is_current(int lock, const char *path) {
    struct stat ours, there;
    return fstat(lock, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
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
        ours = ok && is_current(lock->file, lock->path);
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
