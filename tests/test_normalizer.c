/* test_normalizer.c - the forms of Unicode against utf8proc's own of a whole text, and where the
 * bytes of a normalized text came from. The other components: test_tokenizer_oracle.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "text/normalizer.h"

#include <gpt2/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

static const struct {
    const char *name;
    int options;
} forms[] = {
    {"NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE},
    {"NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
    {"NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
    {"NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
};

static struct normalizer *open_form(const char *name) {
    char text[100];
    struct gpt2_error err;
    int n = snprintf(text, sizeof text, "{\"type\": \"%s\"}", name);
    struct json *root = json_parse(text, (size_t)n, "a form", GPT2_ERR_MODEL, &err);
    assert_non_null(root);
    struct normalizer *normalizer = normalizer_parse(root, "a form", &err);
    assert_non_null(normalizer);
    json_free(root);
    return normalizer;
}

/* The form of a text by both; `places` changes no byte. */
static void check_text(const struct normalizer *normalizer, int form, const unsigned char *text,
                       size_t n) {
    struct normalized out[2];
    struct gpt2_error err;
    unsigned char *expected;
    utf8proc_ssize_t n_expected =
        utf8proc_map(text, (utf8proc_ssize_t)n, &expected, (utf8proc_option_t)forms[form].options);
    assert_true(n_expected >= 0);
    for (int places = 0; places < 2; places++) {
        assert_true(normalizer_run(normalizer, text, n, places, &out[places], &err));
        if (out[places].n != (size_t)n_expected ||
            (n_expected && memcmp(out[places].text, expected, out[places].n) != 0))
            fail_msg("%s of \"%.*s\": expected \"%s\", got \"%.*s\"", forms[form].name, (int)n,
                     (const char *)text, (const char *)expected, (int)out[places].n,
                     (const char *)out[places].text);
    }
    assert_null(out[0].from);
    for (size_t i = 0; i < out[1].n; i++)
        assert_true(out[1].from[i] < out[1].to[i] && out[1].to[i] <= n);
    free(expected);
    normalizer_free_text(&out[0]);
    normalizer_free_text(&out[1]);
}

static void every_character_has_its_form(void **state) {
    for (int form = 0; form < 4; form++) {
        struct normalizer *normalizer = open_form(forms[form].name);
        for (uint32_t cp = 1; cp < 0x30000; cp++) {
            char text[4];
            if (cp < 0xD800 || cp > 0xDFFF)
                check_text(normalizer, form, (const unsigned char *)text, utf8_encode(text, cp));
        }
        normalizer_free(normalizer);
    }
}

static uint32_t below(uint32_t n) {
    static uint32_t seed = 1;
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void texts_have_their_forms(void **state) {
    static const uint32_t ranges[][2] = {
        {0x20, 0x7E},     {0xA0, 0x17F},      {0x300, 0x36F},     {0x300, 0x36F},
        {0x591, 0x5F4},   {0x64B, 0x65F},     {0x93C, 0x94D},     {0x9BE, 0x9D7},
        {0xF71, 0xF84},   {0x1100, 0x11FF},   {0x1100, 0x11FF},   {0x1E00, 0x1FFF},
        {0x20D0, 0x20F0}, {0x2100, 0x2188},   {0x3041, 0x30FF},   {0x3131, 0x318E},
        {0xAC00, 0xAC60}, {0xFB00, 0xFB4F},   {0xFDF0, 0xFDFB},   {0xFF61, 0xFFDC},
        {0xF900, 0xFAD9}, {0x1D15E, 0x1D18B}, {0x110B9, 0x110BA}, {0x1F100, 0x1F16B},
    };
    for (int form = 0; form < 4; form++) {
        struct normalizer *normalizer = open_form(forms[form].name);
        for (int i = 0; i < 20000; i++) {
            char text[80];
            size_t n = 0;
            for (uint32_t k = below(16); k > 0; k--) {
                const uint32_t *range = ranges[below(sizeof ranges / sizeof *ranges)];
                n += utf8_encode(text + n, range[0] + below(range[1] - range[0] + 1));
            }
            check_text(normalizer, form, (const unsigned char *)text, n);
        }
        normalizer_free(normalizer);
    }
}

/* Out of order, more of them than an exchange of neighbours could put right. */
static void many_marks_are_put_in_order(void **state) {
    enum { N_PAIRS = 100000 };
    unsigned char *text = malloc(4 * N_PAIRS + 1);
    assert_non_null(text);
    text[0] = 'x';
    for (size_t i = 0; i < N_PAIRS; i++)
        memcpy(text + 1 + 4 * i, "\xCC\x81\xCC\xA3", 4); // acute, above; dot below, which is first
    for (int form = 0; form < 4; form++) {
        struct normalizer *normalizer = open_form(forms[form].name);
        struct normalized out;
        struct gpt2_error err;
        assert_true(normalizer_run(normalizer, text, 4 * N_PAIRS + 1, false, &out, &err));
        assert_int_equal(out.n, 4 * N_PAIRS + 1);
        for (size_t i = 0; i < 2 * N_PAIRS; i++)
            assert_memory_equal(out.text + 1 + 2 * i, i < N_PAIRS ? "\xCC\xA3" : "\xCC\x81", 2);
        normalizer_free_text(&out);
        normalizer_free(normalizer);
    }
    free(text);
}

/* What a form leaves as it is keeps the place of each byte, beside marks as well. */
static void what_stays_keeps_its_places(void **state) {
    // a with a double acute (nothing has that), e with an acute (which becomes one), z
    static const char text[] = "a\xCC\x8B"
                               "e\xCC\x81z";
    static const size_t from[] = {0, 1, 2, 3, 3, 6}, to[] = {1, 2, 3, 6, 6, 7};
    struct normalizer *normalizer = open_form("NFC");
    struct normalized out;
    struct gpt2_error err;
    assert_true(
        normalizer_run(normalizer, (const unsigned char *)text, sizeof text - 1, true, &out, &err));
    assert_int_equal(out.n, 6);
    assert_memory_equal(out.text, "a\xCC\x8B\xC3\xA9z", 6);
    assert_memory_equal(out.from, from, sizeof from);
    assert_memory_equal(out.to, to, sizeof to);
    normalizer_free_text(&out);
    normalizer_free(normalizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_has_its_form),
        cmocka_unit_test(texts_have_their_forms),
        cmocka_unit_test(many_marks_are_put_in_order),
        cmocka_unit_test(what_stays_keeps_its_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
