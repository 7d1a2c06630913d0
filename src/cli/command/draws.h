/* draws.h - names how the tokens of a text are drawn. */
#ifndef CLI_COMMAND_DRAWS_H
#define CLI_COMMAND_DRAWS_H

#include "base/buffer.h"
#include <gpt2/sampler.h>

/* Appends "greedy", or temperature, top-k and each filter that is on; and a repeat penalty. */
void draws_print(struct buffer *out, const struct gpt2_sampler_options *options);

#endif
