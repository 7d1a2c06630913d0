/* rules.h - what changes the logits before anything is drawn from them. */
#ifndef SAMPLING_RULES_H
#define SAMPLING_RULES_H

#include <gpt2/sampler.h>

struct rules {
    struct gpt2_sampler_options options; /* its lists are not used after creation */
    int n_vocab;
    unsigned char *is_banned; /* [n_vocab] */
    struct gpt2_bias *biases; /* [n_biases] finite, in the vocabulary */
    int n_biases;
    int32_t *eos_ids; /* [n_eos] in the vocabulary; none where they are banned for good */
    int n_eos;
};

/* Checks and copies. False: GPT2_ERR_USAGE or GPT2_ERR_MEMORY; rules_free all the same. */
bool rules_init(struct rules *rules, const struct gpt2_sampler_options *options, int n_vocab,
                struct gpt2_error *err);
void rules_free(struct rules *rules);

/* True where any penalty is on. */
bool rules_penalize(const struct gpt2_sampler_options *options);

/* True where there is more to do than passing over what is_banned says. */
bool rules_change(const struct rules *rules);

/* Changes scores[n_vocab], which stay finite but for bans, which are -infinity. What is_banned says
 * is left to the caller. `history` may be NULL. */
void rules_apply(const struct rules *rules, float *scores, const struct gpt2_history *history);

#endif
