/* added_search.c - added tokens by their first byte, the longest first. */
#include "text/added_search.h"
#include "base/os.h"
#include "text/chars.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

static int by_first_byte(const void *a, const void *b) {
    const struct added_entry *x = a, *y = b;
    if (x->text[0] != y->text[0])
        return x->text[0] < y->text[0] ? -1 : 1;
    if (x->len != y->len)
        return x->len > y->len ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

bool added_search_create(struct added_search *out, const struct vocab *vocab, bool normalized,
                         const unsigned char *const *texts, const size_t *lens,
                         struct gpt2_error *err) {
    *out = (struct added_search){0};
    out->entries = os_alloc(vocab->n_added, sizeof *out->entries, "the added tokens", err);
    if (!out->entries)
        return false;
    for (size_t i = 0; i < vocab->n_added; i++) {
        const struct vocab_token token = vocab->tokens[vocab->added[i]];
        const unsigned char *text = texts ? texts[i] : vocab->bytes + token.offset;
        const size_t len = texts ? lens[i] : token.len;
        if (token.normalized == normalized && len > 0)
            out->entries[out->n++] = (struct added_entry){text, len, token, vocab->added[i]};
    }
    if (out->n)
        qsort(out->entries, out->n, sizeof *out->entries, by_first_byte);
    for (size_t i = 0; i < out->n; i++) {
        const struct added_entry *entry = &out->entries[i];
        const struct vocab_token token = entry->token;
        out->first[entry->text[0] + 1]++;
        out->plain[entry->text[0]] |= !token.special;
        out->cuts |= !token.special;
        out->strips |= token.lstrip | token.rstrip | token.single_word;
    }
    for (int byte = 0; byte < 256; byte++)
        out->first[byte + 1] += out->first[byte];
    return true;
}

void added_search_free(struct added_search *search) {
    os_free(search->entries);
    *search = (struct added_search){0};
}

static bool is_word_before(const unsigned char *text, size_t i) {
    uint32_t cp;
    return i > 0 && (char_before(&cp, text, i), unicode_is_word(cp));
}

static bool is_word_after(const unsigned char *text, size_t n, size_t i) {
    uint32_t cp;
    return i < n && (char_after(&cp, text, n, i), unicode_is_word(cp));
}

/* The longest entry that text[i] begins, or NULL. */
static const struct added_entry *entry_at(const struct added_search *search,
                                          const unsigned char *text, size_t n, size_t i,
                                          bool special) {
    if (!special && !search->plain[text[i]])
        return NULL;
    for (size_t e = search->first[text[i]]; e < search->first[text[i] + 1]; e++) {
        const struct added_entry *entry = &search->entries[e];
        if (entry->len <= n - i && (special || !entry->token.special) &&
            !memcmp(entry->text, text + i, entry->len))
            return entry;
    }
    return NULL;
}

bool added_search_next(struct added_match *match, const struct added_search *search,
                       const unsigned char *text, size_t n, size_t from, bool special) {
    uint32_t cp;
    for (size_t i = from; i < n;) {
        const struct added_entry *entry = entry_at(search, text, n, i, special);
        if (!entry) {
            i++;
            continue;
        }
        size_t begin = i, end = i + entry->len, len;
        i = end;
        if (entry->token.single_word &&
            (is_word_before(text, begin) || is_word_after(text, n, end)))
            continue;
        while (entry->token.lstrip && begin > from) {
            len = char_before(&cp, text, begin);
            if (len > begin - from || unicode_class(cp) != UNICODE_SPACE)
                break;
            begin -= len;
        }
        while (entry->token.rstrip && end < n) {
            len = char_after(&cp, text, n, end);
            if (unicode_class(cp) != UNICODE_SPACE)
                break;
            end += len;
        }
        *match = (struct added_match){begin, end, entry->id};
        return true;
    }
    return false;
}

bool added_search_covers(const struct added_search *search, const unsigned char *text, size_t n,
                         size_t i, bool special) {
    for (size_t e = 0; e < search->n; e++) {
        const struct added_entry *entry = &search->entries[e];
        if (entry->token.special && !special)
            continue;
        for (size_t back = 1; back < entry->len && back <= i; back++) {
            size_t known = n - i + back < entry->len ? n - i + back : entry->len;
            if (!memcmp(text + i - back, entry->text, known))
                return true;
        }
    }
    return false;
}
