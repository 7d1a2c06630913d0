/* fingerprint.h - what the lines of a job of many records depend on, as a hash that stands in each
 * of them ("system_fingerprint"): --resume goes on only where it is the same. */
#ifndef CLI_COMMAND_FINGERPRINT_H
#define CLI_COMMAND_FINGERPRINT_H

#include "base/buffer.h"

#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/session.h>
#include <gpt2/tokenizer.h>

#define FINGERPRINT_BYTES 32

/* Of the model's computation and the tokenizer's tokens (adapters included), its name where lines
 * have it ("": not), and `options`, a text with everything else that changes a line, to which the
 * rest is appended. */
bool fingerprint_make(char fingerprint[FINGERPRINT_BYTES], const struct gpt2_model *model,
                      const struct gpt2_tokenizer *tokenizer, struct gpt2_runtime *runtime,
                      enum gpt2_kv kv, const char *model_name, struct buffer *options,
                      struct gpt2_error *err);

#endif
