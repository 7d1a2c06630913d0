/* logprobs.h - how likely the model itself found a token.
 *
 * Log-probabilities are natural logarithms, normalized over the unmodified logits of the whole
 * vocabulary: temperature, penalties, filters and bans have no part in them. They are computed in
 * f64 with our own exp and log, summed in a fixed order (16 strided sums and one tree), so they are
 * the same bits on every machine:
 *
 *     total = max + ln sum exp(logit - max)          logprob(id) = logit[id] - total
 *
 * `logits` is [n_vocab] and finite, n_vocab at least 1: the tokenizer's size where the model's
 * matrix is padded after it. Surprisal in bits is -logprob / ln 2. Nothing here fails. */
#ifndef GPT2_LOGPROBS_H
#define GPT2_LOGPROBS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ln of the sum of exp over all logits: logprob(id) is logits[id] minus this. */
double gpt2_logprobs_total(const float *logits, int n_vocab);

struct gpt2_logprob {
    int32_t id;
    double logprob;
};

/* Fills top[0..n_top) with the likeliest ids, likeliest first, of equals the lowest id first.
 * `total` is gpt2_logprobs_total of the same logits. Returns how many there are: n_top, or n_vocab
 * where that is less. */
int gpt2_logprobs_top(const float *logits, int n_vocab, double total, struct gpt2_logprob *top,
                      int n_top);

/* How many ids come before `id` in that order: 0 for the likeliest. */
int gpt2_logprobs_rank(const float *logits, int n_vocab, int32_t id);

/* -sum p ln p, in nats: 0 where one id is certain, ln n_vocab where all are alike. */
double gpt2_logprobs_entropy(const float *logits, int n_vocab, double total);

#ifdef __cplusplus
}
#endif
#endif
