/* pull.c - gpt2_hub_pull: ask what there is, fetch it into NAME.partial, rename that to NAME. */
#include "base/error_internal.h"
#include "base/json.h"
#include "base/look.h"
#include "base/os.h"
#include "hub/environment.h"
#include "hub/fetch.h"
#include "hub/folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define INDEX "model.safetensors.index.json"

struct pull {
    struct hub_name name;
    char *endpoint, *token, *target, *staging; /* owned */
    struct manifest listed, plan;
    struct fetch fetch;
    struct folder_lock *lock;
    size_t n_made; /* the first folder that was made is staging[0..n_made); 0: none was */
};

/* ---- folders ---- */

/* mkdir -p of the staging folder. The string is changed and restored. */
static bool make_folders(struct pull *p, struct gpt2_error *err) {
    char *path = p->staging;
    for (char *slash = path;;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = 0;
        bool made = mkdir(path, 0777) == 0, ok = made || errno == EEXIST;
        if (made && p->n_made == 0)
            p->n_made = strlen(path);
        if (!ok)
            error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot create the folder %s", path);
        if (slash)
            *slash = '/';
        if (!ok || !slash)
            return ok;
    }
}

/* After a failure: the folders that were made go, up to one that has something in it. */
static void remove_made(struct pull *p) {
    for (char *slash; p->n_made && strlen(p->staging) >= p->n_made; *slash = 0) {
        if (rmdir(p->staging) != 0 && errno != ENOENT)
            return;
        slash = strrchr(p->staging, '/');
        if (!slash || slash == p->staging)
            return;
    }
}

static char *in(const char *folder, const char *name, struct gpt2_error *err) {
    return environment_format(err, "%s/%s", folder, name);
}

/* ---- what to fetch ---- */

static const char *const small_files[] = {
    "config.json",    "generation_config.json", "vocab.json",        "merges.txt",
    "tokenizer.json", "tokenizer_config.json",  "added_tokens.json", "special_tokens_map.json",
};

static bool is_small(const char *name) {
    for (size_t i = 0; i < sizeof small_files / sizeof *small_files; i++)
        if (!strcmp(name, small_files[i]))
            return true;
    return false;
}

static bool map_staged(const struct pull *p, const char *name, struct os_file *file,
                       struct gpt2_error *err) {
    char *path = in(p->staging, name, err);
    bool ok = path && os_map(file, path, GPT2_ERR_RUNTIME, err);
    free(path);
    return ok;
}

static bool ask_hub(struct pull *p, struct gpt2_error *err) {
    char slash_free[2 * GPT2_HUB_NAME_MAX], *to = slash_free;
    for (const char *c = p->name.revision; *c; c++)
        to += sprintf(to, *c == '/' ? "%%2F" : "%c", *c);
    *to = 0;
    char *url = environment_format(err, "%s/api/models/%s/revision/%s?blobs=true", p->endpoint,
                                   p->name.repo, slash_free);
    char *text = NULL;
    size_t len;
    bool ok = url && fetch_answer(&p->fetch, "the hub's answer", url, &text, &len, err) &&
              manifest_parse_hub(&p->listed, text, len, url, err);
    free(text);
    free(url);
    return ok;
}

static bool plan(struct pull *p, const char *name, struct gpt2_error *err) {
    const struct manifest_file *file = manifest_find(&p->listed, name);
    return !file || manifest_add(&p->plan, file, err);
}

/* Everything but the weights' parts, which only the index knows. */
static bool make_plan(struct pull *p, struct gpt2_error *err) {
    static const char *const weights[] = {"model.safetensors", INDEX, "pytorch_model.bin"};
    if (!manifest_find(&p->listed, "config.json")) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected a model, found no config.json in it",
                  p->name.repo);
        return error_hint(err, "see %s/%s for what it has", p->endpoint, p->name.repo);
    }
    for (size_t i = 0; i < sizeof small_files / sizeof *small_files; i++)
        if (!plan(p, small_files[i], err))
            return false;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        if (manifest_find(&p->listed, weights[i]))
            return plan(p, weights[i], err);
    error_set(err, GPT2_ERR_MODEL,
              "%s: expected model.safetensors, its parts or pytorch_model.bin, found none of them",
              p->name.repo);
    return error_hint(err, "see %s/%s for what it has", p->endpoint, p->name.repo);
}

static uint64_t size_of_plan(const struct pull *p) {
    uint64_t total = 0;
    for (size_t i = 0; i < p->plan.count; i++)
        total += p->plan.files[i].size;
    return total;
}

/* ---- fetching ---- */

static bool fetch_planned(struct pull *p, const char *name, struct gpt2_error *err) {
    const struct manifest_file *file = manifest_find(&p->plan, name);
    if (!file)
        return true;
    const struct manifest_file copy = *file; // the plan may grow
    const char *revision = p->listed.commit[0] ? p->listed.commit : p->name.revision;
    char *url =
        environment_format(err, "%s/%s/resolve/%s/%s", p->endpoint, p->name.repo, revision, name);
    bool ok = url && fetch_file(&p->fetch, &copy, url, err);
    free(url);
    return ok;
}

/* Before gigabytes of something else are fetched. */
static bool check_config(const struct pull *p, struct gpt2_error *err) {
    struct os_file file;
    if (!map_staged(p, "config.json", &file, err))
        return false;
    char what[2 * GPT2_HUB_NAME_MAX];
    snprintf(what, sizeof what, "%s: config.json", p->name.repo);
    const char *type = "gpt2";
    struct json *root =
        json_parse_settings((const char *)file.data, file.size, what, GPT2_ERR_MODEL, err);
    bool ok = root != NULL;
    if (ok) {
        json_string(json_get(root, "model_type"), &type);
        ok = !strcmp(type, "gpt2") ||
             error_set(err, GPT2_ERR_MODEL, "%s: expected a GPT-2, found model_type \"%s\"",
                       p->name.repo, type);
    }
    json_free(root);
    os_unmap(&file);
    return ok;
}

static bool add_parts(struct pull *p, struct gpt2_error *err) {
    struct os_file file;
    if (!manifest_find(&p->plan, INDEX))
        return true;
    if (!map_staged(p, INDEX, &file, err))
        return false;
    bool ok =
        manifest_add_shards(&p->plan, &p->listed, (const char *)file.data, file.size, INDEX, err);
    os_unmap(&file);
    return ok;
}

/* The space that is missing is better known before than after. */
static bool check_space(const struct pull *p, struct gpt2_error *err) {
    struct statvfs disk;
    uint64_t needed = p->fetch.total - p->fetch.done;
    for (size_t i = 0; i < p->plan.count; i++) { // what an earlier try has left is there already
        struct stat info;
        char *part = environment_format(err, "%s/%s.part", p->staging, p->plan.files[i].name);
        const bool ok = part && look_at(&info, part, LOOK_LINKS, GPT2_ERR_RUNTIME, err);
        free(part);
        if (!ok)
            return false;
        needed -= (uint64_t)info.st_size < needed ? (uint64_t)info.st_size : needed;
    }
    if (statvfs(p->staging, &disk) != 0)
        return true;
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free_bytes >= needed)
        return true;
    error_set(err, GPT2_ERR_RUNTIME, "%s: expected %.1f MB of free space, found %.1f MB",
              p->staging, (double)needed / 1e6, (double)free_bytes / 1e6);
    return error_hint(err, "$GPT2_MODELS names another folder");
}

/* What is on its way is listed before it comes, so that `rm` and a later pull know it for ours. */
static bool write_plan(const struct pull *p, bool final, struct gpt2_error *err) {
    enum folder_kind kind;
    return folder_plan(p->staging, &p->plan, p->name.repo, p->name.revision, final, err) &&
           folder_look(&kind, p->target, err) &&
           (kind != FOLDER_PULLED || folder_check(p->target, &p->plan, err));
}

static bool fetch_all(struct pull *p, struct gpt2_error *err) {
    if (!write_plan(p, false, err))
        return false;
    p->fetch.total = size_of_plan(p);
    if (!fetch_planned(p, "config.json", err) || !check_config(p, err))
        return false;
    for (size_t i = 1; i < sizeof small_files / sizeof *small_files; i++)
        if (!fetch_planned(p, small_files[i], err))
            return false;
    if (!fetch_planned(p, INDEX, err) || !add_parts(p, err) || !write_plan(p, true, err))
        return false;
    p->fetch.total = size_of_plan(p);
    if (!check_space(p, err))
        return false;
    for (size_t i = 0; i < p->plan.count; i++)
        if (!is_small(p->plan.files[i].name) && strcmp(p->plan.files[i].name, INDEX) != 0 &&
            !fetch_planned(p, p->plan.files[i].name, err))
            return false;
    return true;
}

/* ---- the whole ---- */

/* Sets *is where the target is this very commit with all its files. */
static bool is_current(bool *is, const struct pull *p, struct gpt2_error *err) {
    struct manifest had = {0};
    char *path = in(p->target, MANIFEST_NAME, err);
    bool ok = path != NULL, same = ok && p->listed.commit[0] && manifest_read(&had, path, NULL) &&
                                   !strcmp(had.commit, p->listed.commit) && had.count > 0;
    free(path);
    for (size_t i = 0; ok && same && i < had.count; i++) {
        struct stat info;
        path = in(p->target, had.files[i].name, err);
        ok = path && (look_at(&info, path, LOOK_THROUGH, GPT2_ERR_RUNTIME, err) ||
                      !error_is_of_system(errno)); // it is fetched anew
        same = ok && S_ISREG(info.st_mode) && (uint64_t)info.st_size == had.files[i].size;
        free(path);
    }
    manifest_free(&had);
    *is = same;
    return ok;
}

/* Only what we made is replaced. */
static bool put_in_place(struct pull *p, struct gpt2_error *err) {
    os_sync_folder(p->staging);
    enum folder_kind kind;
    if (!folder_look(&kind, p->target, err))
        return false;
    if (kind == FOLDER_PULLED)
        return folder_replace(p->target, p->staging, err);
    if (rename(p->staging, p->target) != 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot rename %s to %s", p->staging,
                           p->target);
    return true;
}

/* Before anything is fetched. */
static bool refuse_foreign(const char *path, struct gpt2_error *err) {
    enum folder_kind kind;
    if (!folder_look(&kind, path, err))
        return false;
    if (kind == FOLDER_NOTHING || kind == FOLDER_PULLED)
        return true;
    error_set(err, GPT2_ERR_USAGE, "%s: is %s, and `gpt2 pull` did not make it", path,
              kind == FOLDER_LINK ? "a symbolic link" : "there");
    return error_hint(err, "move it away, or pull to another folder with $GPT2_MODELS");
}

static bool pull(struct pull *p, struct gpt2_error *err) {
    enum folder_kind target, staging;
    if (!folder_look(&target, p->target, err) || !folder_look(&staging, p->staging, err))
        return false;
    // A model's folder that is a link to one elsewhere is good to use, but not ours to replace.
    if ((target != FOLDER_LINK && !refuse_foreign(p->target, err)) ||
        (staging == FOLDER_LINK && !refuse_foreign(p->staging, err)) || !make_folders(p, err) ||
        (p->lock = folder_lock(p->staging, err)) == NULL || !ask_hub(p, err))
        return false;
    bool current;
    if (!is_current(&current, p, err))
        return false;
    if (current) {
        folder_tidy(p->staging);
        return true;
    }
    memcpy(p->plan.commit, p->listed.commit, sizeof p->plan.commit);
    return refuse_foreign(p->target, err) && make_plan(p, err) && fetch_all(p, err) &&
           put_in_place(p, err);
}

static bool prepare(struct pull *p, const char *name, const struct gpt2_hub_options *options,
                    struct gpt2_error *err) {
    if (!error_reserved(options->reserved, "gpt2_hub_options", err))
        return false;
    if (!name_parse(&p->name, name)) {
        error_set(err, GPT2_ERR_USAGE, "\"%s\": expected the name of a model", name);
        return error_hint(err, "names are gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2, or "
                               "OWNER/NAME[@REVISION] of the hub");
    }
    const char *offline = environment_variable("HF_HUB_OFFLINE");
    if (offline && strcmp(offline, "0") != 0)
        return error_set(err, GPT2_ERR_RUNTIME, "HF_HUB_OFFLINE is set: the hub is not asked");
    const char *seconds = environment_variable("HF_HUB_DOWNLOAD_TIMEOUT");
    int stall = seconds ? atoi(seconds) : 0;
    char *folder = gpt2_hub_folder(err);
    bool ok = folder && (p->target = in(folder, p->name.local, err)) != NULL &&
              (p->staging = environment_format(err, "%s.partial", p->target)) != NULL &&
              (p->endpoint = environment_endpoint(err)) != NULL &&
              environment_token(&p->token, err);
    free(folder);
    p->fetch = (struct fetch){.name = &p->name,
                              .endpoint = p->endpoint,
                              .token = p->token,
                              .staging = p->staging,
                              .options = options,
                              .stall = stall > 0 && stall < 86400 ? (unsigned)stall : 30};
    return ok;
}

char *gpt2_hub_pull(const char *name, const struct gpt2_hub_options *options, uint64_t *fetched,
                    struct gpt2_error *err) {
    struct pull p = {0};
    bool ok = prepare(&p, name, options, err) && pull(&p, err);
    if (p.lock && !ok)
        folder_tidy(p.staging);
    folder_unlock(p.lock);
    if (!ok && p.staging)
        remove_made(&p);
    if (fetched)
        *fetched = p.fetch.fetched;
    manifest_free(&p.listed);
    manifest_free(&p.plan);
    free(p.endpoint);
    free(p.token);
    free(p.staging);
    if (ok)
        return p.target;
    free(p.target);
    return NULL;
}
