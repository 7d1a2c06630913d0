/* gguf_values.c - the pairs of a GGUF file: their types, their order, their values by key. */
#include "base/error_internal.h"
#include "weights/gguf/gguf.h"

#include <stdlib.h>
#include <string.h>

const unsigned char gguf_value_sizes[GGUF_N_TYPES] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

static int compare(struct gguf_string a, struct gguf_string b) {
    int order = memcmp(a.text, b.text, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

int gguf_by_key(const void *a, const void *b) {
    return compare(((const struct gguf_pair *)a)->key, ((const struct gguf_pair *)b)->key);
}

bool gguf_equal(struct gguf_string string, const char *text) {
    return string.len == strlen(text) && memcmp(string.text, text, string.len) == 0;
}

struct gguf_string gguf_next(const unsigned char **at) {
    uint64_t len;
    memcpy(&len, *at, sizeof len);
    struct gguf_string string = {(const char *)*at + 8, (size_t)len};
    *at += 8 + len;
    return string;
}

const struct gguf_pair *gguf_find(const struct gguf *gguf, const char *key) {
    const struct gguf_pair wanted = {.key = {key, strlen(key)}};
    return gguf->n_pairs ? bsearch(&wanted, gguf->pairs, gguf->n_pairs, sizeof wanted, gguf_by_key)
                         : NULL;
}

static bool refuse_kind(const struct gguf *gguf, const char *key, const char *expected,
                        struct gpt2_error *err) {
    static const char *const names[GGUF_N_TYPES] = {"u8",  "i8",  "u16",  "i16",    "u32",
                                                    "i32", "f32", "bool", "string", "array",
                                                    "u64", "i64", "f64"};
    const struct gguf_pair *pair = gguf_find(gguf, key);
    return error_set(err, GPT2_ERR_MODEL, "%s: \"%s\": expected %s, found %s%s", gguf->path, key,
                     expected, pair->is_array ? "an array of " : "", names[pair->type]);
}

bool gguf_integer(const struct gguf *gguf, const char *key, int64_t *out, struct gpt2_error *err) {
    const struct gguf_pair *pair = gguf_find(gguf, key);
    if (!pair)
        return true;
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
    } value = {.u64 = 0};
    memcpy(&value, pair->data, pair->is_array ? 0 : gguf_value_sizes[pair->type]);
    switch (pair->is_array ? GGUF_ARRAY : (enum gguf_type)pair->type) {
    case GGUF_U8:
        *out = value.u8;
        return true;
    case GGUF_I8:
        *out = value.i8;
        return true;
    case GGUF_U16:
        *out = value.u16;
        return true;
    case GGUF_I16:
        *out = value.i16;
        return true;
    case GGUF_U32:
        *out = value.u32;
        return true;
    case GGUF_I32:
        *out = value.i32;
        return true;
    case GGUF_U64:
        if (value.u64 > INT64_MAX)
            break;
        *out = (int64_t)value.u64;
        return true;
    case GGUF_I64:
        *out = value.i64;
        return true;
    default:
        break;
    }
    return refuse_kind(gguf, key, "an integer below 2^63", err);
}

bool gguf_number(const struct gguf *gguf, const char *key, double *out, struct gpt2_error *err) {
    const struct gguf_pair *pair = gguf_find(gguf, key);
    if (!pair)
        return true;
    if (!pair->is_array && pair->type == GGUF_F32) {
        float value;
        memcpy(&value, pair->data, sizeof value);
        *out = value;
        return true;
    }
    if (!pair->is_array && pair->type == GGUF_F64) {
        memcpy(out, pair->data, sizeof *out);
        return true;
    }
    return refuse_kind(gguf, key, "f32 or f64", err);
}

bool gguf_bool(const struct gguf *gguf, const char *key, bool *out, struct gpt2_error *err) {
    const struct gguf_pair *pair = gguf_find(gguf, key);
    if (pair && (pair->is_array || pair->type != GGUF_BOOL))
        return refuse_kind(gguf, key, "bool", err);
    if (pair)
        *out = *pair->data != 0;
    return true;
}

bool gguf_text(const struct gguf *gguf, const char *key, struct gguf_string *out,
               struct gpt2_error *err) {
    const struct gguf_pair *pair = gguf_find(gguf, key);
    if (pair && (pair->is_array || pair->type != GGUF_STRING))
        return refuse_kind(gguf, key, "string", err);
    if (pair) {
        const unsigned char *at = pair->data;
        *out = gguf_next(&at);
    }
    return true;
}
