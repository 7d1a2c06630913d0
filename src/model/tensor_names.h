/* tensor_names.h - which names of tensors are GPT-2's, and whose the others are. */
#ifndef MODEL_TENSOR_NAMES_H
#define MODEL_TENSOR_NAMES_H

#include "weights/tensors.h"

/* The name without what GPT2LMHeadModel and training wrappers put before it: the end of `name`
 * itself. "module.transformer.wte.weight" is "wte.weight". */
const char *tensor_names_strip(const char *name);

/* True if any tensor has a name of GPT-2's. Else false, with GPT2_ERR_MODEL that says whose the
 * names are: those of an adapter, GPT-2's after a prefix that is not known, another model's. */
bool tensor_names_check(const struct tensors *tensors, struct gpt2_error *err);

#endif
