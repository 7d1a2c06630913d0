/* safetensors.h - reads a .safetensors file into a table of tensors. */
#ifndef WEIGHTS_SAFETENSORS_H
#define WEIGHTS_SAFETENSORS_H

#include "weights/containers.h"

/* A tensors_parse (tensors.h). Makes every check of the reference parser and some more: see the
 * list at the top of safetensors.c. On failure GPT2_ERR_MODEL names the file, the tensor, what was
 * expected and what was found. */
bool safetensors_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                       const char *name, struct gpt2_error *err);

#endif
