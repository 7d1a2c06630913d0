/* prompt_special.c - looks for each special token in the prompt. */
#include "cli/generate/prompt_special.h"

#include <gpt2/tokenizer.h>
#include <string.h>

static bool spells(const char *prompt, size_t n, const char *token, size_t n_token) {
    for (size_t i = 0; i + n_token <= n; i++)
        if (prompt[i] == token[0] && memcmp(prompt + i, token, n_token) == 0)
            return true;
    return false;
}

const char *prompt_special(const struct gpt2_tokenizer *tokenizer, const struct settings *settings,
                           const char *prompt, size_t n, size_t *n_token) {
    if (!tokenizer || settings_encode_flags(settings) & GPT2_ENCODE_SPECIAL)
        return NULL;
    for (int32_t id = 0; id < gpt2_tokenizer_size(tokenizer); id++) {
        const char *token = gpt2_tokenizer_is_special(tokenizer, id)
                                ? gpt2_tokenizer_token(tokenizer, id, n_token)
                                : NULL;
        if (token && spells(prompt, n, token, *n_token))
            return token;
    }
    return NULL;
}
