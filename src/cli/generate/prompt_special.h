/* prompt_special.h - special tokens that a prompt spells, which are text unless asked for. */
#ifndef CLI_GENERATE_PROMPT_SPECIAL_H
#define CLI_GENERATE_PROMPT_SPECIAL_H

#include "cli/generate/settings.h"

/* The special token of the lowest id that the prompt spells and, by these settings, is read as
 * text: its bytes [*n_token], of the tokenizer. NULL: there is none. */
const char *prompt_special(const struct gpt2_tokenizer *tokenizer, const struct settings *settings,
                           const char *prompt, size_t n, size_t *n_token);

#endif
