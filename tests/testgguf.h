/* testgguf.h - a small random GPT-2 (testmodel.h) as a GGUF file whose matrices are in blocks of
 * integers, of any type: random blocks, whose scales give the weights the spread that the options
 * mean. Vectors and wpe are F32.
 *
 * Rows have to be whole blocks: n_embd and n_inner are multiples of 32, of a K type of 256. */
#ifndef TESTGGUF_H
#define TESTGGUF_H

#include "testmodel.h"
#include "weights/gguf/ggml_type.h"
#include "weights/gguf/gguf_model.h"

/* Where a block has its half-precision scale and least value (-1: none), and the least value that
 * puts the middle of the integers at 0, as a multiple of the scale. */
struct testgguf_type {
    const char *name;
    int scale_at, min_at;
    double min;
};

static const struct testgguf_type testgguf_types[] = {
    {"Q8_0", 0, -1, 0},   {"Q5_0", 0, -1, 0},   {"Q4_0", 0, -1, 0},    {"Q6_K", 208, -1, 0},
    {"Q3_K", 108, -1, 0}, {"Q4_1", 0, 2, -7.5}, {"Q5_1", 0, 2, -15.5}, {"Q2_K", 80, 82, 1.5},
    {"Q4_K", 0, 2, 7.5},  {"Q5_K", 0, 2, 15.5},
};
#define TESTGGUF_TYPES (sizeof testgguf_types / sizeof *testgguf_types)

static inline const struct testgguf_type *testgguf_find(const char *name) {
    for (size_t i = 0; i < TESTGGUF_TYPES; i++)
        if (strcmp(testgguf_types[i].name, name) == 0)
            return &testgguf_types[i];
    testmodel_die("write blocks of", name);
    return NULL;
}

static inline const struct ggml_type *testgguf_ggml(const char *name) {
    for (uint32_t id = 0; id < 64; id++)
        if (ggml_type_find(id) && strcmp(ggml_type_find(id)->name, name) == 0)
            return ggml_type_find(id);
    testmodel_die("find the type", name);
    return NULL;
}

static inline void testgguf_scale(unsigned char *block, const struct testgguf_type *how,
                                  double scale) {
    const uint16_t d = testmodel_f16(scale), m = testmodel_f16(scale * how->min);
    memcpy(block + how->scale_at, &d, sizeof d);
    if (how->min_at >= 0)
        memcpy(block + how->min_at, &m, sizeof m);
}

/* One block of random values with that deviation. Depends on stream, seed and index alone. */
static inline void testgguf_block(unsigned char *block, const struct ggml_type *type,
                                  double deviation, uint32_t stream, uint64_t seed,
                                  uint32_t index) {
    const struct testgguf_type *how = testgguf_find(type->name);
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4] = {0};
    for (size_t i = 0; i < type->n_bytes; i++) {
        const uint32_t counter[4] = {index, (uint32_t)(i / 16), stream, 1};
        if (i % 16 == 0)
            rng_philox(words, counter, key);
        block[i] = (unsigned char)(words[i % 16 / 4] >> i % 4 * 8);
    }
    float values[GGML_BLOCK_MOST];
    double sum = 0;
    testgguf_scale(block, how, 1);
    ggml_type_dequantize(values, type, block);
    for (unsigned i = 0; i < type->n_elements; i++)
        sum += (double)values[i] * (double)values[i];
    testgguf_scale(block, how, deviation / sqrt(sum / type->n_elements));
}

static inline void testgguf_u32(FILE *to, uint32_t value) {
    fwrite(&value, 1, sizeof value, to);
}

static inline void testgguf_u64(FILE *to, uint64_t value) {
    fwrite(&value, 1, sizeof value, to);
}

static inline void testgguf_string(FILE *to, const char *text) {
    testgguf_u64(to, strlen(text));
    fwrite(text, 1, strlen(text), to);
}

static inline void testgguf_pad(FILE *to) {
    while (ftell(to) % 32)
        fputc(0, to);
}

/* GGUF's name of a tensor; whether it is a linear layer's matrix. */
static inline bool testgguf_name(char out[96], const struct testmodel_tensor *t) {
    int layer = 0, n = 0;
    const char *rest = t->name;
    if (sscanf(rest, "h.%d.%n", &layer, &n) == 1 && n)
        rest += n;
    for (const struct gguf_name *name = gguf_names; name->gguf; name++) {
        const size_t len = strlen(name->gpt2);
        if (name->in_block != (n > 0) || strncmp(rest, name->gpt2, len) != 0 || rest[len] != '.')
            continue;
        if (n)
            snprintf(out, 96, "blk.%d.%s%s", layer, name->gguf, rest + len);
        else
            snprintf(out, 96, "%s%s", name->gguf, rest + len);
        return name->is_linear && t->rank == 2;
    }
    testmodel_die("name", t->name);
    return false;
}

static inline bool testgguf_in_blocks(const struct testmodel_tensor *t) {
    return t->rank == 2 && strcmp(t->name, "wpe.weight") != 0;
}

static inline void testgguf_write_data(FILE *to, const struct testmodel_tensor *t,
                                       const struct ggml_type *type, uint64_t seed) {
    const uint64_t n = testmodel_elements(t);
    unsigned char block[GGML_BLOCK_MOST];
    if (!testgguf_in_blocks(t)) {
        for (uint64_t i = 0; i < n; i++)
            fwrite(block, 1, testmodel_encode(block, "F32", testmodel_value(t, seed, i)), to);
        return;
    }
    for (uint64_t i = 0; i < n / type->n_elements; i++) {
        testgguf_block(block, type, t->deviation, t->stream, seed, (uint32_t)i);
        fwrite(block, 1, type->n_bytes, to);
    }
}

/* Writes the model of these options to `path`, its matrices in blocks of that type, "Q8_0". */
static inline void testgguf_write(const char *path, const struct testmodel_options *options,
                                  const char *type_name) {
    const struct testmodel_options o = testmodel_resolve(options);
    const struct ggml_type *type = testgguf_ggml(type_name);
    const struct testmodel_list list = testmodel_list(options);
    const struct {
        const char *key;
        int value;
    } pairs[] = {{"gpt2.embedding_length", o.n_embd},
                 {"gpt2.block_count", o.n_layer},
                 {"gpt2.attention.head_count", o.n_head}};
    FILE *to = fopen(path, "w+b");
    if (!to)
        testmodel_die("write", path);
    fwrite("GGUF", 1, 4, to);
    testgguf_u32(to, 3);
    testgguf_u64(to, list.count);
    testgguf_u64(to, 1 + sizeof pairs / sizeof *pairs);
    testgguf_string(to, "general.architecture");
    testgguf_u32(to, 8);
    testgguf_string(to, "gpt2");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        testgguf_string(to, pairs[i].key);
        testgguf_u32(to, 4);
        testgguf_u32(to, (uint32_t)pairs[i].value);
    }
    uint64_t at = 0;
    for (size_t i = 0; i < list.count; i++) {
        const struct testmodel_tensor *t = &list.items[i];
        const uint64_t n = testmodel_elements(t);
        const bool blocks = testgguf_in_blocks(t);
        char name[96];
        const bool turned = testgguf_name(name, t);
        testgguf_string(to, name);
        testgguf_u32(to, (uint32_t)t->rank);
        for (int k = t->rank; k-- > 0;) // the fastest first
            testgguf_u64(to, (uint64_t)t->shape[turned ? t->rank - 1 - k : k]);
        testgguf_u32(to, blocks ? type->id : 0);
        testgguf_u64(to, at);
        at += blocks ? n / type->n_elements * type->n_bytes : 4 * n;
        at = (at + 31) / 32 * 32;
    }
    testgguf_pad(to);
    for (size_t i = 0; i < list.count; i++) {
        testgguf_write_data(to, &list.items[i], type, o.seed);
        testgguf_pad(to);
    }
    free(list.items);
    if (fclose(to) != 0)
        testmodel_die("write", path);
}

#endif
