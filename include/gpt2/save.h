/* save.h - writing an open model in other programs' formats, and checking its weights.
 *
 * Unless a type is asked for, weights are written with the bits they have: matrices in their type
 * (F32, F16, BF16), biases and layer norms in F32. So the model that is read back gives the same
 * logits, bit for bit. Quantized models are refused: another program could not give their results.
 */
#ifndef GPT2_SAVE_H
#define GPT2_SAVE_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/tokenizer.h>
#include <gpt2/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called on the caller's thread after each tensor. False ends the work: then GPT2_ERR_RUNTIME. */
typedef bool (*gpt2_save_progress)(void *user, size_t done, size_t total);

/* Writes model.safetensors and then config.json, with Hugging Face's names and shapes, into a
 * directory that is there. Each file appears whole or not at all. Fails with GPT2_ERR_MODEL where
 * the model is quantized; with GPT2_ERR_RUNTIME where a file cannot be written; with
 * GPT2_ERR_MEMORY. `progress` may be NULL. */
bool gpt2_model_save(const struct gpt2_model *model, const char *directory,
                     gpt2_save_progress progress, void *user, struct gpt2_error *err);

/* What the matrices of a GGUF file are. Vectors and position embeddings are F32 in each. Rounding
 * is to the nearest; blocks are made as ggml's own reference makes them. */
enum gpt2_gguf_type {
    GPT2_GGUF_AS_IS, /* F32, F16, BF16, or the blocks of a GGUF file whose integers the model
                        keeps: each matrix as the model has it                          */
    GPT2_GGUF_F32,
    GPT2_GGUF_F16,
    GPT2_GGUF_BF16,
    GPT2_GGUF_Q8_0, /* blocks of 32 8-bit integers and a scale                          */
    GPT2_GGUF_Q4_0  /* blocks of 32 4-bit integers and a scale; embeddings and head Q8_0 */
};

struct gpt2_gguf_options {
    enum gpt2_gguf_type type;
    bool tied;        /* a head that is wte is written once. False: twice, as token_embd and output,
                         without which older programs do not load a file; it is read as tied again */
    const char *name; /* "general.name"; NULL: "gpt2" */
    const struct gpt2_gguf_pairs *tokenizer; /* of gpt2_tokenizer_gguf; NULL: without one */
    gpt2_save_progress progress;             /* NULL: none */
    void *user;
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Writes one GGUF file (version 3) of architecture gpt2, in the place of one that is there. NULL
 * options: all of them 0. Fails as gpt2_model_save does, and with GPT2_ERR_MODEL where GGUF cannot
 * say what the model computes (an activation other than gelu_new, attention scaled in another way),
 * where the tokenizer's bos_id is not the model's (the file has one id for both), where a weight
 * does not fit the type, and where a row of n_embd or n_inner weights is no multiple of a block. Of
 * several ids that end a text the first is written. */
bool gpt2_model_save_gguf(const struct gpt2_model *model, const struct gpt2_gguf_options *options,
                          const char *path, struct gpt2_error *err);

/* What gpt2_model_check found. */
struct gpt2_check {
    char fingerprint[65]; /* SHA-256 as text: see below                                        */
    const char *hash;     /* the hash that the file itself carries and that was compared; NULL: it
                             carries none                                                      */
    uint64_t n_numbers;   /* looked at; those of Q8 and Q4 are not among them                  */
    uint64_t n_bad;       /* NaN or infinite                                                   */
    char first_bad[160];  /* where the first of these is: "h.3.mlp.c_fc.weight[17, 5]", or ""  */
};

/* Reads every weight once. The fingerprint is that of the numbers and not of how they are kept: it
 * is the SHA-256 over all tensors in the order of gpt2_model_tensor, each as
 *
 *     name '\0'  rank u32  dimensions u64[rank]  values f32[...]
 *
 * little-endian, matrices [in, out], every value as F32 (F16 and BF16 are exact in it). A tied head
 * is not a tensor. It is the same for the same weights in any container and in any of these types.
 * Of a quantized matrix the bytes of its panels take the place of the values.
 *
 * A file in Hugging Face's cache is named by the SHA-256 of its bytes, and a packed file has
 * checksums inside: these are compared. Fails with GPT2_ERR_MODEL where they differ, with
 * GPT2_ERR_MEMORY, and with GPT2_ERR_RUNTIME where `progress` says so. */
bool gpt2_model_check(const struct gpt2_model *model, struct gpt2_check *check,
                      gpt2_save_progress progress, void *user, struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
