/* tie.h - whether the head is wte: as one matrix, or as a copy of it.
 *
 * Some files have both, the second a copy of the first: GGUF files mostly do, as older programs
 * want an output.weight. A run reads the head as it lies there and one row of wte a token, so it
 * need not know; to compare them first takes longer than the first token. They are compared when
 * a caller asks. */
#ifndef MODEL_TIE_H
#define MODEL_TIE_H

#include "model/weights.h"

/* HEAD_NOT_COMPARED: model->head is bound to the file's own, and the last of model->infos is its
 * entry; both are the head's only if it turns out to be no copy. */
enum head_tie { HEAD_IS_WTE, HEAD_IS_OWN, HEAD_NOT_COMPARED };

/* How many of model->infos are tensors of the model. Compares if need be. Any thread. */
size_t tie_n_tensors(const struct gpt2_model *model);

/* Compares, and lets a copy go: model->head is model->wte then. Before the model is shared. */
void tie_settle(struct gpt2_model *model);

#endif
