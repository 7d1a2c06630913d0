/* tensorflow.c - a "tensor bundle": its index is a table (leveldb.h) from names to protocol buffers
 * (tensorflow_message.h). */
#include "weights/tensorflow/tensorflow.h"
#include "base/crc32.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/look.h"
#include "base/path.h"
#include "weights/tensorflow/leveldb.h"
#include "weights/tensorflow/tensorflow_message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SHARDS  1000u
#define MAX_TENSORS 100000u
#define MAX_NAME    256u /* bytes of a GPT-2 name made of a key of at most 256, and NUL */

/* TensorFlow's numbers of types, and safetensors' names. */
static const struct {
    uint64_t number;
    const char *name;
    size_t size;
} dtypes[] = {{1, "F32", 4}, {19, "F16", 2}, {14, "BF16", 2}, {2, "F64", 8},  {3, "I32", 4},
              {9, "I64", 8}, {4, "U8", 1},   {6, "I8", 1},    {10, "BOOL", 1}};

struct tensorflow_reader {
    struct tensors *out;
    struct message_bytes *shards; /* [n_shards] the data files */
    size_t n_shards, cap;
    size_t n_left; /* bytes of them that tensors may still have: none is two's */
    bool has_header;
    bool (*find_shards)(struct tensorflow_reader *r, uint64_t n_shards, struct gpt2_error *err);
    const char *path;          /* of the index */
    struct message_bytes only; /* of tensorflow_parse: the one data file */
};

/* ---- names ---- */

static bool equals(const char *text, size_t len, const char *word) {
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* GPT-2's name of "model/h0/attn/c_attn/w", which is h.0.attn.c_attn.weight, with its NUL; false if
 * the key is none of GPT-2's: then it is kept as it is. */
static bool translate(char name[MAX_NAME + 1], const char *key, size_t n_key) {
    static const struct {
        const char *last, *name;
    } lasts[] = {{"w", "weight"}, {"g", "weight"}, {"b", "bias"}};
    static const char model[] = "model/";
    memcpy(name, key, n_key);
    name[n_key] = 0;
    if (strncmp(name, model, sizeof model - 1) != 0)
        return false;
    const char *rest = name + sizeof model - 1;
    const size_t n = n_key - (sizeof model - 1);
    if (equals(rest, n, "wte") || equals(rest, n, "wpe")) {
        strcpy(name, rest[1] == 't' ? "wte.weight" : "wpe.weight");
        return true;
    }
    char *slash = strrchr(name, '/');
    for (size_t i = 0; i < sizeof lasts / sizeof *lasts; i++) {
        if (strcmp(slash + 1, lasts[i].last) != 0 || n_key + 8 > MAX_NAME)
            continue;
        const bool block = *rest == 'h' && rest[1] >= '0' && rest[1] <= '9';
        char middle[MAX_NAME + 1] = "";
        const size_t skip = sizeof model - 1 + block;
        if (slash > name + skip)
            memcpy(middle, name + skip, (size_t)(slash - name) - skip);
        for (char *c = middle; *c; c++)
            if (*c == '/')
                *c = '.';
        if (!*middle)
            return false;
        snprintf(name, MAX_NAME + 1, "%s%.*s.%s", block ? "h." : "", (int)(MAX_NAME - 16), middle,
                 lasts[i].name);
        return true;
    }
    return false;
}

/* ---- entries ---- */

static bool refuse(const struct tensorflow_reader *r, const char *name, const char *what,
                   struct gpt2_error *err) {
    return error_set(err, GPT2_ERR_MODEL, "%s: tensor \"%s\": %s", r->path, name, what);
}

/* The data of a tensor in its file, compared with its checksum. */
static bool find_data(struct tensor *t, struct tensorflow_reader *r, const struct bundle_entry *e,
                      struct gpt2_error *err) {
    if (e->shard >= r->n_shards)
        return refuse(r, t->name, "it is in a data file that does not exist", err);
    const struct message_bytes *data = &r->shards[e->shard];
    const size_t left = (size_t)(data->end - data->at);
    if (e->size != t->n_bytes)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: tensor \"%s\": expected %zu bytes for its shape, found %" PRIu64,
                         r->path, t->name, t->n_bytes, e->size);
    if (e->offset > left || e->size > left - e->offset)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: tensor \"%s\": it ends after the %zu bytes of its data file, which "
                         "is truncated or another model's",
                         r->path, t->name, left);
    if (e->size > r->n_left) // and each is read, for its checksum
        return refuse(r, t->name, "it overlaps others", err);
    r->n_left -= (size_t)e->size;
    t->data = data->at + e->offset;
    if (leveldb_mask(crc32_castagnoli(t->data, t->n_bytes)) != e->crc)
        return refuse(r, t->name, "the checksum of its data is wrong: the data file is damaged",
                      err);
    return true;
}

static bool add_tensor(struct tensorflow_reader *r, const char *key, size_t n_key,
                       const struct bundle_entry *e, struct gpt2_error *err) {
    if (r->out->count == r->cap) {
        if (r->cap >= MAX_TENSORS)
            return error_set(err, GPT2_ERR_MODEL, "%s: expected at most %u tensors", r->path,
                             MAX_TENSORS);
        const size_t cap = r->cap ? 2 * r->cap : 256;
        struct tensor *items = os_alloc(cap, sizeof *items, "the table of tensors", err);
        if (!items)
            return false;
        if (r->out->count)
            memcpy(items, r->out->items, r->out->count * sizeof *items);
        os_free(r->out->items);
        r->out->items = items;
        r->cap = cap;
    }
    char text[MAX_NAME + 1];
    const bool ours = translate(text, key, n_key);
    size_t d = 0;
    while (d < sizeof dtypes / sizeof *dtypes && dtypes[d].number != e->dtype)
        d++;
    if (d == sizeof dtypes / sizeof *dtypes) // bookkeeping is kept as strings
        return !ours || refuse(r, text,
                               "expected float, half, bfloat16 or double, found another "
                               "type",
                               err);
    if (e->sliced)
        return refuse(r, text, "it is saved in slices, which are not read", err);
    struct tensor t = {.dtype = dtypes[d].name, .rank = e->rank, .n_bytes = dtypes[d].size};
    const bool is_linear = e->rank == 3 && e->shape[0] == 1 && n_key > 2 && key[n_key - 1] == 'w';
    t.rank -= ours && is_linear; // [1, in, out]: a convolution over one position
    memcpy(t.shape, e->shape + (e->rank - t.rank), (size_t)t.rank * sizeof *t.shape);
    bool overflow = false;
    for (int i = 0; i < t.rank; i++)
        overflow |= __builtin_mul_overflow(t.n_bytes, (size_t)t.shape[i], &t.n_bytes);
    char *name = tensors_alloc(r->out, strlen(text) + 1, 1, "a tensor's name", err);
    if (!name)
        return false;
    t.name = strcpy(name, text);
    if (overflow)
        return refuse(r, name, "its number of bytes overflows", err);
    if (!find_data(&t, r, e, err))
        return false;
    r->out->items[r->out->count++] = t;
    return true;
}

static bool visit(void *context, const char *key, size_t n_key, const unsigned char *value,
                  size_t n_value, struct gpt2_error *err) {
    struct tensorflow_reader *r = context;
    struct bundle_entry e;
    if ((n_key && memchr(key, 0, n_key)) ||
        !tensorflow_message_read(&e, (struct message_bytes){value, value + n_value}, n_key == 0))
        return error_set(err, GPT2_ERR_MODEL, "%s: the entry \"%.*s\" is damaged", r->path,
                         (int)(n_key < 80 ? n_key : 80), key);
    if ((n_key == 0) == r->has_header)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected one header, in front of all tensors: not a checkpoint of "
                         "TensorFlow",
                         r->path);
    if (n_key)
        return add_tensor(r, key, n_key, &e, err);
    r->has_header = true;
    if (e.big_endian)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected little-endian data, found big-endian",
                         r->path);
    if (e.n_shards < 1 || e.n_shards > MAX_SHARDS)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected 1 to %u data files, found %" PRIu64,
                         r->path, MAX_SHARDS, e.n_shards);
    return r->find_shards(r, e.n_shards, err);
}

/* ---- files ---- */

static bool list_shards(struct tensorflow_reader *r, uint64_t n, struct gpt2_error *err) {
    r->shards = os_alloc((size_t)n, sizeof *r->shards, "data files", err);
    r->n_shards = r->shards ? (size_t)n : 0;
    return r->shards != NULL;
}

/* model.ckpt.index lies beside model.ckpt.data-00000-of-00001. */
static bool open_shards(struct tensorflow_reader *r, uint64_t n, struct gpt2_error *err) {
    const size_t stem = strlen(r->path) - strlen(".index"), size = stem + 40;
    if (!list_shards(r, n, err))
        return false;
    char *path = malloc(size);
    if (!path)
        return error_memory(err, "a path", size);
    bool ok = true;
    for (size_t i = 0; ok && i < r->n_shards; i++) {
        snprintf(path, size, "%.*s.data-%05zu-of-%05zu", (int)stem, r->path, i, r->n_shards);
        const struct os_file *file = tensors_map(r->out, path, err);
        ok = file != NULL;
        if (ok) {
            r->shards[i] = (struct message_bytes){file->data, file->data + file->size};
            r->n_left += file->size;
        } else {
            error_hint(err, "a checkpoint is model.ckpt.index and all of its model.ckpt.data-*");
        }
    }
    free(path);
    return ok;
}

static bool use_only_shard(struct tensorflow_reader *r, uint64_t n, struct gpt2_error *err) {
    if (!list_shards(r, n, err))
        return false;
    r->shards[0] = r->only;
    r->n_left = (size_t)(r->only.end - r->only.at);
    for (size_t i = 1; i < r->n_shards; i++)
        r->shards[i] = (struct message_bytes){r->only.end, r->only.end};
    return true;
}

static bool parse(struct tensorflow_reader *r, const unsigned char *index, size_t n_index,
                  const char *name, struct gpt2_error *err) {
    *r->out = (struct tensors){0};
    if (!(r->out->path = strdup(name)))
        return error_memory(err, "a path", strlen(name) + 1);
    r->path = r->out->path;
    bool ok = leveldb_walk(index, n_index, r->path, visit, r, err);
    if (ok && !r->has_header)
        ok = error_set(err, GPT2_ERR_MODEL,
                       "%s: expected one header, in front of all tensors: not a checkpoint of "
                       "TensorFlow",
                       r->path);
    os_free(r->shards);
    if (!ok)
        tensors_close(r->out);
    return ok;
}

bool tensorflow_parse(struct tensors *out, const unsigned char *index, size_t n_index,
                      const unsigned char *data, size_t n_data, const char *name,
                      struct gpt2_error *err) {
    struct tensorflow_reader r = {
        .out = out, .find_shards = use_only_shard, .only = {data, data + n_data}};
    return parse(&r, index, n_index, name, err);
}

char *tensorflow_config(const char *text, size_t len, const char *path, struct gpt2_error *err) {
    static const char *const keys[][2] = {{"n_layer", "n_layer"},
                                          {"n_head", "n_head"},
                                          {"n_embd", "n_embd"},
                                          {"n_ctx", "n_positions"},
                                          {"n_vocab", "vocab_size"}};
    struct json *root = json_parse(text, len, path, GPT2_ERR_MODEL, err);
    if (!root)
        return NULL;
    const size_t size = 400;
    char *config = malloc(size);
    size_t n = config ? (size_t)snprintf(config, size, "{\"model_type\": \"gpt2\"") : 0;
    bool ok = config || error_memory(err, "the configuration", size);
    for (size_t i = 0; ok && i < sizeof keys / sizeof *keys; i++) {
        int64_t value;
        ok = json_integer(json_get(root, keys[i][0]), 1, INT32_MAX, &value);
        if (ok)
            n += (size_t)snprintf(config + n, size - n, ", \"%s\": %" PRId64, keys[i][1], value);
        else
            error_set(err, GPT2_ERR_MODEL, "%s: \"%s\": expected an integer from 1, found %s", path,
                      keys[i][0],
                      json_get(root, keys[i][0]) ? json_kind_name(json_get(root, keys[i][0]))
                                                 : "none");
    }
    if (ok)
        snprintf(config + n, size - n, "}");
    json_free(root);
    if (ok)
        return config;
    free(config);
    return NULL;
}

/* hparams.json beside the index, where it is. */
static bool read_hparams(struct tensors *out, struct gpt2_error *err) {
    char *dir = path_directory(out->path, err);
    char *path = dir ? path_join(dir, "hparams.json", err) : NULL;
    bool exists = false, ok = path && look_exists(&exists, path, GPT2_ERR_MODEL, err);
    struct os_file file;
    if (exists) {
        ok = os_map(&file, path, GPT2_ERR_MODEL, err);
        if (ok) {
            out->config = tensorflow_config((const char *)file.data, file.size, path, err);
            out->config_len = out->config ? strlen(out->config) : 0;
            out->config_name = "configuration";
            ok = out->config != NULL;
            os_unmap(&file);
        }
    }
    free(path);
    free(dir);
    return ok;
}

static bool parse_checkpoint(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                             const char *path, struct gpt2_error *err) {
    struct tensorflow_reader r = {.out = out, .find_shards = open_shards};
    *out = (struct tensors){0};
    if (strlen(path) < strlen(".index") || !path_matches(path, "*.index")) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected a checkpoint's index", path);
        return error_hint(err, "name the file that ends in .index, or the directory");
    }
    if (!parse(&r, bytes, n_bytes, path, err))
        return false;
    if (read_hparams(out, err))
        return true;
    tensors_close(out);
    return false;
}

const struct container container_tensorflow = {
    .what = "OpenAI's TensorFlow checkpoint",
    .name = "TensorFlow (OpenAI's)",
    .names = CONTAINER_NAMES("model.ckpt.index", "*.index"),
    .config = CONFIG_EITHER,
    .lists = true,
    .parse = parse_checkpoint,
};
