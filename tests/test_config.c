/* test_config.c - config.json: defaults, aliases, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "model/config.h"
#include "testmodel.h"

/* What config_parse made of a text. */
struct parsed {
    struct gpt2_config config;
    enum config_tie tie;
    struct warnings notes;
    struct gpt2_error err;
};

/* The text goes to a block of exactly its size: it has no NUL at its end in a mapping either. */
static char *copy_of(const char *text, size_t len) {
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static bool parse(struct parsed *p, const char *text) {
    char *copy = copy_of(text, strlen(text));
    *p = (struct parsed){0};
    bool ok = config_parse(&p->config, &p->tie, &p->notes, copy, strlen(text), "c.json", &p->err);
    free(copy);
    return ok;
}

static bool override(struct parsed *p, const char *text) {
    char *copy = copy_of(text, strlen(text));
    bool ok = config_parse_generation(&p->config, &p->notes, copy, strlen(text), "g.json", &p->err);
    free(copy);
    return ok;
}

static struct parsed accept(const char *text) {
    struct parsed p;
    if (!parse(&p, text))
        fail_msg("%s: %s", text, p.err.message);
    return p;
}

static void expect_words(const struct gpt2_error *err, const char *const *words, size_t n) {
    for (size_t i = 0; i < n && words[i]; i++)
        if (!strstr(err->message, words[i]) && !strstr(err->hint, words[i]))
            fail_msg("expected \"%s\" in: %s [%s]", words[i], err->message, err->hint);
}

/* ---- accepted ---- */

static void an_empty_config_is_gpt2_as_published(void **state) {
    struct parsed p = accept("{}");
    assert_int_equal(p.config.n_vocab, 50257);
    assert_int_equal(p.config.n_ctx, 1024);
    assert_int_equal(p.config.n_embd, 768);
    assert_int_equal(p.config.n_layer, 12);
    assert_int_equal(p.config.n_head, 12);
    assert_int_equal(p.config.n_inner, 3072);
    assert_string_equal(p.config.activation, "gelu_new");
    assert_true(p.config.layer_norm_epsilon == 1e-5f);
    assert_true(p.config.scale_attn_weights);
    assert_false(p.config.scale_attn_by_inverse_layer_idx);
    assert_int_equal(p.config.n_eos, 1);
    assert_int_equal(p.config.eos_ids[0], 50256);
    assert_int_equal(p.config.bos_id, 50256);
    assert_int_equal(p.tie, CONFIG_TIE_UNSAID);
    assert_int_equal(p.notes.count, 0);
}

static void the_oldest_config_is_accepted(void **state) { // eight keys, no model_type
    struct parsed p = accept("{\"initializer_range\": 0.02, \"layer_norm_epsilon\": 1e-05,"
                             " \"n_ctx\": 1024, \"n_embd\": 1024, \"n_head\": 16, \"n_layer\": 24,"
                             " \"n_positions\": 1024, \"vocab_size\": 50257}");
    assert_int_equal(p.config.n_embd, 1024);
    assert_int_equal(p.config.n_inner, 4096);
    assert_int_equal(p.config.n_layer, 24);
    assert_int_equal(p.config.n_head, 16);
    assert_int_equal(p.notes.count, 0);
}

static void a_config_of_cerebras_is_accepted(void **state) { // no n_ctx, no ids
    struct parsed p = accept(
        "{\"model_type\": \"gpt2\", \"attn_pdrop\": 0.0, \"scale_attn_weights\": true,"
        " \"resid_pdrop\": 0.0, \"n_inner\": 10240, \"n_embd\": 2560, \"layer_norm_epsilon\":"
        " 1e-05, \"n_positions\": 2048, \"activation_function\": \"gelu\", \"n_head\": 32,"
        " \"n_layer\": 32, \"tie_word_embeddings\": true, \"vocab_size\": 50257, \"embd_pdrop\":"
        " 0.0}");
    assert_int_equal(p.config.n_ctx, 2048);
    assert_int_equal(p.config.n_embd, 2560);
    assert_int_equal(p.config.n_inner, 10240);
    assert_string_equal(p.config.activation, "gelu");
    assert_int_equal(p.config.eos_ids[0], 50256);
    assert_int_equal(p.tie, CONFIG_TIE_TRUE);
    assert_int_equal(p.notes.count, 0);
}

static void aliases_mean_the_same(void **state) {
    struct parsed p =
        accept("{\"hidden_size\": 64, \"num_hidden_layers\": 3, \"num_attention_heads\": 4,"
               " \"max_position_embeddings\": 99, \"vocab_size\": 7}");
    assert_int_equal(p.config.n_embd, 64);
    assert_int_equal(p.config.n_layer, 3);
    assert_int_equal(p.config.n_head, 4);
    assert_int_equal(p.config.n_ctx, 99);
    assert_int_equal(p.config.n_inner, 256);
    accept("{\"hidden_size\": 64, \"n_embd\": 64, \"n_head\": 2}");
}

static void every_key_that_changes_the_arithmetic_is_read(void **state) {
    struct parsed p =
        accept("{\"n_inner\": 100, \"activation_function\": \"relu\", \"layer_norm_epsilon\": 0.25,"
               " \"scale_attn_weights\": false, \"scale_attn_by_inverse_layer_idx\": true,"
               " \"reorder_and_upcast_attn\": true, \"tie_word_embeddings\": false,"
               " \"add_cross_attention\": false, \"quantization_config\": null}");
    assert_int_equal(p.config.n_inner, 100);
    assert_string_equal(p.config.activation, "relu");
    assert_true(p.config.layer_norm_epsilon == 0.25f);
    assert_false(p.config.scale_attn_weights);
    assert_true(p.config.scale_attn_by_inverse_layer_idx);
    assert_int_equal(p.tie, CONFIG_TIE_FALSE);
    assert_int_equal(accept("{\"n_inner\": null}").config.n_inner, 3072);
}

static void every_activation_of_the_kernels_is_accepted(void **state) {
    for (const struct activation *a = kernels_variant(0)->activations; a->name; a++) {
        char text[100];
        snprintf(text, sizeof text, "{\"activation_function\": \"%s\"}", a->name);
        struct parsed p = accept(text);
        assert_string_equal(p.config.activation, a->name);
        assert_true(kernels_activation(kernels_variant(0), p.config.activation) != NULL);
    }
}

static void n_positions_wins_over_n_ctx_with_a_note(void **state) {
    struct parsed p = accept("{\"n_ctx\": 512, \"n_positions\": 1024}");
    assert_int_equal(p.config.n_ctx, 1024);
    assert_int_equal(p.notes.count, 1);
    assert_non_null(strstr(p.notes.items[0], "512"));
    warnings_free(&p.notes);
    p = accept("{\"n_ctx\": 512}"); // the only word on it
    assert_int_equal(p.config.n_ctx, 512);
    assert_int_equal(p.notes.count, 0);
}

static void numbers_may_be_written_as_json_allows(void **state) {
    assert_int_equal(accept("{\"n_layer\": 2.0}").config.n_layer, 2);
    assert_int_equal(accept("{\"n_layer\": 1e1}").config.n_layer, 10);
}

/* ---- the ids of special tokens ---- */

static void end_tokens_may_be_one_several_or_none(void **state) {
    struct parsed p = accept("{\"eos_token_id\": 5, \"bos_token_id\": 0}");
    assert_int_equal(p.config.n_eos, 1);
    assert_int_equal(p.config.eos_ids[0], 5);
    assert_int_equal(p.config.bos_id, 0);
    p = accept("{\"eos_token_id\": [7, 3, 7], \"bos_token_id\": null}");
    assert_int_equal(p.config.n_eos, 2); // in their order, each once
    assert_int_equal(p.config.eos_ids[0], 7);
    assert_int_equal(p.config.eos_ids[1], 3);
    assert_int_equal(p.config.bos_id, -1);
    assert_int_equal(accept("{\"eos_token_id\": null}").config.n_eos, 0);
    assert_int_equal(accept("{\"eos_token_id\": []}").config.n_eos, 0);
    assert_int_equal(accept("{\"eos_token_id\": [1,2,3,4,5,6,7,8]}").config.n_eos, 8);
}

static void the_default_end_token_needs_a_vocabulary_that_has_it(void **state) {
    struct parsed p = accept("{\"vocab_size\": 50256}");
    assert_int_equal(p.config.n_eos, 0);
    assert_int_equal(p.config.bos_id, -1);
    p = accept("{\"vocab_size\": 50257}");
    assert_int_equal(p.config.n_eos, 1);
    assert_int_equal(p.config.bos_id, 50256);
}

static void ids_outside_the_vocabulary_are_dropped_with_a_note(void **state) {
    struct parsed p = accept("{\"vocab_size\": 10, \"eos_token_id\": [10, 9, -1],"
                             " \"bos_token_id\": 10}");
    assert_int_equal(p.config.n_eos, 1);
    assert_int_equal(p.config.eos_ids[0], 9);
    assert_int_equal(p.config.bos_id, -1);
    assert_int_equal(p.notes.count, 3);
    assert_non_null(strstr(p.notes.items[0], "\"eos_token_id\" 10 "));
    warnings_free(&p.notes);
}

static void generation_config_overrides_what_it_mentions(void **state) {
    struct parsed p = accept("{\"eos_token_id\": 5, \"bos_token_id\": 6}");
    assert_true(override(&p, "{\"_from_model_config\": true}"));
    assert_int_equal(p.config.eos_ids[0], 5);
    assert_true(override(&p, "{\"eos_token_id\": [8, 9]}"));
    assert_int_equal(p.config.n_eos, 2);
    assert_int_equal(p.config.eos_ids[0], 8);
    assert_int_equal(p.config.bos_id, 6);
    assert_true(override(&p, "{\"eos_token_id\": null, \"bos_token_id\": 1}"));
    assert_int_equal(p.config.n_eos, 0);
    assert_int_equal(p.config.bos_id, 1);
    assert_false(override(&p, "{\"eos_token_id\": \"x\"}"));
    expect_words(&p.err, (const char *[]){"g.json", "\"eos_token_id\"", "\"x\""}, 3);
    assert_false(override(&p, "{"));
    expect_words(&p.err, (const char *[]){"g.json", "JSON"}, 2);
}

static void generation_config_recommends_how_to_draw(void **state) {
    struct parsed p = accept("{\"temperature\": 0.5, \"top_k\": 7}"); // not of this file
    assert_int_equal(p.config.generation.top_k, GPT2_UNSAID);
    assert_true(isnan(p.config.generation.temperature));
    assert_true(override(&p, "{\"do_sample\": true, \"temperature\": 0.75, \"top_k\": 0,"
                             " \"top_p\": 0.5, \"min_p\": 0.25, \"typical_p\": null,"
                             " \"repetition_penalty\": 1.5, \"no_repeat_ngram_size\": 3,"
                             " \"max_new_tokens\": 99, \"eos_token_id\": 8}"));
    const struct gpt2_generation_config *g = &p.config.generation;
    assert_int_equal(p.config.eos_ids[0], 8);
    assert_int_equal(g->do_sample, 1);
    assert_true(g->temperature == 0.75F && g->top_p == 0.5F && g->min_p == 0.25F);
    assert_true(isnan(g->typical_p) && g->repetition_penalty == 1.5F);
    assert_int_equal(g->top_k, 0);
    assert_int_equal(g->repeat_last_n, -1); // Hugging Face's penalty is about all tokens
    assert_int_equal(g->no_repeat_ngram_size, 3);
    assert_int_equal(g->max_new_tokens, 99);
    // what is printed is read again
    char *text = config_print(&p.config, true, &p.err);
    assert_non_null(text);
    struct parsed again = accept(text);
    free(text);
    assert_memory_equal(&again.config.generation, g, sizeof *g);
    // the window of a file that has our key; and a second file takes the first one's place
    assert_true(override(&p, "{\"repetition_penalty\": 2, \"repeat_last_n\": 64}"));
    assert_int_equal(g->repeat_last_n, 64);
    assert_int_equal(g->do_sample, GPT2_UNSAID);
    assert_true(isnan(g->temperature));
}

static void a_recommendation_out_of_range_is_not_used_and_noted(void **state) {
    static const char *const bad[][2] = {
        {"{\"temperature\": -1}", "\"temperature\": expected a number from 0 to 1000000"},
        {"{\"temperature\": \"hot\"}", "\"temperature\""},
        {"{\"top_k\": 1.5}", "\"top_k\": expected an integer from 0"},
        {"{\"top_k\": -1}", "\"top_k\""},
        {"{\"top_p\": 1.01}", "\"top_p\": expected a number from 0 to 1:"},
        {"{\"min_p\": [0]}", "\"min_p\""},
        {"{\"typical_p\": 2}", "\"typical_p\""},
        {"{\"repetition_penalty\": 0}", "\"repetition_penalty\""},
        {"{\"no_repeat_ngram_size\": -1}", "\"no_repeat_ngram_size\""},
        {"{\"max_new_tokens\": 0}", "\"max_new_tokens\""},
        {"{\"do_sample\": 1}", "\"do_sample\": expected true or false"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct parsed p = accept("{}");
        const struct gpt2_generation_config unsaid = p.config.generation;
        assert_true(override(&p, bad[i][0]));
        assert_memory_equal(&p.config.generation, &unsaid, sizeof unsaid);
        assert_int_equal(p.notes.count, 1);
        assert_non_null(strstr(p.notes.items[0], bad[i][1]));
        assert_non_null(strstr(p.notes.items[0], "not used"));
        warnings_free(&p.notes);
    }
}

/* ---- refused ---- */

static void bad_values_are_refused_with_key_expectation_and_fact(void **state) {
    static const struct {
        const char *text;
        const char *words[5];
    } cases[] = {
        // not an object
        {"", {"empty"}},
        {"{", {"JSON"}},
        {"[]", {"a JSON object", "an array"}},
        {"{\"n_embd\": NaN}", {"n_embd", "found NaN"}},
        {"{\"n_head\": 12, \"n_head\": 8}", {"\"n_head\"", "twice"}},
        {"{\"x\\u001b[2J\": 1, \"x\\u001b[2J\": 1}", {"\\x1B[2J", "twice"}},
        // other models
        {"{\"model_type\": \"openai-gpt\"}", {"model_type", "\"gpt2\"", "\"openai-gpt\""}},
        {"{\"model_type\": \"GPT2\"}", {"model_type", "\"GPT2\""}},
        {"{\"model_type\": null}", {"model_type", "null"}},
        {"{\"add_cross_attention\": true}", {"add_cross_attention", "encoder-decoder"}},
        {"{\"quantization_config\": {\"quant_method\": \"gptq\"}}",
         {"quantization_config", "gptq", "F16"}},
        {"{\"quantization_config\": {}}", {"quantization_config"}},
        // integers
        {"{\"n_head\": \"12\"}",
         {"c.json: \"n_head\": expected an integer from 1 to 65536, found \"12\""}},
        {"{\"n_head\": 0}", {"\"n_head\"", "from 1", "found 0"}},
        {"{\"n_head\": -12}", {"\"n_head\"", "found -12"}},
        {"{\"n_head\": 1.5}", {"\"n_head\"", "an integer", "found 1.5"}},
        {"{\"n_head\": 1e300}", {"\"n_head\"", "found 1e+300"}},
        {"{\"n_head\": null}", {"\"n_head\"", "null"}},
        {"{\"n_head\": true}", {"\"n_head\"", "true"}},
        {"{\"n_head\": []}", {"\"n_head\"", "an array"}},
        {"{\"n_embd\": 65537}", {"\"n_embd\"", "65536", "65537"}},
        {"{\"hidden_size\": 0}", {"\"hidden_size\"", "found 0"}},
        {"{\"n_layer\": 4097}", {"\"n_layer\"", "4096", "4097"}},
        {"{\"n_layer\": 2147483648}", {"\"n_layer\"", "2147483648"}},
        {"{\"n_positions\": 1048577}", {"\"n_positions\"", "1048576"}},
        {"{\"n_ctx\": {}}", {"\"n_ctx\"", "an object"}},
        {"{\"vocab_size\": 16777217}", {"\"vocab_size\"", "16777216"}},
        {"{\"n_inner\": 0}", {"\"n_inner\"", "found 0"}},
        {"{\"n_inner\": 1048577}", {"\"n_inner\"", "1048576"}},
        {"{\"n_embd\": 768, \"n_head\": 7}", {"\"n_head\"", "divide", "7 and 768"}},
        {"{\"n_embd\": 64, \"hidden_size\": 32, \"n_head\": 1}",
         {"\"n_embd\"", "\"hidden_size\"", "64 and 32"}},
        // the rest
        {"{\"layer_norm_epsilon\": 0}", {"\"layer_norm_epsilon\"", "above 0", "found 0"}},
        {"{\"layer_norm_epsilon\": -1e-5}", {"\"layer_norm_epsilon\"", "-1e-05"}},
        {"{\"layer_norm_epsilon\": 1e-60}", {"\"layer_norm_epsilon\"", "1e-60"}}, // 0 as a float
        {"{\"layer_norm_epsilon\": 1e60}", {"\"layer_norm_epsilon\"", "1e+60"}},
        {"{\"layer_norm_epsilon\": \"1e-5\"}", {"\"layer_norm_epsilon\"", "\"1e-5\""}},
        {"{\"activation_function\": \"gelu_nwe\"}",
         {"activation_function", "gelu_nwe", "gelu_new", "relu"}},
        {"{\"activation_function\": 1}", {"activation_function", "a string", "found 1"}},
        {"{\"scale_attn_weights\": 1}", {"scale_attn_weights", "true or false", "found 1"}},
        {"{\"scale_attn_by_inverse_layer_idx\": \"no\"}", {"inverse_layer", "\"no\""}},
        {"{\"tie_word_embeddings\": null}", {"tie_word_embeddings", "null"}},
        {"{\"eos_token_id\": \"</s>\"}", {"eos_token_id", "\"</s>\""}},
        {"{\"eos_token_id\": [1, null]}", {"eos_token_id", "null"}},
        {"{\"eos_token_id\": 1.5}", {"eos_token_id", "1.5"}},
        {"{\"eos_token_id\": [1,2,3,4,5,6,7,8,9]}", {"eos_token_id", "at most 8"}},
        {"{\"bos_token_id\": [1]}", {"bos_token_id", "an array"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p;
        if (parse(&p, cases[i].text))
            fail_msg("accepted: %s", cases[i].text);
        assert_int_equal(p.err.status, GPT2_ERR_MODEL);
        expect_words(&p.err, (const char *[]){"c.json"}, 1);
        expect_words(&p.err, cases[i].words, 5);
        warnings_free(&p.notes);
    }
}

static void the_size_of_the_file_is_bounded(void **state) {
    const size_t n = 1000001;
    char *text = copy_of("", 0);
    text = realloc(text, n + 1);
    assert_non_null(text);
    memset(text, ' ', n);
    text[n] = 0;
    memcpy(text, "{}", 2);
    struct parsed p;
    assert_false(parse(&p, text));
    expect_words(&p.err, (const char *[]){"1000000", "1000001"}, 2);
    text[n - 1] = 0;
    assert_true(parse(&p, text));
    free(text);
}

static void the_number_of_keys_is_bounded(void **state) {
    for (int n = 1000; n <= 1001; n++) {
        char *text = malloc((size_t)n * 16);
        assert_non_null(text);
        size_t at = 0;
        for (int i = 0; i < n; i++)
            at += (size_t)sprintf(text + at, "%c\"k%d\":0", i ? ',' : '{', i);
        strcpy(text + at, "}");
        struct parsed p;
        assert_int_equal(parse(&p, text), n == 1000);
        if (n > 1000)
            expect_words(&p.err, (const char *[]){"at most 1000 keys"}, 1);
        free(text);
    }
}

/* ---- files ---- */

static void both_files_are_read_and_the_second_may_be_absent(void **state) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH], generation[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "config.json");
    testmodel_path(generation, dir, "generation_config.json");
    struct parsed p = {0};
    assert_false(config_open(&p.config, &p.tie, &p.notes, path, generation, &p.err));
    expect_words(&p.err, (const char *[]){path, "No such file"}, 2);
    testmodel_write_config(dir, &(struct testmodel_options){.config = "\"eos_token_id\": 3"});
    assert_true(config_open(&p.config, &p.tie, &p.notes, path, generation, &p.err));
    assert_int_equal(p.config.n_vocab, 61);
    assert_int_equal(p.config.eos_ids[0], 3);
    testmodel_write_file(dir, "generation_config.json", "{\"eos_token_id\": 4}", 19);
    assert_true(config_open(&p.config, &p.tie, &p.notes, path, generation, &p.err));
    assert_int_equal(p.config.eos_ids[0], 4);
    testmodel_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_config_is_gpt2_as_published),
        cmocka_unit_test(the_oldest_config_is_accepted),
        cmocka_unit_test(a_config_of_cerebras_is_accepted),
        cmocka_unit_test(aliases_mean_the_same),
        cmocka_unit_test(every_key_that_changes_the_arithmetic_is_read),
        cmocka_unit_test(every_activation_of_the_kernels_is_accepted),
        cmocka_unit_test(n_positions_wins_over_n_ctx_with_a_note),
        cmocka_unit_test(numbers_may_be_written_as_json_allows),
        cmocka_unit_test(end_tokens_may_be_one_several_or_none),
        cmocka_unit_test(the_default_end_token_needs_a_vocabulary_that_has_it),
        cmocka_unit_test(ids_outside_the_vocabulary_are_dropped_with_a_note),
        cmocka_unit_test(generation_config_overrides_what_it_mentions),
        cmocka_unit_test(generation_config_recommends_how_to_draw),
        cmocka_unit_test(a_recommendation_out_of_range_is_not_used_and_noted),
        cmocka_unit_test(bad_values_are_refused_with_key_expectation_and_fact),
        cmocka_unit_test(the_size_of_the_file_is_bounded),
        cmocka_unit_test(the_number_of_keys_is_bounded),
        cmocka_unit_test(both_files_are_read_and_the_second_may_be_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
