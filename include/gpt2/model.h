/* model.h - the immutable half: configuration and weights of one GPT-2.
 *
 * A model is read-only after gpt2_model_open and may be shared by any number of threads, batches
 * and sessions. It owns the file mapping and everything that was converted from it. */
#ifndef GPT2_MODEL_H
#define GPT2_MODEL_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_model;

#define GPT2_MAX_EOS 8

/* Every key of config.json that changes the arithmetic, in the field's own names. */
struct gpt2_config {
    int n_vocab;              /* rows of wte                              (vocab_size)  */
    int n_ctx;                /* rows of wpe: the longest sequence        (n_positions) */
    int n_embd;               /* features of a token; what layer norm runs over         */
    int n_layer;              /* blocks                                                 */
    int n_head;               /* attention heads; divides n_embd                        */
    int n_inner;              /* width of the MLP; 4 * n_embd where config says null    */
    const char *activation;   /* its Hugging Face name, "gelu_new" unless config says   */
    float layer_norm_epsilon; /* added to the variance, inside the root                 */
    bool scale_attn_weights;  /* scores are divided by sqrt(head size)                  */
    bool scale_attn_by_inverse_layer_idx; /* ... and by (layer + 1) */
    int n_eos;                     /* how many tokens end a text (0..GPT2_MAX_EOS)           */
    int32_t eos_ids[GPT2_MAX_EOS]; /* their ids                                              */
    int32_t bos_id;                /* the token an empty prompt starts from, or -1           */
};

/* Opens a Hugging Face directory (config.json + model.safetensors), or a file inside one. Weight
 * matrices in F32, F16 and BF16 are used where they lie in the mapping; biases, layer-norm gains
 * and biases are converted to F32. Fails with GPT2_ERR_MODEL and names what is wrong. The file must
 * not be changed while the model is open. */
struct gpt2_model *gpt2_model_open(const char *path, struct gpt2_error *err);

/* NULL is allowed. Everything that borrows the model must be gone. */
void gpt2_model_close(struct gpt2_model *model);

/* Borrowed from the model. */
const struct gpt2_config *gpt2_model_config(const struct gpt2_model *model);

/* One tensor as the file has it; strings are borrowed from the model. */
struct gpt2_tensor_info {
    const char *name;  /* GPT-2's own name, without "transformer." */
    const char *dtype; /* "F32", "F16", "BF16", "F64"              */
    int rank;
    int64_t shape[2]; /* of a vector the second is 1 */
    size_t n_bytes;
};

/* The i-th bound tensor in the order of the forward pass, false past the last one. */
bool gpt2_model_tensor(const struct gpt2_model *model, size_t i, struct gpt2_tensor_info *info);

/* Number of weights, a tied head counted once. */
uint64_t gpt2_model_parameters(const struct gpt2_model *model);

/* True where the logits use wte (spec 2.4); false where the file has its own lm_head. */
bool gpt2_model_head_is_tied(const struct gpt2_model *model);

/* The i-th thing the loader noticed and the user may want to know ("lm_head.weight differs from
 * wte.weight ..."), NULL past the last one. Borrowed. */
const char *gpt2_model_note(const struct gpt2_model *model, size_t i);

#ifdef __cplusplus
}
#endif
#endif
