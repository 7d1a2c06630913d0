/* test_healing.c - boundaries and allowed tokens against a model that looks through the whole
 * vocabulary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testtext.h"
#include <gpt2/healing.h>

static bool starts(const char *a, size_t n_a, const char *b, size_t n_b) {
    return n_a >= n_b && memcmp(a, b, n_b) == 0;
}

/* The smallest i from which on the prompt's bytes are the proper beginning of an ordinary token. */
static int model_kept(const struct gpt2_tokenizer *t, const int32_t *ids, int n_ids, int min_kept) {
    int kept = n_ids;
    for (int i = n_ids - 1; i >= min_kept && !gpt2_tokenizer_is_special(t, ids[i]); i--) {
        char text[4096];
        size_t len = 0, n;
        for (int k = i; k < n_ids; k++) {
            const char *bytes = gpt2_tokenizer_token(t, ids[k], &n);
            if (len + n > sizeof text)
                return kept;
            memcpy(text + len, bytes, n);
            len += n;
        }
        for (int32_t id = 0; id < gpt2_tokenizer_size(t); id++) {
            const char *bytes = gpt2_tokenizer_token(t, id, &n);
            if (n > len && !gpt2_tokenizer_is_special(t, id) && starts(bytes, n, text, len))
                kept = i;
        }
    }
    return kept;
}

/* Walks to the end by random allowed ids, comparing with the definition at each step. */
static void walk(const struct gpt2_tokenizer *t, struct gpt2_heal *heal, uint64_t *random) {
    int count, at;
    for (const int32_t *allowed; (allowed = gpt2_heal_allowed(heal, &count)) != NULL;) {
        size_t n_rest, n, n_new;
        const char *rest = gpt2_heal_rest(heal, &n_rest);
        at = 0;
        assert_true(count > 0 && n_rest > 0);
        for (int32_t id = 0; id < gpt2_tokenizer_size(t); id++) {
            const char *bytes = gpt2_tokenizer_token(t, id, &n);
            bool expected = n > 0 && !gpt2_tokenizer_is_special(t, id) &&
                            (starts(bytes, n, rest, n_rest) || starts(rest, n_rest, bytes, n));
            bool got = at < count && allowed[at] == id;
            assert_int_equal(got, expected);
            at += got;
        }
        assert_int_equal(at, count);
        int32_t id = allowed[random_below(random, (size_t)count)];
        gpt2_tokenizer_token(t, id, &n);
        assert_true(gpt2_heal_step(heal, id, &n_new, NULL));
        assert_int_equal(n_new, n > n_rest ? n - n_rest : 0);
        size_t left;
        gpt2_heal_rest(heal, &left);
        assert_int_equal(left, n < n_rest ? n_rest - n : 0);
    }
}

static void heal_prompts(const struct gpt2_tokenizer *t, const struct gpt2_healer *healer,
                         uint64_t seed, int n_prompts) {
    static const char *const pieces[] = {"a",    "b", " ", "c",        "ab", "'s",   "\n",
                                         " the", "1", ".", "\xC3\xA9", "th", "\xC3", "Once"};
    for (int p = 0; p < n_prompts; p++) {
        struct text prompt = {0};
        struct gpt2_ids ids = {0};
        for (size_t k = 1 + random_below(&seed, 9); k > 0; k--) {
            const char *piece = pieces[random_below(&seed, 14)];
            text_add(&prompt, piece, strlen(piece));
        }
        assert_true(gpt2_tokenizer_encode(t, prompt.data, prompt.len, 0, &ids, NULL));
        int n = (int)ids.len, min_kept = p % 2;
        struct gpt2_heal *heal = gpt2_heal_begin(healer, ids.data, n, min_kept, NULL);
        int kept = gpt2_heal_kept(heal);
        assert_int_equal(kept, model_kept(t, ids.data, n, min_kept));
        size_t n_rest, all = 0, bytes;
        const char *rest = gpt2_heal_rest(heal, &n_rest);
        for (int i = 0; i < kept; i++, all += bytes)
            gpt2_tokenizer_token(t, ids.data[i], &bytes);
        assert_int_equal(all + n_rest, prompt.len);
        assert_memory_equal(rest, prompt.data + all, n_rest);
        walk(t, heal, &seed);
        gpt2_heal_free(heal);
        gpt2_ids_free(&ids);
        free(prompt.data);
    }
}

static void made_up_vocabularies_are_healed_as_the_model_says(void **state) {
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct gpt2_error err;
        struct vocab *vocab = make_vocab(seed, 150, seed % 2);
        struct gpt2_tokenizer *t = tokenizer_create(vocab, &err);
        assert_non_null(t);
        struct gpt2_healer *healer = gpt2_healer_create(t, NULL);
        heal_prompts(t, healer, seed * 1000, 60);
        gpt2_healer_free(healer);
        gpt2_tokenizer_close(t);
    }
}

/* Encodes, heals, and compares how many bytes are taken off. */
static void expect_rest(const struct gpt2_tokenizer *t, const struct gpt2_healer *healer,
                        const char *prompt, const char *expected, const char *one_allowed) {
    struct gpt2_ids ids = {0};
    assert_true(gpt2_tokenizer_encode(t, prompt, strlen(prompt), GPT2_ENCODE_SPECIAL, &ids, NULL));
    struct gpt2_heal *heal = gpt2_heal_begin(healer, ids.data, (int)ids.len, 0, NULL);
    size_t n;
    const char *rest = gpt2_heal_rest(heal, &n);
    if (n != strlen(expected) || memcmp(rest, expected, n) != 0)
        fail_msg("\"%s\": expected \"%s\" to be taken off, got \"%.*s\"", prompt, expected, (int)n,
                 rest);
    int count;
    const int32_t *allowed = gpt2_heal_allowed(heal, &count);
    bool found = false;
    for (int i = 0; i < count; i++) {
        size_t n_token;
        const char *token = gpt2_tokenizer_token(t, allowed[i], &n_token);
        found |= n_token == strlen(one_allowed) && memcmp(token, one_allowed, n_token) == 0;
    }
    assert_int_equal(found, *one_allowed != 0);
    assert_int_equal(allowed == NULL, n == 0);
    gpt2_heal_free(heal);
    gpt2_ids_free(&ids);
}

static void the_shipped_vocabulary(void **state) {
    if (access("models/tales/vocab.json", F_OK) != 0)
        skip();
    struct gpt2_tokenizer *t = gpt2_tokenizer_open("models/tales", NULL);
    struct gpt2_healer *healer = gpt2_healer_create(t, NULL);
    expect_rest(t, healer, "Once upon a ", " ", " time");
    expect_rest(t, healer, "The old wom", " wom", " woman");
    expect_rest(t, healer, "<|endoftext|>", "", "");
    expect_rest(t, healer, "<|endoftext|> ", " ", " king");
    expect_rest(t, healer, "", "", "");
    heal_prompts(t, healer, 5, 30);
    gpt2_healer_free(healer);
    gpt2_tokenizer_close(t);
}

/* "x" begins "xy", but with no token for "y" it leads nowhere. */
static void beginnings_that_lead_nowhere_are_not_allowed(void **state) {
    struct text tokens = {0}, merges = {0};
    static const char list[] = "{\"x\": 0, \"xy\": 1, \"xyz\": 2, \"a\": 3}";
    text_add(&tokens, list, strlen(list));
    text_add(&merges, "#version: 0.2\n", 14);
    struct gpt2_error err;
    struct vocab *vocab = parse_pair(&tokens, &merges, &err);
    if (!vocab)
        fail_msg("%s", err.message);
    struct gpt2_tokenizer *t = tokenizer_create(vocab, NULL);
    struct gpt2_healer *healer = gpt2_healer_create(t, NULL);
    static const int32_t ids[] = {3, 1};
    struct gpt2_heal *heal = gpt2_heal_begin(healer, ids, 2, 1, NULL);
    int n;
    const int32_t *allowed = gpt2_heal_allowed(heal, &n);
    assert_int_equal(n, 2);
    assert_true(allowed[0] == 1 && allowed[1] == 2);
    size_t n_new;
    assert_false(gpt2_heal_step(heal, 0, &n_new, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_true(gpt2_heal_step(heal, 2, &n_new, NULL));
    assert_int_equal(n_new, 1);
    assert_null(gpt2_heal_allowed(heal, &n));
    assert_false(gpt2_heal_step(heal, 2, &n_new, &err));
    gpt2_heal_free(heal);
    gpt2_healer_free(healer);
    gpt2_tokenizer_close(t);
    free(tokens.data);
    free(merges.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up_vocabularies_are_healed_as_the_model_says),
        cmocka_unit_test(the_shipped_vocabulary),
        cmocka_unit_test(beginnings_that_lead_nowhere_are_not_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
