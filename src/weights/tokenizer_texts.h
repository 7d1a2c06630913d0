/* tokenizer_texts.h - the texts of a tokenizer that a container of weights has inside. */
#ifndef WEIGHTS_TOKENIZER_TEXTS_H
#define WEIGHTS_TOKENIZER_TEXTS_H

#include <stddef.h>

/* Which of them: each is as the file of a directory would be. */
enum tokenizer_text {
    TOKENIZER_VOCAB,  /* vocab.json: {token in the byte alphabet: id}                          */
    TOKENIZER_MERGES, /* merges.txt: "left right" on each line, in the byte alphabet           */
    TOKENIZER_ADDED,  /* added_tokens.json: {special token, as it stands: id}; may be missing  */
    TOKENIZER_CONFIG, /* tokenizer_config.json; may be missing                                 */
    TOKENIZER_N_TEXTS
};

struct tokenizer_texts {
    struct {
        char *text; /* [len] to be freed; NULL: there is none         */
        size_t len;
        const char *what; /* "tokenizer.ggml.tokens": for messages; static */
    } items[TOKENIZER_N_TEXTS];
};

void tokenizer_texts_free(struct tokenizer_texts *texts); /* a zeroed struct is allowed */

#endif
