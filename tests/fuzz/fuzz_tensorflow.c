/* fuzz_tensorflow.c - any bytes as the index of a checkpoint, and as the entries of one whose
 * checksums are right: refused with a message, or a table whose every byte can be read. */
#define REPLAY_NAME "tensorflow"
#include "replay.h"

#include "../testtable.h"
#include "weights/tensorflow/tensorflow.h"

static unsigned sum;

static void try(const uint8_t *index, size_t n_index, const uint8_t *data, size_t n_data) {
    struct gpt2_error err = {0};
    struct tensors tensors;
    if (!tensorflow_parse(&tensors, index, n_index, data, n_data, "input", &err)) {
        if (err.status == GPT2_OK || !err.message[0] || tensors.items)
            abort();
        return;
    }
    for (size_t i = 0; i < tensors.count; i++)
        for (size_t k = 0; k < tensors.items[i].n_bytes; k++)
            sum += ((const unsigned char *)tensors.items[i].data)[k];
    tensors_close(&tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct testtable table;
    try(data, size, data, size);
    if (size <= sizeof table.data - 256) {
        testtable_wrap(&table, data, size);
        try(table.data, table.n, data, size);
    }
    char *config = tensorflow_config((const char *)data, size, "input", NULL);
    free(config);
    return 0;
}
