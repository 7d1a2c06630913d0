/* cache.c - models in the cache of Hugging Face's programs:
 *
 *     models--OWNER--NAME/refs/REVISION       holds a commit
 *     models--OWNER--NAME/snapshots/COMMIT/   config.json, model.safetensors, ...: links to blobs
 */
#include "base/json.h"
#include "base/os.h"
#include "hub/environment.h"
#include "hub/name.h"

#include <dirent.h>
#include <gpt2/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* from_pretrained's tokenizer alone fetches a snapshot without weights. They may be of any format
 * that is read, or a variant alone (model.fp16.safetensors). */
static bool has_weights(const char *snapshot) {
    return gpt2_model_recognise(snapshot) != NULL;
}

/* The commit that refs/REVISION names, or the revision itself: it may be a commit. */
static bool commit_of(const char *repo, const char *revision, char commit[GPT2_HUB_NAME_MAX]) {
    char *path = environment_format(NULL, "%s/refs/%s", repo, revision);
    FILE *file = path ? fopen(path, "re") : NULL;
    free(path);
    const char *source = revision;
    char line[128] = "";
    if (file) {
        source = fgets(line, sizeof line, file) ? line : "";
        fclose(file);
    }
    size_t n = strcspn(source, " \r\n");
    if (!name_word(source, n)) // it becomes part of a path
        return false;
    snprintf(commit, GPT2_HUB_NAME_MAX, "%.*s", (int)n, source);
    return true;
}

/* The only snapshot, where no refs/main says which: they were fetched by commit. */
static bool only_snapshot(const char *repo, char commit[GPT2_HUB_NAME_MAX]) {
    char *path = environment_format(NULL, "%s/snapshots", repo);
    DIR *folder = path ? opendir(path) : NULL;
    int n = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        if (name_word(entry->d_name, strlen(entry->d_name)) && n++ == 0)
            snprintf(commit, GPT2_HUB_NAME_MAX, "%s", entry->d_name);
    if (folder)
        closedir(folder);
    free(path);
    return n == 1;
}

/* The snapshot of a revision of CACHE/models--..., to be freed; NULL: none. */
static char *snapshot_of(const char *repo, const char *revision) {
    char commit[GPT2_HUB_NAME_MAX];
    bool found = commit_of(repo, revision, commit);
    char *path = found ? environment_format(NULL, "%s/snapshots/%s", repo, commit) : NULL;
    if (path && os_is_directory(path))
        return path;
    free(path);
    if (strcmp(revision, "main") != 0 || !only_snapshot(repo, commit))
        return NULL;
    return environment_format(NULL, "%s/snapshots/%s", repo, commit);
}

/* CACHE/models--OWNER--NAME, to be freed. */
static char *repo_folder(const char *cache, const char *repo) {
    const char *slash = strchr(repo, '/');
    return slash ? environment_format(NULL, "%s/models--%.*s--%s", cache, (int)(slash - repo), repo,
                                      slash + 1)
                 : environment_format(NULL, "%s/models--%s", cache, repo);
}

static char *find(const struct hub_name *name, bool with_weights) {
    char *cache;
    for (int i = 0; (cache = environment_cache(i)) != NULL; i++) {
        const char *repos[] = {name->repo, name->alias}; // older caches have the short name
        char *found = NULL;
        for (int k = 0; k < 2 && !found; k++) {
            char *repo = *repos[k] ? repo_folder(cache, repos[k]) : NULL;
            found = repo ? snapshot_of(repo, name->revision) : NULL;
            if (found && with_weights && !has_weights(found)) {
                free(found);
                found = NULL;
            }
            free(repo);
        }
        free(cache);
        if (found)
            return found;
    }
    return NULL;
}

char *gpt2_hub_cached(const char *text) {
    struct hub_name name;
    if (!name_parse(&name, text))
        return NULL;
    char *found = find(&name, true);
    return found ? found : find(&name, false);
}

static bool is_gpt2(const char *snapshot) {
    char *path = environment_format(NULL, "%s/config.json", snapshot);
    struct os_file file;
    const char *type = "";
    struct json *root = NULL;
    if (path && os_map(&file, path, GPT2_ERR_MODEL, NULL)) {
        root = json_parse_settings((const char *)file.data, file.size, path, GPT2_ERR_MODEL, NULL);
        os_unmap(&file);
    }
    free(path);
    bool is = root && json_string(json_get(root, "model_type"), &type) && !strcmp(type, "gpt2");
    json_free(root);
    return is;
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

void gpt2_hub_list_cache(gpt2_hub_visit visit, void *user) {
    char *cache;
    bool go_on = true;
    for (int i = 0; go_on && (cache = environment_cache(i)) != NULL; i++) {
        DIR *folder = opendir(cache);
        for (struct dirent *entry; go_on && folder && (entry = readdir(folder)) != NULL;) {
            char name[GPT2_HUB_NAME_MAX];
            if (!name_of(entry->d_name, name))
                continue;
            char *repo = environment_format(NULL, "%s/%s", cache, entry->d_name);
            char *snapshot = repo ? snapshot_of(repo, "main") : NULL;
            if (snapshot && has_weights(snapshot) && is_gpt2(snapshot))
                go_on = visit(user, name, snapshot);
            free(snapshot);
            free(repo);
        }
        if (folder)
            closedir(folder);
        free(cache);
    }
}
