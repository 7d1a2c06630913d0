/* race.h - one draw as an exponential race.
 *
 * Every id has an exponential variate E of its own, keyed by the draw and the id. The id with the
 * smallest E / weight wins, where weight = exp((logit - max) / temperature). Among ids with weights
 * w, id i wins with probability w_i / sum w: the minimum of exponentials of rates w_i is the i-th
 * with that probability (Devroye 1986, "Non-Uniform Random Variate Generation", ch. I, ex. 2.5; in
 * logarithms this is the Gumbel-max trick).
 *
 * What that gives, where the inversion of the cumulative distribution does not:
 *   - No sum over the candidates and no order: who else takes part does not matter to an id's E.
 *   - Two models that nearly agree draw the same token nearly always, as an id's E is the same in
 *     both. Quantized weights tell the same text for longer, and a draft of speculation is accepted
 *     more often.
 *   - An id whose E alone, from a bound below, is too large needs no logarithm and no exponential.
 *
 * The key, with Philox4x32-10 (base/rng.h): the block of (key = seed, counter = position, sample,
 * record) gives four words r. Id 256 g + 64 w + b has word w of the two blocks of (key = r0, r1;
 * counter = 64 g + b, h, r2, r3), h = 0 and 1. All 32 bits of the first and the upper 20 of the
 * second are k, and E = -ln(1 - (2 k + 1) / 2^53), which is never 0 and at most 36.8. */
#ifndef SAMPLING_RACE_H
#define SAMPLING_RACE_H

#include "sampling/filters.h"

struct gpt2_draw;

struct race {
    uint32_t key[2], counter[2]; /* r0, r1; r2, r3 */
    double max, temperature;
    double least;   /* E / weight of the id in front; +infinity before the first */
    int32_t winner; /* ... that id; -1 before the first                          */
};

/* `max` is the largest logit of those that take part: its id has weight 1, so that no race is lost
 * to underflow. temperature > 0. */
void race_begin(struct race *race, uint64_t seed, const struct gpt2_draw *draw, double max,
                double temperature);

/* Ids may enter in any order; of equals the lowest id wins. */
void race_enter(struct race *race, int32_t id, float logit);

/* All ids 0..n_vocab-1 that are not banned enter: the same winner as by race_enter, sooner. */
void race_enter_all(struct race *race, const float *logits, const unsigned char *is_banned,
                    int n_vocab);

#endif
