/* directory.c - from the path that the user gave to the files of a Hugging Face directory. Most of
 * it is about saying precisely what is not there, since this is where most first tries end. */
#include "model/directory.h"
#include "base/error.h"
#include "base/os.h"
#include "weights/packed.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Weights of GPT-2 as other programs keep them: the end of the file's name, and what to do. */
static const struct foreign {
    const char *suffix, *what, *hint;
} foreigns[] = {
    {".safetensors.index.json", "weights split into several files",
     "merge them: load the model in Python and save_pretrained(dir, max_shard_size=\"100GB\")"},
    {"pytorch_model.bin.index.json", "PyTorch weights split into several files",
     "convert them: load the model in Python and save_pretrained(dir, max_shard_size=\"100GB\")"},
    {"pytorch_model.bin", "PyTorch weights",
     "convert them: load the model in Python and save_pretrained(dir, safe_serialization=True)"},
    {".gguf", "a GGUF file", "use the Hugging Face directory that it was made from"},
    {"tf_model.h5", "TensorFlow weights",
     "convert them: GPT2LMHeadModel.from_pretrained(dir, from_tf=True) and save_pretrained"},
    {"flax_model.msgpack", "Flax weights",
     "convert them: GPT2LMHeadModel.from_pretrained(dir, from_flax=True) and save_pretrained"},
    {"ckpt.pt", "a nanoGPT checkpoint",
     "convert it to safetensors with Hugging Face's names and [in, out] matrices"},
    {"model.ckpt.index", "OpenAI's TensorFlow checkpoint",
     "use the converted model \"gpt2\" of Hugging Face"},
};

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* DIR/NAME, owned; NULL where memory is out. */
static char *join(const char *dir, const char *name, struct gpt2_error *err) {
    size_t n_dir = strlen(dir), size = n_dir + strlen(name) + 2;
    char *path = malloc(size);
    if (!path) {
        error_memory(err, "a path", size);
        return NULL;
    }
    snprintf(path, size, "%s%s%s", dir, n_dir && dir[n_dir - 1] == '/' ? "" : "/", name);
    return path;
}

/* The directory that a path means: itself or the one its file is in. No slash at its end. */
static char *directory_of(const char *path, struct gpt2_error *err) {
    size_t n = os_is_directory(path) ? strlen(path) : (size_t)(name_of(path) - path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *dir = malloc(n + 2);
    if (dir)
        snprintf(dir, n + 2, "%.*s", n ? (int)n : 1, n ? path : ".");
    else
        error_memory(err, "a path", n + 2);
    return dir;
}

static const struct foreign *find_foreign(const char *name) {
    for (size_t i = 0; i < sizeof foreigns / sizeof *foreigns; i++)
        if (ends_with(name, foreigns[i].suffix))
            return &foreigns[i];
    return NULL;
}

static bool refuse_foreign(const char *path, const struct foreign *foreign,
                           struct gpt2_error *err) {
    error_set(err, GPT2_ERR_MODEL, "%s: expected safetensors weights, found %s", path,
              foreign->what);
    return error_hint(err, "%s", foreign->hint);
}

/* No model.safetensors: says what there is instead. */
static bool refuse_without_weights(const struct directory *d, struct gpt2_error *err) {
    const struct foreign *best = NULL; // the first of the table: a directory may hold several
    char *path = NULL;
    DIR *folder = opendir(d->path);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        const struct foreign *foreign = find_foreign(entry->d_name);
        if (foreign && (!best || foreign < best)) {
            best = foreign;
            free(path);
            path = join(d->path, entry->d_name, err);
        }
    }
    if (folder)
        closedir(folder);
    if (best) {
        if (path)
            refuse_foreign(path, best, err);
        free(path);
        return false;
    }
    error_set(err, GPT2_ERR_MODEL, "%s: expected a model directory, found no %smodel.safetensors",
              d->path, os_exists(d->config) ? "" : "config.json and no ");
    return error_hint(err, "a model directory has config.json, model.safetensors and the "
                           "tokenizer's files: vocab.json and merges.txt, or tokenizer.json");
}

static bool find(struct directory *out, const char *path, struct gpt2_error *err) {
    const char *name = name_of(path);
    bool is_weights = false, is_other = false;
    if (!os_exists(path))
        return error_set(err, GPT2_ERR_MODEL, "%s: no such file or directory",
                         *path ? path : "\"\"");
    if (!os_is_directory(path)) {
        is_weights = ends_with(name, ".safetensors");
        if (find_foreign(name))
            return refuse_foreign(path, find_foreign(name), err);
        is_other = !is_weights && strcmp(name, "config.json") != 0;
    }
    if (!(out->path = directory_of(path, err)) ||
        !(out->config = join(out->path, "config.json", err)) ||
        !(out->generation = join(out->path, "generation_config.json", err)) ||
        !(out->weights = join(out->path, is_weights ? name : "model.safetensors", err)))
        return false;
    if (packed_recognise(out->weights)) { // given by its directory, or beside a config.json
        error_set(err, GPT2_ERR_MODEL, "%s: expected safetensors weights, found a packed model",
                  out->weights);
        return error_hint(err, "-m %s uses it; it needs no directory", out->weights);
    }
    if (os_exists(out->config))
        return true;
    if (is_other)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected a model directory or a file in one, found no config.json "
                         "beside it",
                         path);
    if (!os_exists(out->weights))
        return refuse_without_weights(out, err);
    error_set(err, GPT2_ERR_MODEL, "%s: no such file, though %s is there", out->config,
              name_of(out->weights));
    return error_hint(err, "it belongs to the weights: it says how many heads there are");
}

bool directory_find(struct directory *out, const char *path, struct gpt2_error *err) {
    *out = (struct directory){0};
    if (find(out, path, err))
        return true;
    directory_free(out);
    return false;
}

bool directory_check_weights(const struct directory *directory, struct gpt2_error *err) {
    return os_exists(directory->weights) || refuse_without_weights(directory, err);
}

void directory_free(struct directory *directory) {
    free(directory->path);
    free(directory->config);
    free(directory->generation);
    free(directory->weights);
    *directory = (struct directory){0};
}
