/* fuzz_tokenizer.c - any bytes, encoded and decoded with made-up vocabularies, come back.
 *
 * The first byte of the input chooses the vocabulary and whether special tokens are looked for. */
#define REPLAY_NAME "tokenizer"
#include "replay.h"

#include "../testtext.h"

static struct gpt2_tokenizer *tokenizers[4];

static void close_all(void) {
    for (size_t i = 0; i < 4; i++)
        gpt2_tokenizer_close(tokenizers[i]);
}

static struct gpt2_tokenizer *choose(size_t which) {
    if (!tokenizers[0]) {
        for (size_t i = 0; i < 4; i++) {
            struct vocab *vocab = make_vocab(i, i % 2 ? 40 : 400, i > 1);
            tokenizers[i] = vocab ? tokenizer_create(vocab, NULL) : NULL;
            if (!tokenizers[i])
                abort();
        }
        atexit(close_all);
    }
    return tokenizers[which];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct gpt2_tokenizer *t = choose(data[0] % 4);
    unsigned flags = data[0] & 4 ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT;
    const char *text = (const char *)data + 1;
    size_t n = size - 1, at = 0;
    struct gpt2_ids ids = {0};
    if (!gpt2_tokenizer_encode(t, text, n, flags, &ids, NULL))
        abort();
    for (size_t i = 0; i < ids.len; i++) {
        size_t len;
        const char *token = gpt2_tokenizer_token(t, ids.data[i], &len);
        if (!token || len > n - at || memcmp(token, text + at, len) != 0)
            abort();
        at += len;
    }
    if (at != n || gpt2_utf8_whole(text, n) > n || n - gpt2_utf8_whole(text, n) > 3)
        abort();
    gpt2_ids_free(&ids);
    return 0;
}
