/* torch_file.c - the two formats of torch.save.
 *
 *     zip      TOP/data.pkl                the object
 *              TOP/data/KEY                one entry for each storage
 *              TOP/byteorder, TOP/version  and others that are not needed
 *     legacy   pickles one after the other: a magic number, the protocol 1001, facts about the
 *              machine, the object, a list of the storages' keys; then for each key a count of
 *              elements, 8 bytes, and the elements
 *
 * In the pickle a storage is ('storage', torch.FloatStorage, key, device, count[, None]). */
#include "weights/torch/torch_file.h"
#include "base/crc32.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/stand_in.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STORAGES 100000u

/* The number 0x1950A86A20F9469CFC6C as a pickle. */
static const unsigned char legacy_magic[] = {0x80, 2,    0x8A, 10,   0x6C, 0xFC, 0x9C, 0x46,
                                             0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, '.'};

static const char quantized[] =
    "weights quantised by torch are not read: use the model that they were made from";
static const char exported[] = "use the model's state_dict(), or its safetensors file";

/* Functions, then storages, in the order of dtypes[]; then what has a reason to be refused. */
static const struct pickle_global globals[] = {
    [TORCH_REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2", NULL},
    [TORCH_REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter", NULL},
    [TORCH_SIZE] = {"torch", "Size", NULL},
    {"torch", "FloatStorage", NULL},
    {"torch", "HalfStorage", NULL},
    {"torch", "BFloat16Storage", NULL},
    {"torch", "DoubleStorage", NULL},
    {"torch", "ByteStorage", NULL},
    {"torch", "CharStorage", NULL},
    {"torch", "BoolStorage", NULL},
    {"torch", "ShortStorage", NULL},
    {"torch", "IntStorage", NULL},
    {"torch", "LongStorage", NULL},
    {"torch._utils", "_rebuild_qtensor", quantized},
    {"torch", "QInt8Storage", quantized},
    {"torch", "QUInt8Storage", quantized},
    {"torch", "QInt32Storage", quantized},
    {"torch", "QUInt4x2Storage", quantized},
    {"torch", "QUInt2x4Storage", quantized},
    {"torch._utils", "_rebuild_sparse_tensor", "sparse tensors are not read: to_dense() them"},
    {"torch.jit._pickle", "build_tensorlist", exported},
    {NULL, NULL, NULL},
};

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {{"F32", 4}, {"F16", 2},  {"BF16", 2}, {"F64", 8}, {"U8", 1},
              {"I8", 1},  {"BOOL", 1}, {"I16", 2},  {"I32", 4}, {"I64", 8}};

#define N_DTYPES (int)(sizeof dtypes / sizeof *dtypes)

struct torch_file_reader {
    struct torch_file *out;
    const unsigned char *bytes; /* [n_bytes] */
    size_t n_bytes;
    const char *name;
    struct gpt2_error *err;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct torch_file_reader *r,
                                                         const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(r->err, GPT2_ERR_MODEL, "%s: %s", r->name, text);
}

static int shown(size_t n) {
    return (int)(n < 60 ? n : 60);
}

static bool is_text(const struct pickle_value *value, const char *text) {
    return value && value->kind == PICKLE_STRING && value->len == strlen(text) &&
           memcmp(value->text, text, value->len) == 0;
}

/* ---- storages of the pickle ---- */

static bool read_storage(struct torch_storage *out, const struct torch_file_reader *r,
                         const struct pickle_value *persistent) {
    const struct pickle *p = &r->out->pickle;
    const struct pickle_value *id = pickle_item(p, persistent, 0);
    const struct pickle_value *type = pickle_item(p, id, 1), *key = pickle_item(p, id, 2);
    const struct pickle_value *count = pickle_item(p, id, 4), *view = pickle_item(p, id, 5);
    if (is_text(pickle_item(p, id, 0), "module")) {
        refuse(r, "expected a state dict, found a whole model with its Python code");
        return error_hint(r->err, "in Python, where the file is trusted: load it, and torch.save "
                                  "its state_dict() alone");
    }
    if (id->kind != PICKLE_TUPLE || !is_text(pickle_item(p, id, 0), "storage") || !key ||
        key->kind != PICKLE_STRING || !count || count->kind != PICKLE_INT || count->integer < 0 ||
        type->kind != PICKLE_GLOBAL || (view && view->kind != PICKLE_NONE))
        return refuse(r, "expected a storage as ('storage', type, key, device, count), found "
                         "another thing");
    const int dtype = type->global - TORCH_N_FUNCTIONS;
    if (dtype < 0 || dtype >= N_DTYPES)
        return refuse(r, "storage \"%.*s\": expected a type of storage, found another name",
                      shown(key->len), key->text);
    *out = (struct torch_storage){.key = key->text,
                                  .n_key = key->len,
                                  .dtype = dtypes[dtype].name,
                                  .element = dtypes[dtype].size,
                                  .count = (uint64_t)count->integer};
    uint64_t n_bytes;
    if (__builtin_mul_overflow(out->count, out->element, &n_bytes) || n_bytes > SIZE_MAX / 2)
        return refuse(r, "storage \"%.*s\": %" PRIu64 " elements overflow", shown(key->len),
                      key->text, out->count);
    return true;
}

static int by_key(const void *a, const void *b) {
    const struct torch_storage *x = a, *y = b;
    const size_t n = x->n_key < y->n_key ? x->n_key : y->n_key;
    const int order = memcmp(x->key, y->key, n);
    return order ? order : (x->n_key > y->n_key) - (x->n_key < y->n_key);
}

/* Every storage that the pickle mentions, once. Several tensors may be views of one. */
static bool collect_storages(const struct torch_file_reader *r) {
    struct torch_file *f = r->out;
    size_t n = 0;
    for (uint32_t i = 0; i < f->pickle.n_values; i++)
        n += f->pickle.values[i].kind == PICKLE_PERSISTENT;
    if (n > MAX_STORAGES)
        return refuse(r, "expected at most %u storages, found %zu", MAX_STORAGES, n);
    f->storages = os_alloc(n, sizeof *f->storages, "the storages of a file", r->err);
    if (!f->storages)
        return false;
    for (uint32_t i = 0; i < f->pickle.n_values; i++) {
        if (f->pickle.values[i].kind == PICKLE_PERSISTENT &&
            !read_storage(&f->storages[f->n_storages++], r, &f->pickle.values[i]))
            return false;
    }
    qsort(f->storages, n, sizeof *f->storages, by_key);
    f->n_storages = 0;
    for (size_t i = 0; i < n; i++) {
        const struct torch_storage *s = &f->storages[i];
        const struct torch_storage *last = f->n_storages ? &f->storages[f->n_storages - 1] : NULL;
        if (!last || by_key(last, s) != 0)
            f->storages[f->n_storages++] = *s;
        else if (last->dtype != s->dtype || last->count != s->count)
            return refuse(r, "storage \"%.*s\" is there with two types or sizes", shown(s->n_key),
                          s->key);
    }
    return true;
}

static struct torch_storage *find(const struct torch_file *f, const char *key, size_t n_key) {
    const struct torch_storage wanted = {.key = key, .n_key = n_key};
    return bsearch(&wanted, f->storages, f->n_storages, sizeof wanted, by_key);
}

const struct torch_storage *torch_file_storage(const struct torch_file *file,
                                               const struct pickle_value *value) {
    if (!value || value->kind != PICKLE_PERSISTENT)
        return NULL;
    const struct pickle_value *key =
        pickle_item(&file->pickle, pickle_item(&file->pickle, value, 0), 2);
    return find(file, key->text, key->len); // it was there in collect_storages
}

/* ---- zip ---- */

static bool ends_with(const struct zip_entry *e, const char *end) {
    const size_t n = strlen(end);
    return e->n_name >= n && memcmp(e->name + e->n_name - n, end, n) == 0;
}

/* TOP/NAME, or NULL. */
static const struct zip_entry *zip_member(const struct zip *zip, const struct zip_entry *pickle,
                                          const char *folder, const char *name, size_t n_name) {
    char path[1024];
    const size_t n_top = pickle->n_name - strlen("data.pkl"), n_folder = strlen(folder);
    if (n_top > 400 || n_name > 400)
        return NULL;
    memcpy(path, pickle->name, n_top);
    memcpy(path + n_top, folder, n_folder);
    memcpy(path + n_top + n_folder, name, n_name);
    return zip_find(zip, path, n_top + n_folder + n_name);
}

static bool check_stored(const struct torch_file_reader *r, const struct zip_entry *e) {
    if (e->method == 0)
        return true;
    refuse(r,
           "zip entry \"%.*s\": expected it stored as it is, as torch.save does, found it "
           "compressed (method %u)",
           shown(e->n_name), e->name, e->method);
    return error_hint(r->err, "unpack it and pack it again: zip -0 -r");
}

static bool read_zip(const struct torch_file_reader *r, const struct zip *zip) {
    const struct zip_entry *pickle = NULL;
    for (size_t i = 0; i < zip->count; i++) {
        const struct zip_entry *e = &zip->entries[i];
        if (ends_with(e, "/constants.pkl")) {
            refuse(r, "expected weights, found a TorchScript archive: a program with its weights");
            return error_hint(r->err, exported);
        }
        if (ends_with(e, "/data.pkl") && (!pickle || e->n_name < pickle->n_name))
            pickle = e;
    }
    if (!pickle)
        return refuse(r, "expected an archive of torch.save, found no data.pkl in it");
    if (!check_stored(r, pickle))
        return false;
    const struct zip_entry *order = zip_member(zip, pickle, "", "byteorder", 9);
    if (order && !(order->n_bytes == 6 && memcmp(order->data, "little", 6) == 0))
        return refuse(r, "byteorder: expected little, found %.*s", shown(order->n_bytes),
                      (const char *)order->data);
    if (crc32_zip(pickle->data, pickle->n_bytes) != pickle->crc)
        return refuse(r, "data.pkl: its checksum is wrong: the file is damaged");
    if (!pickle_parse(&r->out->pickle, pickle->data, pickle->n_bytes, globals, r->name, r->err) ||
        !collect_storages(r))
        return false;
    for (size_t i = 0; i < r->out->n_storages; i++) {
        struct torch_storage *s = &r->out->storages[i];
        const struct zip_entry *e = zip_member(zip, pickle, "data/", s->key, s->n_key);
        if (!e)
            return refuse(r, "storage \"%.*s\": expected an entry data/%.*s, found none",
                          shown(s->n_key), s->key, shown(s->n_key), s->key);
        if (!check_stored(r, e))
            return false;
        if (e->n_bytes != s->count * s->element)
            return refuse(r,
                          "storage \"%.*s\": expected %" PRIu64 " bytes for its %" PRIu64
                          " elements of %s, found %zu",
                          shown(s->n_key), s->key, s->count * s->element, s->count, s->dtype,
                          e->n_bytes);
        s->data = e->data;
    }
    return true;
}

/* ---- legacy ---- */

/* The next of the pickles that follow each other. */
static bool next_pickle(struct pickle *out, const struct torch_file_reader *r, size_t *at) {
    if (!pickle_parse(out, r->bytes + *at, r->n_bytes - *at, globals, r->name, r->err))
        return false;
    *at += out->n_bytes;
    return true;
}

static bool read_preamble(const struct torch_file_reader *r, size_t *at) {
    struct pickle p;
    if (!next_pickle(&p, r, at))
        return false;
    const bool known = p.root->kind == PICKLE_INT && p.root->integer == 1001;
    pickle_free(&p);
    if (!known)
        return refuse(r, "expected version 1001 of torch.save's old format, found another");
    if (!next_pickle(&p, r, at))
        return false;
    const struct pickle_value *little = pickle_get(&p, p.root, "little_endian");
    const bool is_big = little && little->kind == PICKLE_BOOL && !little->integer;
    pickle_free(&p);
    return !is_big || refuse(r, "expected little-endian data, found big-endian");
}

/* One storage: its count of elements, and they. */
static bool read_legacy_storage(const struct torch_file_reader *r, const struct pickle_value *key,
                                size_t *at) {
    struct torch_storage *s = key->kind == PICKLE_STRING ? find(r->out, key->text, key->len) : NULL;
    if (!s)
        return refuse(r, "its list of storages has a key that no tensor uses");
    if (s->data)
        return refuse(r, "storage \"%.*s\" is there twice", shown(s->n_key), s->key);
    const size_t n_bytes = (size_t)(s->count * s->element), left = r->n_bytes - *at;
    if (left < 8 || left - 8 < n_bytes)
        return refuse(r,
                      "storage \"%.*s\": expected a count and %zu bytes, found %zu: the file is "
                      "truncated",
                      shown(s->n_key), s->key, n_bytes, left);
    uint64_t count = 0;
    for (int i = 7; i >= 0; i--)
        count = count << 8 | r->bytes[*at + (size_t)i];
    if (count != s->count)
        return refuse(r, "storage \"%.*s\": expected %" PRIu64 " elements, found %" PRIu64,
                      shown(s->n_key), s->key, s->count, count);
    s->data = r->bytes + *at + 8;
    *at += 8 + n_bytes;
    return true;
}

static bool read_legacy(const struct torch_file_reader *r) {
    struct pickle keys = {0};
    size_t at = sizeof legacy_magic;
    if (!read_preamble(r, &at) || !next_pickle(&r->out->pickle, r, &at) || !collect_storages(r) ||
        !next_pickle(&keys, r, &at))
        return false;
    bool ok = keys.root->kind == PICKLE_LIST ||
              refuse(r, "expected a list of storages, found %s", pickle_kind_name(keys.root));
    const struct pickle_cell *c = ok ? pickle_first(&keys, keys.root) : NULL;
    for (; ok && c; c = pickle_next(&keys, c))
        ok = read_legacy_storage(r, &keys.values[c->value], &at);
    pickle_free(&keys);
    for (size_t i = 0; ok && i < r->out->n_storages; i++)
        if (!r->out->storages[i].data)
            ok = refuse(r, "storage \"%.*s\": expected its data, found none",
                        shown(r->out->storages[i].n_key), r->out->storages[i].key);
    return ok && (at == r->n_bytes ||
                  refuse(r, "expected its end at byte %zu, found %zu more", at, r->n_bytes - at));
}

/* ---- either ---- */

static bool is_zip(const unsigned char *head, size_t n) {
    return n >= 4 && memcmp(head, "PK\3\4", 4) == 0;
}

bool torch_file_recognise(const unsigned char *head, size_t n) {
    return is_zip(head, n) ||
           (n >= sizeof legacy_magic && memcmp(head, legacy_magic, sizeof legacy_magic) == 0);
}

static bool parse(const struct torch_file_reader *r) {
    if (stand_in_refuse(r->bytes, r->n_bytes, r->name, GPT2_ERR_MODEL, r->err))
        return false;
    if (!torch_file_recognise(r->bytes, r->n_bytes)) {
        refuse(r, "expected what torch.save writes, a zip archive or its older format, found "
                  "neither");
        return error_hint(r->err,
                          "is it whole, and PyTorch's? Files from before 2017 are not read");
    }
    if (!is_zip(r->bytes, r->n_bytes))
        return read_legacy(r);
    struct zip zip;
    if (!zip_parse(&zip, r->bytes, r->n_bytes, r->name, r->err))
        return false;
    const bool ok = read_zip(r, &zip);
    zip_free(&zip);
    return ok;
}

bool torch_file_parse(struct torch_file *out, const unsigned char *bytes, size_t n_bytes,
                      const char *name, struct gpt2_error *err) {
    const struct torch_file_reader r = {out, bytes, n_bytes, name, err};
    *out = (struct torch_file){0};
    if (parse(&r))
        return true;
    torch_file_free(out);
    return false;
}

void torch_file_free(struct torch_file *file) {
    pickle_free(&file->pickle);
    os_free(file->storages);
    *file = (struct torch_file){0};
}
