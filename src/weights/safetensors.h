/* safetensors.h - reads a .safetensors file into a table of tensors. */
#ifndef WEIGHTS_SAFETENSORS_H
#define WEIGHTS_SAFETENSORS_H

#include "weights/tensors.h"

/* Maps and checks the file. Every check of the reference parser and some more: see the list at the
 * top of safetensors.c. On failure GPT2_ERR_MODEL names the file, the tensor, what was expected
 * and what was found, and *out is zeroed. */
bool safetensors_open(struct tensors *out, const char *path, struct gpt2_error *err);

/* The same over bytes in memory (tests, fuzzing). `name` stands for the path in messages. The bytes
 * are borrowed and must outlive the table; tensors_close does not free them. */
bool safetensors_parse(struct tensors *out, const unsigned char *bytes, size_t n_bytes,
                       const char *name, struct gpt2_error *err);

#endif
