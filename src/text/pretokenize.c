/* pretokenize.c - GPT-2's pre-tokenizer as a scanner.
 *
 * The regular expression needs no backtracking: the class of the first character (after an
 * optional space) decides which alternative applies, and each alternative is a run of one class.
 * Most pieces of most texts are ASCII words, whose letters are found eight bytes at a time. */
#include "text/pretokenize.h"
#include "base/utf8.h"
#include "text/unicode.h"
#include "text/word.h"

#include <stdbool.h>
#include <stdint.h>

#define L UNICODE_LETTER
#define N UNICODE_NUMBER
#define S UNICODE_SPACE
#define O UNICODE_OTHER
static const uint8_t ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S, O, O, // TAB LF VT FF CR
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, //
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, // space
    N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O, // 0-9
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, // A-
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, // -Z
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, // a-
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, // -z
};
#undef L
#undef N
#undef S
#undef O

/* Class and length in bytes of the character at text[i]. */
static enum unicode_class classify(size_t *len, const unsigned char *text, size_t n, size_t i) {
    *len = 1;
    if (text[i] < 0x80)
        return ascii_class[text[i]];
    uint32_t cp;
    int n_bytes = utf8_decode(&cp, text + i, n - i);
    if (n_bytes == 0)
        return UNICODE_OTHER;
    *len = (size_t)n_bytes;
    return unicode_class(cp);
}

/* 0x80 in every byte of `word` that is not an ASCII letter. */
static uint64_t non_letters(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    uint64_t lower = (word & 0x7F * ones) | 0x20 * ones; // 7-bit, case folded; no carries below
    uint64_t from_a = lower + (0x80 - 'a') * ones;       // high bit: >= 'a'
    uint64_t past_z = lower + (0x7F - 'z') * ones;       // high bit: >  'z'
    return ~(from_a & ~past_z & ~word) & high;
}

/* The end of the run of characters of class `class` from i; *last is where its last one starts. */
static size_t run_end(size_t *last, const unsigned char *text, size_t n, size_t i,
                      enum unicode_class class) {
    size_t len;
    if (class == UNICODE_LETTER) {
        while (n - i >= 8) {
            uint64_t stop = non_letters(word_load(text + i));
            i += stop ? (size_t)__builtin_ctzll(stop) / 8 : 8;
            if (stop && text[i] < 0x80)
                return i;
            if (stop)
                break;
        }
    }
    for (; i < n && classify(&len, text, n, i) == class; i += len)
        *last = i;
    return i;
}

/* The length of the contraction at text[i], an apostrophe; 0 if there is none. */
static size_t contraction(const unsigned char *text, size_t n, size_t i) {
    unsigned char a = n - i > 1 ? text[i + 1] : 0, b = n - i > 2 ? text[i + 2] : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return 3;
    return 0;
}

size_t pretokenize_next(const unsigned char *text, size_t n, size_t start) {
    size_t len, last = start, word = start + (text[start] == ' ');
    // Most pieces are a word of at most seven ASCII letters: known without a loop.
    if (n - start > 8) {
        uint64_t stop = non_letters(word_load(text + word));
        size_t end = word + (size_t)__builtin_ctzll(stop | 1ull << 63) / 8;
        if (stop && end > word && text[end] < 0x80)
            return end;
    }
    if (text[start] == '\'') {
        len = contraction(text, n, start);
        if (len)
            return start + len;
    }
    if (word == n)
        word = start;
    enum unicode_class class = classify(&len, text, n, word);
    if (class != UNICODE_SPACE)
        return run_end(&last, text, n, word, class);
    size_t end = run_end(&last, text, n, start, UNICODE_SPACE);
    return end == n || last == start ? end : last;
}

/* True if no well-formed character covers both text[i - 1] and text[i]. */
static bool is_between(const unsigned char *text, size_t n, size_t i) {
    uint32_t cp;
    for (size_t back = 1; back <= 3 && back <= i; back++)
        if (utf8_decode(&cp, text + i - back, n - i + back) > (int)back)
            return false;
    return true;
}

/* The class of the character that ends at text[i]. */
static enum unicode_class class_before(const unsigned char *text, size_t n, size_t i) {
    uint32_t cp = 0;
    for (size_t back = 2; back <= 4 && back <= i; back++)
        if (utf8_decode(&cp, text + i - back, n - i + back) == (int)back)
            return unicode_class(cp);
    return text[i - 1] < 0x80 ? ascii_class[text[i - 1]] : UNICODE_OTHER;
}

size_t pretokenize_cut(const unsigned char *text, size_t n) {
    for (size_t i = n; i-- > 1;) {
        uint32_t cp;
        // Bytes to come may make a character of an unfinished one, or an invalid byte.
        bool is_known = text[i] < 0x80 || n - i >= 4 || utf8_decode(&cp, text + i, n - i) > 0;
        if (!is_known || !is_between(text, n, i))
            continue;
        size_t len;
        enum unicode_class before = class_before(text, n, i), after = classify(&len, text, n, i);
        bool may_contract = text[i - 1] == '\'' && after == UNICODE_LETTER;
        if (before != UNICODE_SPACE && before != after && !may_contract)
            return i;
    }
    return 0;
}
