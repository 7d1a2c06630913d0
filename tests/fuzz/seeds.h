/* seeds.h - inputs for targets that read models: small random models as today's writers write them.
 *
 * Each is opened first; one that does not open ends the target, as it would reach nothing. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H

#include "../testmodel.h"
#include <gpt2/quantize.h>
#include <gpt2/save.h>

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

#endif
