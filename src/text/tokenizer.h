/* tokenizer.h - making a tokenizer from a vocabulary (the rest is in gpt2/tokenizer.h). */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "text/vocab.h"

#include <gpt2/tokenizer.h>

/* Takes the vocabulary over, also where it fails. NULL: out of memory. */
struct gpt2_tokenizer *tokenizer_create(struct vocab *vocab, struct gpt2_error *err);

#endif
