/* testmodel.h - writes a small random GPT-2 as a Hugging Face directory, for any test that needs a
 * model.
 *
 *     char dir[TESTMODEL_PATH];
 *     testmodel_tempdir(dir);
 *     testmodel_write(dir, &(struct testmodel_options){.n_layer = 3, .dtype = DTYPE_F16});
 *     struct gpt2_model *model = gpt2_model_open(dir, &err);
 *     ...
 *     testmodel_remove(dir);
 *
 * A weight depends on (seed, tensor name, index) alone: not on dtype (but for its rounding),
 * prefix, order, alignment, or what else is in the file. Every term matters: no bias is zero, no
 * gain is one, and matrices keep the spread of what they multiply, so that logits spread over
 * several units at any shape. Only integers, +, * and sqrt are used, so the bytes are the same on
 * every machine.
 *
 * For malformed files there is the list after it: testmodel_list, change the list,
 * testmodel_write_list. Nothing here returns an error: a test without its model is over. */
#ifndef TESTMODEL_H
#define TESTMODEL_H

#include "base/dtype.h"
#include "base/rng.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TESTMODEL_PATH 512 /* bytes for a path, with room for a file name after a directory */

enum testmodel_head {
    TESTMODEL_HEAD_TIED, /* the file has no lm_head.weight                  */
    TESTMODEL_HEAD_COPY, /* it has one, equal to wte.weight bit for bit     */
    TESTMODEL_HEAD_OWN,  /* it has one of its own                           */
    TESTMODEL_HEAD_ONLY  /* it has lm_head.weight (wte's values) and no wte */
};

/* All zero is a sound model: F32, tied, two layers of two heads. */
struct testmodel_options {
    int n_vocab; /* 0: 61 */
    int n_ctx;   /* 0: 40 */
    int n_embd;  /* 0: 16 */
    int n_layer; /* 0: 2  */
    int n_head;  /* 0: 2  */
    int n_inner; /* 0: config says null, so 4 * n_embd */

    const char *activation;    /* NULL: config does not say, so gelu_new */
    double layer_norm_epsilon; /* 0: config does not say, so 1e-5        */
    bool no_attn_scale;        /* "scale_attn_weights": false            */
    bool inverse_layer_scale;  /* "scale_attn_by_inverse_layer_idx": true */
    const char *tie;           /* "tie_word_embeddings"; NULL: absent, "true", "false" */
    const char *config;        /* NULL, or more of config.json: "\"bos_token_id\": 3"  */

    enum dtype dtype;         /* of all tensors                              */
    bool f32_vectors;         /* biases and layer norms in F32 all the same  */
    enum testmodel_head head; /*                                             */
    const char *prefix;       /* NULL, or "transformer.": of all but lm_head */
    bool masks;               /* with the causal mask buffers of old files   */
    bool reversed;            /* the last tensor's data first                */
    int misalign;             /* 0..63: data starts at 64 k + misalign       */
    bool few_bits;            /* F32, F16 and BF16 hold the same numbers     */
    uint64_t seed;
};

struct testmodel_tensor {
    char name[96];
    const char *dtype; /* F32, F16, BF16, F64; any other is written as bytes 1 */
    int rank;          /* 0..4 */
    int64_t shape[4];
    double mean, deviation; /* of the random values */
    uint32_t stream;        /* which random values: a hash of the name */
};

struct testmodel_list {
    struct testmodel_tensor *items; /* [count] */
    size_t count, capacity;
};

static inline void testmodel_die(const char *what, const char *which) {
    fprintf(stderr, "testmodel: cannot %s %s\n", what, which);
    abort();
}

/* dir = "a/b" + name. */
static inline void testmodel_path(char path[TESTMODEL_PATH], const char *dir, const char *name) {
    int n = snprintf(path, TESTMODEL_PATH, "%s/%s", dir, name);
    if (n < 0 || n >= TESTMODEL_PATH)
        testmodel_die("join", dir);
}

/* A fresh directory under $TMPDIR. */
static inline void testmodel_tempdir(char dir[TESTMODEL_PATH]) {
    const char *base = getenv("TMPDIR");
    testmodel_path(dir, base && *base ? base : "/tmp", "gpt2-model.XXXXXX");
    if (!mkdtemp(dir))
        testmodel_die("create", dir);
}

/* Removes a directory with the files in it. */
static inline void testmodel_remove(const char *dir) {
    DIR *folder = opendir(dir);
    if (!folder)
        testmodel_die("open", dir);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[TESTMODEL_PATH];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        testmodel_path(path, dir, entry->d_name);
        if (remove(path) != 0)
            testmodel_die("remove", path);
    }
    closedir(folder);
    if (rmdir(dir) != 0)
        testmodel_die("remove", dir);
}

/* Writes a whole file: dir/name = data[0..size). */
static inline void testmodel_write_file(const char *dir, const char *name, const void *data,
                                        size_t size) {
    char path[TESTMODEL_PATH];
    testmodel_path(path, dir, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        testmodel_die("write", path);
}

/* The options with every 0 replaced by what it stands for. */
static inline struct testmodel_options testmodel_resolve(const struct testmodel_options *options) {
    struct testmodel_options o = options ? *options : (struct testmodel_options){0};
    o.n_vocab = o.n_vocab ? o.n_vocab : 61;
    o.n_ctx = o.n_ctx ? o.n_ctx : 40;
    o.n_embd = o.n_embd ? o.n_embd : 16;
    o.n_layer = o.n_layer ? o.n_layer : 2;
    o.n_head = o.n_head ? o.n_head : 2;
    o.n_inner = o.n_inner ? o.n_inner : 4 * o.n_embd;
    o.prefix = o.prefix ? o.prefix : "";
    return o;
}

/* ---- values ---- */

/* Element `index` of a tensor before rounding to its dtype. The sum of four uniform variables
 * stands for a normal one: its tails end at 3.5 deviations. */
static inline double testmodel_value(const struct testmodel_tensor *tensor, uint64_t seed,
                                     uint64_t index) {
    uint32_t words[4];
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), tensor->stream, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    rng_philox(words, counter, key);
    double sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (words[i] + 0.5) * 0x1p-32 - 0.5;
    return tensor->mean + tensor->deviation * sum * 1.7320508075688772;
}

/* To the nearest half, ties to even. */
static inline uint16_t testmodel_f16(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs(value);
    if (isnan(value))
        return 0x7E00;
    if (magnitude >= 65520.0) // half-way to what would follow 65504
        return sign | 0x7C00;
    if (magnitude < 0x1p-14) // subnormal: a multiple of 2^-24; 1024 of them are the least normal
        return sign | (uint16_t)nearbyint(magnitude * 0x1p24);
    int exponent;
    double fraction = frexp(magnitude, &exponent); // [0.5, 1) * 2^exponent
    return sign | (uint16_t)((exponent + 13) * 1024 + (int)nearbyint(fraction * 2048));
}

/* To the nearest bfloat16, ties to even. */
static inline uint16_t testmodel_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value))
        return 0x7FC0;
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* To the nearest that is bfloat16 and half alike, or nearly: 8 bits, and no bit below 2^-20. */
static inline double testmodel_few_bits(double value) {
    uint32_t bits = (uint32_t)testmodel_bf16((float)value) << 16;
    float rounded;
    memcpy(&rounded, &bits, sizeof rounded);
    return fabs(value) < 0x1p-13 ? nearbyint(value * 0x1p20) * 0x1p-20 : (double)rounded;
}

/* Bytes an element; bytes[] = the value in the dtype. */
static inline size_t testmodel_encode(unsigned char bytes[8], const char *dtype, double value) {
    if (strcmp(dtype, "F64") == 0) {
        memcpy(bytes, &value, 8);
        return 8;
    }
    if (strcmp(dtype, "F32") == 0) {
        float single = (float)value;
        memcpy(bytes, &single, 4);
        return 4;
    }
    if (strcmp(dtype, "F16") == 0 || strcmp(dtype, "BF16") == 0) {
        uint16_t bits = dtype[0] == 'F' ? testmodel_f16(value) : testmodel_bf16((float)value);
        memcpy(bytes, &bits, 2);
        return 2;
    }
    memset(bytes, 1, 8);
    return strstr(dtype, "64") ? 8 : strstr(dtype, "32") ? 4 : strstr(dtype, "16") ? 2 : 1;
}

static inline uint64_t testmodel_elements(const struct testmodel_tensor *tensor) {
    uint64_t n = 1;
    for (int i = 0; i < tensor->rank; i++)
        n *= (uint64_t)tensor->shape[i];
    return n;
}

/* ---- the list ---- */

/* Appends a tensor; name and stream are set from `name`, after the prefix. */
static inline struct testmodel_tensor *testmodel_add(struct testmodel_list *list,
                                                     const char *prefix, const char *name,
                                                     const char *dtype, int rank, int64_t rows,
                                                     int64_t cols) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
        if (!list->items)
            testmodel_die("allocate", "a list of tensors");
    }
    struct testmodel_tensor *tensor = &list->items[list->count++];
    *tensor = (struct testmodel_tensor){.dtype = dtype, .rank = rank, .shape = {rows, cols, 1, 1}};
    int n = snprintf(tensor->name, sizeof tensor->name, "%s%s", prefix, name);
    if (n < 0 || (size_t)n >= sizeof tensor->name)
        testmodel_die("name", name);
    tensor->stream = 2166136261; // FNV-1a
    for (const char *p = name; *p; p++)
        tensor->stream = (tensor->stream ^ (unsigned char)*p) * 16777619u;
    return tensor;
}

static inline void testmodel_add_linear(struct testmodel_list *list,
                                        const struct testmodel_options *o, int layer,
                                        const char *name, int64_t in, int64_t out) {
    const char *matrices = dtype_name(o->dtype);
    const char *vectors = o->f32_vectors ? "F32" : matrices;
    char full[96];
    snprintf(full, sizeof full, "h.%d.%s.weight", layer, name);
    testmodel_add(list, o->prefix, full, matrices, 2, in, out)->deviation = 1.2 / sqrt((double)in);
    snprintf(full, sizeof full, "h.%d.%s.bias", layer, name);
    testmodel_add(list, o->prefix, full, vectors, 1, out, 1)->deviation = 0.1;
}

/* `name` is "ln_f" or "h.N.ln_1". */
static inline void testmodel_add_layer_norm(struct testmodel_list *list,
                                            const struct testmodel_options *o, const char *name) {
    const char *dtype = o->f32_vectors ? "F32" : dtype_name(o->dtype);
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    struct testmodel_tensor *gain = testmodel_add(list, o->prefix, full, dtype, 1, o->n_embd, 1);
    gain->mean = 1;
    gain->deviation = 0.2;
    snprintf(full, sizeof full, "%s.bias", name);
    testmodel_add(list, o->prefix, full, dtype, 1, o->n_embd, 1)->deviation = 0.1;
}

/* The tensors that testmodel_write writes, in the order of the forward pass. Free items. */
static inline struct testmodel_list testmodel_list(const struct testmodel_options *options) {
    const struct testmodel_options o = testmodel_resolve(options);
    struct testmodel_list list = {0};
    const char *dtype = dtype_name(o.dtype);
    const double spread = 1 / sqrt((double)o.n_embd); // of a row's product with a normalized vector
    char name[64];

    if (o.head != TESTMODEL_HEAD_ONLY)
        testmodel_add(&list, o.prefix, "wte.weight", dtype, 2, o.n_vocab, o.n_embd)->deviation =
            2 * spread;
    testmodel_add(&list, o.prefix, "wpe.weight", dtype, 2, o.n_ctx, o.n_embd)->deviation = spread;
    for (int l = 0; l < o.n_layer; l++) {
        snprintf(name, sizeof name, "h.%d.ln_1", l);
        testmodel_add_layer_norm(&list, &o, name);
        if (o.masks) {
            snprintf(name, sizeof name, "h.%d.attn.bias", l);
            struct testmodel_tensor *mask = testmodel_add(&list, o.prefix, name, "U8", 4, 1, 1);
            mask->shape[2] = mask->shape[3] = o.n_ctx;
            snprintf(name, sizeof name, "h.%d.attn.masked_bias", l);
            testmodel_add(&list, o.prefix, name, dtype, 0, 1, 1)->mean = -1e4;
        }
        testmodel_add_linear(&list, &o, l, "attn.c_attn", o.n_embd, 3 * (int64_t)o.n_embd);
        testmodel_add_linear(&list, &o, l, "attn.c_proj", o.n_embd, o.n_embd);
        snprintf(name, sizeof name, "h.%d.ln_2", l);
        testmodel_add_layer_norm(&list, &o, name);
        testmodel_add_linear(&list, &o, l, "mlp.c_fc", o.n_embd, o.n_inner);
        testmodel_add_linear(&list, &o, l, "mlp.c_proj", o.n_inner, o.n_embd);
    }
    testmodel_add_layer_norm(&list, &o, "ln_f");
    if (o.head != TESTMODEL_HEAD_TIED) {
        bool own = o.head == TESTMODEL_HEAD_OWN; // otherwise the values of wte, found by its name
        struct testmodel_tensor *head = testmodel_add(
            &list, "", own ? "lm_head.weight" : "wte.weight", dtype, 2, o.n_vocab, o.n_embd);
        head->deviation = 2 * spread;
        strcpy(head->name, "lm_head.weight");
    }
    return list;
}

/* The tensor of that name, which must exist. */
static inline struct testmodel_tensor *testmodel_find(const struct testmodel_list *list,
                                                      const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    testmodel_die("find", name);
    return NULL;
}

/* The list in the order of the data. */
static inline const struct testmodel_tensor *testmodel_nth(const struct testmodel_list *list,
                                                           const struct testmodel_options *options,
                                                           size_t i) {
    return &list->items[options && options->reversed ? list->count - 1 - i : i];
}

/* What stands before the data, to be freed: 8 bytes of length and the header. */
static inline char *testmodel_header(size_t *size, uint64_t *n_data,
                                     const struct testmodel_list *list,
                                     const struct testmodel_options *options) {
    const size_t misalign = options ? (size_t)options->misalign % 64 : 0;
    unsigned char bytes[8];
    char *header = NULL;
    FILE *text = open_memstream(&header, size);
    if (!text)
        testmodel_die("allocate", "a header");
    fprintf(text, "........{\"__metadata__\":{\"format\":\"pt\"}");
    uint64_t end = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct testmodel_tensor *t = testmodel_nth(list, options, i);
        fprintf(text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->dtype);
        for (int k = 0; k < t->rank; k++)
            fprintf(text, "%s%lld", k ? "," : "", (long long)t->shape[k]);
        uint64_t begin = end;
        end += testmodel_elements(t) * testmodel_encode(bytes, t->dtype, 0);
        fprintf(text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin,
                (unsigned long long)end);
    }
    fputc('}', text);
    fflush(text);
    for (size_t at = *size; at % 64 != misalign; at++)
        fputc(' ', text);
    if (fclose(text) != 0)
        testmodel_die("allocate", "a header");
    for (int i = 0; i < 8; i++)
        header[i] = (char)(unsigned char)((uint64_t)(*size - 8) >> 8 * i);
    *n_data = end;
    return header;
}

/* Writes path as safetensors, the items in their order (or reversed). */
static inline void testmodel_write_list(const char *path, const struct testmodel_list *list,
                                        const struct testmodel_options *options) {
    const uint64_t seed = options ? options->seed : 0;
    unsigned char bytes[8];
    size_t n_header;
    uint64_t n_data;
    char *header = testmodel_header(&n_header, &n_data, list, options);
    FILE *file = fopen(path, "wb");
    if (!file)
        testmodel_die("write", path);
    fwrite(header, 1, n_header, file);
    free(header);
    for (size_t i = 0; i < list->count; i++) {
        const struct testmodel_tensor *t = testmodel_nth(list, options, i);
        for (uint64_t k = 0, n = testmodel_elements(t); k < n; k++) {
            double value = testmodel_value(t, seed, k);
            if (options && options->few_bits)
                value = testmodel_few_bits(value);
            size_t size = testmodel_encode(bytes, t->dtype, value);
            fwrite(bytes, 1, size, file);
        }
    }
    if (fclose(file) != 0)
        testmodel_die("write", path);
}

/* ---- the directory ---- */

/* Writes dir/config.json. */
static inline void testmodel_write_config(const char *dir,
                                          const struct testmodel_options *options) {
    const struct testmodel_options o = testmodel_resolve(options);
    char path[TESTMODEL_PATH];
    testmodel_path(path, dir, "config.json");
    FILE *file = fopen(path, "wb");
    if (!file)
        testmodel_die("write", path);
    fprintf(file,
            "{\n  \"model_type\": \"gpt2\",\n  \"vocab_size\": %d,\n  \"n_positions\": %d,\n"
            "  \"n_embd\": %d,\n  \"n_layer\": %d,\n  \"n_head\": %d,\n",
            o.n_vocab, o.n_ctx, o.n_embd, o.n_layer, o.n_head);
    if (o.n_inner == 4 * o.n_embd)
        fprintf(file, "  \"n_inner\": null");
    else
        fprintf(file, "  \"n_inner\": %d", o.n_inner);
    if (o.activation)
        fprintf(file, ",\n  \"activation_function\": \"%s\"", o.activation);
    if (o.layer_norm_epsilon > 0)
        fprintf(file, ",\n  \"layer_norm_epsilon\": %.17g", o.layer_norm_epsilon);
    if (o.no_attn_scale)
        fprintf(file, ",\n  \"scale_attn_weights\": false");
    if (o.inverse_layer_scale)
        fprintf(file, ",\n  \"scale_attn_by_inverse_layer_idx\": true");
    if (o.tie)
        fprintf(file, ",\n  \"tie_word_embeddings\": %s", o.tie);
    if (o.config)
        fprintf(file, ",\n  %s", o.config);
    fprintf(file, "\n}\n");
    if (fclose(file) != 0)
        testmodel_die("write", path);
}

/* Writes config.json and model.safetensors into an existing directory. */
static inline void testmodel_write(const char *dir, const struct testmodel_options *options) {
    char path[TESTMODEL_PATH];
    testmodel_write_config(dir, options);
    testmodel_path(path, dir, "model.safetensors");
    struct testmodel_list list = testmodel_list(options);
    testmodel_write_list(path, &list, options);
    free(list.items);
}

/* The same as two files and their index, in the naming of save_pretrained. */
static inline void testmodel_write_index(const char *dir, const struct testmodel_options *options) {
    struct testmodel_list list = testmodel_list(options);
    const size_t n_first = list.count / 2;
    const struct testmodel_list halves[2] = {
        {list.items, n_first, n_first},
        {list.items + n_first, list.count - n_first, list.count - n_first}};
    char path[TESTMODEL_PATH];
    testmodel_path(path, dir, "model.safetensors.index.json");
    FILE *index = fopen(path, "w");
    if (!index)
        testmodel_die("write", path);
    const char *separator = "{\"weight_map\": {";
    for (int i = 0; i < 2; i++) {
        char name[40];
        snprintf(name, sizeof name, "model-0000%d-of-00002.safetensors", i + 1);
        testmodel_path(path, dir, name);
        testmodel_write_list(path, &halves[i], options);
        for (size_t k = 0; k < halves[i].count; k++) {
            fprintf(index, "%s\"%s\": \"%s\"", separator, halves[i].items[k].name, name);
            separator = ", ";
        }
    }
    if (options->head != TESTMODEL_HEAD_OWN) // some writers list a tied head and leave it out
        fputs(", \"lm_head.weight\": \"model-00002-of-00002.safetensors\"", index);
    fputs("}}", index);
    if (fclose(index) != 0)
        testmodel_die("write", path);
    testmodel_write_config(dir, options);
    free(list.items);
}

#endif
