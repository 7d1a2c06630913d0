/* prompt_scores.h - how likely the tokens of a prompt were, for echo with log-probabilities. */
#ifndef CLI_GENERATE_PROMPT_SCORES_H
#define CLI_GENERATE_PROMPT_SCORES_H

#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/score.h>

/* Starts from {0}. */
struct prompt_scores {
    struct gpt2_score *scores; /* [n_ids - 1] of ids[1], ids[2], ...; owned                     */
    struct gpt2_alternative *top; /* [n_ids - 1][n_top], likeliest first; owned; NULL: n_top is 0 */
    int n_top;
};

/* Scores ids[0..n_ids) as `gpt2 score --no-bos` does, each token after all before it. The model
 * reads them once more. Ids from n_vocab on are padding and have no part in it. */
bool prompt_scores_make(struct prompt_scores *scores, const struct gpt2_model *model,
                        struct gpt2_runtime *runtime, const struct gpt2_scorer_options *options,
                        const int32_t *ids, int n_ids, struct gpt2_error *err);
void prompt_scores_free(struct prompt_scores *scores);

#endif
