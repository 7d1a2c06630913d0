/* completion_json.h - completions as members of a JSON object, as OpenAI's API has them. */
#ifndef CLI_GENERATE_COMPLETION_JSON_H
#define CLI_GENERATE_COMPLETION_JSON_H

#include "base/buffer.h"
#include "cli/generate/settings.h"
#include <gpt2/completion.h>

/* Writes the choices of n completions in their order, usage and seed, with a comma in front. All
 * are done and were made with this decoding; `tokenizer` may be NULL where there are only ids. */
void completions_json(struct gpt2_completion *const *completions, int n,
                      const struct decoding *decoding, const struct gpt2_tokenizer *tokenizer,
                      struct buffer *out);

#endif
