/* fuzz_safetensors.c - any bytes as a .safetensors file: refused with a message, or a table whose
 * every byte can be read. */
#define REPLAY_NAME   "safetensors"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "seeds.h"
#include "weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    struct tensors tensors;
    if (!safetensors_parse(&tensors, data, size, "input", &err)) {
        if (err.status == GPT2_OK || !err.message[0] || tensors.items)
            abort();
        return 0;
    }
    size_t n_bytes = 0;
    unsigned sum = 0;
    for (size_t i = 0; i < tensors.count; i++) {
        const struct tensor *t = &tensors.items[i];
        n_bytes += t->n_bytes + (strlen(t->name) > size) + (strlen(t->dtype) > size);
        for (size_t k = 0; k < t->n_bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
        if (t->rank < 0 || t->rank > TENSOR_MAX_RANK)
            abort();
    }
    if (n_bytes > size || sum > size * 255)
        abort();
    tensors_close(&tensors);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return mutate_safetensors(data, size, cap, state);
}

void replay_seeds(void) {
    seeds_models(1u << SEED_SAFETENSORS);
}
