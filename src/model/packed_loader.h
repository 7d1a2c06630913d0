/* packed_loader.h - binds the table of a packed file (weights/packed.h) to struct gpt2_model.
 *
 * The file's weights, in the order in which a pass reads them; wte is the last where it is the head
 * too. Groups are those of the type (kernels/panels.h).
 *
 *   vectors       F32 [n]
 *   wpe           F32, F16, BF16 [n_ctx, n_embd]
 *   linear layer  F32, F16, BF16 [panels, inputs, PANEL]
 *                 quantized as U8 [panels, groups, bytes of a group]
 *   wte, lm_head  F32, F16, BF16 [n_vocab, n_embd]
 *                 quantized as U8 [panels, groups, bytes of a group]
 *
 * What U8 is the header says (packed_form.h): Q8 or Q4, or the integers that a GGUF file had in
 * blocks, in any of the types that products read. Version 2 of the format does not say it: there U8
 * is Q8 or Q4, as the bytes of a group have it. */
#ifndef MODEL_PACKED_LOADER_H
#define MODEL_PACKED_LOADER_H

#include "model/tensor_schema.h"

/* The dtype, shape and size that a matrix has in a packed file; name and data are left alone. */
void packed_loader_shape(struct tensor *out, const struct tensor_spec *spec, enum dtype dtype,
                         enum layout layout);

/* Binds everything of model->tensors, which are in panels (tensors.h), as model->config asks for.
 * The data lies where it is used; nothing of it is touched, unless the integers of a GGUF file are
 * to be F32 (`expand`). Fails with GPT2_ERR_MODEL where a tensor is missing, unknown, or has
 * another type, form, shape or alignment; where expanded also with GPT2_ERR_MEMORY. */
bool packed_loader_bind(struct gpt2_model *model, bool expand, struct gpt2_error *err);

#endif
