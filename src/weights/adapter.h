/* adapter.h - adapters (PEFT): small changes to the weights of a model that they name. */
#ifndef WEIGHTS_ADAPTER_H
#define WEIGHTS_ADAPTER_H

#include <gpt2/error.h>
#include <stdbool.h>

/* Refuses `path`, a file of an adapter, as a model: GPT2_ERR_MODEL with the model it is for, as the
 * adapter_config.json beside it says, and what to do. Returns false. */
bool adapter_refuse(const char *path, struct gpt2_error *err);

#endif
