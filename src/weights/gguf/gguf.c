/* gguf.c - checks a GGUF file from its first byte and lists its pairs and tensors. */
#include "weights/gguf/gguf.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "weights/gguf/ggml_type.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are read as the file has them");

/* Generous: real files have 20 to 50 pairs and 150 to 600 tensors, with names below 64 bytes. */
#define MAX_PAIRS   10000
#define MAX_TENSORS 100000
#define MAX_NAME    64
#define MAX_KEY     65535
#define ALIGNMENT   32

#define PAIR_BYTES   (8 + 1 + 4 + 1)     /* the least that a pair takes   */
#define TENSOR_BYTES (8 + 1 + 4 + 4 + 8) /* the least that a tensor takes */

/* The file while it is read. */
struct gguf_reader {
    const char *path;
    const unsigned char *bytes, *at, *end;
    struct gpt2_error *err;
};

static size_t left(const struct gguf_reader *r) {
    return (size_t)(r->end - r->at);
}

static bool refuse_end(const struct gguf_reader *r, const char *what) {
    error_set(r->err, GPT2_ERR_MODEL,
              "%s: the file ends in %s, at byte %zu: it is truncated or damaged", r->path, what,
              (size_t)(r->end - r->bytes));
    return error_hint(r->err, "fetch the file again and compare its size with the original's");
}

static bool take(void *out, struct gguf_reader *r, size_t size, const char *what) {
    if (left(r) < size)
        return refuse_end(r, what);
    memcpy(out, r->at, size);
    r->at += size;
    return true;
}

static bool take_string(struct gguf_string *out, struct gguf_reader *r, size_t max,
                        const char *what) {
    uint64_t len = 0;
    if (!take(&len, r, sizeof len, what))
        return false;
    if (len > max)
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: %s at byte %zu: expected at most %zu bytes, found a length of "
                         "%" PRIu64,
                         r->path, what, (size_t)(r->at - r->bytes) - 8, max, len);
    if (len > left(r))
        return refuse_end(r, what);
    *out = (struct gguf_string){(const char *)r->at, (size_t)len};
    r->at += len;
    return true;
}

/* A name: not empty, no NUL. */
static bool take_name(struct gguf_string *out, struct gguf_reader *r, size_t max,
                      const char *what) {
    if (!take_string(out, r, max, what))
        return false;
    if (out->len == 0 || memchr(out->text, 0, out->len))
        return error_set(r->err, GPT2_ERR_MODEL, "%s: %s at byte %zu: expected a name, found %s",
                         r->path, what, (size_t)((const unsigned char *)out->text - r->bytes),
                         out->len ? "a NUL in it" : "it empty");
    return true;
}

/* ---- pairs ---- */

static bool refuse_type(const struct gguf_reader *r, const struct gguf_pair *pair) {
    return error_set(r->err, GPT2_ERR_MODEL,
                     "%s: \"%.*s\": expected a type from 0 to %d%s, found %" PRIu32, r->path,
                     (int)pair->key.len, pair->key.text, GGUF_N_TYPES - 1,
                     pair->is_array ? " that is no array" : "", pair->type);
}

static bool skip_values(struct gguf_reader *r, const struct gguf_pair *pair) {
    char what[120];
    snprintf(what, sizeof what, "the value of \"%.*s\"",
             (int)(pair->key.len < 80 ? pair->key.len : 80), pair->key.text);
    if (pair->type == GGUF_STRING) {
        struct gguf_string string;
        for (uint64_t i = 0; i < pair->count; i++)
            if (!take_string(&string, r, SIZE_MAX, what))
                return false;
        return true;
    }
    if (pair->count > left(r) / gguf_value_sizes[pair->type])
        return refuse_end(r, what);
    r->at += pair->count * gguf_value_sizes[pair->type];
    for (uint64_t i = 0; pair->type == GGUF_BOOL && i < pair->count; i++)
        if (pair->data[i] > 1)
            return error_set(r->err, GPT2_ERR_MODEL, "%s: %s: expected 0 or 1, found %d", r->path,
                             what, pair->data[i]);
    return true;
}

static bool read_pair(struct gguf_pair *pair, struct gguf_reader *r) {
    *pair = (struct gguf_pair){.count = 1};
    if (!take_name(&pair->key, r, MAX_KEY, "a key") || !take(&pair->type, r, 4, "a key's type"))
        return false;
    if (pair->type == GGUF_ARRAY) {
        pair->is_array = true;
        if (!take(&pair->type, r, 4, "an array's type") ||
            !take(&pair->count, r, 8, "an array's length"))
            return false;
    }
    if (pair->type >= GGUF_N_TYPES || pair->type == GGUF_ARRAY)
        return refuse_type(r, pair);
    pair->data = r->at;
    return skip_values(r, pair);
}

static bool read_pairs(struct gguf *out, struct gguf_reader *r, size_t count) {
    out->pairs = os_alloc(count, sizeof *out->pairs, "the pairs", r->err);
    if (!out->pairs)
        return false;
    for (; out->n_pairs < count; out->n_pairs++)
        if (!read_pair(&out->pairs[out->n_pairs], r))
            return false;
    qsort(out->pairs, count, sizeof *out->pairs, gguf_by_key);
    for (size_t i = 1; i < count; i++)
        if (gguf_by_key(&out->pairs[i - 1], &out->pairs[i]) == 0)
            return error_set(r->err, GPT2_ERR_MODEL, "%s: the key \"%.*s\" is there twice", r->path,
                             (int)out->pairs[i].key.len, out->pairs[i].key.text);
    return true;
}

/* ---- tensors ---- */

__attribute__((format(printf, 3, 4))) static bool refuse_tensor(const struct gguf_reader *r,
                                                                const struct gguf_tensor *t,
                                                                const char *format, ...) {
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(r->err, GPT2_ERR_MODEL, "%s: tensor \"%.*s\": %s", r->path, (int)t->name.len,
                     t->name.text, text);
}

static bool find_size(struct gguf_tensor *t, const struct gguf_reader *r) {
    size_t n = 1;
    bool overflow = false;
    for (int i = 0; i < t->rank; i++) {
        if (t->ne[i] < 0)
            return refuse_tensor(r, t, "expected dimensions from 0, found %" PRId64, t->ne[i]);
        overflow |= __builtin_mul_overflow(n, (size_t)t->ne[i], &n);
    }
    const size_t row = t->rank ? (size_t)t->ne[0] : 1;
    if (row % t->type->n_elements)
        return refuse_tensor(r, t, "expected rows of a multiple of %u elements for %s, found %zu",
                             t->type->n_elements, t->type->name, row);
    overflow |= __builtin_mul_overflow(n / t->type->n_elements, t->type->n_bytes, &t->n_bytes);
    if (overflow || n > SIZE_MAX / 2)
        return refuse_tensor(r, t, "the number of elements overflows");
    t->n_elements = n;
    return true;
}

/* One entry of the list; *end is where its data must begin, and then where the next must. */
static bool read_tensor(struct gguf_tensor *t, struct gguf_reader *r, size_t alignment,
                        uint64_t *end) {
    uint32_t rank = 0, type = 0;
    uint64_t offset = 0;
    *t = (struct gguf_tensor){.rank = 0};
    if (!take_name(&t->name, r, MAX_NAME, "a tensor's name") ||
        !take(&rank, r, 4, "a tensor's entry"))
        return false;
    if (rank > GGUF_MAX_RANK)
        return refuse_tensor(r, t, "expected at most %d dimensions, found %" PRIu32, GGUF_MAX_RANK,
                             rank);
    t->rank = (int)rank;
    if (!take(t->ne, r, rank * sizeof *t->ne, "a tensor's entry") ||
        !take(&type, r, 4, "a tensor's entry") || !take(&offset, r, 8, "a tensor's entry"))
        return false;
    t->type = ggml_type_find(type);
    if (!t->type) {
        refuse_tensor(r, t, "expected one of the types %s, found %s (%" PRIu32 ")",
                      ggml_type_list(), ggml_type_name(type), type);
        return error_hint(r->err, "use another quantization of this model, such as Q8_0 or Q4_K, "
                                  "or the model that it was made from");
    }
    if (!find_size(t, r))
        return false;
    if (offset != *end)
        return refuse_tensor(r, t,
                             "expected its data at %" PRIu64 ", where the tensor before it ends, "
                             "found %" PRIu64,
                             *end, offset);
    if (t->n_bytes > SIZE_MAX / 2 || *end > UINT64_MAX / 2 - t->n_bytes)
        return refuse_tensor(r, t, "the number of bytes overflows");
    *end = (*end + t->n_bytes + alignment - 1) / alignment * alignment;
    return true;
}

static bool place_data(struct gguf *out, const struct gguf_reader *r, size_t alignment) {
    const size_t head = (size_t)(r->at - r->bytes), size = (size_t)(r->end - r->bytes);
    size_t at = (head + alignment - 1) / alignment * alignment;
    for (size_t i = 0; i < out->n_tensors; i++) {
        struct gguf_tensor *t = &out->tensors[i];
        if (at > size || t->n_bytes > size - at) {
            refuse_tensor(r, t,
                          "its data ends at byte %zu of the file, which has %zu: it is truncated "
                          "or damaged",
                          at + t->n_bytes, size);
            return error_hint(r->err,
                              "fetch the file again and compare its size with the original's");
        }
        t->data = r->bytes + at;
        at += (t->n_bytes + alignment - 1) / alignment * alignment;
    }
    return true;
}

static bool read_tensors(struct gguf *out, struct gguf_reader *r, size_t count) {
    int64_t alignment = ALIGNMENT;
    uint64_t end = 0;
    if (!gguf_integer(out, "general.alignment", &alignment, r->err))
        return false;
    if (alignment < 1 || alignment > 1 << 30 || (alignment & (alignment - 1)))
        return error_set(r->err, GPT2_ERR_MODEL,
                         "%s: \"general.alignment\": expected a power of two up to 2^30, found "
                         "%" PRId64,
                         r->path, alignment);
    out->tensors = os_alloc(count, sizeof *out->tensors, "the table of tensors", r->err);
    if (!out->tensors)
        return false;
    for (; out->n_tensors < count; out->n_tensors++)
        if (!read_tensor(&out->tensors[out->n_tensors], r, (size_t)alignment, &end))
            return false;
    return place_data(out, r, (size_t)alignment);
}

/* ---- the whole ---- */

static bool read_counts(struct gguf_reader *r, size_t *n_tensors, size_t *n_pairs) {
    uint32_t version = 0;
    int64_t counts[2] = {0, 0};
    if (left(r) < 4 || memcmp(r->at, "GGUF", 4) != 0)
        return error_set(r->err, GPT2_ERR_MODEL,
                         left(r) ? "%s: expected a GGUF file, found no \"GGUF\" at its start"
                                 : "%s: expected a GGUF file, found it empty",
                         r->path);
    r->at += 4;
    if (!take(&version, r, 4, "the header"))
        return false;
    if (version && (version & 0xFFFF) == 0) {
        error_set(r->err, GPT2_ERR_MODEL,
                  "%s: expected a little-endian GGUF file, found a "
                  "big-endian one",
                  r->path);
        return error_hint(r->err, "convert it with gguf-py's gguf_convert_endian.py FILE little");
    }
    if (version != 2 && version != 3) {
        error_set(r->err, GPT2_ERR_MODEL, "%s: expected GGUF version 2 or 3, found %" PRIu32,
                  r->path, version);
        return error_hint(r->err, "make it again with a converter of today");
    }
    if (!take(counts, r, sizeof counts, "the header"))
        return false;
    static const struct {
        const char *what;
        int64_t max, least; // bytes
    } lists[] = {{"tensors", MAX_TENSORS, TENSOR_BYTES}, {"pairs", MAX_PAIRS, PAIR_BYTES}};
    for (int i = 0; i < 2; i++) {
        if (counts[i] < 0 || counts[i] > lists[i].max)
            return error_set(r->err, GPT2_ERR_MODEL,
                             "%s: expected 0 to %" PRId64 " %s, found "
                             "%" PRId64,
                             r->path, lists[i].max, lists[i].what, counts[i]);
        if ((size_t)counts[i] > left(r) / (size_t)lists[i].least)
            return refuse_end(r, lists[i].what);
    }
    *n_tensors = (size_t)counts[0];
    *n_pairs = (size_t)counts[1];
    return true;
}

bool gguf_parse(struct gguf *out, const unsigned char *bytes, size_t n_bytes, const char *path,
                struct gpt2_error *err) {
    struct gguf_reader r = {path, bytes, bytes, bytes + n_bytes, err};
    size_t n_tensors = 0, n_pairs = 0;
    *out = (struct gguf){.path = path};
    if (read_counts(&r, &n_tensors, &n_pairs) && read_pairs(out, &r, n_pairs) &&
        read_tensors(out, &r, n_tensors))
        return true;
    gguf_free(out);
    return false;
}

void gguf_free(struct gguf *gguf) {
    os_free(gguf->pairs);
    os_free(gguf->tensors);
    *gguf = (struct gguf){0};
}
