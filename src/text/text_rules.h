/* text_rules.h - what a tokenizer does besides GPT-2's own way: a normalizer, a pre-tokenizer that
 * cuts further, tokens around a text. GPT-2's own tokenizer has none. */
#ifndef TEXT_TEXT_RULES_H
#define TEXT_TEXT_RULES_H

#include "base/buffer.h"
#include "text/normalizer.h"
#include "text/postprocessor.h"
#include "text/pretokenizer.h"

struct text_rules {
    struct normalizer *normalizer;     /* NULL: none */
    struct pretokenizer *pretokenizer; /* NULL: none */
    struct postprocessor around;
    struct buffer text; /* what they were read from, as JSON, to be kept in a packed file */
};

/* Reads the "normalizer", "pre_tokenizer" and "post_processor" of an object, called `name` in
 * messages. *out is NULL where there is nothing beyond *last. Fails as those readers do. */
bool text_rules_parse(struct text_rules **out, struct byte_level *last, const struct json *root,
                      const char *name, struct gpt2_error *err);

/* The same from rules.text. */
bool text_rules_unpack(struct text_rules **out, const char *text, size_t n, const char *name,
                       struct gpt2_error *err);

/* Makes the rules put this token before each text, or after it if `after`, unless it stands there.
 * *out: what was read from `root`; NULL becomes rules that do nothing else, and `root` may then be
 * NULL. */
bool text_rules_add(struct text_rules **out, const struct json *root, bool after, int32_t id,
                    const char *name, struct gpt2_error *err);

/* False, with an error, if one of their tokens is not an id below `size`. */
bool text_rules_check(const struct text_rules *rules, int32_t size, const char *name,
                      struct gpt2_error *err);

/* What they do, for messages: "normalizes text"; NULL: they only put tokens around it. */
const char *text_rules_what(const struct text_rules *rules);

void text_rules_free(struct text_rules *rules); /* NULL is allowed */

#endif
