/* fuzz_vocab.c - a tokenizer's files with anything in them: an error, or a tokenizer that works.
 *
 * The input is a list of files: each starts with a line `=== N`, N being an enum vocab_file; what
 * comes before the first such line is not used. */
#define REPLAY_NAME "vocab"
#include "replay.h"

#include "../testtext.h"

static const char *const names[VOCAB_N_FILES] = {"vocab.json",          "merges.txt",
                                                 "tokenizer.json",      "added_tokens.json",
                                                 "special_tokens.json", "config.json"};

static void split(struct vocab_source files[VOCAB_N_FILES], const char *text, size_t n) {
    int current = -1;
    for (size_t i = 0; i < n; i++) {
        bool head = n - i >= 6 && (i == 0 || text[i - 1] == '\n') && !memcmp(text + i, "=== ", 4) &&
                    text[i + 4] >= '0' && text[i + 4] < '0' + VOCAB_N_FILES && text[i + 5] == '\n';
        if (head) {
            current = text[i + 4] - '0';
            files[current] = (struct vocab_source){names[current], text + i + 6, 0};
            i += 5;
        } else if (current >= 0) {
            files[current].len++;
        }
    }
}

/* A tokenizer that was accepted must encode what it can spell, and give back the same text. */
static void use(struct gpt2_tokenizer *t, bool add_prefix_space) {
    static const char text[] = "ab abb  ba<|endoftext|>\n'sa ab";
    struct gpt2_error err;
    for (unsigned flags = 0; flags < 2; flags++) {
        struct gpt2_ids ids = {0};
        size_t at = 0;
        bool ok = gpt2_tokenizer_encode(t, text, sizeof text - 1, flags, &ids, &err);
        for (size_t i = 0; i < ids.len; i++) {
            size_t len;
            const char *token = gpt2_tokenizer_token(t, ids.data[i], &len);
            if (!token || ids.data[i] < 0 || ids.data[i] >= gpt2_tokenizer_size(t))
                abort();
            if (add_prefix_space)
                continue;
            if (len > sizeof text - 1 - at || memcmp(token, text + at, len) != 0)
                abort();
            at += len;
        }
        if (!add_prefix_space && at != (ok ? sizeof text - 1 : 0))
            abort();
        gpt2_ids_free(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vocab_source files[VOCAB_N_FILES] = {{0}};
    struct gpt2_error err = {0};
    split(files, (const char *)data, size);
    bool pair = files[VOCAB_TOKENS].text && files[VOCAB_MERGES].text;
    if (!pair) {
        files[VOCAB_TOKENS].text = NULL;
        if (!files[VOCAB_TOKENIZER].text)
            return 0;
    }
    struct vocab *vocab = vocab_parse(files, &err);
    if (!vocab) {
        if (err.status == GPT2_OK || !err.message[0])
            abort(); // refused without a word
        return 0;
    }
    bool add_prefix_space = vocab->add_prefix_space;
    struct gpt2_tokenizer *t = tokenizer_create(vocab, &err);
    if (!t)
        abort();
    use(t, add_prefix_space);
    gpt2_tokenizer_close(t);
    return 0;
}
