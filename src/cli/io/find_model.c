/* find_model.c - what -m means: a path, a name in one of the folders, or one in a cache. */
#define _XOPEN_SOURCE 700 // realpath

#include "cli/io/find_model.h"
#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "cli/io/report.h"
#include "cli/io/suggest.h"

#include <dirent.h>
#include <errno.h>
#include <gpt2/hub.h>
#include <gpt2/model.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "a/b/c" as a new string; empty parts are left out. NULL: out of memory. */
static char *join(const char *a, size_t a_len, const char *b, const char *c,
                  struct gpt2_error *err) {
    size_t cap = a_len + strlen(b) + strlen(c) + 3;
    char *path = malloc(cap);
    if (!path)
        error_memory(err, "the path of a model", cap);
    else
        snprintf(path, cap, "%.*s%s%s%s%s", (int)a_len, a, *b ? "/" : "", b, *c ? "/" : "", c);
    return path;
}

/* Whether what has the name of a model is one, or was meant to be: a file of weights, a directory
 * with weights or with a file that belongs to them, a link to nothing, or what may not be read. */
static bool is_model(bool *is, const char *path, struct gpt2_error *err) {
    static const char *const parts[] = {"config.json", "vocab.json", "tokenizer.json",
                                        "encoder.json"};
    struct stat info;
    *is = true;
    if (!look_at(&info, path, LOOK_THROUGH, GPT2_ERR_MODEL, err))
        return !error_is_of_system(errno);
    if (!info.st_mode)
        return true;
    for (size_t i = 0; S_ISDIR(info.st_mode) && i < sizeof parts / sizeof *parts; i++) {
        char *part = join(path, strlen(path), parts[i], "", err);
        if (!part)
            return false;
        bool there;
        const bool ok = look_exists(&there, part, GPT2_ERR_MODEL, err);
        const int reason = errno;
        free(part);
        if (!ok || there)
            return ok || !error_is_of_system(reason);
    }
    const char *what;
    struct gpt2_error why;
    const bool ok = gpt2_model_recognise(path, &what, &why);
    *is = !ok || what;
    if (!ok && why.status != GPT2_ERR_MODEL) {
        *err = why;
        return false;
    }
    return true; // opening says why it may not be read
}

/* Whether it can only hold models, as an OWNER's folder does: a folder with nothing but folders in
 * it, or with nothing. */
static bool is_folder_of_folders(bool *is, const char *path, struct gpt2_error *err) {
    DIR *folder = opendir(path);
    const int reason = errno;
    bool ok = true, only = folder != NULL;
    for (const char *name = ""; ok && only && name;) {
        struct stat info;
        ok = os_next_entry(&name, folder, path, err);
        if (ok && name) {
            ok = look_in(&info, dirfd(folder), path, name, LOOK_THROUGH, GPT2_ERR_RUNTIME, err) ||
                 !error_is_of_system(errno);
            only = S_ISDIR(info.st_mode);
        }
    }
    if (folder)
        closedir(folder);
    *is = only;
    if (folder)
        return ok;
    return !error_is_of_system(reason) ||
           error_errno(err, GPT2_ERR_RUNTIME, reason, "cannot read %s", path);
}

/* Whether what the user gave is a path. A link to nothing is: what was named does not become
 * something else. One with a slash that may not be looked at is, too: opening it says why. */
static bool is_path(bool *is, const char *given, struct gpt2_error *err) {
    if (look_exists(is, given, GPT2_ERR_MODEL, err))
        return true;
    *is = strchr(given, '/') != NULL;
    return !error_is_of_system(errno);
}

/* Where a name is looked for, in order: prefix/suffix/NAME. */
struct model_place {
    const char *prefix;
    size_t len;
    const char *suffix;
};

struct places {
    struct model_place *items; /* [n], owned */
    int n;
    char *refused; /* owned: a path that may not be looked at, NULL: none */
    int reason;    /* errno */
};

static void add_place(struct places *places, const char *prefix, size_t len, const char *suffix) {
    if (len)
        places->items[places->n++] = (struct model_place){prefix, len, suffix};
}

static void free_places(struct places *places) {
    free(places->items);
    free(places->refused);
}

static bool list_places(struct places *places, const char *program_parent, struct gpt2_error *err) {
    const char *folders = getenv("GPT2_MODELS");
    size_t n = 6; // those below, and what is after the last colon
    for (const char *p = folders; p && *p; p++)
        n += *p == ':';
    *places = (struct places){.items = calloc(n, sizeof *places->items)};
    if (!places->items)
        return error_memory(err, "the folders of models", n * sizeof *places->items);
    add_place(places, ".", 1, "models");
    for (const char *p = folders; p && *p;) {
        size_t len = strcspn(p, ":");
        add_place(places, p, len, "");
        p += len + (p[len] == ':');
    }
    add_place(places, program_parent, strlen(program_parent), "models");
    add_place(places, program_parent, strlen(program_parent), "share/gpt2/models");
    const char *data_home = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data_home && *data_home)
        add_place(places, data_home, strlen(data_home), "gpt2/models");
    else if (home && *home)
        add_place(places, home, strlen(home), ".local/share/gpt2/models");
    add_place(places, GPT2_DATADIR, strlen(GPT2_DATADIR), "models");
    return true;
}

static bool not_found(const char *name, const struct places *places, struct gpt2_error *err) {
    char local[GPT2_HUB_NAME_MAX];
    if (places->refused) // it may be there
        return error_errno(err, GPT2_ERR_MODEL, places->reason,
                           "model \"%s\": not found, and cannot look for %s", name,
                           places->refused);
    command_error(err, GPT2_ERR_MODEL, NULL, "model \"%s\": neither a path nor a known name", name);
    bool is_name = gpt2_hub_local_name(name, local);
    if (is_name && strchr(name, '/')) {
        error_hint(err,
                   "`gpt2 pull %s` fetches it; `gpt2 models` lists what "
                   "is here",
                   name);
        return false;
    }
    for (int i = 0; is_name && gpt2_hub_famous(i); i++) {
        if (!strcmp(gpt2_hub_famous(i), local)) {
            error_hint(err, "`gpt2 pull %s` fetches it", name);
            return false;
        }
    }
    struct suggestion nearest = {NULL, 2};
    for (int i = 0; gpt2_hub_famous(i); i++)
        suggest(&nearest, name, strlen(name), gpt2_hub_famous(i));
    struct buffer hint = {0};
    if (nearest.name)
        buffer_format(&hint, "did you mean %s, which `gpt2 pull %s` fetches? ", nearest.name,
                      nearest.name);
    else
        buffer_text(&hint, "`gpt2 pull NAME` fetches one; ");
    buffer_text(&hint, "`gpt2 models` lists what is here, looked for in");
    for (int i = 0; i < places->n; i++) {
        const size_t before = hint.len;
        buffer_format(&hint, "%s %.*s%s%s", i ? "," : "", (int)places->items[i].len,
                      places->items[i].prefix, *places->items[i].suffix ? "/" : "",
                      places->items[i].suffix);
        if (hint.len + strlen(" ...") >= sizeof err->hint) { // whole names, or none
            hint.len = before;
            buffer_text(&hint, " ...");
            break;
        }
    }
    if (!hint.failed)
        error_hint(err, "%s", hint.data);
    buffer_free(&hint);
    return false;
}

/* Whether something is at `path`, which becomes places->refused where that may not be known. False:
 * err is set. */
static bool look(bool *is_there, struct places *places, const char *path, struct gpt2_error *err) {
    if (look_exists(is_there, path, GPT2_ERR_MODEL, err))
        return true;
    if (error_is_of_system(errno))
        return false;
    if (!places->refused) {
        places->reason = errno;
        places->refused = join(path, strlen(path), "", "", err);
    }
    return places->refused != NULL;
}

/* A model of that name in one of the places. *path is NULL where it is in none; *other becomes the
 * first thing of that name that is no model, unless there is one already. A place that may not be
 * entered is passed over, as a shell does with those of $PATH. False: err is set. */
static bool look_up(char **path, char **other, const char *name, struct places *places,
                    struct gpt2_error *err) {
    for (int i = 0; i < places->n; i++) {
        bool is_there, is, only_folders = true;
        *path =
            join(places->items[i].prefix, places->items[i].len, places->items[i].suffix, name, err);
        bool ok = *path && look(&is_there, places, *path, err) &&
                  (!is_there || is_model(&is, *path, err));
        if (ok && is_there && is)
            return true;
        if (ok && is_there && !*other)
            ok = is_folder_of_folders(&only_folders, *path, err);
        if (ok && !only_folders)
            *other = *path;
        else
            free(*path);
        *path = NULL;
        if (!ok)
            return false;
    }
    return true;
}

/* The folder that the program's own is in, "" where the system does not tell. */
static bool program_parent(char *path, size_t cap, struct gpt2_error *err) {
    if (!os_program_path(path, cap, err))
        return false;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = 0;
    }
    return true;
}

char *canonical_path(const char *path) {
    return realpath(path, NULL);
}

bool list_model_folders(bool (*visit)(void *user, const char *folder), void *user,
                        struct gpt2_error *err) {
    char program[4096];
    struct places places;
    bool go_on = true;
    if (!program_parent(program, sizeof program, err) || !list_places(&places, program, err))
        return false;
    for (int i = 0; go_on && i < places.n; i++) {
        char *path =
            join(places.items[i].prefix, places.items[i].len, places.items[i].suffix, "", err);
        go_on = path && visit(user, path);
        free(path);
    }
    free_places(&places);
    return go_on;
}

const char *model_or_default(const char *given) {
    const char *name = given ? given : getenv("GPT2_MODEL");
    return name && *name ? name : "tales";
}

/* In Hugging Face's cache. A cache that may not be read is refused. */
static bool look_up_cached(char **path, const char *name, struct gpt2_error *err) {
    if (gpt2_hub_cached(name, path, err))
        return true;
    const struct gpt2_error why = *err;
    return why.status == GPT2_ERR_MODEL &&
           command_error(err, GPT2_ERR_MODEL, NULL, "model \"%s\": not found, and %s", name,
                         why.message);
}

static char *find_name(const char *name, struct places *places, struct gpt2_error *err) {
    char local[GPT2_HUB_NAME_MAX];
    const bool is_name = gpt2_hub_local_name(name, local);
    char *path = NULL, *other = NULL;
    bool ok = strchr(name, '/') || look_up(&path, &other, name, places, err);
    if (ok && !path && is_name)
        ok = look_up(&path, &other, local, places, err);
    if (ok && !path && is_name)
        ok = look_up_cached(&path, name, err);
    if (ok && !path && other) // opening it says what it is not
        return other;
    free(other);
    if (ok && !path && strchr(name, '/') && !is_name)
        command_error(err, GPT2_ERR_MODEL, NULL, "%s: no such file or directory", name);
    else if (ok && !path)
        not_found(name, places, err);
    return path;
}

char *find_model(const char *name, struct gpt2_error *err) {
    if (name && !*name) {
        command_error(err, GPT2_ERR_MODEL, "without -m it is the default",
                      "model \"\": expected a path or a name, got nothing");
        return NULL;
    }
    const char *variable = getenv("GPT2_MODEL");
    const bool given = name || (variable && *variable);
    name = model_or_default(name);
    bool is = false;
    if (given && !is_path(&is, name, err))
        return NULL;
    if (is)
        return join(name, strlen(name), "", "", err);
    char program[4096];
    struct places places;
    char *path = NULL;
    if (program_parent(program, sizeof program, err) && list_places(&places, program, err)) {
        path = find_name(name, &places, err);
        free_places(&places);
    }
    return path;
}
