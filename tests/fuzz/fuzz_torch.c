/* fuzz_torch.c - any bytes as a file of torch.save: refused with a message, or a table whose every
 * byte can be read. Bytes that are neither of its formats are tried as a pickle. */
#define REPLAY_NAME   "torch"
#define REPLAY_MUTATE 1
#include "replay.h"

#include "mutate.h"
#include "weights/torch/pickle.h"
#include "weights/torch/torch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    struct tensors tensors;
    if (!container_torch.recognise(data, size)) {
        static const struct pickle_global allowed[] = {{"torch", "Size", NULL}, {NULL, NULL, NULL}};
        struct pickle pickle;
        if (!pickle_parse(&pickle, data, size, allowed, "input", &err)) {
            if (err.status == GPT2_OK || !err.message[0] || pickle.values)
                abort();
            return 0;
        }
        for (uint32_t i = 0; i < pickle.n_values; i++)
            if (!pickle_kind_name(&pickle.values[i]))
                abort();
        if (pickle.n_bytes > size)
            abort();
        pickle_free(&pickle);
        return 0;
    }
    if (!torch_parse(&tensors, data, size, "input", &err)) {
        if (err.status == GPT2_OK || !err.message[0] || tensors.items)
            abort();
        return 0;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < tensors.count; i++) {
        const struct tensor *t = &tensors.items[i];
        for (size_t k = 0; k < t->n_bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
        if (t->rank < 0 || t->rank > TENSOR_MAX_RANK || !t->name || !t->dtype)
            abort();
    }
    tensors_close(&tensors);
    return sum == 1u << 31; // never: the sum is used
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return mutate_torch(data, size, cap, state);
}
