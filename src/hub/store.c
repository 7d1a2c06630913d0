/* store.c - gpt2_hub_remove: takes away what gpt2_hub_pull has put there, and nothing else. */
#include "hub/store.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "hub/environment.h"
#include "hub/manifest.h"
#include "hub/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Removes the files of a folder and the folder. Folders in it are none of ours: then it fails. */
static bool remove_folder(const char *path, uint64_t *n_bytes, struct gpt2_error *err) {
    DIR *folder = opendir(path);
    if (!folder)
        return error_set(err, GPT2_ERR_RUNTIME, "cannot read %s: %s", path, strerror(errno));
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(folder)) != NULL;) {
        struct stat info;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
            *n_bytes += (uint64_t)info.st_size;
        if (unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            ok = error_set(err, GPT2_ERR_RUNTIME, "cannot remove %s/%s: %s", path, entry->d_name,
                           strerror(errno));
    }
    closedir(folder);
    if (ok && rmdir(path) != 0)
        ok = error_set(err, GPT2_ERR_RUNTIME, "cannot remove %s: %s", path, strerror(errno));
    return ok;
}

bool store_remove(const char *target, uint64_t *n_bytes, struct gpt2_error *err) {
    char *aside = environment_format(err, "%s.removed-%ld", target, (long)getpid());
    bool ok = aside != NULL;
    if (ok && rename(target, aside) != 0)
        ok = error_set(err, GPT2_ERR_RUNTIME, "cannot remove %s: %s", target, strerror(errno));
    ok = ok && remove_folder(aside, n_bytes, err);
    free(aside);
    return ok;
}

static bool remove_both(const char *target, const char *partial, const char *manifest,
                        const char *name, uint64_t *n_bytes, struct gpt2_error *err) {
    bool whole = os_exists(manifest), begun = os_exists(partial);
    if (!whole && !begun && os_exists(target)) {
        error_set(err, GPT2_ERR_MODEL, "%s: `gpt2 pull` did not make it", target);
        return error_hint(err, "remove it by hand: rm -r %s", target);
    }
    if (!whole && !begun) {
        error_set(err, GPT2_ERR_MODEL, "model \"%s\": not pulled: there is no %s", name, target);
        return error_hint(err, "`gpt2 models` lists what there is and where");
    }
    return (!whole || store_remove(target, n_bytes, err)) &&
           (!begun || store_remove(partial, n_bytes, err));
}

bool gpt2_hub_remove(const char *text, uint64_t *n_bytes, struct gpt2_error *err) {
    struct hub_name name;
    uint64_t freed = 0;
    if (!name_parse(&name, text))
        return error_set(err, GPT2_ERR_USAGE, "\"%s\": expected the name of a model", text);
    char *folder = gpt2_hub_folder(err);
    char *target = folder ? environment_format(err, "%s/%s", folder, name.local) : NULL;
    char *partial = target ? environment_format(err, "%s.partial", target) : NULL;
    char *manifest = target ? environment_format(err, "%s/" MANIFEST_NAME, target) : NULL;
    bool ok = partial && manifest && remove_both(target, partial, manifest, text, &freed, err);
    if (ok && strchr(name.local, '/')) { // the owner's folder, if that was all of it
        *strrchr(target, '/') = 0;
        rmdir(target);
    }
    free(manifest);
    free(partial);
    free(target);
    free(folder);
    if (n_bytes)
        *n_bytes = freed;
    return ok;
}
