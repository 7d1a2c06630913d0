/* llmc.h - reads what llm.c writes: a model ("gpt2_124M.bin") and its tokenizer.
 *
 * Format: train_gpt2.py of github.com/karpathy/llm.c, write_model and write_tokenizer. */
#ifndef WEIGHTS_LLMC_LLMC_H
#define WEIGHTS_LLMC_LLMC_H

#include "weights/containers.h"

/* A tensors_parse (tensors.h) of a file of version 3 (F32) or 5 (BF16); tensors->config says all
 * that there is to say: llm.c knows one kind of GPT-2. wte has the rows of the vocabulary, without
 * those that pad it. On failure GPT2_ERR_MODEL says what was expected and found. */
bool llmc_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                struct gpt2_error *err);

/* The tokenizer of the model at `path`: gpt2_tokenizer.bin in its directory, where there is one;
 * the model's own bytes are not looked at. */
bool llmc_tokenizer(struct tokenizer_texts *out, const unsigned char *bytes, size_t n_bytes,
                    const char *path, struct gpt2_error *err);

/* The texts of a tokenizer's files from the bytes of a gpt2_tokenizer.bin (llmc_tokenizer.c says
 * how). Fails with GPT2_ERR_MODEL or GPT2_ERR_MEMORY; what *out then holds is to be freed too. */
bool llmc_tokenizer_parse(struct tokenizer_texts *out, const unsigned char *bytes, size_t n_bytes,
                          const char *name, struct gpt2_error *err);

#endif
