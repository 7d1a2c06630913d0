/* adapt.h - what a model keeps of the adapters that were merged into it (gpt2/lora.h). */
#ifndef MODEL_ADAPT_H
#define MODEL_ADAPT_H

#include "model/weights.h"

/* Whether data is of a weight that an adapter brought or changed. The matrices of the blocks are
 * F32 panels on 2 MiB pages then, the others rows there. */
bool adapt_made(const struct gpt2_model *model, const void *data);

/* Frees them and the weights that they brought: gpt2_model_close. */
void adapt_free(struct gpt2_model *model);

#endif
