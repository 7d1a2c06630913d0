/* vocab_parse.h - a tokenizer's files, as bytes in memory, made into a vocabulary. */
#ifndef TEXT_VOCAB_PARSE_H
#define TEXT_VOCAB_PARSE_H

#include "text/vocab.h"

enum vocab_file {
    VOCAB_TOKENS,    /* vocab.json or encoder.json: {token: id}                        */
    VOCAB_MERGES,    /* merges.txt or vocab.bpe: "left right" on each line             */
    VOCAB_TOKENIZER, /* tokenizer.json: both of these and more, and instead of them    */
    VOCAB_ADDED,     /* added_tokens.json: {token: id}; this and the rest are optional */
    VOCAB_SPECIALS,  /* special_tokens_map.json: names of special tokens               */
    VOCAB_CONFIG,    /* tokenizer_config.json                                          */
    VOCAB_N_FILES
};

#define VOCAB_MAX_BYTES ((size_t)256 << 20) /* of one file */

struct vocab_source {
    const char *name; /* for messages                     */
    const char *text; /* [len]; NULL: there is no such file */
    size_t len;       /* at most VOCAB_MAX_BYTES          */
};

/* Parses VOCAB_TOKENIZER if it has text, else VOCAB_TOKENS and VOCAB_MERGES. NULL: `err`
 * names the file and the entry or line that is wrong. */
struct vocab *vocab_parse(const struct vocab_source files[VOCAB_N_FILES], struct gpt2_error *err);

#endif
