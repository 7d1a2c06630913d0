/* test_stops.c - stop strings against a model that searches the whole text anew, ends of sentences,
 * lines and paragraphs by hand, and every text cut into tokens in many ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include <gpt2/stops.h>
#include <gpt2/tokenizer.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 512 };

static uint32_t random_word(uint32_t a, uint32_t b) {
    uint32_t out[4];
    rng_philox(out, (uint32_t[4]){a, b, 0, 0}, (uint32_t[2]){3, 4});
    return out[0] >> 4;
}

struct result {
    char text[MOST];
    size_t len;
    int stop;
};

/* Feeds the text in random pieces of 0 to `longest` bytes; 0: all at once. Whatever is shown before
 * the end must be whole characters. */
static struct result feed(struct gpt2_stop_stream *stream, const char *text, size_t n,
                          uint32_t longest, uint32_t seed) {
    struct result r = {.stop = GPT2_STOP_NONE};
    struct gpt2_shown shown;
    gpt2_stop_stream_clear(stream);
    for (size_t at = 0; at < n && r.stop == GPT2_STOP_NONE;) {
        size_t piece =
            longest ? random_word(seed, (uint32_t)at + (uint32_t)r.len * 7919) % (longest + 1) : n;
        piece = piece > n - at ? n - at : piece;
        piece += piece == 0 && random_word(seed, 9 + (uint32_t)at) % 2;
        char *copy = malloc(piece + 1); // so that reading beyond it is seen
        memcpy(copy, text + at, piece);
        assert_true(gpt2_stop_stream_push(stream, copy, piece, &shown, NULL));
        free(copy);
        memcpy(r.text + r.len, shown.bytes, shown.n_bytes);
        r.len += shown.n_bytes;
        r.stop = shown.stop;
        at += piece;
        seed++;
    }
    if (r.stop == GPT2_STOP_NONE) {
        gpt2_stop_stream_end(stream, &shown);
        memcpy(r.text + r.len, shown.bytes, shown.n_bytes);
        r.len += shown.n_bytes;
    }
    struct gpt2_shown after;
    assert_true(
        gpt2_stop_stream_push(stream, "more", r.stop == GPT2_STOP_NONE ? 0 : 4, &after, NULL));
    assert_int_equal(after.n_bytes, 0);
    assert_int_equal(after.stop, r.stop);
    return r;
}

static struct gpt2_stops *compile(const struct gpt2_stops_options *options) {
    struct gpt2_error err;
    struct gpt2_stops *stops = gpt2_stops_create(options, &err);
    if (!stops)
        fail_msg("%s", err.message);
    return stops;
}

/* ---- stop strings ---- */

/* The definition: the first byte that completes a stop, the longest of those, the first of equals.
 */
static int model(const struct gpt2_stop *stops, int n_stops, const char *text, size_t n,
                 size_t *begin, size_t *end) {
    for (*end = 1; *end <= n; ++*end) {
        int best = -1;
        for (int i = 0; i < n_stops; i++) {
            size_t len = stops[i].n_bytes;
            if (len <= *end && memcmp(text + *end - len, stops[i].bytes, len) == 0 &&
                (best < 0 || len > stops[best].n_bytes))
                best = i;
        }
        if (best >= 0) {
            *begin = *end - stops[best].n_bytes;
            return best;
        }
    }
    *begin = *end = n;
    return GPT2_STOP_NONE;
}

/* Appends characters of few kinds, so that stops and their beginnings are met all the time. */
static size_t random_text(char *text, size_t cap, uint32_t seed, size_t n_chars) {
    static const char *const chars[] = {"a", "b", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    size_t n = 0;
    for (uint32_t i = 0; i < n_chars && n + 4 < cap; i++) {
        const char *c = chars[random_word(seed, i) % 23 / 5];
        memcpy(text + n, c, strlen(c));
        n += strlen(c);
    }
    return n;
}

static void stop_strings_end_the_text_where_the_model_says(void **state) {
    for (uint32_t c = 0; c < 1500; c++) {
        char strings[6][40], text[MOST];
        struct gpt2_stop list[6];
        int n = (int)(random_word(c, 1) % 7);
        for (int i = 0; i < n; i++)
            list[i] = (struct gpt2_stop){strings[i],
                                         random_text(strings[i], 40, c * 10 + (uint32_t)i + 70000,
                                                     1 + random_word(c, 10 + (uint32_t)i) % 5)};
        size_t n_text = random_text(text, 200, c + 900000, 30), begin, end;
        bool include = c % 3 == 0;
        struct gpt2_stops *stops = compile(
            &(struct gpt2_stops_options){.strings = list, .n_strings = n, .include = include});
        struct gpt2_stop_stream *stream = gpt2_stop_stream_create(stops, NULL);
        int stop = model(list, n, text, n_text, &begin, &end);
        for (uint32_t longest = 0; longest < 6; longest++) {
            struct result r = feed(stream, text, n_text, longest, c);
            assert_int_equal(r.stop, stop);
            assert_int_equal(r.len, include ? end : begin);
            assert_memory_equal(r.text, text, r.len);
        }
        gpt2_stop_stream_free(stream);
        gpt2_stops_free(stops);
    }
}

/* No more is held back than must be: the longest end of the text that begins a stop, and the
 * beginning of a character. */
static void no_more_is_held_back_than_must_be(void **state) {
    static const struct gpt2_stop list[] = {{"abab\xC3\xA4", 6},
                                            {"bb", 2},
                                            {"\xE2\x82\xAC\xE2\x82\xAC"
                                             "a",
                                             7}};
    struct gpt2_stops *stops =
        compile(&(struct gpt2_stops_options){.strings = list, .n_strings = 3});
    struct gpt2_stop_stream *stream = gpt2_stop_stream_create(stops, NULL);
    for (uint32_t c = 0; c < 300; c++) {
        char text[MOST];
        size_t n = random_text(text, 200, c + 5000, 25), begin, end, total = 0;
        gpt2_stop_stream_clear(stream);
        model(list, 3, text, n, &begin, &end);
        for (size_t at = 1; at < end; at++) {
            struct gpt2_shown shown;
            assert_true(gpt2_stop_stream_push(stream, text + at - 1, 1, &shown, NULL));
            total += shown.n_bytes;
            size_t hold = 0;
            for (int i = 0; i < 3; i++)
                for (size_t len = 1; len < list[i].n_bytes && len <= at; len++)
                    if (memcmp(text + at - len, list[i].bytes, len) == 0 && len > hold)
                        hold = len;
            assert_int_equal(total, gpt2_utf8_whole(text, at - hold));
        }
    }
    gpt2_stop_stream_free(stream);
    gpt2_stops_free(stops);
}

static void expect(const struct gpt2_stops_options *options, const char *text, const char *expected,
                   int stop) {
    struct gpt2_stops *stops = compile(options);
    struct gpt2_stop_stream *stream = gpt2_stop_stream_create(stops, NULL);
    for (uint32_t longest = 0; longest < 8; longest++) {
        struct result r = feed(stream, text, strlen(text), longest, longest * 31);
        if (r.stop != stop || r.len != strlen(expected) || memcmp(r.text, expected, r.len) != 0)
            fail_msg("\"%s\": expected \"%s\" (%d), got \"%.*s\" (%d)", text, expected, stop,
                     (int)r.len, r.text, r.stop);
    }
    gpt2_stop_stream_free(stream);
    gpt2_stops_free(stops);
}

static void expect_stop(const char *stop, const char *text, const char *excluded,
                        const char *included) {
    struct gpt2_stop string = {stop, strlen(stop)};
    struct gpt2_stops_options options = {.strings = &string, .n_strings = 1};
    expect(&options, text, excluded, 0);
    options.include = true;
    expect(&options, text, included, 0);
}

static void stops_by_hand(void **state) {
    expect_stop("\n\n", "one\ntwo\n\nthree", "one\ntwo", "one\ntwo\n\n");
    expect_stop("aab", "aaaab.", "aa", "aaaab"); // found after a false start
    expect_stop("User:", "Us User Userr: User: hi", "Us User Userr: ", "Us User Userr: User:");
    expect_stop("x", "x", "", "x");
    expect_stop("\xA9", "\xC3\xA9t\xC3\xA9", "",
                "\xC3\xA9");                    // a stop inside a character takes it along
    expect_stop("\xA9", "\xE3\xA9,", "", "");   // whether the rest of it had come or not
    expect_stop("\xC3", "t\xC3\xA9", "t", "t"); // and one that ends there is left out
    expect_stop("b",
                "a\xC3"
                "b",
                "a\xC3",
                "a\xC3"
                "b"); // but what is no character passes
    // "ab" is complete first, though "abc" begins where it does; of "ab" and "b" the longer
    const struct gpt2_stop three[] = {{"abc", 3}, {"b", 1}, {"ab", 2}, {"ab", 2}};
    expect(&(struct gpt2_stops_options){.strings = three, .n_strings = 4}, "xabc", "x", 2);
    // with none at all only unfinished characters wait, and come at the end
    expect(&(struct gpt2_stops_options){0}, "a\xE2\x82\xAC b\xE2\x82", "a\xE2\x82\xAC b\xE2\x82",
           GPT2_STOP_NONE);
    expect(&(struct gpt2_stops_options){0}, "", "", GPT2_STOP_NONE);
}

static void a_nul_is_a_byte_like_others(void **state) {
    static const struct gpt2_stop zero = {"\0z", 2};
    struct gpt2_stops *stops =
        compile(&(struct gpt2_stops_options){.strings = &zero, .n_strings = 1});
    struct gpt2_stop_stream *stream = gpt2_stop_stream_create(stops, NULL);
    struct result r = feed(stream, "a\0b\0z", 5, 2, 1);
    assert_int_equal(r.stop, 0);
    assert_int_equal(r.len, 3);
    assert_memory_equal(r.text, "a\0b", 3);
    gpt2_stop_stream_free(stream);
    gpt2_stops_free(stops);
}

static void thousands_of_stops_work(void **state) {
    enum { MANY = 3000 };
    static char strings[MANY][8];
    static struct gpt2_stop list[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        for (uint32_t k = 0; k < 6; k++)
            strings[i][k] = (char)(random_word(i, k) % 256);
        list[i] = (struct gpt2_stop){strings[i], 6};
    }
    struct gpt2_stops *stops =
        compile(&(struct gpt2_stops_options){.strings = list, .n_strings = MANY});
    struct gpt2_stop_stream *stream = gpt2_stop_stream_create(stops, NULL);
    for (int i = 0; i < MANY; i += 97) {
        size_t begin, end;
        int stop = model(list, MANY, strings[i], 6, &begin, &end);
        struct result r = feed(stream, strings[i], 6, 3, 8);
        assert_int_equal(r.stop, stop);
        assert_true(stop >= 0);
    }
    gpt2_stop_stream_free(stream);
    gpt2_stops_free(stops);
}

static void hostile_options_are_refused(void **state) {
    static const struct gpt2_stop empty[] = {{"a", 1}, {"", 0}};
    struct gpt2_error err = {0};
    assert_null(
        gpt2_stops_create(&(struct gpt2_stops_options){.strings = empty, .n_strings = 2}, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_non_null(strstr(err.message, "stop string 2"));
    assert_null(gpt2_stops_create(&(struct gpt2_stops_options){.until = (enum gpt2_until)7}, &err));
    assert_non_null(strstr(err.message, "until"));
}

/* ---- ends ---- */

static void expect_end(enum gpt2_until until, const char *text, const char *excluded,
                       const char *included) {
    struct gpt2_stops_options options = {.until = until};
    expect(&options, text, excluded ? excluded : text, excluded ? GPT2_STOP_UNTIL : GPT2_STOP_NONE);
    options.include = true;
    expect(&options, text, excluded ? included : text, excluded ? GPT2_STOP_UNTIL : GPT2_STOP_NONE);
}

static void lines(void **state) {
    expect_end(GPT2_UNTIL_LINE, "one\ntwo", "one", "one\n");
    expect_end(GPT2_UNTIL_LINE, "one\r\ntwo", "one", "one\r\n");
    expect_end(GPT2_UNTIL_LINE, "o\rn\r\r\ntwo", "o\rn\r", "o\rn\r\r\n");
    expect_end(GPT2_UNTIL_LINE, "\nx", "", "\n");
    expect_end(GPT2_UNTIL_LINE, "one. two\r", NULL, NULL);
}

static void paragraphs(void **state) {
    expect_end(GPT2_UNTIL_PARAGRAPH, "one\ntwo\n\nthree", "one\ntwo", "one\ntwo\n\n");
    expect_end(GPT2_UNTIL_PARAGRAPH, "one \r\n \t\r\n\nthree", "one", "one \r\n \t\r\n");
    expect_end(GPT2_UNTIL_PARAGRAPH, " \n\n\none\n\n", " \n\n\none", " \n\n\none\n\n");
    expect_end(GPT2_UNTIL_PARAGRAPH, "one\n two\n", NULL, NULL);
    expect_end(GPT2_UNTIL_PARAGRAPH, "\n\n\n", NULL, NULL);
}

static void sentences(void **state) {
    expect_end(GPT2_UNTIL_SENTENCE, " It is. And", " It is.", " It is. ");
    expect_end(GPT2_UNTIL_SENTENCE, "\n\nPi is 3.14! So\n", "\n\nPi is 3.14!", "\n\nPi is 3.14! ");
    expect_end(GPT2_UNTIL_SENTENCE, "\"Is it?\" he", "\"Is it?\"", "\"Is it?\" ");
    expect_end(GPT2_UNTIL_SENTENCE, "Is it?!...\n", "Is it?!...", "Is it?!...\n");
    expect_end(GPT2_UNTIL_SENTENCE, "(So.) No", "(So.)", "(So.) ");
    expect_end(GPT2_UNTIL_SENTENCE, "Mr. Fox", "Mr.", "Mr. "); // it does not know abbreviations
    expect_end(GPT2_UNTIL_SENTENCE, "see e.g.this; x.y) z", NULL, NULL);
    expect_end(GPT2_UNTIL_SENTENCE, "The end.", NULL, NULL); // what comes next is not known
    expect_end(GPT2_UNTIL_SENTENCE, "Wait\xE2\x80\xA6\xE2\x80\x9D he",
               "Wait\xE2\x80\xA6\xE2\x80\x9D", "Wait\xE2\x80\xA6\xE2\x80\x9D ");
    // a heading ends with its paragraph
    expect_end(GPT2_UNTIL_SENTENCE, "Title\n\nText", "Title", "Title\n\n");
    // Chinese: no space follows
    expect_end(GPT2_UNTIL_SENTENCE, "\xE5\xA5\xBD\xE3\x80\x82\xE3\x80\x8D\xE5\xA5\xBD",
               "\xE5\xA5\xBD\xE3\x80\x82\xE3\x80\x8D", "\xE5\xA5\xBD\xE3\x80\x82\xE3\x80\x8D");
    expect_end(GPT2_UNTIL_SENTENCE, "\xE5\xA5\xBD\xEF\xBC\x81 a", "\xE5\xA5\xBD\xEF\xBC\x81",
               "\xE5\xA5\xBD\xEF\xBC\x81 ");
    // bytes that are no character come next
    expect_end(GPT2_UNTIL_SENTENCE, "\xE3\x80\x82\xE3x", "\xE3\x80\x82", "\xE3\x80\x82");
    expect_end(GPT2_UNTIL_SENTENCE, "\xE3\x80\x82\xE0\x80", "\xE3\x80\x82", "\xE3\x80\x82");
    expect_end(GPT2_UNTIL_SENTENCE, "a.\xFF b\x80.", NULL, NULL);
}

static void stops_and_ends_together(void **state) {
    static const struct gpt2_stop list[] = {{"\n", 1}, {". B", 3}};
    struct gpt2_stops_options options = {.strings = list, .n_strings = 2, .until = GPT2_UNTIL_LINE};
    expect(&options, "a. C\nb", "a. C", 0); // the stop string is the one that is named
    expect(&options, "a. B\nb", "a", 1);
    options.until = GPT2_UNTIL_SENTENCE;
    expect(&options, "a. B\nb", "a.", GPT2_STOP_UNTIL); // a byte earlier
    expect(&options, "a b\nc. ", "a b", 0);
}

static void ends_before_so_many_tokens_do_not_count(void **state) {
    static const struct {
        enum gpt2_until until;
        uint64_t tokens;
        const char *pieces[8], *text;
    } cases[] = {
        {GPT2_UNTIL_SENTENCE, 0, {"A. ", "B. ", "C. "}, "A."},
        {GPT2_UNTIL_SENTENCE, 1, {"A. ", "B. ", "C. "}, "A. B."},
        {GPT2_UNTIL_SENTENCE, 2, {"A. ", "B. ", "C. "}, "A. B. C."},
        {GPT2_UNTIL_SENTENCE, 3, {"A. ", "B. ", "C. "}, NULL},
        {GPT2_UNTIL_SENTENCE, 1, {"A.", " ", "B. "}, "A."}, // known with the second
        {GPT2_UNTIL_LINE, 1, {"\n\n", "a\n"}, "\n\na"},
        {GPT2_UNTIL_PARAGRAPH, 2, {"a\n\n", "\n", "b", "\n\nc"}, "a\n\n\nb"},
        {GPT2_UNTIL_PARAGRAPH, 2, {"a\n", "\n", "b", "\n\nc"}, "a\n\nb"},
    };
    struct gpt2_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_stops *stops = gpt2_stops_create(
            &(struct gpt2_stops_options){.until = cases[i].until, .until_tokens = cases[i].tokens},
            &err);
        assert_non_null(stops);
        struct gpt2_stop_stream *stream = gpt2_stop_stream_create(stops, &err);
        assert_non_null(stream);
        for (int twice = 0; twice < 2; twice++) { // the second text counts anew
            char text[64] = "";
            struct gpt2_shown shown = {.stop = GPT2_STOP_NONE};
            for (int k = 0; cases[i].pieces[k] && shown.stop == GPT2_STOP_NONE; k++) {
                const char *piece = cases[i].pieces[k];
                assert_true(gpt2_stop_stream_push(stream, piece, strlen(piece), &shown, &err));
                strncat(text, shown.bytes, shown.n_bytes);
            }
            assert_int_equal(shown.stop, cases[i].text ? GPT2_STOP_UNTIL : GPT2_STOP_NONE);
            if (cases[i].text)
                assert_string_equal(text, cases[i].text);
            gpt2_stop_stream_clear(stream);
        }
        gpt2_stop_stream_free(stream);
        gpt2_stops_free(stops);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_before_so_many_tokens_do_not_count),
        cmocka_unit_test(stop_strings_end_the_text_where_the_model_says),
        cmocka_unit_test(no_more_is_held_back_than_must_be),
        cmocka_unit_test(stops_by_hand),
        cmocka_unit_test(a_nul_is_a_byte_like_others),
        cmocka_unit_test(thousands_of_stops_work),
        cmocka_unit_test(hostile_options_are_refused),
        cmocka_unit_test(lines),
        cmocka_unit_test(paragraphs),
        cmocka_unit_test(sentences),
        cmocka_unit_test(stops_and_ends_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
