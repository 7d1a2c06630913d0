/* test_llmc.c - llm.c's models and tokenizers, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "weights/llmc/llmc.h"

#include <stdlib.h>
#include <string.h>

static void store(unsigned char *p, int32_t value) {
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)((uint32_t)value >> 8 * i);
}

/* ---- models ---- */

enum { N_CTX = 3, N_VOCAB = 5, N_EMBD = 2, N_PADDED = 128 };
#define LAYER   (2 + 2 + 12 + 6 + 4 + 2 + 2 + 2 + 16 + 8 + 16 + 2)
#define N_FLOAT (N_PADDED * N_EMBD + N_CTX * N_EMBD + LAYER + 2 * N_EMBD)

/* One layer, one head; number i of the file is i. */
static unsigned char *model(size_t *n, int version) {
    static const int32_t header[] = {20240326, 3, N_CTX, N_VOCAB, 1, 1, N_EMBD, N_PADDED};
    const size_t size = version == 5 ? 2 : 4;
    *n = 1024 + N_FLOAT * size;
    unsigned char *bytes = calloc(*n, 1);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        store(bytes + 4 * i, header[i]);
    store(bytes + 4, version);
    for (int i = 0; i < N_FLOAT; i++) {
        const float value = (float)i;
        memcpy(bytes + 1024 + (size_t)i * size, (const char *)&value + 4 - size, size);
    }
    return bytes;
}

static void expect_refused(const unsigned char *bytes, size_t n, const char *word) {
    struct gpt2_error err = {0};
    struct tensors t;
    unsigned char *block = malloc(n ? n : 1); // of exactly its size
    assert_non_null(block);
    memcpy(block, bytes, n);
    if (llmc_parse(&t, block, n, "m.bin", &err))
        fail_msg("expected a refusal that says \"%s\"", word);
    free(block);
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    if (strncmp(err.message, "m.bin: ", 7) != 0 || !strstr(err.message, word))
        fail_msg("expected \"%s\" in: %s [%s]", word, err.message, err.hint);
}

static void a_model_is_cut_into_its_tensors(void **state) {
    for (int version = 3; version <= 5; version += 2) {
        size_t n;
        struct tensors t;
        unsigned char *bytes = model(&n, version);
        assert_true(llmc_parse(&t, bytes, n, "m.bin", NULL));
        assert_int_equal(t.count, 16);
        assert_string_equal(t.items[0].name, "wte.weight");
        assert_string_equal(t.items[0].dtype, version == 3 ? "F32" : "BF16");
        assert_int_equal(t.items[0].shape[0], N_VOCAB); // without padding
        assert_ptr_equal(t.items[0].data, bytes + 1024);
        assert_string_equal(t.items[4].name, "h.0.attn.c_attn.weight");
        assert_int_equal(t.items[4].shape[0], N_EMBD);
        assert_int_equal(t.items[4].shape[1], 3 * N_EMBD);
        assert_true(t.items[4].by_columns);
        if (version == 3) { // the data of an output lies side by side
            const int at = (N_PADDED + N_CTX) * N_EMBD + 4;
            const float *w = t.items[4].data;
            for (int in = 0; in < 2; in++)
                for (int out = 0; out < 6; out++)
                    assert_true(w[out * 2 + in] == (float)(at + out * 2 + in));
        }
        assert_string_equal(t.items[15].name, "ln_f.bias");
        assert_ptr_equal(t.items[15].data, bytes + n - t.items[15].n_bytes);
        assert_non_null(strstr(t.config, "\"vocab_size\": 5"));
        tensors_close(&t);
        free(bytes);
    }
}

static void damaged_models_are_refused(void **state) {
    static const struct {
        int field;
        int32_t value;
        const char *word;
    } cases[] = {
        {0, 20240327, "expected a model of llm.c"},
        {1, 1, "version 3"},
        {1, 5, "by its header"},
        {2, 0, "n_ctx"},
        {2, INT32_MAX, "n_ctx"},
        {3, -1, "n_vocab"},
        {3, 129, "at least 129 rows"},
        {4, 0, "n_layer"},
        {4, 4096, "truncated"},
        {4, 5000, "n_layer"},
        {5, 0, "n_head"},
        {6, 1 << 16, "truncated"},
        {6, INT32_MIN, "n_embd"},
        {7, 1 << 24, "truncated"},
        {7, 127, "not of this version"},
    };
    size_t n;
    unsigned char *bytes = model(&n, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char old[4];
        memcpy(old, bytes + 4 * cases[i].field, 4);
        store(bytes + 4 * cases[i].field, cases[i].value);
        expect_refused(bytes, n, cases[i].word);
        memcpy(bytes + 4 * cases[i].field, old, 4);
    }
    for (size_t k = 0; k < n; k += k < 1030 ? 1 : 97)
        expect_refused(bytes, k, k < 4 ? "another thing" : "truncated");
    free(bytes);
}

/* ---- tokenizers ---- */

/* Bytes in order, then these tokens, then <|endoftext|>. */
static unsigned char *tokenizer(size_t *n, const char *const *tokens, int n_tokens) {
    unsigned char *bytes = calloc(1024 + 512 + 256 * (size_t)(n_tokens + 1), 1);
    assert_non_null(bytes);
    const int32_t header[] = {20240328, 2, 257 + n_tokens, 256 + n_tokens};
    for (int i = 0; i < 4; i++)
        store(bytes + 4 * i, header[i]);
    *n = 1024;
    for (int i = 0; i < 256; i++) {
        bytes[(*n)++] = 1;
        bytes[(*n)++] = (unsigned char)i;
    }
    for (int i = 0; i <= n_tokens; i++) {
        const char *token = i < n_tokens ? tokens[i] : "<|endoftext|>";
        bytes[(*n)++] = (unsigned char)strlen(token);
        memcpy(bytes + *n, token, strlen(token));
        *n += strlen(token);
    }
    return bytes;
}

static void merges_follow_from_the_order_of_ids(void **state) {
    static const char *const tokens[] = {" t", "he", " the", "\"\\", "\x7f\xad", "ab", "abab"};
    size_t n;
    struct tokenizer_texts texts = {0};
    unsigned char *bytes = tokenizer(&n, tokens, 7);
    struct gpt2_error err = {0};
    if (!llmc_tokenizer_parse(&texts, bytes, n, "t.bin", &err))
        fail_msg("%s", err.message);
    assert_string_equal(texts.items[TOKENIZER_MERGES].text,
                        "\xc4\xa0 t\nh e\n\xc4\xa0t he\n\" \\\n\xc4\xa1 \xc5\x83\na b\nab ab\n");
    assert_non_null(strstr(texts.items[TOKENIZER_VOCAB].text, "\"\\\"\\\\\":259"));
    assert_non_null(strstr(texts.items[TOKENIZER_VOCAB].text, "\"\xc4\x8a\":10,"));
    assert_string_equal(texts.items[TOKENIZER_ADDED].text, "{\"<|endoftext|>\":263}");
    tokenizer_texts_free(&texts);
    free(bytes);
}

static void other_and_damaged_tokenizers_are_refused(void **state) {
    static const char *const made[] = {"abc"}, *const twice[] = {"ab", "ab"},
                             *const late[] = {"abcd", "ab", "cd"};
    static const struct {
        const char *const *tokens;
        int n_tokens, field;
        int32_t value;
        const char *word;
    } cases[] = {
        {made, 1, 0, 20240328, "order of its merges"},
        {late, 3, 0, 20240328, "order of its merges"},
        {twice, 2, 0, 20240328, "there twice"},
        {made, 1, 0, 0, "expected a tokenizer of llm.c"},
        {made, 1, 1, 3, "version 1 or 2"},
        {made, 1, 2, 256, "found 256"},
        {made, 1, 2, -1, "tokens"},
        {made, 1, 2, 259, "truncated"},
        {made, 1, 3, 258, "<|endoftext|>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        struct tokenizer_texts texts = {0};
        struct gpt2_error err = {0};
        unsigned char *bytes = tokenizer(&n, cases[i].tokens, cases[i].n_tokens);
        store(bytes + 4 * cases[i].field, cases[i].value);
        assert_false(llmc_tokenizer_parse(&texts, bytes, n, "t.bin", &err));
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        if (!strstr(err.message, cases[i].word))
            fail_msg("expected \"%s\" in: %s", cases[i].word, err.message);
        tokenizer_texts_free(&texts);
        free(bytes);
    }
    static const char *const tokens[] = {"ab"};
    size_t n;
    unsigned char *bytes = tokenizer(&n, tokens, 1);
    for (size_t k = 0; k < n; k++) {
        struct tokenizer_texts texts = {0};
        unsigned char *block = malloc(k ? k : 1);
        assert_non_null(block);
        memcpy(block, bytes, k);
        assert_false(llmc_tokenizer_parse(&texts, block, k, "t.bin", NULL));
        tokenizer_texts_free(&texts);
        free(block);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_cut_into_its_tensors),
        cmocka_unit_test(damaged_models_are_refused),
        cmocka_unit_test(merges_follow_from_the_order_of_ids),
        cmocka_unit_test(other_and_damaged_tokenizers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
