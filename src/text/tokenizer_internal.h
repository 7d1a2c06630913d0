/* tokenizer_internal.h - making a tokenizer from a vocabulary (the rest is in gpt2/tokenizer.h). */
#ifndef TEXT_TOKENIZER_INTERNAL_H
#define TEXT_TOKENIZER_INTERNAL_H

#include "text/bpe.h"
#include "text/vocab.h"

#include <gpt2/tokenizer.h>

/* Takes the vocabulary over, also where it fails. NULL: out of memory. */
struct gpt2_tokenizer *tokenizer_create(struct vocab *vocab, struct gpt2_error *err);

/* Makes one of what gpt2_tokenizer_pack gave, which is borrowed and lies at a multiple of 64 bytes;
 * `name` stands for it in messages. Any bytes are refused (GPT2_ERR_MODEL) or safe to use. */
struct gpt2_tokenizer *tokenizer_unpack(const unsigned char *bytes, size_t n_bytes,
                                        const char *name, struct gpt2_error *err);

/* What it is made of; borrowed. The vocabulary's list of merges may be absent (tables.h):
 * bpe_merges. */
const struct vocab *tokenizer_vocab(const struct gpt2_tokenizer *tokenizer);
const struct bpe *tokenizer_bpe(const struct gpt2_tokenizer *tokenizer);

#endif
