/* torch.h - reads what torch.save wrote: a state dict ("pytorch_model.bin"), or a checkpoint with
 * one inside, as nanoGPT's "ckpt.pt" (torch/serialization.py). Both of its formats, the zip archive
 * of 2020 and the stream of pickles before it.
 *
 * The pickle in it is read as data (pickle.h): nothing that it names is ever called. */
#ifndef WEIGHTS_TORCH_TORCH_H
#define WEIGHTS_TORCH_TORCH_H

#include "weights/containers.h"

/* A tensors_parse (tensors.h). Of a checkpoint, the dict under "model", "state_dict" or
 * "model_state_dict" counts, and if nanoGPT's "model_args" lie beside it, tensors->config says what
 * they do. Matrices that the file has [out, in], as nanoGPT, are turned; which it has is seen from
 * the shape of attn.c_attn. Fails with GPT2_ERR_MODEL naming the file, the tensor, what was
 * expected and what was found. */
bool torch_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes, const char *name,
                 struct gpt2_error *err);

#endif
