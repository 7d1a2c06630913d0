/* gguf_model.h - a GPT-2 in a GGUF file: weights, configuration and tokenizer.
 *
 * Names and keys: llama.cpp, gguf-py/gguf/constants.py, architecture gpt2. */
#ifndef WEIGHTS_GGUF_GGUF_MODEL_H
#define WEIGHTS_GGUF_GGUF_MODEL_H

#include "weights/containers.h"

/* The names that GPT-2's tensors have in GGUF: blk.N.attn_qkv.weight is h.N.attn.c_attn.weight. */
struct gguf_name {
    const char *gguf, *gpt2; /* a part of the name; of a block's without blk.N. or h.N. */
    bool is_linear;          /* its .weight is [out, in] in the file                    */
    bool in_block;
};
extern const struct gguf_name gguf_names[]; /* ends with {NULL} */

/* A tensors_parse (tensors.h). Quantized tensors stay in the file's blocks; linear layers' matrices
 * are turned. The configuration is that of the metadata, but for n_ctx, n_inner and n_vocab, which
 * the tensors' shapes say: converters are known to write others into the metadata. */
bool gguf_model_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                      const char *path, struct gpt2_error *err);

/* The tokenizer of the metadata; of tensors nothing is read. Nothing where it names none. */
bool gguf_model_tokenizer(struct tokenizer_texts *out, const unsigned char *bytes, size_t n_bytes,
                          const char *path, struct gpt2_error *err);

#endif
