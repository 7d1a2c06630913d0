/* shards.c - reads an index and the files that it lists, as one table of tensors. */
#include "weights/shards.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/look.h"
#include "base/path.h"
#include "weights/safetensors.h"
#include "weights/torch/torch.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FILE    ((size_t)64 << 20) /* of an index */
#define MAX_FILES   1000
#define MAX_ENTRIES 100000
#define MAX_NAME    255 /* of a file, as the system has it */

/* One entry of the map, borrowed from the parsed index. */
struct shard_place {
    const char *tensor, *file;
};

struct shard_index {
    const char *path;
    struct json *root;
    struct shard_place *places; /* [n] sorted by tensor */
    size_t n;
    struct gpt2_error *err;
};

/* ---- the index ---- */

/* A plain name of a file: an index does not choose what is opened elsewhere. */
static bool is_plain(const char *name) {
    return *name && strlen(name) <= MAX_NAME && !strpbrk(name, "/\\") && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static int by_tensor(const void *a, const void *b) {
    return strcmp(((const struct shard_place *)a)->tensor, ((const struct shard_place *)b)->tensor);
}

static bool read_entry(struct shard_place *place, const struct json *node,
                       const struct shard_index *index) {
    place->tensor = json_name(node);
    if (!json_string(node, &place->file))
        return error_set(index->err, GPT2_ERR_MODEL,
                         "%s: weight_map: \"%.80s\": expected the name of a file, found %s",
                         index->path, place->tensor, json_kind_name(node));
    return is_plain(place->file) ||
           error_set(index->err, GPT2_ERR_MODEL,
                     "%s: weight_map: \"%.80s\": expected a file in the same directory, found "
                     "\"%.80s\"",
                     index->path, place->tensor, place->file);
}

static bool read_map(struct shard_index *index, const struct json *map) {
    if (!map || json_kind(map) != JSON_OBJECT || !json_first(map))
        return error_set(index->err, GPT2_ERR_MODEL,
                         "%s: \"weight_map\": expected an object with tensors, found %s",
                         index->path, map ? "something else" : "no such key");
    size_t n = 0;
    for (const struct json *node = json_first(map); node; node = json_next(node))
        n++;
    if (n > MAX_ENTRIES)
        return error_set(index->err, GPT2_ERR_MODEL, "%s: expected at most %d tensors, found %zu",
                         index->path, MAX_ENTRIES, n);
    index->places = os_alloc(n, sizeof *index->places, "the index", index->err);
    if (!index->places)
        return false;
    for (const struct json *node = json_first(map); node; node = json_next(node))
        if (!read_entry(&index->places[index->n++], node, index))
            return false;
    qsort(index->places, n, sizeof *index->places, by_tensor);
    for (size_t i = 1; i < n; i++)
        if (by_tensor(&index->places[i - 1], &index->places[i]) == 0)
            return error_set(index->err, GPT2_ERR_MODEL,
                             "%s: weight_map: the tensor \"%.80s\" is there twice", index->path,
                             index->places[i].tensor);
    return true;
}

static bool index_read(struct shard_index *index, const char *text, size_t len, const char *path,
                       struct gpt2_error *err) {
    *index = (struct shard_index){.path = path, .err = err};
    if (len > MAX_FILE)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected at most %zu bytes, found %zu", path,
                         MAX_FILE, len);
    if (len == 0)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected a JSON object, found it empty", path);
    index->root = json_parse(text, len, path, GPT2_ERR_MODEL, err);
    if (!index->root)
        return false;
    if (json_kind(index->root) != JSON_OBJECT)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected a JSON object, found %s", path,
                         json_kind_name(index->root));
    return read_map(index, json_get(index->root, "weight_map"));
}

static void index_free(struct shard_index *index) {
    os_free(index->places);
    json_free(index->root);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each file once, sorted. */
static bool list_files(char ***files, size_t *n_files, const struct shard_index *index) {
    const char **names = os_alloc(index->n, sizeof *names, "the list of files", index->err);
    *files = os_alloc(MAX_FILES, sizeof **files, "the list of files", index->err);
    *n_files = 0;
    bool ok = names && *files;
    for (size_t i = 0; ok && i < index->n; i++)
        names[i] = index->places[i].file;
    if (ok)
        qsort(names, index->n, sizeof *names, by_name);
    for (size_t i = 0; ok && i < index->n; i++) {
        if (i && strcmp(names[i - 1], names[i]) == 0)
            continue;
        if (*n_files == MAX_FILES)
            ok = error_set(index->err, GPT2_ERR_MODEL, "%s: expected at most %d files", index->path,
                           MAX_FILES);
        else if (((*files)[*n_files] = strdup(names[i])))
            ++*n_files;
        else
            ok = error_memory(index->err, "a path", strlen(names[i]));
    }
    os_free(names);
    return ok;
}

void shards_free_files(char **files, size_t n_files) {
    for (size_t i = 0; i < n_files; i++)
        free(files[i]);
    os_free(files);
}

bool shards_parse(char ***files, size_t *n_files, const char *text, size_t len, const char *path,
                  struct gpt2_error *err) {
    struct shard_index index;
    *files = NULL;
    *n_files = 0;
    bool ok = index_read(&index, text, len, path, err) && list_files(files, n_files, &index);
    index_free(&index);
    if (!ok) {
        shards_free_files(*files, *n_files);
        *files = NULL;
        *n_files = 0;
    }
    return ok;
}

/* ---- the files ---- */

static bool has_tensor(const struct tensors *shard, const char *name) {
    for (size_t i = 0; i < shard->count; i++)
        if (strcmp(shard->items[i].name, name) == 0)
            return true;
    return false;
}

/* Each tensor that the index puts into the file is there. A head that is not is the embedding again
 * (tied), which Hugging Face's writers have listed and left out; whether the model may be without a
 * head of its own is for its configuration to say. */
static bool check_listed(const struct tensors *shard, const char *file,
                         const struct shard_index *index) {
    for (size_t i = 0; i < index->n; i++) {
        const struct shard_place *place = &index->places[i];
        if (strcmp(place->file, file) == 0 && strcmp(place->tensor, "lm_head.weight") != 0 &&
            !has_tensor(shard, place->tensor))
            return error_set(index->err, GPT2_ERR_MODEL,
                             "%s: tensor \"%s\": expected it here, as %s says, found it not there",
                             shard->path, place->tensor, path_name(index->path));
    }
    return true;
}

/* Each tensor of the file is one that the index puts there, and the other way round. */
static bool check_file(const struct tensors *shard, const char *file,
                       const struct shard_index *index) {
    for (size_t i = 0; i < shard->count; i++) {
        const struct shard_place key = {shard->items[i].name, NULL};
        const struct shard_place *place =
            bsearch(&key, index->places, index->n, sizeof key, by_tensor);
        if (!place)
            return error_set(index->err, GPT2_ERR_MODEL,
                             "%s: tensor \"%s\": expected it in the weight_map of %s, found it not "
                             "there",
                             shard->path, key.tensor, path_name(index->path));
        if (strcmp(place->file, file) != 0)
            return error_set(index->err, GPT2_ERR_MODEL,
                             "%s: tensor \"%s\": expected it in \"%.80s\", as %s says, found it "
                             "here",
                             shard->path, key.tensor, place->file, path_name(index->path));
    }
    return check_listed(shard, file, index);
}

/* Moves what a file's table owns into the whole one's. */
static bool adopt(struct tensors *out, struct tensors *shard, struct gpt2_error *err) {
    struct os_file *more = realloc(out->more, (out->n_more + 1) * sizeof *more);
    if (more)
        out->more = more;
    size_t n_copies = out->n_copies + shard->n_copies + 1;
    void **copies = realloc(out->copies, n_copies * sizeof *copies);
    if (copies)
        out->copies = copies;
    if (!more || !copies)
        return error_memory(err, "the list of files", sizeof *more);
    memcpy(out->items + out->count, shard->items, shard->count * sizeof *shard->items);
    out->count += shard->count;
    more[out->n_more++] = shard->file;
    copies[out->n_copies++] = shard->storage;
    while (shard->n_copies > 0)
        copies[out->n_copies++] = shard->copies[--shard->n_copies];
    shard->file = (struct os_file){NULL, 0};
    shard->storage = NULL;
    return true;
}

static bool add_file(struct tensors *out, const char *dir, const char *file,
                     const struct shard_index *index, tensors_parse *parse) {
    char *path = path_join(dir, file, index->err);
    if (!path)
        return false;
    struct tensors shard = {0};
    bool exists, ok = look_exists(&exists, path, GPT2_ERR_MODEL, index->err);
    if (ok && !exists) {
        ok = error_set(index->err, GPT2_ERR_MODEL, "%s: no such file, though %s names it", path,
                       path_name(index->path));
        error_hint(index->err, "all files of a model that is split belong together");
    }
    ok = ok && tensors_open(&shard, path, parse, index->err) && check_file(&shard, file, index) &&
         adopt(out, &shard, index->err);
    tensors_close(&shard);
    free(path);
    return ok;
}

static bool open_files(struct tensors *out, const struct shard_index *index, tensors_parse *parse) {
    char **files = NULL;
    size_t n_files = 0;
    char *dir = path_directory(index->path, index->err);
    out->path = strdup(index->path);
    out->items = os_alloc(index->n, sizeof *out->items, "the table of tensors", index->err);
    bool ok = dir && out->items && (out->path || error_memory(index->err, "a path", 0)) &&
              list_files(&files, &n_files, index);
    for (size_t i = 0; ok && i < n_files; i++)
        ok = add_file(out, dir, files[i], index, parse);
    shards_free_files(files, n_files);
    free(dir);
    return ok;
}

static bool parse_index(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                        const char *path, tensors_parse *parse_file, struct gpt2_error *err) {
    struct shard_index index;
    *out = (struct tensors){0};
    bool ok = index_read(&index, (const char *)bytes, n_bytes, path, err) &&
              open_files(out, &index, parse_file);
    index_free(&index);
    if (!ok)
        tensors_close(out);
    return ok;
}

static bool parse_safetensors_index(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                                    const char *path, struct gpt2_error *err) {
    return parse_index(out, bytes, n_bytes, path, safetensors_parse, err);
}

const struct container container_safetensors_index = {
    .what = "an index of safetensors files",
    .names = CONTAINER_NAMES("model.safetensors.index.json", "*.safetensors.index.json"),
    .variants = CONTAINER_NAMES("model.safetensors.index.*.json"),
    .lists = true,
    .parse = parse_safetensors_index,
};

static bool parse_torch_index(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                              const char *path, struct gpt2_error *err) {
    return parse_index(out, bytes, n_bytes, path, torch_parse, err);
}

const struct container container_torch_index = {
    .what = "an index of PyTorch files",
    .names = CONTAINER_NAMES("pytorch_model.bin.index.json", "*.bin.index.json"),
    .variants = CONTAINER_NAMES("pytorch_model.bin.index.*.json"),
    .lists = true,
    .parse = parse_torch_index,
};
