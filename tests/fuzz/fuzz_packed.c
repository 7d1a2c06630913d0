/* fuzz_packed.c - any bytes as a packed model: refused with a message, or a model whose every
 * weight can be read. The checksums would refuse nearly everything before the rest is asked, so
 * each input is tried as it is and then with its checksums made right. */
#define REPLAY_NAME   "packed"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "base/checksum.h"
#include "base/os.h"
#include "kernels/panels.h"
#include "model/blocks.h"
#include "model/loader.h"
#include "model/tensor_schema.h"
#include "seeds.h"
#include "weights/block_check.h"
#include "weights/packed.h"
#include "weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

static void put(uint8_t *at, uint64_t sum) {
    memcpy(at, &sum, sizeof sum);
}

/* Makes the checksums right, as far as there is a place for them. */
static void repair(uint8_t *data, size_t size) {
    struct tensors tensors;
    if (!safetensors_parse(&tensors, data, size, "input", NULL))
        return;
    const struct tensor *table = tensors.count ? &tensors.items[0] : NULL;
    if (table && strcmp(table->name, PACKED_CHECKSUMS) == 0 && table->n_bytes >= 8) {
        size_t at = (size_t)((const uint8_t *)table->data - data), first = at + table->n_bytes;
        for (size_t i = first, k = 1; i < size && k < table->n_bytes / 8; i += PACKED_BLOCK, k++)
            put(data + at + 8 * k,
                checksum(data + i, size - i < PACKED_BLOCK ? size - i : PACKED_BLOCK));
        put(data + at, checksum(data, at));
    }
    tensors_close(&tensors);
}

static size_t touch(const void *data, size_t n_bytes) {
    size_t sum = 0;
    for (size_t i = 0; i < n_bytes; i++)
        sum += ((const uint8_t *)data)[i];
    return sum;
}

static size_t touch_part(const struct tensor_spec *spec) {
    if (spec->kind == SPEC_VECTOR)
        return touch(*(const float *const *)spec->field, (size_t)spec->shape[0] * sizeof(float));
    const struct matrix *m = spec->field;
    size_t K = (size_t)tensor_schema_inputs(spec), n = (size_t)tensor_schema_outputs(spec);
    if (m->rows != spec->shape[0] || m->cols != spec->shape[1])
        abort();
    return touch(m->data, m->layout == LAYOUT_ROWS
                              ? K * n * dtype_size(m->dtype)
                              : (size_t)panels_count((int)n) * panel_bytes(m->dtype, (int)K));
}

/* What is said to be of some blocks can be made blocks again, or it is refused. */
static void restore_part(const struct tensor_spec *spec) {
    const struct matrix *m = spec->kind == SPEC_VECTOR ? NULL : spec->field;
    if (!m || !m->blocks)
        return;
    const int K = tensor_schema_inputs(spec), n = tensor_schema_outputs(spec);
    unsigned char block[GGML_BLOCK_MOST];
    for (int output = 0; output < n; output++)
        for (size_t i = 0; i < (size_t)K / m->blocks->n_elements; i++)
            blocks_restore(block, m, K, output, i);
}

static void try(const uint8_t *data, size_t size, bool expand) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = os_alloc(1, sizeof *model, "the model", NULL);
    if (!model)
        abort();
    struct tensors *tensors = &model->tensors;
    enum config_tie tie;
    bool ok = container_packed.parse(tensors, data, size, "input", &err) &&
              block_check_all(tensors, &err) &&
              config_parse(&model->config, &tie, &model->notes, tensors->config,
                           tensors->config_len, "input", &err) &&
              loader_bind(model, tie, expand, &err);
    if (!ok && (err.status == GPT2_OK || !err.message[0]))
        abort(); // refused without a word
    size_t sum = 0;
    for (size_t i = 0; ok && i < tensor_schema_count(model); i++) {
        struct tensor_spec spec = tensor_schema_at(model, i);
        sum += touch_part(&spec);
        restore_part(&spec);
    }
    if (ok) {
        struct tensor_spec head = tensor_schema_head(model);
        sum += touch_part(&head);
        restore_part(&head);
    }
    if (!expand && sum > 2 * 255 * size) // wte may be the head as well
        abort();
    gpt2_model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = os_alloc(size, 1, "a copy", NULL); // aligned as a mapping is
    if (!copy)
        abort();
    memcpy(copy, data, size);
    try(copy, size, false);
    repair(copy, size);
    try(copy, size, false);
    try(copy, size, true);
    os_free(copy);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return mutate_safetensors(data, size, cap, state);
}

void replay_seeds(void) {
    seeds_models(1u << SEED_PACKED);
    seeds_large_packed();
    seeds_packed_blocks();
}
