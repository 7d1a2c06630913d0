/* test_vocab_map.c - the quick reader of vocab.json takes nothing that the JSON parser would not,
 * and reads the same from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testtext.h"
#include "text/vocab_map.h"

/* Reads text[0..n), at the end of a heap block, both ways. True: the quick reader took it. */
static bool check_agrees(const char *text, size_t n) {
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    struct vocab_map quick, slow = {0};
    bool taken = vocab_map_read(&quick, copy, n);
    if (taken) {
        struct gpt2_error err;
        struct json *root = json_parse(copy, n, "map", GPT2_ERR_MODEL, &err);
        if (!root)
            fail_msg("\"%.*s\": %s", (int)n, text, err.message);
        assert_int_equal(json_kind(root), JSON_OBJECT);
        assert_true(vocab_map_from_json(&slow, root, &err));
        assert_int_equal(quick.n, slow.n);
        for (size_t i = 0; i < quick.n; i++) {
            assert_int_equal(quick.entries[i].id, slow.entries[i].id);
            assert_int_equal(quick.entries[i].len, slow.entries[i].len);
            assert_string_equal(quick.entries[i].text, slow.entries[i].text);
        }
        vocab_map_free(&slow);
        json_free(root);
    } else {
        assert_null(quick.entries);
        assert_null(quick.storage);
    }
    vocab_map_free(&quick);
    free(copy);
    return taken;
}

static const char *const usual[] = {
    "{\"a\":0}",
    " \t\r\n{ \"!\" : 0 , \"\\\"\": 1,\"\\\\\":2 ,\n\"\\u0120the\": 9999999}\n",
    "{\"\":7,\"\":7}",
    "{\"\\/\\b\\f\\n\\r\\t\":10,\"\\u007f\\u0080\\u07FF\\u0800\\uffff\":3}",
    "{\"\xc4\xa0\xe2\x82\xac\xf0\x9f\x98\x80\": 12}",
    "{\"a:b,c}\": 1, \"{\": 2}",
};

static const char *const others[] = {
    "",
    "{}",
    "[]",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{\"a\":1}}",
    "{\"a\":1}x",
    "{\"a\":01}",
    "{\"a\":-1}",
    "{\"a\":1.0}",
    "{\"a\":1e0}",
    "{\"a\":10000000}",
    "{\"a\":99999999999999999999}",
    "{\"a\":\"1\"}",
    "{\"a\":null}",
    "{\"a\":{\"b\":1}}",
    "{\"a\\u0000\":1}",
    "{\"\\ud83d\\ude00\":1}",
    "{\"\\udc00\":1}",
    "{\"\\u12g4\":1}",
    "{\"\\u12",
    "{\"\\x\":1}",
    "{\"\\",
    "{\"a\nb\":1}",
    "{\"\x80\":1}",
    "{\"\xed\xa0\x80\":1}",
    "{\"\xc4",
    "{a:1}",
    "{:,:,:}",
    "\xef\xbb\xbf{\"a\":1}",
};

static void the_usual_form_is_read_quickly(void **state) {
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (!check_agrees(usual[i], strlen(usual[i])))
            fail_msg("not taken: %s", usual[i]);
}

static void every_other_form_is_left_to_the_parser(void **state) {
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (check_agrees(others[i], strlen(others[i])))
            fail_msg("taken: %s", others[i]);
    assert_false(check_agrees("{\"a\0b\":1}", 9));
}

static void variations_are_read_alike_or_left(void **state) {
    uint64_t seed = 1;
    size_t n_taken = 0;
    for (int round = 0; round < 20000; round++) {
        char text[128];
        const char *from = usual[random_below(&seed, sizeof usual / sizeof *usual)];
        size_t n = strlen(from);
        memcpy(text, from, n);
        for (size_t k = 1 + random_below(&seed, 2); k > 0; k--) {
            static const char signs[] = "\"\\{}:,0129u -\xc4\x80";
            size_t at = random_below(&seed, n);
            if (random_below(&seed, 4) == 0)
                n = at + 1; // cut off
            else
                text[at] = signs[random_below(&seed, sizeof signs)]; // or NUL
        }
        n_taken += check_agrees(text, n);
    }
    assert_in_range(n_taken, 100, 19900);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual_form_is_read_quickly),
        cmocka_unit_test(every_other_form_is_left_to_the_parser),
        cmocka_unit_test(variations_are_read_alike_or_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
