/* completion_json.h - completions as members of a JSON object, as OpenAI's API has them. */
#ifndef CLI_GENERATE_COMPLETION_JSON_H
#define CLI_GENERATE_COMPLETION_JSON_H

#include "base/buffer.h"
#include "cli/generate/prompt_scores.h"
#include "cli/generate/settings.h"
#include <gpt2/completion.h>

/* Which of a completion's texts are given, by their numbers: all, or with --best-of those with the
 * best mean log-probability, best first, of equals the first. Returns how many. */
#define MAX_CHOSEN 4096
int completion_chosen(const struct gpt2_completion *completion, const struct settings *settings,
                      int chosen[MAX_CHOSEN]);

/* Whether a prompt's log-probabilities are wanted, with the echo of its text. */
bool completion_wants_prompt(const struct settings *settings,
                             const struct gpt2_tokenizer *tokenizer);

/* What of a sample is written: the tokens and bytes after the first n_ids and n_bytes. `begins`:
 * the echo of the prompt in front of them; `ends`: why it ended, and its end id with the
 * log-probabilities, after them. */
struct choice_part {
    int n_ids;
    size_t n_bytes;
    bool begins, ends;
};

/* Writes a part of one sample as an object of "choices". `scores`: of the prompt, as below. */
void completion_part_json(const struct gpt2_completion *completion, int sample, int index,
                          const struct choice_part *part, const struct prompt_scores *scores,
                          const struct settings *settings, const struct gpt2_tokenizer *tokenizer,
                          struct buffer *out);

/* Tokens that were read and written. */
struct usage {
    size_t n_prompt, n_tokens;
};
struct usage completion_usage(const struct gpt2_completion *completion);
void usage_json(const struct usage *usage, struct buffer *out);

/* Writes the choices of n completions in their order, usage and seed, with a comma in front. All
 * are done and were made with this decoding; `tokenizer` may be NULL where there are only ids.
 * prompts [n] are their scores if completion_wants_prompt, else NULL. */
void completions_json(struct gpt2_completion *const *completions,
                      const struct prompt_scores *prompts, int n, const struct decoding *decoding,
                      const struct gpt2_tokenizer *tokenizer, struct buffer *out);

#endif
