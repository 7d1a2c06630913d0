/* gguf.h - the GGUF container, version 2 and 3: typed key-value pairs, then tensors
 * (docs/gguf.md of ggml).
 *
 *     "GGUF"  u32 version  i64 n_tensors  i64 n_pairs
 *     pairs     key, u32 type, value                     a string is u64 length + bytes
 *     tensors   name, u32 rank, i64 ne[rank], u32 type, u64 offset      ne[0] is the fastest
 *     zeros up to a multiple of general.alignment (32)
 *     data      of each tensor, one after the other, each padded to that multiple
 *
 * This file knows nothing of GPT-2: see gguf_model.h. */
#ifndef WEIGHTS_GGUF_GGUF_H
#define WEIGHTS_GGUF_GGUF_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GGUF_MAX_RANK 4

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_N_TYPES
};

/* Bytes of the file; no NUL after them. */
struct gguf_string {
    const char *text; /* [len] */
    size_t len;
};

struct gguf_pair {
    struct gguf_string key;
    uint32_t type; /* enum gguf_type; of an array that of its elements */
    bool is_array;
    uint64_t count;            /* of elements; 1 where it is no array */
    const unsigned char *data; /* the values, one after the other, checked to their end */
};

struct ggml_type;

struct gguf_tensor {
    struct gguf_string name;
    int rank;                     /* 0..GGUF_MAX_RANK         */
    int64_t ne[GGUF_MAX_RANK];    /* the fastest first        */
    const struct ggml_type *type; /* ggml_type.h              */
    const unsigned char *data;
    size_t n_elements, n_bytes;
};

/* The bytes are borrowed. */
struct gguf {
    const char *path;        /* for messages; borrowed       */
    struct gguf_pair *pairs; /* [n_pairs] sorted by key      */
    size_t n_pairs;
    struct gguf_tensor *tensors; /* [n_tensors] in the file's order */
    size_t n_tensors;
};

/* Checks everything but the data: every length lies within the file, no key twice, types are known,
 * sizes do not overflow, offsets follow each other without a gap. Padding after the last tensor
 * may be missing, and bytes may follow it. Fails with GPT2_ERR_MODEL. */
bool gguf_parse(struct gguf *out, const unsigned char *bytes, size_t n_bytes, const char *path,
                struct gpt2_error *err);
void gguf_free(struct gguf *gguf); /* a zeroed struct is allowed */

/* Bytes of a value of each type; 0 of strings and arrays, which say it themselves. */
extern const unsigned char gguf_value_sizes[GGUF_N_TYPES];

/* The order of `pairs`, for qsort and bsearch. */
int gguf_by_key(const void *a, const void *b);

/* NULL if it is not there. */
const struct gguf_pair *gguf_find(const struct gguf *gguf, const char *key);

/* The value of a pair that may be absent: then *out stays. False: it is of another type, err is
 * set. Integers may have any of the integer types. */
bool gguf_integer(const struct gguf *gguf, const char *key, int64_t *out, struct gpt2_error *err);
bool gguf_number(const struct gguf *gguf, const char *key, double *out, struct gpt2_error *err);
bool gguf_bool(const struct gguf *gguf, const char *key, bool *out, struct gpt2_error *err);
bool gguf_text(const struct gguf *gguf, const char *key, struct gguf_string *out,
               struct gpt2_error *err);

/* The keys of a GGUF file that recommend how to draw (llama.cpp), and Hugging Face's names for them
 * in generation_config.json. The list ends at a NULL. */
struct gguf_sampling_key {
    const char *key, *name;
    bool is_float; /* f32; else i32 */
};
extern const struct gguf_sampling_key gguf_sampling_keys[];

/* The string at *at of an array of strings; *at moves past it. Start with pair->data. */
struct gguf_string gguf_next(const unsigned char **at);

bool gguf_equal(struct gguf_string string, const char *text);

#endif
