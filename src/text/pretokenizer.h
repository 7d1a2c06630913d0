/* pretokenizer.h - the components of tokenizer.json's "pre_tokenizer" that cut a text into ranges,
 * before GPT-2's own regular expression (pretokenize.h) cuts each of them into pieces. */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include "base/json.h"

struct pretokenizer; /* immutable, may be shared by threads */

/* What the last component, ByteLevel, says; the others are in the pretokenizer. */
struct byte_level {
    bool use_regex;        /* cut by GPT-2's regular expression */
    bool add_prefix_space; /* put a space before each range that does not begin with one */
};

/* Reads a "pre_tokenizer", called `name` in messages. *out is NULL where there is nothing but what
 * *last says. Fails with GPT2_ERR_MODEL: a component that is not known is named, and one after
 * ByteLevel, which would see its alphabet instead of the text; GPT2_ERR_MEMORY. Borrows nothing. */
bool pretokenizer_parse(struct pretokenizer **out, struct byte_level *last, const struct json *node,
                        const char *name, struct gpt2_error *err);
void pretokenizer_free(struct pretokenizer *pretokenizer); /* NULL is allowed */

struct range {
    size_t begin, end; /* not empty */
};

/* Cuts text[0..n): *ranges [*n_ranges], in order, to be freed with free(). What a component removes
 * is in none of them. */
bool pretokenizer_run(const struct pretokenizer *pretokenizer, const unsigned char *text, size_t n,
                      struct range **ranges, size_t *n_ranges, struct gpt2_error *err);

#endif
