/* adapt.h - what a model keeps of the adapters that were merged into it (gpt2/lora.h). */
#ifndef MODEL_ADAPT_H
#define MODEL_ADAPT_H

#include "model/weights.h"

/* Frees them and the weights that they brought: gpt2_model_close. */
void adapt_free(struct gpt2_model *model);

#endif
