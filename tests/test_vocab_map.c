/* test_vocab_map.c - the quick reader of vocab.json takes nothing that the JSON parser would not,
 * and reads the same from it; so does that of tokenizer.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testtext.h"
#include "text/alphabet.h"
#include "text/tokenizer_json.h"

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

/* ---- tokenizer.json ---- */

/* The merges of a tree as lines, NULL where one of them is not two halves. */
static char *lines_of(const struct json *merges) {
    char *text = NULL;
    size_t size = 0;
    bool ok = true;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    for (const struct json *node = json_first(merges); node; node = json_next(node)) {
        const char *whole, *left, *right;
        const struct json *first = json_first(node);
        if (json_kind(node) == JSON_STRING && json_string(node, &whole))
            fprintf(out, "%s\n", whole);
        else if (json_kind(node) == JSON_ARRAY && json_string(first, &left) &&
                 json_string(json_next(first), &right) && !json_next(json_next(first)))
            fprintf(out, "%s %s\n", left, right);
        else
            ok = false;
    }
    assert_int_equal(fclose(out), 0);
    if (ok)
        return text;
    free(text);
    return NULL;
}

/* Checks that the merges are those of the lines, once they are written in the alphabet. */
static void check_pairs(const struct vocab_pairs *merges, const char *lines) {
    const unsigned char *bytes = (const unsigned char *)merges->bytes;
    for (size_t i = 0; i < merges->n; i++) {
        const size_t halves[2] = {merges->pairs[i].n_left, merges->pairs[i].n_right};
        for (int half = 0; half < 2; half++) {
            char shown[2048];
            assert_in_range(halves[half], 1, sizeof shown / 2 - 1);
            size_t n = alphabet_encode(shown, bytes, halves[half]);
            shown[n++] = " \n"[half];
            assert_true(strlen(lines) >= n);
            assert_memory_equal(lines, shown, n);
            lines += n;
            bytes += halves[half];
        }
    }
    assert_string_equal(lines, "");
}

/* Reads the file, at the end of a heap block, and as one tree. True: its bulk was read quickly. */
static bool check_file(const char *text, size_t n) {
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    struct tokenizer_json file = {0};
    struct vocab_map slow = {0};
    struct gpt2_error err = {0}, other = {0};
    struct json *root = json_parse(copy, n, "file", GPT2_ERR_MODEL, &other);
    bool ok = tokenizer_json_read(&file, copy, n, "file", &err), quick = file.quick;
    assert_true(ok == (root != NULL));
    assert_string_equal(err.message, other.message);
    if (quick) {
        const struct json *model = json_get(root, "model");
        char *lines = lines_of(json_get(model, "merges"));
        assert_non_null(lines);
        check_pairs(&file.merges, lines);
        free(lines);
        assert_true(vocab_map_from_json(&slow, json_get(model, "vocab"), &err));
        assert_int_equal(file.vocab.n, slow.n);
        for (size_t i = 0; i < slow.n; i++) {
            assert_int_equal(file.vocab.entries[i].id, slow.entries[i].id);
            assert_string_equal(file.vocab.entries[i].text, slow.entries[i].text);
        }
        vocab_map_free(&slow);
        assert_null(json_first(json_get(json_get(file.root, "model"), "vocab")));
        bool there = json_get(root, "decoder") != NULL;
        assert_true((json_get(file.root, "decoder") != NULL) == there);
    } else {
        assert_null(file.vocab.entries);
        assert_null(file.merges.bytes);
    }
    tokenizer_json_free(&file);
    json_free(root);
    free(copy);
    return quick;
}

static const char *const quick_files[] = {
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}",
    "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\\\"b\":1},"
    "\"merges\":[\"a b\",[\"\xc4\xa0\",\"\\u0120\"] ,\n          [ \"\xc3\xa9\\u0143\" , \"c\" "
    "]]}}",
    " {\"model\" : { \"merges\" : [ \"a \\\\\" ] , \"vocab\" : { \"a\" : 0 } , \"x\":[{}] } , "
    "\"decoder\":{\"vocab\":{\"b\":1},\"merges\":[\"c d\"]}} \n",
    "{\"added_tokens\":[{\"content\":\"\\\"model\\\":{\"}],\"decoder\":{\"vocab\":[]},\"model\":"
    "{\"vocab\":{\"a\":0},\"merges\":[\"# #\"]}}",
};

static const char *const whole_files[] = {
    "",
    "{}",
    "{\"model\":{\"vocab\":{\"a\":0}}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\" a\"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a \"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a b c\"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\\u0020b\"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\\n b\"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"b c\"]]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"\"]]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\",\"b\",\"c\"]]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a b\",]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a \xc4\"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a \xe2\x82\xac\"]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"\\u00ad\",\"a\"]]}}",
    "{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"vocab\":{\"b\":0},\"merges\":[]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]},\"model\":{}}",
    "{\"model\":1,\"decoder\":{\"vocab\":{\"a\":0},\"merges\":[]}}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}",
    "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}}",
    "{\"model\":[{\"vocab\":{\"a\":0},\"merges\":[]}]}",
};

static void the_usual_tokenizer_json_is_read_quickly(void **state) {
    for (size_t i = 0; i < sizeof quick_files / sizeof *quick_files; i++)
        if (!check_file(quick_files[i], strlen(quick_files[i])))
            fail_msg("not read quickly: %s", quick_files[i]);
    for (size_t i = 0; i < sizeof whole_files / sizeof *whole_files; i++)
        if (check_file(whole_files[i], strlen(whole_files[i])))
            fail_msg("read quickly: %s", whole_files[i]);
}

static void variations_of_tokenizer_json_are_read_alike(void **state) {
    uint64_t seed = 7;
    size_t n_quick = 0;
    for (int round = 0; round < 20000; round++) {
        char text[512];
        const char *from =
            quick_files[random_below(&seed, sizeof quick_files / sizeof *quick_files)];
        size_t n = strlen(from);
        memcpy(text, from, n);
        for (size_t k = 1 + random_below(&seed, 2); k > 0; k--) {
            static const char signs[] = "\"\\{}[]:,01u -\xc4\x80";
            size_t at = random_below(&seed, n);
            if (random_below(&seed, 8) == 0)
                n = at + 1; // cut off
            else
                text[at] = signs[random_below(&seed, sizeof signs - 1)];
        }
        n_quick += check_file(text, n);
    }
    assert_in_range(n_quick, 100, 19900);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual_form_is_read_quickly),
        cmocka_unit_test(every_other_form_is_left_to_the_parser),
        cmocka_unit_test(variations_are_read_alike_or_left),
        cmocka_unit_test(the_usual_tokenizer_json_is_read_quickly),
        cmocka_unit_test(variations_of_tokenizer_json_are_read_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
