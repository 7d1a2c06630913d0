/* fuzz_llmc.c - any bytes as a model of llm.c, or as its tokenizer: refused with a message, or all
 * of what is made of them can be read. */
#define REPLAY_NAME "llmc"
#include "replay.h"

#include "weights/llmc/llmc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    if (!container_llmc.recognise(data, size)) {
        struct tokenizer_texts texts = {0};
        if (!llmc_tokenizer_parse(&texts, data, size, "input", &err) && !err.message[0])
            abort();
        for (int i = 0; i < TOKENIZER_N_TEXTS; i++)
            if (texts.items[i].text && strlen(texts.items[i].text) != texts.items[i].len)
                abort();
        tokenizer_texts_free(&texts);
        return 0;
    }
    struct tensors tensors;
    if (!llmc_parse(&tensors, data, size, "input", &err)) {
        if (err.status == GPT2_OK || !err.message[0] || tensors.items)
            abort();
        return 0;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < tensors.count; i++)
        for (size_t k = 0; k < tensors.items[i].n_bytes; k++)
            sum += ((const unsigned char *)tensors.items[i].data)[k];
    tensors_close(&tensors);
    return sum == 1u << 31; // never: the sum is used
}
