/* fuzz_torch.c - any bytes as a file of torch.save: refused with a message, or a table whose every
 * byte can be read. Bytes that are neither of its formats are tried as a pickle. */
#define REPLAY_NAME   "torch"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "mutate.h"
#include "weights/torch/pickle.h"
#include "weights/torch/torch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- seeds: archives whose data.pkl is no dict of tensors ---- */

static void put(uint8_t *archive, size_t *n, const void *bytes, size_t n_bytes) {
    memcpy(archive + *n, bytes, n_bytes);
    *n += n_bytes;
}

/* A local header, or with `central` a directory's entry. */
static void put_header(uint8_t *archive, size_t *n, size_t n_bytes, uint32_t crc, bool central) {
    static const char name[] = "archive/data.pkl";
    uint8_t head[46] = {0};
    const size_t at = central ? 20 : 18, size = central ? 46 : 30;
    memcpy(head, central ? "PK\1\2" : "PK\3\4", 4);
    mutate_store(head + at - 4, crc, 4);
    mutate_store(head + at, n_bytes, 4);
    mutate_store(head + at + 4, n_bytes, 4);
    mutate_store(head + at + 8, sizeof name - 1, 2);
    put(archive, n, head, size);
    put(archive, n, name, sizeof name - 1);
}

static void add(const char *name, const char *pickle, size_t n_bytes) {
    uint8_t archive[1000], end[22] = "PK\5\6";
    const uint32_t crc = crc32_zip(pickle, n_bytes);
    size_t n = 0;
    put_header(archive, &n, n_bytes, crc, false);
    put(archive, &n, pickle, n_bytes);
    const size_t at = n;
    put_header(archive, &n, n_bytes, crc, true);
    mutate_store(end + 8, 1, 2);
    mutate_store(end + 10, 1, 2);
    mutate_store(end + 12, n - at, 4);
    mutate_store(end + 16, at, 4);
    put(archive, &n, end, sizeof end);
    struct tensors tensors;
    struct gpt2_error err = {0};
    if (torch_parse(&tensors, archive, n, name, &err) || !strstr(err.message, "expected a ")) {
        fprintf(stderr, "%s: %s\n", name, err.message);
        abort();
    }
    replay_seed(name, archive, n);
}

#define ADD(name, pickle) add(name, pickle, sizeof(pickle) - 1)

void replay_seeds(void) {
    ADD("list", "\x80\2]q\0K\1a.");
    ADD("number", "\x80\2}q\0X\1\0\0\0aK\1s.");
    ADD("nested", "\x80\2}q\0X\5\0\0\0model]s.");
    ADD("ordered", "\x80\2ccollections\nOrderedDict\n)RX\1\0\0\0aK\1s.");
    ADD("parameter", "\x80\2}X\1\0\0\0actorch._utils\n_rebuild_parameter\nK\1\x89"
                     "ccollections\nOrderedDict\n)R\x87"
                     "Rs.");
}
