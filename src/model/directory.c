/* directory.c - from the path that the user gave to the files of a model. Most of it is about
 * saying precisely what is not there, since this is where most first tries end. */
#include "model/directory.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool refuse_without_weights(const struct directory *d, struct gpt2_error *err) {
    char *file;
    const struct container *guess = containers_guess(&file, d->path);
    if (guess && !guess->parse) {
        containers_refuse(guess, file, err);
        free(file);
        return false;
    }
    error_set(err, GPT2_ERR_MODEL, "%s: expected a model directory, found no %smodel.safetensors",
              d->path, d->config ? "" : "config.json and no ");
    if (guess)
        error_hint(err, "%s there is %s: -m %s uses it", path_name(file), guess->what, file);
    free(file);
    return guess
               ? false
               : error_hint(err, "a model directory has config.json, model.safetensors and the "
                                 "tokenizer's files: vocab.json and merges.txt, or tokenizer.json");
}

/* Sets *out to a file of the directory, or leaves it NULL. */
static bool find_file(char **out, const struct directory *d, const char *name,
                      struct gpt2_error *err) {
    bool exists = false;
    char *path = path_join(d->path, name, err);
    const bool ok = path && look_exists(&exists, path, GPT2_ERR_MODEL, err);
    if (exists)
        *out = path;
    else
        free(path);
    return ok;
}

/* The weights: the file that was given, if it is of that kind, else what the directory has. */
static bool find_weights(struct directory *out, const char *path, struct given *given,
                         struct gpt2_error *err) {
    struct gpt2_error found = {0};
    struct given file;
    if (given->kind == GIVEN_WEIGHTS) {
        out->format = given->format;
        out->file = given->file;
        given->file = (struct os_file){NULL, 0};
        out->weights = strdup(path);
        return out->weights ? out->format->parse || containers_refuse(out->format, path, err)
                            : error_memory(err, "a path", strlen(path) + 1);
    }
    if (!containers_in_directory(&out->format, &out->weights, out->path, &found)) {
        if (found.status && err)
            *err = found;
        return !found.status;
    }
    if (!containers_identify(&file, out->weights, err))
        return false;
    out->file = file.file;
    if (!file.format || !file.format->whole)
        return true;
    error_set(err, GPT2_ERR_MODEL, "%s: expected plain weights, found %s", out->weights,
              file.format->what);
    return error_hint(err, "-m %s uses it; it needs no directory", out->weights);
}

static bool find(struct directory *out, const char *path, struct given *given,
                 struct gpt2_error *err) {
    if (!(out->path = containers_directory(given, path, err)) ||
        !find_weights(out, path, given, err) || !find_file(&out->config, out, "config.json", err) ||
        (given->kind != GIVEN_WEIGHTS &&
         !find_file(&out->adapter, out, "adapter_config.json", err)) ||
        !(out->generation = path_join(out->path, "generation_config.json", err)))
        return false;
    const bool inside = out->format && out->format->config != CONFIG_BESIDE;
    if (out->config || inside)
        return true;
    if (given->kind == GIVEN_PART)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected a model directory or a file in one, found no config.json "
                         "beside it",
                         path);
    return directory_check_weights(out, err);
}

bool directory_find(struct directory *out, const char *path, struct given *given,
                    struct gpt2_error *err) {
    *out = (struct directory){0};
    if (find(out, path, given, err))
        return true;
    directory_free(out);
    return false;
}

bool directory_check_weights(const struct directory *directory, struct gpt2_error *err) {
    if (!directory->weights)
        return refuse_without_weights(directory, err);
    return directory->format->parse ||
           containers_refuse(directory->format, directory->weights, err);
}

bool directory_refuse_without_config(const struct directory *d, struct gpt2_error *err) {
    error_set(err, GPT2_ERR_MODEL, "%s/config.json: no such file, though %s is there", d->path,
              path_name(d->weights));
    return error_hint(err, "it belongs to the weights: it says how many heads there are");
}

void directory_free(struct directory *directory) {
    free(directory->path);
    free(directory->config);
    free(directory->generation);
    free(directory->adapter);
    free(directory->weights);
    os_unmap(&directory->file);
    *directory = (struct directory){0};
}
