/* fuzz_model.c - any bytes as a file of weights, all the way: refused with a message, or a model
 * that computes a token, or says that its numbers are none. A packed file is tried with its
 * checksums made right, too (fuzz_packed.c looks at every weight). */
#define REPLAY_NAME   "model"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "base/checksum.h"
#include "seeds.h"
#include "weights/packed.h"
#include "weights/safetensors.h"

static char dir[TESTMODEL_PATH];
static struct gpt2_runtime *runtime;

static void finish(void) {
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
}

static void prepare(void) {
    testmodel_tempdir(dir);
    const struct testmodel_options shape = seeds_shape();
    testmodel_write(dir, &shape);
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 1}, NULL);
    if (!runtime || atexit(finish) != 0)
        abort();
}

static void try(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    const bool is_gguf = size >= 4 && !memcmp(data, "GGUF", 4);
    char path[TESTMODEL_PATH];
    testmodel_write_file(dir, is_gguf ? "m.gguf" : "model.safetensors", data, size);
    testmodel_path(path, dir, is_gguf ? "m.gguf" : "model.safetensors");
    struct gpt2_model *model =
        gpt2_model_open_lazy(path, &err); // what a pass reads is checked with it
    if (model)
        seeds_compute(model, runtime);
    else if (err.status == GPT2_OK || !err.message[0])
        abort(); // refused without a word
    gpt2_model_close(model);
    remove(path);
}

/* Checksums of a packed file as they have to be; false: it has none. */
static bool repair(uint8_t *data, size_t size) {
    struct tensors tensors;
    if (!safetensors_parse(&tensors, data, size, "input", NULL))
        return false;
    const struct tensor *table = tensors.count ? &tensors.items[0] : NULL;
    const bool has = table && !strcmp(table->name, PACKED_CHECKSUMS) && table->n_bytes >= 8;
    for (size_t k = 0; has && k < table->n_bytes / 8; k++) {
        const size_t at = (size_t)((const uint8_t *)table->data - data);
        const size_t first = at + table->n_bytes, from = first + (k - 1) * PACKED_BLOCK;
        if (k && from >= size)
            break;
        const size_t left = size - from, n = left < PACKED_BLOCK ? left : PACKED_BLOCK;
        const uint64_t sum = k ? checksum(data + from, n) : 0;
        memcpy(data + at + 8 * k, &sum, sizeof sum);
    }
    if (has) {
        const size_t at = (size_t)((const uint8_t *)table->data - data);
        const uint64_t sum = checksum(data, at);
        memcpy(data + at, &sum, sizeof sum);
    }
    tensors_close(&tensors);
    return has;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!runtime)
        prepare();
    try(data, size);
    uint8_t *copy = malloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    if (repair(copy, size))
        try(copy, size);
    free(copy);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return mutate_file(data, size, cap, state);
}

void replay_seeds(void) {
    seeds_models(1u << SEED_SAFETENSORS | 1u << SEED_GGUF | 1u << SEED_PACKED);
    seeds_large_packed();
}
