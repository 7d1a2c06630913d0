/* testtokenizer.h - what tests of the tokenizer share: opening one, comparing ids, round trips.
 * After cmocka.h. */
#ifndef TESTTOKENIZER_H
#define TESTTOKENIZER_H

#include "testtext.h"

/* The tokenizer of `name` among the data from outside; skips the test where it is absent. */
static inline struct gpt2_tokenizer *open_data(const char *name) {
    char path[4096];
    struct gpt2_error err;
    if (!data_path(path, sizeof path, name))
        skip();
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(path, &err);
    if (!t)
        fail_msg("%s", err.message);
    return t;
}

static inline void map_data(struct os_file *file, const char *name) {
    char path[4096];
    struct gpt2_error err;
    if (!data_path(path, sizeof path, name))
        skip();
    if (!os_map(file, path, GPT2_ERR_INPUT, &err))
        fail_msg("%s", err.message);
}

static inline struct gpt2_tokenizer *made(uint64_t seed, int n_merges, bool wild) {
    struct vocab *vocab = make_vocab(seed, n_merges, wild);
    assert_non_null(vocab);
    struct gpt2_tokenizer *t = tokenizer_create(vocab, NULL);
    assert_non_null(t);
    return t;
}

static inline void check_ids(const struct gpt2_tokenizer *t, const char *text, size_t n,
                             unsigned flags, const int32_t *want, size_t n_want) {
    struct gpt2_ids ids = {0};
    struct gpt2_error err;
    if (!gpt2_tokenizer_encode(t, text, n, flags, &ids, &err))
        fail_msg("%s", err.message);
    bool same = ids.len == n_want;
    for (size_t i = 0; same && i < n_want; i++)
        same = ids.data[i] == want[i];
    if (!same) {
        for (size_t i = 0; i < ids.len; i++)
            printf("%d ", (int)ids.data[i]);
        fail_msg("\"%.*s\": %zu ids, expected %zu", (int)n, text, ids.len, n_want);
    }
    gpt2_ids_free(&ids);
}

/* decode(encode(text)) == text */
static inline void check_round_trip(const struct gpt2_tokenizer *t, const unsigned char *text,
                                    size_t n, unsigned flags) {
    struct gpt2_ids ids = {0};
    struct gpt2_error err;
    if (!gpt2_tokenizer_encode(t, (const char *)text, n, flags, &ids, &err))
        fail_msg("%s", err.message);
    size_t at = 0;
    for (size_t i = 0; i < ids.len; i++) {
        size_t len;
        const char *token = gpt2_tokenizer_token(t, ids.data[i], &len);
        assert_non_null(token);
        assert_true(len <= n - at);
        assert_memory_equal(token, text + at, len);
        at += len;
    }
    assert_int_equal(at, n);
    gpt2_ids_free(&ids);
}

/* The last arguments of check_ids, and a text with its length. */
#define IDS(...) \
    (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)
#define TEXT(s) s, sizeof(s) - 1

#endif
