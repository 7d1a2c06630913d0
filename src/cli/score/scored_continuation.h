/* scored_continuation.h - several continuations of one context, scored side by side.
 *
 * Context and continuation are tokenized together, as a reader would; the tokens that belong to the
 * context are those of the context alone, as far as both agree (lm-evaluation-harness does so;
 * GPT-2 cuts text before the space of a word, where they agree anyway). What all continuations
 * share is read once. */
#ifndef CLI_SCORE_SCORED_CONTINUATION_H
#define CLI_SCORE_SCORED_CONTINUATION_H

#include "cli/command/engine.h"

#include <gpt2/score.h>

/* One of them, with its score. */
struct continuation {
    const char *text; /* [len] borrowed */
    size_t len;
    int n_tokens;
    double logprob;  /* of all its tokens together                                   */
    bool is_greedy;  /* each of its tokens is the likeliest after those before it    */
    bool last_first; /* its last token is                                            */
};

/* Scores items[0..n) after the context. An empty context starts from the bos token. Where context
 * and continuation do not fit the model's context, the context loses its beginning if `truncate`,
 * else it is GPT2_ERR_INPUT. */
bool continuation_score(const struct engine *engine, struct gpt2_scorer *scorer,
                        const char *context, size_t len, struct continuation *items, int n,
                        bool truncate, struct gpt2_error *err);

#endif
