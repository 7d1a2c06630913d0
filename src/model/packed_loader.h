/* packed_loader.h - from the table of a packed file (weights/packed.h) to the struct gpt2_model.
 *
 * Its weights, in the order in which a pass reads them (wte at the end where it is the head too):
 *
 *   vectors                  F32 [n]
 *   wpe                      F32, F16, BF16 [n_ctx, n_embd]
 *   linear layers, in panels F32, F16, BF16 [panels, in, PANEL]
 *                            U8 [panels, groups of inputs, bytes of a group]: Q8 or Q4, by the
 * bytes wte, lm_head             F32, F16, BF16 [n_vocab, n_embd], rows, or Q8 or Q4 in panels: U8
 * [panels, groups of n_embd, bytes of a group] */
#ifndef MODEL_PACKED_LOADER_H
#define MODEL_PACKED_LOADER_H

#include "model/tensor_schema.h"

/* The dtype, shape and size that a matrix has in a packed file; name and data are left alone. */
void packed_loader_shape(struct tensor *out, const struct tensor_spec *spec, enum dtype dtype,
                         enum layout layout);

/* Binds everything of model->tensors, which are in panels (tensors.h), as model->config asks for.
 * The data lies where it is used; nothing of it is touched. Fails with GPT2_ERR_MODEL where a
 * tensor is missing, unknown, or has another type, shape or alignment. */
bool packed_loader_bind(struct gpt2_model *model, struct gpt2_error *err);

#endif
