/* specials.h - collecting the special tokens that a tokenizer's files name.
 *
 * Five places can name one, with an id or without; which of them belong to the vocabulary is
 * decided when all have been read (vocab_parse.c). */
#ifndef TEXT_SPECIALS_H
#define TEXT_SPECIALS_H

#include "base/json.h"

struct special {
    const char *text; /* borrowed from the parsed file */
    int64_t id;       /* -1: this file does not say    */
    const char *file;
};

/* Start from {.err = err}; free `items` with free(). */
struct specials {
    struct special *items; /* [n of cap], as they were read */
    size_t n, cap;
    bool wide; /* one of them is not plain ASCII */
    struct gpt2_error *err;
};

/* tokenizer.json: "added_tokens": [{"id": 50256, "content": "<|endoftext|>", ...}]; NULL: none. */
bool specials_read_list(struct specials *s, const struct json *list, const char *file);

/* added_tokens.json: {"<pad>": 50257} */
bool specials_read_map(struct specials *s, const struct json *map, const char *file);

/* tokenizer_config.json: "added_tokens_decoder": {"50257": {"content": "<pad>", ...}}; NULL: none.
 */
bool specials_read_decoder(struct specials *s, const struct json *map, const char *file);

/* special_tokens_map.json and tokenizer_config.json: {"eos_token": "<|endoftext|>", ...,
 * "additional_special_tokens": [...]}. */
bool specials_read_names(struct specials *s, const struct json *map, const char *file);

/* The special token of just this text, if it has characters that the byte alphabet would take for
 * other bytes or does not have; else NULL. */
struct special *specials_find_wide(const struct specials *s, const char *text);

#endif
