/* containers.c - the table of formats, and what a path means by it. */
#include "weights/containers.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "base/path.h"
#include "base/stand_in.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct container *const containers[] = {
#define CONTAINER(name) &container_##name,
#include "weights/containers.def"
};

#define N_CONTAINERS (sizeof containers / sizeof *containers)

const struct container *containers_at(size_t i) {
    return i < N_CONTAINERS ? containers[i] : NULL;
}

/* What a model's directory is made of, beside weights. */
static const char *const parts[] = {
    "config.json",
    "generation_config.json",
    "hparams.json",
    "vocab.json",
    "merges.txt",
    "encoder.json",
    "vocab.bpe",
    "tokenizer.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
};

#define N_PARTS (sizeof parts / sizeof *parts)

const char *containers_list(char list[CONTAINERS_LIST]) {
    size_t n = 0, n_left = 0;
    for (size_t i = 0; i < N_CONTAINERS; i++)
        n_left += containers[i]->name != NULL;
    list[0] = 0;
    for (size_t i = 0; i < N_CONTAINERS && n < CONTAINERS_LIST; i++) {
        if (!containers[i]->name)
            continue;
        n += (size_t)snprintf(list + n, CONTAINERS_LIST - n, "%s%s", containers[i]->name,
                              --n_left > 1  ? ", "
                              : n_left == 1 ? " and "
                                            : "");
    }
    return list;
}

/* The pattern of the list that a name matches, NULL: none. */
static const char *match(const char *const *patterns, const char *name) {
    for (; patterns && *patterns; patterns++)
        if (path_matches(name, *patterns))
            return *patterns;
    return NULL;
}

static const struct container *by_head(const unsigned char *head, size_t n) {
    for (size_t i = 0; i < N_CONTAINERS; i++)
        if (containers[i]->recognise && containers[i]->recognise(head, n))
            return containers[i];
    return NULL;
}

static const struct container *by_name(const char *name) {
    for (size_t i = 0; i < N_CONTAINERS; i++)
        if (match(containers[i]->names, name) || match(containers[i]->variants, name))
            return containers[i];
    return NULL;
}

static bool is_part(const char *name) {
    for (size_t i = 0; i < N_PARTS; i++)
        if (strcmp(name, parts[i]) == 0)
            return true;
    return false;
}

static bool refuse_stranger(const char *path, size_t n_bytes, struct gpt2_error *err) {
    char list[CONTAINERS_LIST];
    error_set(err, GPT2_ERR_MODEL, "%s: expected a model (%s), found %s", path,
              containers_list(list), n_bytes ? "a file that begins as none of them" : "it empty");
    return error_hint(err, "a file that was damaged on its way here has to be copied again; to use "
                           "the model of a directory, name the directory");
}

bool containers_identify(struct given *out, const char *path, struct gpt2_error *err) {
    struct stat info;
    *out = (struct given){.kind = GIVEN_DIRECTORY, .refused = true};
    if (!look_at(&info, path, LOOK_THROUGH, GPT2_ERR_MODEL, err))
        return false;
    bool exists = info.st_mode != 0; // or a link to nothing
    if (!exists && !look_exists(&exists, path, GPT2_ERR_MODEL, err))
        return false;
    out->refused = S_ISREG(info.st_mode);
    if (!exists)
        return error_set(err, GPT2_ERR_MODEL, "%s: no such file or directory",
                         *path ? path : "\"\"");
    if (S_ISDIR(info.st_mode))
        return true;
    if (!os_map(&out->file, path, GPT2_ERR_MODEL, err))
        return false;
    out->refused = false;
    const char *name = path_name(path);
    const size_t n_bytes = out->file.size;
    if (stand_in_refuse(out->file.data, n_bytes, path, GPT2_ERR_MODEL, err)) {
        containers_close(out);
        return false;
    }
    out->format = by_head(out->file.data, n_bytes < CONTAINER_HEAD ? n_bytes : CONTAINER_HEAD);
    if (!out->format)
        out->format = by_name(name);
    out->kind = out->format ? GIVEN_WEIGHTS : GIVEN_PART;
    if (out->format)
        return true;
    containers_close(out);
    return (n_bytes && is_part(name)) || refuse_stranger(path, n_bytes, err);
}

char *containers_directory(const struct given *given, const char *path, struct gpt2_error *err) {
    return given->kind == GIVEN_DIRECTORY ? path_without_slash(path, err)
                                          : path_directory(path, err);
}

void containers_close(struct given *given) {
    os_unmap(&given->file);
}

bool containers_open(struct tensors *out, const struct container *format, struct os_file *file,
                     const char *path, struct gpt2_error *err) {
    if (stand_in_refuse(file->data, file->size, path, GPT2_ERR_MODEL, err) ||
        !format->parse(out, file->data, file->size, path, err))
        return false;
    if (!format->lists) {
        out->file = *file;
        *file = (struct os_file){NULL, 0};
    }
    return true;
}

/* ---- what a directory has ---- */

/* The best so far of a directory. */
struct best {
    const struct container *container; /* NULL: none */
    const char *pattern;               /* of its lists, as match() says */
    size_t rank;                       /* of the pattern: the least is the best */
    char *name;                        /* owned */
    bool several;                      /* files that match the same pattern */
};

/* One part of several: what an index lists. */
static bool is_shard(const char *name) {
    return path_matches(name, "*-[0-9]*-of-[0-9]*.*");
}

/* By its name, what a file of a directory is to the i-th entry: the pattern, and its rank. NULL: no
 * weights. A pattern that is an ending alone counts where it is the first of its entry:
 * model.safetensors is the weights, any other *.safetensors may be a part of them. */
static const char *place(size_t *rank, size_t i, const char *name) {
    const struct container *c = containers[i];
    const char *pattern = match(c->names, name);
    const char *const *list = c->names;
    enum { READ, VARIANT, UNREAD } class = c->parse ? READ : UNREAD;
    if (!pattern || (c->parse && *pattern == '*' && pattern != c->names[0])) {
        pattern = is_shard(name) ? NULL : match(c->variants, name);
        list = c->variants;
        class = VARIANT;
    }
    *rank = (size_t) class * N_CONTAINERS + i;
    for (*rank *= CONTAINER_MAX_NAMES; pattern && *list != pattern; list++)
        ++*rank;
    return pattern;
}

static bool consider(struct best *best, size_t i, const char *name, struct gpt2_error *err) {
    size_t rank;
    const char *pattern = place(&rank, i, name);
    if (!pattern)
        return true;
    const bool equal = best->container && rank == best->rank;
    if (best->container && rank >= best->rank && (!equal || strcmp(name, best->name) > 0)) {
        best->several |= equal;
        return true;
    }
    char *copy = strdup(name);
    if (!copy)
        return error_memory(err, "a path", strlen(name) + 1);
    free(best->name);
    *best = (struct best){containers[i], pattern, rank, copy, equal};
    return true;
}

bool containers_in_directory(const struct container **found, char **file, const char *dir,
                             struct gpt2_error *err) {
    struct best best = {0};
    bool ok = true;
    *found = NULL;
    *file = NULL;
    DIR *folder = opendir(dir);
    if (!folder)
        return error_errno(err, GPT2_ERR_MODEL, errno, "%s: cannot list", dir);
    for (const char *name = ""; ok && name;) {
        ok = os_next_entry(&name, folder, dir, err);
        for (size_t i = 0; ok && name && i < N_CONTAINERS; i++)
            ok = consider(&best, i, name, err);
    }
    closedir(folder);
    if (ok && best.several && best.container->parse) {
        ok = error_set(err, GPT2_ERR_MODEL, "%s: expected one file like %s, found several", dir,
                       best.pattern);
        error_hint(err, "say which: -m %s/%s", dir, best.name);
    }
    if (ok && best.container) {
        *file = path_join(dir, best.name, err);
        *found = best.container;
        ok = *file != NULL;
    }
    free(best.name);
    return ok && best.container;
}

/* What a training run leaves beside weights, in PyTorch's format. */
static bool is_state_of_training(const char *name) {
    static const char *const patterns[] = {"training_args.bin", "optimizer*", "scheduler*",
                                           "rng_state*",        "scaler*",    NULL};
    return match(patterns, name) != NULL;
}

const struct container *containers_guess(char **file, const char *dir) {
    const struct container *found = NULL;
    *file = NULL;
    DIR *folder = opendir(dir);
    for (const char *name; folder && os_next_entry(&name, folder, dir, NULL) && name;) {
        struct given given;
        char *path = path_join(dir, name, NULL);
        if (path && !is_state_of_training(name) && (!*file || strcmp(path, *file) < 0) &&
            containers_identify(&given, path, NULL)) {
            if (given.kind == GIVEN_WEIGHTS) {
                char *former = *file;
                *file = path;
                path = former;
                found = given.format;
            }
            containers_close(&given);
        }
        free(path);
    }
    if (folder)
        closedir(folder);
    return found;
}

bool containers_refuse(const struct container *format, const char *path, struct gpt2_error *err) {
    char list[CONTAINERS_LIST];
    struct os_file file = {0};
    bool is_directory;
    if (!look_is_directory(&is_directory, path, GPT2_ERR_MODEL, err) ||
        (!is_directory && !os_map(&file, path, GPT2_ERR_MODEL, err)))
        return false;
    const bool stands_in = stand_in_refuse(file.data, file.size, path, GPT2_ERR_MODEL, err);
    os_unmap(&file);
    if (stands_in)
        return false;
    if (format->refuse)
        return format->refuse(path, err);
    error_set(err, GPT2_ERR_MODEL, "%s: expected weights in a format that is read (%s), found %s",
              path, containers_list(list), format->what);
    return error_hint(err, "%s", format->hint);
}
