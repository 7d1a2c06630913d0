/* fuzz_gguf.c - any bytes as a GGUF file: refused with a message, or a table of tensors whose every
 * byte can be read and every block taken apart, and a tokenizer that text/ refuses or makes. */
#define REPLAY_NAME   "gguf"
#define REPLAY_SEEDS  1
#define REPLAY_MUTATE 1
#include "replay.h"

#include "seeds.h"
#include "text/tokenizer_internal.h"
#include "text/vocab_parse.h"
#include "weights/gguf/gguf_model.h"

#include <stdlib.h>
#include <string.h>

/* The numbers of the first blocks. */
static void read_blocks(const struct tensor *t) {
    float values[GGML_BLOCK_MOST];
    for (size_t i = 0; t->blocks && i < 4 && (i + 1) * t->blocks->n_bytes <= t->n_bytes; i++)
        ggml_type_dequantize(values, t->blocks,
                             (const unsigned char *)t->data + i * t->blocks->n_bytes);
}

static void read_tensors(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    struct tensors tensors;
    if (!gguf_model_parse(&tensors, data, size, "input", &err)) {
        if (err.status == GPT2_OK || !err.message[0] || tensors.items)
            abort();
        return;
    }
    unsigned sum = 0;
    for (size_t i = 0; i < tensors.count; i++) {
        const struct tensor *t = &tensors.items[i];
        for (size_t k = 0; k < t->n_bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
        read_blocks(t);
        if (t->rank < 0 || t->rank > TENSOR_MAX_RANK || !*t->name || !*t->dtype)
            abort();
    }
    if (!tensors.config || sum == 1)
        abort();
    tensors_close(&tensors);
}

static void read_tokenizer(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    struct tokenizer_texts texts = {0};
    if (!gguf_model_tokenizer(&texts, data, size, "input", &err)) {
        if (err.status == GPT2_OK || !err.message[0] || texts.items[0].text)
            abort();
        return;
    }
    if (!texts.items[TOKENIZER_VOCAB].text)
        return;
    struct vocab_source files[VOCAB_N_FILES] = {
        [VOCAB_TOKENS] = {"vocab", texts.items[TOKENIZER_VOCAB].text,
                          texts.items[TOKENIZER_VOCAB].len},
        [VOCAB_MERGES] = {"merges", texts.items[TOKENIZER_MERGES].text,
                          texts.items[TOKENIZER_MERGES].len},
        [VOCAB_ADDED] = {"added", texts.items[TOKENIZER_ADDED].text,
                         texts.items[TOKENIZER_ADDED].len},
        [VOCAB_CONFIG] = {"config", texts.items[TOKENIZER_CONFIG].text,
                          texts.items[TOKENIZER_CONFIG].len},
    };
    struct vocab *vocab = vocab_parse(files, &err);
    if (!vocab && (err.status == GPT2_OK || !err.message[0]))
        abort();
    vocab_free(vocab);
    tokenizer_texts_free(&texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_tensors(data, size);
    read_tokenizer(data, size);
    return 0;
}

size_t replay_mutate(uint8_t *data, size_t size, size_t cap, uint64_t *state) {
    return mutate_gguf(data, size, cap, state);
}

void replay_seeds(void) {
    seeds_models(1u << SEED_GGUF);
    seeds_ggml_types();
    seeds_whole_gguf();
}
