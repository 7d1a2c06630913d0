/* test_tokenizer_vectors.c - GPT-2's vocabulary gives the published ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "testtokenizer.h"
#include "text/pretokenize.h"

static void gpt2_gives_the_known_ids(void **state) {
    const struct {
        const char *text;
        size_t n;
        const int32_t *ids;
        size_t n_ids;
    } cases[] = {
        {TEXT("hello world"), IDS(31373, 995)},
        {TEXT("Hello, world. Is this-- a test?"),
         IDS(15496, 11, 995, 13, 1148, 428, 438, 257, 1332, 30)},
        {TEXT("0"), IDS(15)},
        {TEXT("00"), IDS(405)},
        {TEXT("000"), IDS(830)},
        {TEXT("0000"), IDS(2388)},
        {TEXT("00000"), IDS(20483)},
        {TEXT("000000"), IDS(10535)},
        {TEXT("0000000"), IDS(24598)},
        {TEXT("00000000"), IDS(8269)},
        {TEXT("000000000"), IDS(10535, 830)},
        {TEXT("0000000000000000"), IDS(25645)},
        {TEXT("00000000000000000"), IDS(8269, 10535, 830)},
        {TEXT("\n"), IDS(198)},
        {TEXT("\n\n"), IDS(628)},
        {TEXT("a\n\nb"), IDS(64, 198, 198, 65)},
        {TEXT("a\n\n\nb"), IDS(64, 628, 198, 65)},
        {TEXT("  a"), IDS(220, 257)},
        {TEXT("   a"), IDS(220, 220, 257)},
        {TEXT("a  "), IDS(64, 220, 220)},
        {TEXT("a \n b"), IDS(64, 220, 198, 275)},
        {TEXT("\t\tx"), IDS(197, 197, 87)},
        {TEXT("\r\n"), IDS(201, 198)},
        {TEXT("a\r\nb"), IDS(64, 201, 198, 65)},
        {TEXT("x\xC2\xA0y"), IDS(87, 1849, 88)},
        {TEXT(" \xC2\xA0y"), IDS(220, 1849, 88)},
        {TEXT("\xE3\x80\x80"
              "a"),
         IDS(5099, 222, 64)},
        {TEXT("I'm you're they'll he'd it's don't we've"),
         IDS(40, 1101, 345, 821, 484, 1183, 339, 1549, 340, 338, 836, 470, 356, 1053)},
        {TEXT("I'M DON'T"), IDS(40, 6, 44, 23917, 6, 51)},
        {TEXT("''s"), IDS(7061, 82)},
        {TEXT(" 's"), IDS(705, 82)},
        {TEXT("'tis"), IDS(470, 271)},
        {TEXT("\xE2\x80\x99s"), IDS(447, 247, 82)},
        {TEXT("abc123def"), IDS(39305, 10163, 4299)},
        {TEXT("10,000.50"), IDS(940, 11, 830, 13, 1120)},
        {TEXT("na\xC3\xAFve caf\xC3\xA9"), IDS(2616, 38776, 40304)},
        {TEXT("nai\xCC\x88ve"), IDS(38600, 136, 230, 303)},
        {TEXT("e\xCC\x81"), IDS(68, 136, 223)},
        {TEXT("\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80"),
         IDS(11976, 117, 11976, 123, 11976, 101, 24231, 235, 11976, 99, 24231, 222)},
        {TEXT("\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x83\x86\xE3\x82\xAD\xE3\x82\xB9\xE3\x83"
              "\x88"),
         IDS(33768, 98, 17312, 105, 45739, 252, 24336, 25084, 43302)},
        {TEXT("\xE8\xAF\xB7\xE8\x80\x83\xE8\xAF\x95\xE6\x88\x91\xE7\x9A\x84\xE8\xBD\xAF\xE4\xBB"
              "\xB6\xEF\xBC\x81"
              "12345"),
         IDS(46237, 115, 32003, 225, 46237, 243, 22755, 239, 21410, 164, 121, 107, 20015, 114, 171,
             120, 223, 10163, 2231)},
        {TEXT("\xF0\x9F\x98\x80"), IDS(47249, 222)},
        {TEXT("\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7"),
         IDS(41840, 101, 447, 235, 41840, 102, 447, 235, 41840, 100)},
        {TEXT("\0"), IDS(188)},
        {TEXT("\xC2\x85"), IDS(126, 227)},
        {TEXT("a\x1C"
              "b"),
         IDS(64, 216, 65)},
        {TEXT("a\xE1\xA0\x8E"
              "b"),
         IDS(64, 157, 254, 236, 65)},
        {TEXT("a\xE2\x80\x8B"
              "b"),
         IDS(64, 9525, 65)},
        {TEXT("\xEF\xBB\xBF"
              "a"),
         IDS(171, 119, 123, 64)},
        {TEXT("def f(x):\n    return x+1\n"),
         IDS(4299, 277, 7, 87, 2599, 198, 220, 220, 220, 1441, 2124, 10, 16, 198)},
        {TEXT("https://example.com/a?b=c&d=e"),
         IDS(5450, 1378, 20688, 13, 785, 14, 64, 30, 65, 28, 66, 5, 67, 28, 68)},
        {TEXT("<|endoftext|>"), IDS(27, 91, 437, 1659, 5239, 91, 29)},
        {TEXT("\xF4\x8F\xBF\xBF"), IDS(176, 237, 123, 123)},
        {TEXT("x\xC2\xB2\xC2\xBD\xE2\x85\xA7"), IDS(87, 31185, 23141, 158, 227, 100)},
        {TEXT("\xD9\xA1\xD9\xA2\xD9\xA3"), IDS(149, 94, 149, 95, 149, 96)},
        {TEXT("\xC2\xAA \xC2\xBA \xC2\xB5"), IDS(126, 103, 1587, 118, 31324)},
    };
    struct gpt2_tokenizer *t = open_data("gpt2");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_ids(t, cases[i].text, cases[i].n, GPT2_ENCODE_TEXT, cases[i].ids, cases[i].n_ids);
    check_ids(t, "", 0, GPT2_ENCODE_TEXT, NULL, 0);
    check_ids(t, TEXT("hello <|endoftext|>"), GPT2_ENCODE_SPECIAL, IDS(31373, 220, 50256));
    check_ids(t, TEXT("<|endoftext|><|endoftext"), GPT2_ENCODE_SPECIAL,
              IDS(50256, 27, 91, 437, 1659, 5239));
    gpt2_tokenizer_close(t);
}

static void gpt2_gives_the_ids_of_the_vector_file(void **state) {
    struct gpt2_tokenizer *t = open_data("gpt2");
    struct os_file file;
    map_data(&file, "vectors/tokenizer.jsonl");
    struct gpt2_error err;
    const char *line = (const char *)file.data, *end = line + file.size;
    int n_lines = 0;
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        struct json *record =
            json_parse(line, (size_t)(stop - line), "tokenizer.jsonl", GPT2_ERR_INPUT, &err);
        if (!record)
            fail_msg("%s", err.message);
        const char *text;
        int32_t ids[4096];
        size_t n = 0;
        assert_true(json_string(json_get(record, "text"), &text));
        for (const struct json *id = json_first(json_get(record, "ids")); id; id = json_next(id)) {
            int64_t value = 0;
            assert_true(n < 4096 && json_integer(id, 0, 50256, &value));
            ids[n++] = (int32_t)value;
        }
        check_ids(t, text, strlen(text), GPT2_ENCODE_TEXT, ids, n);
        json_free(record);
        n_lines++;
        line = stop + 1;
    }
    assert_int_equal(n_lines, 88);
    os_unmap(&file);
    gpt2_tokenizer_close(t);
}

static void tiny_shakespeare_gives_the_published_ids(void **state) {
    struct gpt2_tokenizer *t = open_data("gpt2");
    struct os_file file;
    map_data(&file, "text/tinyshakespeare.txt");
    struct gpt2_ids ids = {0};
    assert_true(
        gpt2_tokenizer_encode(t, (const char *)file.data, file.size, GPT2_ENCODE_TEXT, &ids, NULL));
    assert_int_equal(ids.len, 338025);
    unsigned char *le = malloc(ids.len * 2);
    assert_non_null(le);
    for (size_t i = 0; i < ids.len; i++) {
        le[2 * i] = (unsigned char)ids.data[i];
        le[2 * i + 1] = (unsigned char)(ids.data[i] >> 8);
    }
    char hex[65];
    sha256(hex, le, ids.len * 2);
    assert_string_equal(hex, "25c01b32b32f41897a6359dd222ec114992dc30c357bcafbfe6c56672f76cd31");
    check_round_trip(t, file.data, file.size, GPT2_ENCODE_TEXT);
    free(le);
    gpt2_ids_free(&ids);
    os_unmap(&file);
    gpt2_tokenizer_close(t);
}

static void wikitext_gives_the_published_count(void **state) {
    struct gpt2_tokenizer *t = open_data("gpt2");
    struct os_file file;
    map_data(&file, "text/wikitext-2-raw.hf-joined.txt");
    struct gpt2_ids ids = {0};
    assert_true(
        gpt2_tokenizer_encode(t, (const char *)file.data, file.size, GPT2_ENCODE_TEXT, &ids, NULL));
    assert_int_equal(ids.len, 287644);
    check_round_trip(t, file.data, file.size, GPT2_ENCODE_SPECIAL);
    gpt2_ids_free(&ids);
    os_unmap(&file);
    gpt2_tokenizer_close(t);
}

static void tokenizer_json_gives_what_the_two_files_give(void **state) {
    char path[4096];
    struct os_file file;
    struct gpt2_error err;
    struct gpt2_tokenizer *pair = open_data("gpt2");
    map_data(&file, "gpt2/tokenizer.json");
    if (!data_path(path, sizeof path, "gpt2/tokenizer.json"))
        skip();
    struct vocab_source files[VOCAB_N_FILES] = {{0}};
    files[VOCAB_TOKENIZER] = (struct vocab_source){path, (const char *)file.data, file.size};
    struct vocab *vocab = vocab_parse(files, &err);
    if (!vocab)
        fail_msg("%s", err.message);
    struct gpt2_tokenizer *single = tokenizer_create(vocab, &err);
    assert_non_null(single);
    assert_int_equal(gpt2_tokenizer_size(pair), 50257);
    assert_int_equal(gpt2_tokenizer_size(single), 50257);
    for (int32_t id = 0; id < 50257; id++) {
        size_t n_a, n_b;
        const char *a = gpt2_tokenizer_token(pair, id, &n_a);
        const char *b = gpt2_tokenizer_token(single, id, &n_b);
        assert_int_equal(n_a, n_b);
        assert_memory_equal(a, b, n_a);
        assert_int_equal(gpt2_tokenizer_is_special(pair, id), id == 50256);
        assert_int_equal(gpt2_tokenizer_is_special(single, id), id == 50256);
        assert_int_equal(gpt2_tokenizer_find(pair, a, n_a), id);
        if (id < 50256) { // every token, alone, is encoded as itself
            const unsigned char *text = (const unsigned char *)a;
            if (pretokenize_next(text, n_a, 0) == n_a)
                check_ids(single, a, n_a, GPT2_ENCODE_TEXT, &id, 1);
        }
    }
    os_unmap(&file);
    gpt2_tokenizer_close(single);
    gpt2_tokenizer_close(pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_gives_the_known_ids),
        cmocka_unit_test(gpt2_gives_the_ids_of_the_vector_file),
        cmocka_unit_test(tiny_shakespeare_gives_the_published_ids),
        cmocka_unit_test(wikitext_gives_the_published_count),
        cmocka_unit_test(tokenizer_json_gives_what_the_two_files_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
