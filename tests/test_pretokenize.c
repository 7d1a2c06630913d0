/* test_pretokenize.c - the scanner against the regular expression, alternative by alternative. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "testtext.h"
#include "text/pretokenize.h"
#include "text/unicode.h"

/* ---- classes ---- */

static const uint32_t white_space[] = {0x09,   0x0A,   0x0B,   0x0C,   0x0D,   0x20,   0x85,
                                       0xA0,   0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004,
                                       0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A, 0x2028,
                                       0x2029, 0x202F, 0x205F, 0x3000};

static void white_space_is_exactly_the_25_code_points(void **state) {
    size_t n = 0;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        if (unicode_class(cp) != UNICODE_SPACE)
            continue;
        assert_true(n < 25);
        assert_int_equal(cp, white_space[n++]);
    }
    assert_int_equal(n, 25);
}

static void letters_and_numbers_follow_the_general_category(void **state) {
    static const uint32_t letters[] = {'A',    'z',    0xAA,   0xB5,    0xBA,    0xE9,
                                       0x1C5,  0x2B0,  0x416,  0x5D0,   0x939,   0x3042,
                                       0x4E2D, 0x9FFF, 0xAC00, 0x10000, 0x20000, 0x2FA1D};
    static const uint32_t numbers[] = {'0',    '9',    0xB2,   0xBD,   0x661,
                                       0x2167, 0x3007, 0x0966, 0x1D7CE};
    static const uint32_t others[] = {'\'',   '_',    0x00,   0x1C,   0x1F,    0x7F,
                                      0x300,  0x93F,  0x94D,  0x180E, 0x200B,  0x200D,
                                      0x2019, 0x2060, 0xE000, 0xFEFF, 0x1F600, 0x10FFFF};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        assert_int_equal(unicode_class(letters[i]), UNICODE_LETTER);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_int_equal(unicode_class(numbers[i]), UNICODE_NUMBER);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(unicode_class(others[i]), UNICODE_OTHER);
}

/* ---- UTF-8 ---- */

static void every_code_point_is_decoded_and_nothing_else(void **state) {
    // All sequences of up to 3 bytes, and of 4 with the last one extreme, against the definition.
    for (uint32_t bits = 0; bits < 1u << 24; bits += bits & 0x800000 ? 1 : 7) {
        unsigned char s[4] = {(unsigned char)(bits >> 16), (unsigned char)(bits >> 8),
                              (unsigned char)bits, bits & 1 ? 0x80 : 0xBF};
        uint32_t cp = 0, value = 0;
        int want = s[0] < 0x80       ? 1
                   : s[0] >> 5 == 6  ? 2
                   : s[0] >> 4 == 14 ? 3
                   : s[0] >> 3 == 30 ? 4
                                     : 0;
        static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
        if (want > 1)
            value = s[0] & (0x7Fu >> want);
        for (int i = 1; i < want; i++) {
            if ((s[i] & 0xC0) != 0x80)
                want = 0;
            value = value << 6 | (s[i] & 0x3F);
        }
        if (want == 1)
            value = s[0];
        if (want &&
            (value < least[want] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)))
            want = 0;
        if (utf8_decode(&cp, s, 4) != want || (want && cp != value))
            fail_msg("bytes %02X %02X %02X %02X", s[0], s[1], s[2], s[3]);
        if (want > 1 && utf8_decode(&cp, s, (size_t)want - 1) != 0)
            fail_msg("cut off: %02X %02X %02X", s[0], s[1], s[2]);
    }
}

static void whole_characters_are_shown_and_hopeless_bytes_not_held(void **state) {
    static const struct {
        const char *bytes;
        size_t n, whole;
    } cases[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"a\xC3", 2, 1},
        {"a\xC3\xA9", 3, 3},
        {"\xE2\x82", 2, 0},
        {"\xE2\x82\xAC", 3, 3},
        {"\xF0\x9F\x98", 3, 0},
        {"x\xF0\x9F\x98\x80", 5, 5},
        {"\xF0", 1, 0},
        {"\x80", 1, 1},
        {"\x80\x80\x80\x80", 4, 4},
        {"\xFF", 1, 1},
        {"\xC0", 1, 1},
        {"\xED\xA0", 2, 2}, // a surrogate: no third byte can make it valid
        {"\xE0\x80", 2, 2}, // overlong
        {"\xF4\x90", 2, 2}, // beyond U+10FFFF
        {"\xF5", 1, 1},
        {"\xC3\xA9\xC3", 3, 2},
        {"\xF0\x9F\x98\x80\x80", 5, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(gpt2_utf8_whole(cases[i].bytes, cases[i].n), cases[i].whole);
}

static void any_prefix_of_valid_text_is_held_back_by_its_open_character_only(void **state) {
    for (uint32_t cp = 0x80; cp < 0x110000; cp += 61) {
        if (cp >= 0xD800 && cp < 0xE000)
            continue;
        char s[8] = "x";
        size_t n = 1, full = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        s[n++] = (char)(full == 2 ? 0xC0 | cp >> 6 : full == 3 ? 0xE0 | cp >> 12 : 0xF0 | cp >> 18);
        for (size_t k = full - 1; k-- > 0;)
            s[n++] = (char)(0x80 | (cp >> 6 * k & 0x3F));
        for (size_t len = 1; len <= n; len++)
            assert_int_equal(gpt2_utf8_whole(s, len), len == n ? n : 1);
    }
}

/* ---- pieces ---- */

/* One character of a text, decoded once. */
struct character {
    size_t at;
    uint32_t cp; /* UINT32_MAX: a byte that is no UTF-8 */
    enum unicode_class class;
};

static size_t decode(struct character *out, const unsigned char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp = UINT32_MAX;
        int len = utf8_decode(&cp, text + i, n - i);
        out[count++] = (struct character){i, cp, len ? unicode_class(cp) : UNICODE_OTHER};
        i += len ? (size_t)len : 1;
    }
    out[count] = (struct character){n, UINT32_MAX, UNICODE_OTHER};
    return count;
}

/* How many characters from c[0..n) the expression matches, tried as a regex engine does:
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t match(const struct character *c, size_t n) {
    static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    static const enum unicode_class words[] = {UNICODE_LETTER, UNICODE_NUMBER, UNICODE_OTHER};
    for (size_t k = 0; k < 7; k++) {
        size_t len = strlen(contractions[k]), i = 0;
        while (i < len && i < n && c[i].cp == (unsigned char)contractions[k][i])
            i++;
        if (i == len)
            return len;
    }
    for (size_t k = 0; k < 3; k++) {
        for (size_t from = c[0].cp == ' ' ? 2 : 1;
             from-- > 0;) { // with the space first, then without
            size_t i = from;
            while (i < n && c[i].class == words[k])
                i++;
            if (i > from)
                return i;
        }
    }
    size_t spaces = 0;
    while (spaces < n && c[spaces].class == UNICODE_SPACE)
        spaces++;
    for (size_t i = spaces; i > 0; i--) // \s+(?!\S), giving back one at a time
        if (i == n || c[i].class == UNICODE_SPACE)
            return i;
    return spaces;
}

static void check_pieces(const unsigned char *text, size_t n) {
    struct character c[512];
    assert_true(n < 512);
    size_t count = decode(c, text, n);
    for (size_t at = 0; at < count;) {
        size_t len = match(c + at, count - at);
        assert_true(len > 0);
        // A copy of exact size: reading past its end would be seen by the sanitizers.
        size_t end = pretokenize_next(text, n, c[at].at);
        if (end != c[at + len].at) {
            for (size_t i = 0; i < n; i++)
                printf("%02X ", text[i]);
            fail_msg("piece from %zu: expected end %zu, found %zu", c[at].at, c[at + len].at, end);
        }
        at += len;
    }
}

static void pieces_are_those_of_the_regular_expression(void **state) {
    static const char *const alphabet[] = {"a",
                                           "B",
                                           "s",
                                           "t",
                                           "re",
                                           "ll",
                                           "'",
                                           "'",
                                           " ",
                                           " ",
                                           " ",
                                           "\n",
                                           "\t",
                                           "\r\n",
                                           "1",
                                           "23",
                                           ".",
                                           ",",
                                           "_",
                                           "\xC3\xA9",
                                           "\xD0\x96",
                                           "\xE4\xB8\xAD",
                                           "\xC2\xA0",
                                           "\xE3\x80\x80",
                                           "\xE2\x80\xA8",
                                           "\xC2\x85",
                                           "\xCC\x88",
                                           "\xE2\x80\x99",
                                           "\xF0\x9F\x98\x80",
                                           "\xC2\xBD",
                                           "\xD9\xA1",
                                           "\xFF",
                                           "\xC3",
                                           "\xED\xA0\x80",
                                           "\xE2\x80",
                                           "\x1C",
                                           "",
                                           "wordwordword",
                                           "      ",
                                           "abcdefgh"};
    const size_t n_alphabet = sizeof alphabet / sizeof *alphabet;
    uint64_t seed = 42;
    for (int round = 0; round < 60000; round++) {
        unsigned char buffer[256];
        size_t n = 0, parts = 1 + random_below(&seed, 16);
        // Few different parts in one text, so that runs are common.
        size_t choice[4];
        for (int i = 0; i < 4; i++)
            choice[i] = random_below(&seed, n_alphabet);
        for (size_t i = 0; i < parts; i++) {
            size_t pick =
                round % 2 ? choice[random_below(&seed, 4)] : random_below(&seed, n_alphabet);
            const char *part = alphabet[pick];
            memcpy(buffer + n, part, strlen(part));
            n += strlen(part);
            if (!*part)
                buffer[n++] = 0;
        }
        unsigned char *text = malloc(n);
        assert_non_null(text);
        memcpy(text, buffer, n);
        check_pieces(text, n);
        free(text);
    }
}

static void pieces_of_random_bytes_are_those_of_the_regular_expression(void **state) {
    uint64_t seed = 7;
    for (int round = 0; round < 20000; round++) {
        size_t n = 1 + random_below(&seed, 60);
        unsigned char *text = malloc(n);
        assert_non_null(text);
        for (size_t i = 0; i < n; i++)
            text[i] = (unsigned char)(next_random(&seed) >> (round % 3 ? 0 : 8)) &
                      (round % 2 ? 0x7F : 0xFF);
        check_pieces(text, n);
        free(text);
    }
}

static void known_texts_are_cut_as_published(void **state) {
    static const struct {
        const char *text;
        const char *pieces; /* separated by | */
    } cases[] = {
        {" 's", " '|s"},
        {"''s", "''|s"},
        {"'re're", "'re|'re"},
        {"'S", "'|S"},
        {"x='s", "x|='|s"},
        {"abc123def", "abc|123|def"},
        {"a  b", "a| | b"},
        {"a \n b", "a| \n| b"},
        {"a  ", "a|  "},
        {"\t\tx", "\t|\t|x"},
        {"a\xC2\xA0 b", "a|\xC2\xA0| b"},
        {"\xC2\xAA\xC2\xBA", "\xC2\xAA\xC2\xBA"},
        {" \xE2\x80\x99s", " \xE2\x80\x99|s"},
        {"'tis don't", "'t|is| don|'t"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const unsigned char *text = (const unsigned char *)cases[i].text;
        size_t n = strlen(cases[i].text), n_got = 0;
        char got[64];
        for (size_t at = 0, end; at < n; at = end) {
            end = pretokenize_next(text, n, at);
            memcpy(got + n_got, text + at, end - at);
            n_got += end - at;
            got[n_got++] = end < n ? '|' : 0;
        }
        assert_string_equal(got, cases[i].pieces);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_is_exactly_the_25_code_points),
        cmocka_unit_test(letters_and_numbers_follow_the_general_category),
        cmocka_unit_test(every_code_point_is_decoded_and_nothing_else),
        cmocka_unit_test(whole_characters_are_shown_and_hopeless_bytes_not_held),
        cmocka_unit_test(any_prefix_of_valid_text_is_held_back_by_its_open_character_only),
        cmocka_unit_test(pieces_are_those_of_the_regular_expression),
        cmocka_unit_test(pieces_of_random_bytes_are_those_of_the_regular_expression),
        cmocka_unit_test(known_texts_are_cut_as_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
