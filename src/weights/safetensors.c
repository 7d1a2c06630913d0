/* safetensors.c - a .safetensors file is eight bytes of header length N (little-endian), N bytes of
 * JSON, and the data of all tensors without a gap (README of
 * github.com/huggingface/safetensors, "Format"):
 *
 *     { "__metadata__": {"format": "pt"},
 *       "wte.weight": {"dtype": "F32", "shape": [50257, 768], "data_offsets": [0, 154389504]},
 *       ... }
 *
 * Checked before a byte of data is looked at, as the reference parser does:
 *   - the file has the 8 bytes; N is at most 100,000,000; 8 + N is within the file
 *   - the header is valid UTF-8 and JSON, an object of entries as above; dtypes are known; sizes
 *     and offsets are integers from 0; __metadata__ maps strings to strings
 *   - begin <= end, end - begin is exactly product(shape) * size of dtype, neither overflows, and
 *     types of less than a byte fill whole bytes
 *   - sorted by offset, each tensor begins where the one before it ended, the first at 0, and the
 *     last ends where the file ends: no hole, no overlap, nothing before or after
 * and besides:
 *   - no key twice: of two tensors with one name a map-based parser would keep either; nor of
 *     __metadata__ twice the name of a tensor, whose entry is what is said of that (tensor.note)
 *   - no key but the three in an entry: the format has none, so it would be something that changes
 *     what the tensor means (strides, a scale) in a dialect that is not spoken here
 *   - integers are below 2^48 (the published schema's bound), rank at most TENSOR_MAX_RANK, names
 *     at most MAX_NAME bytes, tensors at most MAX_TENSORS; the number of JSON values is bounded
 *     before they are parsed, so that a file cannot ask for more memory than its size explains
 *
 * White space around the JSON is allowed, since writers use it to align the data. Values are not
 * looked at: NaN in a weight is found where it matters, at the logits. */
#include "weights/safetensors.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/stand_in.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER  100000000u
#define MAX_TENSORS 100000u
#define MAX_VALUES  (MAX_TENSORS * 16) /* an entry of rank 8 has 14: itself, 3 members, 8 + 2 */
#define MAX_NAME    200u
#define MAX_INTEGER ((INT64_C(1) << 48) - 1)

static const struct dtype_row {
    const char *name;
    unsigned bits;
} dtypes[] = {
    {"F32", 32},    {"F16", 16},    {"BF16", 16},       {"F64", 64},        {"BOOL", 8},
    {"U8", 8},      {"I8", 8},      {"U16", 16},        {"I16", 16},        {"U32", 32},
    {"I32", 32},    {"U64", 64},    {"I64", 64},        {"C64", 64},        {"F8_E5M2", 8},
    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6},
    {"F6_E3M2", 6}, {"F4", 4},
};

/* What a file is while it is read. */
struct safetensors_reader {
    const char *path;
    const unsigned char *data; /* [n_data] after the header */
    size_t n_data;
    struct gpt2_error *err;
};

/* "PATH: tensor "NAME": ..." */
__attribute__((format(printf, 3, 4))) static bool refuse(const struct safetensors_reader *r,
                                                         const char *name, const char *format,
                                                         ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(r->err, GPT2_ERR_MODEL, "%s: tensor \"%s\": %s", r->path, name, text);
}

static bool read_dtype(const struct dtype_row **out, const struct json *node,
                       const struct safetensors_reader *r, const char *name) {
    const char *text;
    if (!json_string(node, &text))
        return refuse(r, name, "dtype: expected a string, found %s", json_kind_name(node));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, text) == 0) {
            *out = &dtypes[i];
            return true;
        }
    }
    return refuse(r, name, "dtype: expected one of safetensors' types, found \"%.40s\"", text);
}

/* An array of n_min to n_max sizes or offsets. */
static bool read_integers(int64_t *out, int *n_out, int n_min, int n_max, const struct json *node,
                          const char *key, const struct safetensors_reader *r, const char *name) {
    if (json_kind(node) != JSON_ARRAY)
        return refuse(r, name, "%s: expected an array, found %s", key, json_kind_name(node));
    int n = 0;
    for (const struct json *item = json_first(node); item; item = json_next(item), n++) {
        if (n < n_max && !json_integer(item, 0, MAX_INTEGER, &out[n])) {
            double value;
            if (json_number(item, &value))
                return refuse(r, name, "%s: expected integers from 0 to 2^48 - 1, found %.17g", key,
                              value);
            return refuse(r, name, "%s: expected integers from 0 to 2^48 - 1, found %s", key,
                          json_kind_name(item));
        }
    }
    if (n < n_min || n > n_max)
        return refuse(r, name, "%s: expected %s%d integers, found %d", key,
                      n_min < n_max ? "at most " : "", n_max, n);
    *n_out = n;
    return true;
}

/* One entry of the header: fills everything but the name's owned copy. */
static bool read_entry(struct tensor *t, const struct json *entry,
                       const struct safetensors_reader *r) {
    const char *name = json_name(entry);
    *t = (struct tensor){.name = name};
    if (strlen(name) > MAX_NAME)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: a tensor's name has %zu bytes, expected at most %u: \"%.40s...\"",
                         r->path, strlen(name), MAX_NAME, name);
    if (json_kind(entry) != JSON_OBJECT)
        return refuse(r, name, "expected an object, found %s", json_kind_name(entry));

    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    const struct json *members[3] = {0};
    for (const struct json *m = json_first(entry); m; m = json_next(m)) {
        size_t k = 0;
        while (k < 3 && strcmp(keys[k], json_name(m)) != 0)
            k++;
        if (k == 3)
            return refuse(r, name, "expected dtype, shape and data_offsets alone, found \"%.40s\"",
                          json_name(m));
        if (members[k])
            return refuse(r, name, "the key \"%s\" is there twice", keys[k]);
        members[k] = m;
    }
    for (size_t k = 0; k < 3; k++)
        if (!members[k])
            return refuse(r, name, "the key \"%s\" is missing", keys[k]);

    const struct dtype_row *dtype = NULL;
    int64_t offsets[2];
    int n_offsets;
    if (!read_dtype(&dtype, members[0], r, name) ||
        !read_integers(t->shape, &t->rank, 0, TENSOR_MAX_RANK, members[1], "shape", r, name) ||
        !read_integers(offsets, &n_offsets, 2, 2, members[2], "data_offsets", r, name))
        return false;

    size_t n_bits = dtype->bits;
    bool overflow = false;
    for (int i = 0; i < t->rank; i++)
        overflow |= __builtin_mul_overflow(n_bits, (uint64_t)t->shape[i], &n_bits);
    if (overflow)
        return refuse(r, name, "shape: the number of bits overflows");
    if (n_bits % 8)
        return refuse(r, name, "shape: %zu bits of %s do not fill whole bytes", n_bits,
                      dtype->name);
    t->dtype = dtype->name;
    t->n_bytes = n_bits / 8;

    if (offsets[0] > offsets[1])
        return refuse(r, name, "data_offsets: begins at %" PRId64 ", after its end at %" PRId64,
                      offsets[0], offsets[1]);
    if ((uint64_t)(offsets[1] - offsets[0]) != t->n_bytes)
        return refuse(r, name,
                      "data_offsets: expected %zu bytes for its shape and dtype %s, found %" PRId64,
                      t->n_bytes, t->dtype, offsets[1] - offsets[0]);
    if ((uint64_t)offsets[1] > r->n_data) {
        refuse(r, name,
               "its data ends at byte %" PRId64 " of the data, of which the file has %zu: the file "
               "is truncated or damaged",
               offsets[1], r->n_data);
        return error_hint(r->err, "fetch the file again and compare its size with the original's");
    }
    t->data = r->data + offsets[0];
    return true;
}

static bool check_metadata(const struct json *node, const struct safetensors_reader *r) {
    if (json_kind(node) != JSON_OBJECT)
        return error_set(r->err, GPT2_ERR_MODEL, "%s: __metadata__: expected an object, found %s",
                         r->path, json_kind_name(node));
    for (const struct json *m = json_first(node); m; m = json_next(m))
        if (json_kind(m) != JSON_STRING)
            return error_set(r->err, GPT2_ERR_MODEL,
                             "%s: __metadata__: \"%.40s\": expected a string, found %s", r->path,
                             json_name(m), json_kind_name(m));
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

/* Where data begins, then where it ends; the name makes the order of empty tensors definite. */
static int by_data(const void *a, const void *b) {
    const struct tensor *x = a, *y = b;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? -1 : 1;
    return by_name(a, b);
}

/* No name twice. Leaves them in the order of their names. */
static bool check_names(struct tensors *out, const struct safetensors_reader *r) {
    qsort(out->items, out->count, sizeof *out->items, by_name);
    for (size_t i = 1; i < out->count; i++)
        if (by_name(&out->items[i - 1], &out->items[i]) == 0)
            return refuse(r, out->items[i].name, "is there twice");
    return true;
}

/* What the metadata (NULL: there is none) says under the name of a tensor is its note. */
static bool find_notes(struct tensors *out, const struct json *metadata,
                       const struct safetensors_reader *r) {
    for (const struct json *m = metadata ? json_first(metadata) : NULL; m; m = json_next(m)) {
        const struct tensor key = {.name = json_name(m)};
        struct tensor *t = bsearch(&key, out->items, out->count, sizeof *out->items, by_name);
        if (t && t->note)
            return refuse(r, t->name, "is twice in __metadata__");
        if (t)
            json_string(m, &t->note);
    }
    return true;
}

/* The data of all tensors covers the file's data without hole or overlap. */
static bool check_tiling(struct tensors *out, const struct safetensors_reader *r) {
    qsort(out->items, out->count, sizeof *out->items, by_data);
    size_t end = 0;
    for (size_t i = 0; i < out->count; i++) {
        const struct tensor *t = &out->items[i];
        size_t begin = (size_t)((const unsigned char *)t->data - r->data);
        if (begin != end)
            return refuse(r, t->name,
                          "data_offsets: expected to begin at %zu, where the tensor before it "
                          "ends, found %zu: %s",
                          end, begin, begin > end ? "a hole" : "an overlap");
        end += t->n_bytes;
    }
    if (end != r->n_data)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: expected %zu bytes of data as the header says, found %zu", r->path,
                         end, r->n_data);
    return true;
}

/* Moves a text to *at, and *at past it. */
static void own_text(const char **text, char **at) {
    const size_t size = strlen(*text) + 1;
    memcpy(*at, *text, size);
    *text = *at;
    *at += size;
}

/* Names and notes must outlive the parsed header: they move into one block of memory. */
static bool own_names(struct tensors *out, struct gpt2_error *err) {
    size_t n_bytes = 0;
    for (size_t i = 0; i < out->count; i++) {
        const struct tensor *t = &out->items[i];
        n_bytes += strlen(t->name) + 1 + (t->note ? strlen(t->note) + 1 : 0);
    }
    char *at = out->storage = os_alloc(n_bytes, 1, "tensor names", err);
    if (!at)
        return false;
    for (size_t i = 0; i < out->count; i++) {
        own_text(&out->items[i].name, &at);
        if (out->items[i].note)
            own_text(&out->items[i].note, &at);
    }
    return true;
}

static bool read_header(struct tensors *out, const struct json *root,
                        const struct safetensors_reader *r) {
    size_t n_entries = 0;
    for (const struct json *entry = json_first(root); entry; entry = json_next(entry))
        n_entries++;
    if (n_entries > MAX_TENSORS)
        return error_set(r->err, GPT2_ERR_MODEL, "%s: expected at most %u tensors, found %zu",
                         r->path, MAX_TENSORS, n_entries);
    out->items = os_alloc(n_entries, sizeof *out->items, "the table of tensors", r->err);
    if (!out->items)
        return false;
    const struct json *metadata = NULL;
    for (const struct json *entry = json_first(root); entry; entry = json_next(entry)) {
        if (strcmp(json_name(entry), "__metadata__") != 0) {
            if (!read_entry(&out->items[out->count], entry, r))
                return false;
            out->count++;
        } else if (metadata) {
            return error_set(r->err, GPT2_ERR_MODEL, "%s: __metadata__ is there twice", r->path);
        } else if (!check_metadata(entry, r)) {
            return false;
        } else {
            metadata = entry;
        }
    }
    return check_names(out, r) && find_notes(out, metadata, r) && check_tiling(out, r) &&
           own_names(out, r->err);
}

/* Where the header is: its length from the first 8 bytes, checked against the file. */
static bool find_header(size_t *n_header, const unsigned char *bytes, size_t n_bytes,
                        const char *name, struct gpt2_error *err) {
    if (n_bytes == 0)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected a safetensors file, found it empty",
                         name);
    if (stand_in_refuse(bytes, n_bytes, name, GPT2_ERR_MODEL, err))
        return false;
    if (n_bytes < 8)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected at least the 8 bytes of a header length, found %zu: the "
                         "file is truncated",
                         name, n_bytes);
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | bytes[i];
    if (n > MAX_HEADER)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected a header of at most %u bytes, found a length of %" PRIu64
                         ": not a safetensors file, or damaged",
                         name, MAX_HEADER, n);
    if (n > n_bytes - 8)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected a header of %" PRIu64 " bytes, found the file to have %zu "
                         "after its length: the file is truncated",
                         name, n, n_bytes - 8);
    *n_header = (size_t)n;
    return true;
}

static bool parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                  struct gpt2_error *err) {
    size_t n_header = 0;
    if (!find_header(&n_header, bytes, n_bytes, name, err))
        return false;
    const char *text = (const char *)bytes + 8;
    size_t first = 0;
    while (first < n_header && strchr(" \t\r\n", text[first]) && text[first])
        first++;
    if (first == n_header || text[first] != '{')
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: expected the header to be a JSON object, found no { at its start",
                         name);

    char what[sizeof err->message];
    snprintf(what, sizeof what, "%s: header", name);
    struct json *root = json_parse_large(text, n_header, MAX_VALUES, what, GPT2_ERR_MODEL, err);
    if (!root)
        return false;
    struct safetensors_reader r = {name, bytes + 8 + n_header, n_bytes - 8 - n_header, err};
    bool ok = read_header(out, root, &r);
    json_free(root);
    return ok;
}

bool safetensors_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                       const char *name, struct gpt2_error *err) {
    *out = (struct tensors){0};
    char *path = strdup(name);
    if (!path)
        return error_memory(err, "a path", strlen(name) + 1);
    out->path = path;
    if (parse(out, bytes, n_bytes, path, err))
        return true;
    tensors_close(out);
    return false;
}

const struct container container_safetensors = {
    .what = "a safetensors file",
    .name = "safetensors",
    .names = CONTAINER_NAMES("model.safetensors", "*.safetensors"),
    .variants = CONTAINER_NAMES("model.*.safetensors"),
    .parse = safetensors_parse,
};
