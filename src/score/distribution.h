/* distribution.h - one row of logits as a probability distribution.
 *
 *     p[id] = e[id] / Z,   e[id] = exp(l[id] - max),   Z = sum over ids of e[id]
 *     log p[t] = (l[t] - max) - log Z
 *     entropy  = -sum p log p = log Z - (sum e (l - max)) / Z
 *
 * The e are f32, as the softmax kernel makes them (within 1.1 ulp, so log p within 1.4e-7, a
 * hundredth of what the rounding of the logits does); sums run in f64 as 16 strided partial sums
 * and one fixed tree, so that compilers can use vectors and the bits are the same without. */
#ifndef SCORE_DISTRIBUTION_H
#define SCORE_DISTRIBUTION_H

#include <gpt2/score.h>

/* Fills *score for the token `id` of logits[0..n), n >= 1, 0 <= id < n, all finite, exps[i] as
 * above. marked [n] may be NULL. top[0..n_top) are the likeliest, n_top <= n. */
void distribution_score(struct gpt2_score *score, struct gpt2_alternative *top, int n_top,
                        const float *logits, const float *exps, int n, int32_t id,
                        const unsigned char *marked);

#endif
