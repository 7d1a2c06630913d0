/* added_search.h - finding added tokens in a text.
 *
 * Hugging Face looks twice: first for tokens that are matched as they stand, then, in what is left
 * and has been normalized, for those that are matched in normalized text. */
#ifndef TEXT_ADDED_SEARCH_H
#define TEXT_ADDED_SEARCH_H

#include "text/vocab.h"

struct added_entry {
    const unsigned char *text; /* [len], normalized where that is what it is matched in */
    size_t len;
    struct vocab_token token; /* its switches */
    int32_t id;
};

struct added_search {
    struct added_entry *entries; /* [n] by first byte, then the longest first */
    size_t n;
    size_t first[257]; /* entries[first[b]..first[b + 1]) begin with the byte b */
    bool plain[256];   /* one of them is not special */
    bool cuts, strips; /* one of all is not special; one has lstrip, rstrip or single_word */
};

/* Takes the added tokens of the vocabulary whose `normalized` is as said. texts[i] (of lens[i]
 * bytes) is what stands in a text for added[i]; NULL: the tokens' own. Borrows all. */
bool added_search_create(struct added_search *out, const struct vocab *vocab, bool normalized,
                         const unsigned char *const *texts, const size_t *lens,
                         struct gpt2_error *err);
void added_search_free(struct added_search *search);

/* True if a text may have something to find. */
static inline bool added_search_any(const struct added_search *search, bool special) {
    return special ? search->n > 0 : search->cuts;
}

struct added_match {
    size_t begin, end; /* of the text; with the white space that the token takes */
    int32_t id;
};

/* The first match in text[from..n), the longest where several begin; special tokens only with
 * `special`. False: there is none. What comes before `from` is part of the text, but not taken. */
bool added_search_next(struct added_match *match, const struct added_search *search,
                       const unsigned char *text, size_t n, size_t from, bool special);

/* True if a token covers both sides of text[i], or would if text[0..n) went on. */
bool added_search_covers(const struct added_search *search, const unsigned char *text, size_t n,
                         size_t i, bool special);

#endif
