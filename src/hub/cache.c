/* cache.c - models in the cache of Hugging Face's programs:
 *
 *     models--OWNER--NAME/refs/REVISION       holds a commit
 *     models--OWNER--NAME/snapshots/COMMIT/   config.json, model.safetensors, ...: links to blobs
 */
#include "base/error_internal.h"
#include "base/json.h"
#include "base/look.h"
#include "base/os.h"
#include "hub/environment.h"
#include "hub/name.h"

#include <dirent.h>
#include <errno.h>
#include <gpt2/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* In this file false means that memory is out or that something may not be or could not be read,
 * and err is set. What is not there is an answer. */

/* Whether a call on `path` that failed for this reason says that there is nothing. */
static bool is_absent(int reason, const char *path, struct gpt2_error *err) {
    return reason == ENOENT || reason == ENOTDIR || reason == ENAMETOOLONG ||
           error_errno(err, GPT2_ERR_MODEL, reason, "cannot read %s", path);
}

/* from_pretrained's tokenizer alone fetches a snapshot without weights. They may be of any format
 * that is read, or a variant alone (model.fp16.safetensors). */
static bool has_weights(bool *has, const char *snapshot, struct gpt2_error *err) {
    const char *what;
    const bool ok = gpt2_model_recognise(snapshot, &what, err);
    *has = ok && what;
    return ok;
}

/* The commit that the file refs/REVISION of a repository names. "": none that can be part of a
 * path. *is_there: there is such a file. */
static bool commit_in(char commit[GPT2_HUB_NAME_MAX], bool *is_there, const char *repo,
                      const char *revision, struct gpt2_error *err) {
    char *path = environment_format(err, "%s/refs/%s", repo, revision);
    if (!path)
        return false;
    FILE *file = environment_open(path);
    bool ok = file || is_absent(errno, path, err);
    char line[128] = "";
    if (file) {
        errno = 0;
        if (!fgets(line, sizeof line, file)) {
            line[0] = 0;
            ok = errno == 0 || is_absent(errno, path, err);
        }
        fclose(file);
    }
    free(path);
    const size_t n = strcspn(line, " \r\n");
    snprintf(commit, GPT2_HUB_NAME_MAX, "%.*s", name_word(line, n) ? (int)n : 0, line);
    *is_there = file != NULL;
    return ok;
}

/* The only snapshot, where no refs/main says which: they were fetched by commit. "": there are none
 * or several. */
static bool only_snapshot(char commit[GPT2_HUB_NAME_MAX], const char *repo,
                          struct gpt2_error *err) {
    char *path = environment_format(err, "%s/snapshots", repo);
    if (!path)
        return false;
    DIR *folder = opendir(path);
    bool ok = folder || is_absent(errno, path, err);
    int n = 0;
    for (const char *name = ""; ok && folder && name;) {
        struct stat info = {0};
        ok = os_next_entry(&name, folder, path, err);
        if (ok && name && name_word(name, strlen(name))) // what may not be looked at is none
            ok = look_in(&info, dirfd(folder), path, name, LOOK_THROUGH, GPT2_ERR_MODEL, err) ||
                 !error_is_of_system(errno);
        if (S_ISDIR(info.st_mode) && n++ == 0)
            snprintf(commit, GPT2_HUB_NAME_MAX, "%s", name);
    }
    if (folder)
        closedir(folder);
    free(path);
    if (n != 1)
        commit[0] = 0;
    return ok;
}

/* *path becomes the snapshot of a revision of CACHE/models--..., to be freed; NULL: none. A
 * revision may be a commit, for which no file of refs is needed. */
static bool snapshot_of(char **path, const char *repo, const char *revision,
                        struct gpt2_error *err) {
    char commit[GPT2_HUB_NAME_MAX];
    bool named;
    *path = NULL;
    if (!commit_in(commit, &named, repo, revision, err))
        return false;
    if (!named && strcmp(revision, "main") == 0) {
        if (!only_snapshot(commit, repo, err))
            return false;
    } else if (!named && name_word(revision, strlen(revision))) {
        snprintf(commit, sizeof commit, "%s", revision);
    }
    if (!commit[0])
        return true;
    *path = environment_format(err, "%s/snapshots/%s", repo, commit);
    if (!*path)
        return false;
    bool is;
    const bool ok = look_is_directory(&is, *path, GPT2_ERR_MODEL, err);
    if (!is) {
        free(*path);
        *path = NULL;
    }
    return ok;
}

/* CACHE/models--OWNER--NAME, to be freed. */
static char *repo_folder(const char *cache, const char *repo, struct gpt2_error *err) {
    const char *slash = strchr(repo, '/');
    return slash ? environment_format(err, "%s/models--%.*s--%s", cache, (int)(slash - repo), repo,
                                      slash + 1)
                 : environment_format(err, "%s/models--%s", cache, repo);
}

/* *path becomes the snapshot of the model in one cache, NULL where it has none. */
static bool find_in(char **path, const char *cache, const struct hub_name *name, bool with_weights,
                    struct gpt2_error *err) {
    const char *repos[] = {name->repo, name->alias}; // older caches have the short name
    bool ok = true;
    *path = NULL;
    for (int i = 0; i < 2 && ok && !*path; i++) {
        if (!*repos[i])
            continue;
        bool fits = true;
        char *repo = repo_folder(cache, repos[i], err);
        ok = repo && snapshot_of(path, repo, name->revision, err) &&
             (!*path || !with_weights || has_weights(&fits, *path, err));
        if (!ok || !fits) {
            free(*path);
            *path = NULL;
        }
        free(repo);
    }
    return ok;
}

static bool find(char **path, const struct hub_name *name, bool with_weights,
                 struct gpt2_error *err) {
    *path = NULL;
    for (int i = 0; !*path; i++) {
        char *cache;
        if (!environment_cache(i, &cache, err))
            return false;
        if (!cache)
            return true;
        const bool ok = find_in(path, cache, name, with_weights, err);
        free(cache);
        if (!ok)
            return false;
    }
    return true;
}

bool gpt2_hub_cached(const char *text, char **path, struct gpt2_error *err) {
    struct hub_name name;
    *path = NULL;
    return !name_parse(&name, text) ||
           (find(path, &name, true, err) && (*path || find(path, &name, false, err)));
}

static bool is_gpt2(bool *is, const char *snapshot, struct gpt2_error *err) {
    char *path = environment_format(err, "%s/config.json", snapshot);
    struct os_file file;
    struct gpt2_error why = {0};
    const char *type = "";
    struct json *root = NULL;
    *is = false;
    if (!path)
        return false;
    if (os_map(&file, path, GPT2_ERR_MODEL, &why)) {
        root = json_parse_settings((const char *)file.data, file.size, path, GPT2_ERR_MODEL, &why);
        os_unmap(&file);
    }
    free(path);
    *is = root && json_string(json_get(root, "model_type"), &type) && !strcmp(type, "gpt2");
    json_free(root);
    if (why.status == GPT2_OK || why.status == GPT2_ERR_MODEL) // what is no configuration
        return true;
    if (err)
        *err = why;
    return false;
}

/* "models--OWNER--NAME" to "OWNER/NAME"; false for what is none. */
static bool name_of(const char *folder, char name[GPT2_HUB_NAME_MAX]) {
    if (strncmp(folder, "models--", 8) != 0 || strlen(folder) >= GPT2_HUB_NAME_MAX)
        return false;
    const char *rest = folder + 8, *dashes = strstr(rest, "--");
    if (dashes)
        snprintf(name, GPT2_HUB_NAME_MAX, "%.*s/%s", (int)(dashes - rest), rest, dashes + 2);
    else
        snprintf(name, GPT2_HUB_NAME_MAX, "%s", rest);
    struct hub_name parsed;
    return name_parse(&parsed, name);
}

/* One entry of a cache. *go_on becomes false where `visit` ends it. What may not be read is passed
 * over. */
static bool list_entry(bool *go_on, const char *cache, const char *entry, gpt2_hub_visit visit,
                       void *user, struct gpt2_error *err) {
    char name[GPT2_HUB_NAME_MAX], *snapshot = NULL;
    bool has = false, is = false;
    if (!name_of(entry, name))
        return true;
    char *repo = environment_format(err, "%s/%s", cache, entry);
    struct gpt2_error why = {0};
    const bool ok = repo && snapshot_of(&snapshot, repo, "main", &why) &&
                    (!snapshot || has_weights(&has, snapshot, &why)) &&
                    (!has || is_gpt2(&is, snapshot, &why));
    if (ok && is)
        *go_on = visit(user, name, snapshot);
    free(snapshot);
    free(repo);
    if (!ok && repo && why.status != GPT2_ERR_MODEL && err)
        *err = why;
    return ok || (repo && why.status == GPT2_ERR_MODEL);
}

bool gpt2_hub_list_cache(gpt2_hub_visit visit, void *user, struct gpt2_error *err) {
    bool ok = true, go_on = true;
    for (int i = 0; ok && go_on; i++) {
        char *cache;
        if (!environment_cache(i, &cache, err))
            return false;
        if (!cache)
            return true;
        DIR *folder = opendir(cache);
        ok = folder || !error_is_of_system(errno) || is_absent(errno, cache, err);
        for (const char *name = ""; ok && go_on && folder && name;) {
            ok = os_next_entry(&name, folder, cache, err);
            if (ok && name)
                ok = list_entry(&go_on, cache, name, visit, user, err);
        }
        if (folder)
            closedir(folder);
        free(cache);
    }
    return ok;
}
