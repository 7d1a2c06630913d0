/* torch_nanogpt.h - what a checkpoint of nanoGPT says and leaves out. */
#ifndef WEIGHTS_TORCH_TORCH_NANOGPT_H
#define WEIGHTS_TORCH_TORCH_NANOGPT_H

#include "weights/tensors.h"
#include "weights/torch/pickle.h"
#include <string.h>

#define TORCH_MAX_NAME 200u /* bytes of a tensor's name */

static inline bool torch_ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* True for the weight of a linear layer. */
static inline bool torch_is_linear(const char *name) {
    return torch_ends_with(name, ".attn.c_attn.weight") ||
           torch_ends_with(name, ".attn.c_proj.weight") ||
           torch_ends_with(name, ".mlp.c_fc.weight") || torch_ends_with(name, ".mlp.c_proj.weight");
}

/* Writes out->config from "model_args". Fails with GPT2_ERR_MODEL where one is missing. */
bool torch_nanogpt_config(struct tensors *out, const struct pickle *pickle,
                          const struct pickle_value *args, struct gpt2_error *err);

/* Biases of zeros for what has none, all views of one stretch of zeros. GPT2_ERR_MEMORY. */
bool torch_nanogpt_biases(struct tensors *out, struct gpt2_error *err);

#endif
