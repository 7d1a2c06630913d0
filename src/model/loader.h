/* loader.h - from named tensors to the model struct. */
#ifndef MODEL_LOADER_H
#define MODEL_LOADER_H

#include "model/config.h"
#include "model/weights.h"

/* Binds model->tensors to wte, wpe, h, ln_f and head as model->config asks for; fills infos, notes
 * and converted. Every tensor is found by name, has the expected shape and a type that is
 * understood, and nothing in the file that could change the result is left over; otherwise fails
 * with GPT2_ERR_MODEL. `expand`: weights in blocks of integers become F32 (blocks.h). What was
 * allocated is released by gpt2_model_close in both cases. */
bool loader_bind(struct gpt2_model *model, enum config_tie tie, bool expand,
                 struct gpt2_error *err);

#endif
