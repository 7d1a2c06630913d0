/* scored_continuation.h - scores several continuations of one context in one batch.
 *
 * Context and continuation are tokenized together. Their common prefix with the tokens of the
 * context alone is the context; the tokens after it are scored, as in lm-evaluation-harness. (If
 * the continuation begins with a space, GPT-2 splits there and the whole context is that prefix.)
 * What all continuations share is read once. */
#ifndef CLI_SCORE_SCORED_CONTINUATION_H
#define CLI_SCORE_SCORED_CONTINUATION_H

#include "cli/command/engine.h"

#include <gpt2/score.h>

/* One continuation and its score. */
struct scored_continuation {
    const char *text; /* [len] borrowed */
    size_t len;
    int n_tokens;
    double logprob;  /* sum over its tokens, nats                                    */
    bool is_greedy;  /* each of its tokens is the likeliest one at its position      */
    bool last_first; /* its last token is the likeliest one at its position          */
};

/* Scores items[0..n) after the context. An empty context is the bos token. If context and
 * continuation are longer than the model's context, the beginning of the context is cut off with
 * `truncate`; without it false is returned with GPT2_ERR_INPUT. */
bool continuation_score(const struct engine *engine, struct gpt2_scorer *scorer,
                        const char *context, size_t len, struct scored_continuation *items, int n,
                        bool truncate, struct gpt2_error *err);

#endif
