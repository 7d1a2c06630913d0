/* quantize.h - making one packed file of a model: weights as the kernels read them, configuration
 * and tokenizer inside. gpt2_model_open and gpt2_tokenizer_open take such a file like a directory.
 *
 * Files of the version of the format before this one are read; a program of another version may
 * refuse this one's and ask for a new file. Keep what it was made from. */
#ifndef GPT2_QUANTIZE_H
#define GPT2_QUANTIZE_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the matrices become. Biases and layer norms stay F32, position embeddings as they are. With
 * GPT2_Q4 the head is Q8, and wte with it where it is the head: its errors go straight into the
 * logits. Where wte is not the head it is only looked up and becomes 16 bits. */
enum gpt2_weight_type {
    GPT2_F16,  /* rounded to nearest; logits are those of the same weights in a directory */
    GPT2_BF16, /* the same                                                                */
    GPT2_Q8,   /* 8-bit integers with a scale for each 64 weights                         */
    GPT2_Q4,   /* 4-bit integers with a scale and a least value for each 64 weights       */
    GPT2_F32,  /* as they are, for models in F32                                          */
    GPT2_AS_IS /* each as it is, quantized ones too: the integers of a GGUF file stay the
                  very integers, and the file gives the bits that the GGUF file gives     */
};

/* Called on the caller's thread with the units of work that are done: panels (16 outputs of a
 * matrix), and the same amount of calibration. False ends the work: gpt2_quantize then fails with
 * GPT2_ERR_RUNTIME. */
typedef bool (*gpt2_quantize_progress)(void *user, size_t done, size_t total);

struct gpt2_quantize_options {
    enum gpt2_weight_type type;
    const int32_t *calibration; /* [n_calibration] tokens of a text like those the model will see */
    size_t n_calibration;       /* 0: without. For GPT2_Q8 and GPT2_Q4, ignored otherwise         */
    const void *tokenizer; /* [n_tokenizer] bytes of gpt2_tokenizer_pack; NULL: without one   */
    size_t n_tokenizer;
    gpt2_quantize_progress progress; /* NULL: none */
    void *user;
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* Calibration: the model reads the text first (in windows of its context), and every error then
 * counts as it does for that text: integers make up for each other's errors, and what is left on
 * average is taken off the bias. The file is as large and as fast as without. Some ten thousand
 * tokens are enough.
 *
 * Memory besides the model's mapping: a panel for each thread and what a batch of them becomes, a
 * few MiB. With calibration also 256 bytes for each input of each matrix product: of
 * (7 n_layer + 1) n_embd inputs where n_inner is 4 n_embd (16 MiB for 124M, 131 MiB for gpt2-xl),
 * and a session with a batch of 64 rows while the text is read. The same bytes for any number of
 * threads and any kernel variant.
 *
 * Writes the file at `path`, in the place of one that is there. It appears whole or not at all:
 * a failure leaves no file. Fails with GPT2_ERR_MODEL where a weight does not fit the
 * type, is not finite, or is quantized already and the type is not GPT2_AS_IS; with
 * GPT2_ERR_RUNTIME where the file cannot be written; with GPT2_ERR_USAGE where an option is out of
 * range, a token is outside the vocabulary or the calibration has only one; with GPT2_ERR_MEMORY.
 */
bool gpt2_quantize(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                   const struct gpt2_quantize_options *options, const char *path,
                   struct gpt2_error *err);

/* The same as a model in memory, in place of a file that is then opened: for a quantized form that
 * is needed once. Needs neither `model` nor `runtime` afterwards. NULL: fails as above. */
struct gpt2_model *gpt2_model_quantize(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                       const struct gpt2_quantize_options *options,
                                       struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
