/* divergence.h - how far one model's next-token distribution is from another's.
 *
 * With P the reference's softmax over all logits and Q the other's, the Kullback-Leibler
 * divergence KL(P || Q) = sum over ids of P ln(P / Q), in nats: what a text that follows P costs
 * more where it is coded by Q. 0 where they are the same, never negative. Sums are f64 with our own
 * exp and log, so the figures are the same on every machine. */
#ifndef GPT2_DIVERGENCE_H
#define GPT2_DIVERGENCE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_divergence {
    double kl;                 /* KL(reference || logits), nats              */
    double reference_log_prob; /* ln P(target)                               */
    double log_prob;           /* ln Q(target)                               */
    int32_t reference_top;     /* the likeliest id, of equals the lowest one */
    int32_t top;
};

/* reference and logits are [n_vocab], finite; 0 <= target < n_vocab; n_vocab >= 1. */
struct gpt2_divergence gpt2_divergence(const float *reference, const float *logits, int n_vocab,
                                       int32_t target);

#ifdef __cplusplus
}
#endif
#endif
