/* prompt_scores.h - how likely the tokens of prompts were, for echo with log-probabilities. */
#ifndef CLI_GENERATE_PROMPT_SCORES_H
#define CLI_GENERATE_PROMPT_SCORES_H

#include <gpt2/completion.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/score.h>

/* Starts from {0}. */
struct prompt_scores {
    struct gpt2_score *scores; /* [n_ids - 1] of ids[1], ids[2], ...; owned                     */
    struct gpt2_alternative *top; /* [n_ids - 1][n_top], likeliest first; owned; NULL: n_top is 0 */
    int n_top;
};
void prompt_scores_free(struct prompt_scores *scores);

/* Scores any number of prompts, one after the other. The first members are the caller's, borrowed;
 * the rest starts as 0. */
struct prompt_scorer {
    const struct gpt2_model *model;
    const struct gpt2_tokenizer *tokenizer;
    struct gpt2_runtime *runtime;
    enum gpt2_kv kv;
    size_t cache_memory; /* for what prompts begin with; 0: none */

    struct gpt2_scorer *scorer; /* of the last prompt; NULL: none yet */
    int n_top;                  /* its alternatives */
};

/* Scores what the completion's model reads of its prompt as `gpt2 score --no-bos` does, each token
 * after all before it, with the n_top likeliest ids of each place. The model reads them once more.
 * Ids that the tokenizer does not have are padding and have no part in it. */
bool prompt_scores_make(struct prompt_scores *scores, struct prompt_scorer *scorer,
                        const struct gpt2_completion *completion, int n_top,
                        struct gpt2_error *err);
void prompt_scorer_free(struct prompt_scorer *scorer); /* what is not the caller's */

#endif
