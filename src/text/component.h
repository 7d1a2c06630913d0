/* component.h - what the readers of tokenizer.json's components share: types by name, patterns. */
#ifndef TEXT_COMPONENT_H
#define TEXT_COMPONENT_H

#include "base/json.h"

#define COMPONENT_DEPTH 8 /* of a Sequence in a Sequence */

bool component_absent(const struct json *node); /* not there, or null */

/* The "type" of a component; `what` stands for it in messages. False: it has none. */
bool component_type(const char **type, const struct json *node, const char *what, const char *name,
                    struct gpt2_error *err);

/* An optional switch. False: it is there and not true or false. */
bool component_bool(bool *value, bool otherwise, const struct json *node, const char *key,
                    const char *what, const char *name, struct gpt2_error *err);

/* The place of `type` in names, which ends in NULL; -1 with an error that lists them. */
int component_find(const char *type, const char *const *names, const char *what, const char *name,
                   struct gpt2_error *err);

/* What a Split cuts at and a Replace replaces. */
enum pattern_kind {
    PATTERN_STRING,     /* {"String": text}                                   */
    PATTERN_GPT2,       /* GPT-2's regular expression: every piece is a match */
    PATTERN_WORDS,      /* \w+|[^\w\s]+, as Oniguruma has \w (unicode.h)      */
    PATTERN_RUST_WORDS, /* the same, as Rust has it: Whitespace's             */
    PATTERN_CLASS       /* a character of a class, or a run of them           */
};

struct pattern {
    enum pattern_kind kind;
    char *text; /* [len], owned; of PATTERN_STRING */
    size_t len;
    bool (*is_in)(uint32_t cp); /* of PATTERN_CLASS */
    bool run;
};

/* Reads {"String": ...} or {"Regex": ...}; a regular expression that is none of the known ones is
 * named and refused. */
bool component_pattern_parse(struct pattern *out, const struct json *node, const char *what,
                             const char *name, struct gpt2_error *err);
void component_pattern_free(struct pattern *pattern);

/* The next match in text[from..n): [*begin, *end), never empty. False: there is none. */
bool component_pattern_next(const struct pattern *pattern, const unsigned char *text, size_t n,
                            size_t from, size_t *begin, size_t *end);

/* Classes of characters. */
bool component_is_space(uint32_t cp);
bool component_is_number(uint32_t cp);
bool component_is_punctuation(uint32_t cp);

#endif
