/* seeds.h - inputs for targets that read models: small random models as today's writers write them.
 *
 * Each is opened first; one that does not open ends the target, as it would reach nothing. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H

#include "../testgguf.h"
#include "../testtext.h"
#include "archive.h"
#include <gpt2/quantize.h>
#include <gpt2/save.h>
#include <gpt2/session.h>

#define SEEDS_CTX   24
#define SEEDS_VOCAB 61

enum seed_form { SEED_SAFETENSORS, SEED_GGUF, SEED_PACKED, SEED_FORMS };

/* The shape of all of them: a target that needs a config.json beside writes this one's. */
static inline struct testmodel_options seeds_shape(void) {
    return (struct testmodel_options){
        .n_ctx = SEEDS_CTX, .n_vocab = SEEDS_VOCAB, .n_embd = 32, .n_layer = 1};
}

static inline void seeds_die(const char *what, const struct gpt2_error *err) {
    fprintf(stderr, "seeds: %s: %s\n", what, err->message);
    abort();
}

/* A whole file in memory of malloc. */
static inline unsigned char *seeds_read(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0)
        testmodel_die("cannot open", path);
    *size = (size_t)info.st_size;
    unsigned char *data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, file) != *size)
        testmodel_die("cannot read", path);
    fclose(file);
    return data;
}

static inline void seeds_add(const char *name, const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        seeds_die(name, &err);
    gpt2_model_close(model);
    size_t size;
    unsigned char *data = seeds_read(path, &size);
    replay_seed(name, data, size);
    free(data);
}

/* The file with one of its texts replaced by another as long: what it says of itself contradicts
 * it. */
static inline void seeds_add_changed(const char *name, const char *path, const char *from,
                                     const char *to) {
    const size_t n = strlen(from);
    size_t size;
    unsigned char *data = seeds_read(path, &size);
    for (size_t at = 0; n == strlen(to) && at + n <= size; at++)
        if (memcmp(data + at, from, n) == 0) {
            memcpy(data + at, to, n);
            replay_seed(name, data, size);
            free(data);
            return;
        }
    testmodel_die("change", name);
}

/* A tokenizer of all bytes and a few merges, for a model of so many tokens. */
enum { SEEDS_MERGES = 20, SEEDS_TOKENS = 256 + SEEDS_MERGES };

static inline struct gpt2_tokenizer *seeds_tokenizer(void) {
    struct gpt2_error err = {0};
    struct vocab *vocab = make_vocab(1, SEEDS_MERGES, false);
    struct gpt2_tokenizer *tokenizer = vocab ? tokenizer_create(vocab, &err) : NULL;
    if (!tokenizer)
        seeds_die("a tokenizer", &err);
    return tokenizer;
}

/* The same as the two files of a directory. */
static inline void seeds_write_tokenizer(const char *dir) {
    struct gpt2_error err = {0};
    struct gpt2_tokenizer *tokenizer = seeds_tokenizer();
    if (!gpt2_tokenizer_save(tokenizer, dir, &err))
        seeds_die("a tokenizer's files", &err);
    gpt2_tokenizer_close(tokenizer);
}

static inline void seeds_models_of(const char *kind, const struct testmodel_options *options,
                                   unsigned forms) {
    static const struct {
        const char *name;
        enum gpt2_weight_type type;
    } packed[] = {{"q8", GPT2_Q8}, {"q4", GPT2_Q4}, {"f32", GPT2_F32}};
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH], name[64];
    struct gpt2_error err = {0};
    testmodel_tempdir(dir);
    testmodel_write(dir, options);
    struct gpt2_model *model = gpt2_model_open(dir, &err);
    struct gpt2_runtime *runtime = gpt2_runtime_create(NULL, &err);
    if (!model || !runtime)
        seeds_die(kind, &err);
    if (forms & 1u << SEED_SAFETENSORS) {
        snprintf(name, sizeof name, "%s.safetensors", kind);
        testmodel_path(path, dir, "model.safetensors");
        seeds_add(name, path);
    }
    if (forms & 1u << SEED_GGUF) {
        snprintf(name, sizeof name, "%s.gguf", kind);
        testmodel_path(path, dir, "m.gguf");
        if (!gpt2_model_save_gguf(model, NULL, path, &err))
            seeds_die(name, &err);
        seeds_add(name, path);
    }
    for (size_t i = 0; forms & 1u << SEED_PACKED && i < sizeof packed / sizeof *packed; i++) {
        snprintf(name, sizeof name, "%s.%s", kind, packed[i].name);
        testmodel_path(path, dir, name);
        const struct gpt2_quantize_options quantize = {.type = packed[i].type};
        if (!gpt2_quantize(model, runtime, &quantize, path, &err))
            seeds_die(name, &err);
        seeds_add(name, path);
        if (options->n_ctx == SEEDS_CTX) {
            strcat(name, ".changed");
            seeds_add_changed(name, path, i % 2 ? "\"n_positions\": 24" : "\"vocab_size\": 61",
                              i % 2 ? "\"n_positions\": 25" : "\"vocab_size\": 62");
        }
    }
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
    testmodel_remove(dir);
}

/* forms: bits 1 << enum seed_form. */
static inline void seeds_models(unsigned forms) {
    struct testmodel_options options = seeds_shape();
    seeds_models_of("plain", &options, forms);
    options.dtype = DTYPE_F16;
    seeds_models_of("halves", &options, forms);
    options.dtype = DTYPE_BF16;
    options.head = TESTMODEL_HEAD_OWN;
    seeds_models_of("own_head", &options, forms);
}

/* Of several blocks with a checksum each. */
static inline void seeds_large_packed(void) {
    const struct testmodel_options large = {.n_embd = 96, .n_layer = 1, .n_vocab = 61, .n_ctx = 8};
    seeds_models_of("large", &large, 1u << SEED_PACKED);
}

/* A file of each type of blocks. */
static inline void seeds_ggml_types(void) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "m.gguf");
    for (size_t i = 0; i < TESTGGUF_TYPES; i++) {
        const struct ggml_type *type = testgguf_ggml(testgguf_types[i].name);
        const int n_embd = (int)type->n_elements;
        const struct testmodel_options options = {
            .n_embd = n_embd, .n_inner = n_embd, .n_layer = 1, .n_vocab = 9, .n_ctx = 4};
        testgguf_write(path, &options, type->name);
        seeds_add(type->name, path);
    }
    testmodel_remove(dir);
}

/* A packed file of each type of blocks, whose integers it keeps; of one also as the version before
 * wrote it, and with a form that is another's. */
static inline void seeds_packed_blocks(void) {
    char dir[TESTMODEL_PATH], gguf[TESTMODEL_PATH], path[TESTMODEL_PATH], name[64];
    struct gpt2_error err = {0};
    struct gpt2_runtime *runtime = gpt2_runtime_create(NULL, &err);
    testmodel_tempdir(dir);
    testmodel_path(gguf, dir, "m.gguf");
    for (size_t i = 0; i < TESTGGUF_TYPES; i++) {
        const struct ggml_type *type = testgguf_ggml(testgguf_types[i].name);
        const int n_embd = (int)type->n_elements;
        const struct testmodel_options options = {
            .n_embd = n_embd, .n_inner = n_embd, .n_layer = 1, .n_vocab = 9, .n_ctx = 4};
        testgguf_write(gguf, &options, type->name);
        snprintf(name, sizeof name, "packed.%s", type->name);
        testmodel_path(path, dir, name);
        struct gpt2_model *model = gpt2_model_open(gguf, &err);
        const struct gpt2_quantize_options as_is = {.type = GPT2_AS_IS};
        if (!model || !runtime || !gpt2_quantize(model, runtime, &as_is, path, &err))
            seeds_die(name, &err);
        gpt2_model_close(model);
        seeds_add(name, path);
        if (i == 0) {
            seeds_add_changed("packed.version_2", path, "\"version\":\"3\"", "\"version\":\"2\"");
            seeds_add_changed("packed.form", path, "blocks=Q8_0", "blocks=Q5_0");
            seeds_add_changed("packed.bits", path, "bits=8", "bits=4");
        }
    }
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
}

static const char seeds_generation[] =
    "{\"do_sample\": true, \"temperature\": 0.8, \"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.1, "
    "\"typical_p\": 1, \"repetition_penalty\": 1.1, \"repeat_last_n\": 64, "
    "\"no_repeat_ngram_size\": 3, \"max_new_tokens\": 40, \"eos_token_id\": [3, 4]}";

/* "Put these in front and after" as a file says it; of ids that testmodel's config.json names. */
static inline void seeds_add_ends(struct gpt2_gguf_pairs *pairs) {
    static const char *const keys[] = {"tokenizer.ggml.add_bos_token",
                                       "tokenizer.ggml.add_eos_token"};
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(keys[i]);
        pairs->bytes = realloc(pairs->bytes, pairs->n_bytes + 8 + n + 5);
        if (!pairs->bytes)
            testmodel_die("allocate", keys[i]);
        uint8_t *at = pairs->bytes + pairs->n_bytes;
        mutate_store(at, n, 8);
        memcpy(at + 8, keys[i], n);
        mutate_store(at + 8 + n, 7, 4);
        at[8 + n + 4] = 1;
        pairs->n_bytes += 8 + n + 5;
        pairs->n_pairs++;
    }
}

/* Everything that a GGUF file can have: a tokenizer, recommended settings, each type that is
 * written. */
static inline void seeds_whole_gguf(void) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH], name[32];
    struct gpt2_error err = {0};
    testmodel_tempdir(dir);
    testmodel_write(
        dir, &(struct testmodel_options){.n_embd = 32,
                                         .n_layer = 1,
                                         .n_ctx = 4,
                                         .n_vocab = SEEDS_TOKENS,
                                         .config = "\"bos_token_id\": 5, \"eos_token_id\": 7"});
    testmodel_write_file(dir, "generation_config.json", seeds_generation,
                         sizeof seeds_generation - 1);
    struct gpt2_model *model = gpt2_model_open(dir, &err);
    struct gpt2_tokenizer *tokenizer = seeds_tokenizer();
    struct gpt2_gguf_pairs pairs = {0};
    if (!model || !gpt2_tokenizer_gguf(tokenizer, SEEDS_TOKENS, &pairs, &err))
        seeds_die("a whole GGUF file", &err);
    testmodel_path(path, dir, "m.gguf");
    seeds_add_ends(&pairs);
    for (int type = GPT2_GGUF_AS_IS; type <= GPT2_GGUF_Q4_0; type++) {
        const struct gpt2_gguf_options options = {
            .type = (enum gpt2_gguf_type)type, .tied = type % 2, .tokenizer = &pairs};
        snprintf(name, sizeof name, "whole%d", type);
        if (!gpt2_model_save_gguf(model, &options, path, &err))
            seeds_die(name, &err);
        seeds_add(name, path);
    }
    free(pairs.bytes);
    gpt2_tokenizer_close(tokenizer);
    gpt2_model_close(model);
    testmodel_remove(dir);
}

/* One token through a model that was opened: numbers, or an error that says that they are none. */
static inline void seeds_compute(const struct gpt2_model *model, struct gpt2_runtime *runtime) {
    struct gpt2_error err = {0};
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    struct gpt2_batch *batch =
        gpt2_batch_create(model, runtime, &(struct gpt2_batch_options){.max_rows = 2}, &err);
    const int32_t id = 0;
    struct gpt2_span span = {.session = session, .ids = &id, .n_ids = 1, .n_logits = 1};
    if (session && batch && gpt2_batch_run(batch, &span, 1, &err)) {
        const float *logits = gpt2_batch_logits(batch, 0, 0);
        for (int i = 0; i < gpt2_model_config(model)->n_vocab; i++)
            if (logits[i] - logits[i] != 0)
                abort(); // not finite, and nothing was said
    } else if (err.status == GPT2_OK || !err.message[0]) {
        abort();
    }
    gpt2_batch_free(batch);
    gpt2_session_free(session);
}

/* The files of a directory, in the order of their names. */
static inline int seeds_by_name(const void *a, const void *b) {
    return strcmp((const char *)a, (const char *)b);
}

/* A directory as one input (archive.h), and its files away. */
static inline void seeds_add_directory(const char *name, const char *dir) {
    char names[40][64];
    size_t n = 0, size = 0;
    uint8_t *data = NULL;
    DIR *folder = opendir(dir);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.' && n < 40)
            snprintf(names[n++], sizeof *names, "%.63s", entry->d_name);
    if (!folder || closedir(folder) != 0)
        testmodel_die("read", dir);
    qsort(names, n, sizeof *names, seeds_by_name);
    for (size_t i = 0; i < n; i++) {
        char path[TESTMODEL_PATH];
        size_t n_bytes;
        testmodel_path(path, dir, names[i]);
        unsigned char *bytes = seeds_read(path, &n_bytes);
        data = archive_add(data, &size, names[i], bytes, n_bytes);
        free(bytes);
    }
    replay_seed(name, data, size);
    free(data);
    archive_clear(dir);
}

#endif
