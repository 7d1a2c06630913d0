/* added_tokens.h - collecting the added tokens, special and other, that a tokenizer's files name.
 *
 * Five places can name one, with an id or without; which of them belong to the vocabulary is
 * decided when all have been read (vocab_parse.c). */
#ifndef TEXT_ADDED_TOKENS_H
#define TEXT_ADDED_TOKENS_H

#include "base/json.h"

struct added_token {
    const char *text; /* borrowed from the parsed file */
    int64_t id;       /* -1: this file does not say    */
    const char *file;
    bool special;
    bool has_switches; /* the file says how it is matched, as vocab.h has it: */
    bool lstrip, rstrip, single_word, normalized;
};

/* Start from {.err = err}; free `items` with free(). */
struct added_tokens {
    struct added_token *items; /* [n of cap], as they were read */
    size_t n, cap;
    bool wide; /* one of them is not plain ASCII */
    struct gpt2_error *err;
};

/* tokenizer.json: "added_tokens": [{"id": 50256, "content": "<|endoftext|>", ...}]; NULL: none. */
bool added_tokens_read_list(struct added_tokens *s, const struct json *list, const char *file);

/* added_tokens.json: {"<pad>": 50257}; special are those that another file names. */
bool added_tokens_read_map(struct added_tokens *s, const struct json *map, const char *file);

/* tokenizer_config.json: "added_tokens_decoder": {"50257": {"content": "<pad>", ...}}; NULL: none.
 */
bool added_tokens_read_decoder(struct added_tokens *s, const struct json *map, const char *file);

/* special_tokens_map.json and tokenizer_config.json: {"eos_token": "<|endoftext|>", ...,
 * "additional_special_tokens": [...]}: all of them special. */
bool added_tokens_read_names(struct added_tokens *s, const struct json *map, const char *file);

/* The text of one of those names, as "bos_token"; NULL: the file does not have it. */
const char *added_tokens_name(const struct json *map, const char *name);

/* The token of just this text, if it has characters that the byte alphabet would take for other
 * bytes or does not have; else NULL. */
struct added_token *added_tokens_find_wide(const struct added_tokens *s, const char *text);

#endif
