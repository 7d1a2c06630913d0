/* remove.c - removes a model that was pulled, and what an interrupted pull has left. */
#include <gpt2/hub.h>

#include "base/error_internal.h"
#include "hub/environment.h"
#include "hub/folder.h"
#include "hub/name.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Neither the model nor a begun fetch of it is there and ours: says what is. */
static bool refuse(const char *name, const char *target, const char *partial,
                   struct gpt2_error *err) {
    const char *paths[] = {target, partial};
    for (int i = 0; i < 2; i++) {
        enum folder_kind kind;
        if (!folder_look(&kind, paths[i], err))
            return false;
        if (kind == FOLDER_NOTHING)
            continue;
        error_set(err, GPT2_ERR_MODEL, "%s: %s`gpt2 pull` did not make it", paths[i],
                  kind == FOLDER_LINK ? "is a symbolic link, and " : "");
        return error_hint(err, "remove it by hand: rm %s%s", kind == FOLDER_LINK ? "" : "-r ",
                          paths[i]);
    }
    error_set(err, GPT2_ERR_MODEL, "model \"%s\": not pulled: there is no %s", name, target);
    char *cached;
    gpt2_hub_cached(name, &cached, NULL);
    if (cached) {
        error_hint(err, "Hugging Face's cache has it, which is left alone: %s", cached);
        free(cached);
        return false;
    }
    return error_hint(err, "`gpt2 models` lists what there is and where");
}

static bool remove_one(const char *path, bool partial, uint64_t *n_bytes, gpt2_hub_kept kept,
                       void *user, struct gpt2_error *err) {
    char entry[FOLDER_ENTRY];
    if (!folder_remove(path, partial, n_bytes, entry, err))
        return false;
    if (entry[0] && kept)
        kept(user, path, entry);
    return true;
}

static bool remove_both(const char *name, const char *target, const char *partial,
                        uint64_t *n_bytes, gpt2_hub_kept kept, void *user, struct gpt2_error *err) {
    enum folder_kind whole, begun;
    if (!folder_look(&whole, target, err) || !folder_look(&begun, partial, err))
        return false;
    bool has_whole = whole == FOLDER_PULLED, has_begun = begun == FOLDER_PULLED;
    has_begun |= begun == FOLDER_EMPTY;
    if (!has_whole && !has_begun)
        return refuse(name, target, partial, err);
    struct folder_lock *lock = folder_lock(partial, err);
    if (!lock)
        return false;
    bool ok = (!has_whole || remove_one(target, false, n_bytes, kept, user, err)) &&
              (!has_begun || remove_one(partial, true, n_bytes, kept, user, err));
    folder_unlock(lock);
    return ok;
}

bool gpt2_hub_remove(const char *text, uint64_t *n_bytes, gpt2_hub_kept kept, void *user,
                     struct gpt2_error *err) {
    struct hub_name name;
    uint64_t freed = 0;
    if (!name_parse(&name, text))
        return error_set(err, GPT2_ERR_USAGE, "\"%s\": expected the name of a model", text);
    char *folder = gpt2_hub_folder(err);
    char *target = folder ? environment_format(err, "%s/%s", folder, name.local) : NULL;
    char *partial = target ? environment_format(err, "%s.partial", target) : NULL;
    bool ok = partial && remove_both(text, target, partial, &freed, kept, user, err);
    if (ok && strchr(name.local, '/')) { // the owner's folder, if that was all of it
        *strrchr(target, '/') = 0;
        rmdir(target);
    }
    free(partial);
    free(target);
    free(folder);
    if (n_bytes)
        *n_bytes = freed;
    return ok;
}
