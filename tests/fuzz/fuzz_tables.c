/* fuzz_tables.c - any bytes as a tokenizer's tables: refused with a message, or a tokenizer that
 * can be asked anything. */
#define REPLAY_NAME "tables"
#include "replay.h"

#include "../testtext.h"

static void encode(const struct gpt2_tokenizer *t, const char *text, size_t n) {
    for (unsigned flags = 0; flags < 2; flags++) {
        struct gpt2_ids ids = {0};
        gpt2_tokenizer_encode(t, text, n, flags, &ids, NULL); // without a token for some byte
        for (size_t i = 0; i < ids.len; i++)
            if (ids.data[i] < 0 || ids.data[i] >= gpt2_tokenizer_size(t))
                abort();
        gpt2_ids_free(&ids);
    }
}

static size_t touch_tokens(const struct gpt2_tokenizer *t) {
    size_t sum = 0, n;
    for (int32_t id = 0; id < gpt2_tokenizer_size(t); id++) {
        const char *token = gpt2_tokenizer_token(t, id, &n);
        for (size_t i = 0; token && i < n && i < 64; i++)
            sum += (unsigned char)token[i];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gpt2_error err = {0};
    uint8_t *copy = os_alloc(size, 1, "a copy", NULL); // aligned as a mapping is
    if (!copy)
        abort();
    memcpy(copy, data, size);
    struct gpt2_tokenizer *t = tokenizer_unpack(copy, size, "input", &err);
    if (t) {
        char run[700];
        memset(run, 'a', sizeof run);
        encode(t, run, sizeof run); // one long piece
        encode(t, (const char *)copy, size < 1500 ? size : 1500);
        if (touch_tokens(t) > (size_t)gpt2_tokenizer_size(t) * 64 * 255)
            abort();
    } else if (err.status == GPT2_OK || !err.message[0]) {
        abort(); // refused without a word
    }
    gpt2_tokenizer_close(t);
    os_free(copy);
    return 0;
}
