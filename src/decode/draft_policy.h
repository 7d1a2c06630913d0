/* draft_policy.h - how many guesses pay: what passes cost, and how often guesses are right.
 *
 * With p_k the probability that guess k is right if those before it are, a pass with n guesses
 * yields 1 + p_1 + p_1 p_2 + ... + p_1 ... p_n tokens, and costs a pass of 1 + n rows and n
 * guesses. The n with the most tokens a nanosecond is taken; 0 unless another one is better by a
 * margin. Times change only how tokens are cut into passes, never what is computed. */
#ifndef DECODE_DRAFT_POLICY_H
#define DECODE_DRAFT_POLICY_H

#include <gpt2/speculation.h>
#include <stdint.h>

/* A frequency of the last few tens of trials. */
struct draft_odds {
    double hits, trials;
};

/* As if `p` had been seen in 4 trials. */
struct draft_odds draft_policy_odds_of(double p);
void draft_policy_odds_note(struct draft_odds *odds, bool hit);
double draft_policy_odds(const struct draft_odds *odds);

#define DRAFT_ROWS (GPT2_MAX_DRAFT + 1)

/* What a pass of so many rows took, the last three times: ns, 0 where there were fewer. The least
 * of two and the middle one of three count, as others may slow a pass down. */
struct draft_cost {
    double ns[3];
    uint64_t noted; /* when: the number of the pass */
};

/* Zeroed: nothing is known. */
struct draft_policy {
    struct draft_cost cost[DRAFT_ROWS + 1]; /* by rows */
    uint64_t n_passes;
};

/* A pass of n_rows took ns. Others than 1 to DRAFT_ROWS are passed over. */
void draft_policy_note(struct draft_policy *policy, int n_rows, uint64_t ns);

/* ns of a pass of 1 to DRAFT_ROWS rows: measured lately, or between and beyond what was. Relative
 * where nothing is known. */
double draft_policy_cost(const struct draft_policy *policy, int n_rows);

/* How many of `max` guesses pay. right[k]: p_k above; guess_ns: of each guess. Now and then 0, so
 * that the cost of one row is known. */
int draft_policy_length(const struct draft_policy *policy, const double *right, int max,
                        double guess_ns);

#endif
