/* fuzz_model.c - any bytes as a file of weights, all the way: refused with a message, or a model
 * that computes a token, or says that its numbers are none. A packed file is tried with its
 * checksums made right, too (fuzz_packed.c looks at every weight). */
#define REPLAY_NAME  "model"
#define REPLAY_SEEDS 1
#include "replay.h"

#include "base/checksum.h"
#include "seeds.h"
#include "weights/packed.h"
#include "weights/safetensors.h"
#include <gpt2/session.h>

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

static void compute(const struct gpt2_model *model) {
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

static void try(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    const bool is_gguf = size >= 4 && !memcmp(data, "GGUF", 4);
    char path[TESTMODEL_PATH];
    testmodel_write_file(dir, is_gguf ? "m.gguf" : "model.safetensors", data, size);
    testmodel_path(path, dir, is_gguf ? "m.gguf" : "model.safetensors");
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (model)
        compute(model);
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

void replay_seeds(void) {
    seeds_models(1u << SEED_SAFETENSORS | 1u << SEED_GGUF | 1u << SEED_PACKED);
}
