/* component.c - types and patterns of components; regular expressions are known by their text, as
 * there is no engine. */
#include "text/component.h"
#include "base/error_internal.h"
#include "text/chars.h"
#include "text/pretokenize.h"
#include "text/unicode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool component_absent(const struct json *node) {
    return !node || json_kind(node) == JSON_NULL;
}

bool component_type(const char **type, const struct json *node, const char *what, const char *name,
                    struct gpt2_error *err) {
    if (json_string(json_get(node, "type"), type))
        return true;
    return error_set(err, GPT2_ERR_MODEL, "%s: %s: expected an object with a \"type\", found %s",
                     name, what, node ? json_kind_name(node) : "none");
}

bool component_bool(bool *value, bool otherwise, const struct json *node, const char *key,
                    const char *what, const char *name, struct gpt2_error *err) {
    const struct json *member = json_get(node, key);
    *value = otherwise;
    if (component_absent(member) || json_bool(member, value))
        return true;
    return error_set(err, GPT2_ERR_MODEL, "%s: %s.%s: expected true or false, found %s", name, what,
                     key, json_kind_name(member));
}

int component_find(const char *type, const char *const *names, const char *what, const char *name,
                   struct gpt2_error *err) {
    char list[200] = "";
    for (int i = 0; names[i]; i++) {
        if (!strcmp(type, names[i]))
            return i;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    }
    error_set(err, GPT2_ERR_MODEL,
              "%s: %s: expected a component that this program has (%s), found \"%.80s\"", name,
              what, list, type);
    return -1;
}

/* ---- classes ---- */

bool component_is_space(uint32_t cp) {
    return unicode_class(cp) == UNICODE_SPACE;
}

bool component_is_number(uint32_t cp) {
    return unicode_class(cp) == UNICODE_NUMBER;
}

bool component_is_punctuation(uint32_t cp) {
    if (cp < 0x80)
        return cp > ' ' && cp < 0x7F && unicode_class(cp) == UNICODE_OTHER;
    return unicode_is_punctuation(cp);
}

static bool is_letter(uint32_t cp) {
    return unicode_class(cp) == UNICODE_LETTER;
}

static bool is_ascii_digit(uint32_t cp) {
    return cp >= '0' && cp <= '9';
}

static bool is_blank(uint32_t cp) {
    return cp == ' ';
}

/* ---- patterns ---- */

/* The spellings of GPT-2's, as files in use have them, and classes. */
static const struct known {
    const char *regex;
    enum pattern_kind kind;
    bool (*is_in)(uint32_t cp);
    bool run;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     PATTERN_GPT2, NULL, false},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     PATTERN_GPT2, NULL, false},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s",
     PATTERN_GPT2, NULL, false},
    {"\\w+|[^\\w\\s]+", PATTERN_WORDS, NULL, false},
    {"\\s", PATTERN_CLASS, component_is_space, false},
    {"\\s+", PATTERN_CLASS, component_is_space, true},
    {" ", PATTERN_CLASS, is_blank, false},
    {" +", PATTERN_CLASS, is_blank, true},
    {"\\p{N}", PATTERN_CLASS, component_is_number, false},
    {"\\p{N}+", PATTERN_CLASS, component_is_number, true},
    {"\\d", PATTERN_CLASS, unicode_is_decimal, false},
    {"\\d+", PATTERN_CLASS, unicode_is_decimal, true},
    {"[0-9]", PATTERN_CLASS, is_ascii_digit, false},
    {"[0-9]+", PATTERN_CLASS, is_ascii_digit, true},
    {"\\p{L}", PATTERN_CLASS, is_letter, false},
    {"\\p{L}+", PATTERN_CLASS, is_letter, true},
};

bool component_pattern_parse(struct pattern *out, const struct json *node, const char *what,
                             const char *name, struct gpt2_error *err) {
    const char *text;
    *out = (struct pattern){0};
    if (json_string(json_get(node, "Regex"), &text)) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (!strcmp(text, known[i].regex)) {
                *out = (struct pattern){known[i].kind, NULL, 0, known[i].is_in, known[i].run};
                return true;
            }
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: %s: expected GPT-2's regular expression or a class of characters, "
                         "found \"%.200s\"",
                         name, what, text);
    }
    if (!json_string(json_get(node, "String"), &text) || !*text)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: %s: expected a pattern of kind \"Regex\" or \"String\"", name, what);
    out->len = strlen(text);
    out->text = strdup(text);
    return out->text || error_memory(err, "a pattern", out->len + 1);
}

void component_pattern_free(struct pattern *pattern) {
    free(pattern->text);
    *pattern = (struct pattern){0};
}

/* The end of the run of characters from `at` on for which is_in is `wanted`. */
static size_t run_end(bool (*is_in)(uint32_t cp), bool wanted, const unsigned char *text, size_t n,
                      size_t at) {
    uint32_t cp;
    while (at < n) {
        size_t len = char_after(&cp, text, n, at);
        if (is_in(cp) != wanted)
            break;
        at += len;
    }
    return at;
}

static bool is_oniguruma_sign(uint32_t cp) {
    return !unicode_is_oniguruma_word_in_brackets(cp) && !component_is_space(cp);
}

static bool is_rust_sign(uint32_t cp) {
    return !unicode_is_word(cp) && !component_is_space(cp);
}

/* The next run of characters of the class `word` or, where none begins, of the class `sign`. */
static bool next_word(bool (*word)(uint32_t cp), bool (*sign)(uint32_t cp),
                      const unsigned char *text, size_t n, size_t from, size_t *begin,
                      size_t *end) {
    uint32_t cp;
    *begin = run_end(component_is_space, true, text, n, from);
    if (*begin == n)
        return false;
    char_after(&cp, text, n, *begin);
    *end = run_end(word(cp) ? word : sign, true, text, n, *begin);
    return true;
}

bool component_pattern_next(const struct pattern *pattern, const unsigned char *text, size_t n,
                            size_t from, size_t *begin, size_t *end) {
    if (from >= n)
        return false;
    switch (pattern->kind) {
    case PATTERN_STRING:
        for (*begin = from; n - *begin >= pattern->len; ++*begin)
            if (!memcmp(text + *begin, pattern->text, pattern->len)) {
                *end = *begin + pattern->len;
                return true;
            }
        return false;
    case PATTERN_GPT2:
        *begin = from;
        *end = pretokenize_next(text, n, from);
        return true;
    case PATTERN_WORDS:
        return next_word(unicode_is_oniguruma_word, is_oniguruma_sign, text, n, from, begin, end);
    case PATTERN_RUST_WORDS:
        return next_word(unicode_is_word, is_rust_sign, text, n, from, begin, end);
    case PATTERN_CLASS:
        *begin = run_end(pattern->is_in, false, text, n, from);
        if (*begin == n)
            return false;
        *end = pattern->run ? run_end(pattern->is_in, true, text, n, *begin)
                            : *begin + char_after(&(uint32_t){0}, text, n, *begin);
        return true;
    }
    return false;
}
