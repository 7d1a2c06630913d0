/* draft_policy.c - a table of what passes cost, and the best number of guesses by it. */
#include "decode/draft_policy.h"

#define PRIOR   4.0  /* trials that a first estimate stands for */
#define FORGET  0.96 /* of earlier trials, with each new one: about the last 25 count */
#define NEW_ROW 0.1  /* of a pass of one row: what a row more costs, before that was measured */
#define STALE   64   /* passes after which a cost is measured anew */
#define MARGIN  1.02 /* what guesses have to gain */

struct draft_odds draft_policy_odds_of(double p) {
    return (struct draft_odds){p * PRIOR, PRIOR};
}

void draft_policy_odds_note(struct draft_odds *odds, bool hit) {
    odds->hits = odds->hits * FORGET + (hit ? 1 : 0);
    odds->trials = odds->trials * FORGET + 1;
}

double draft_policy_odds(const struct draft_odds *odds) {
    return odds->hits / odds->trials;
}

void draft_policy_note(struct draft_policy *policy, int n_rows, uint64_t ns) {
    if (n_rows < 1 || n_rows > DRAFT_ROWS)
        return;
    struct draft_cost *cost = &policy->cost[n_rows];
    cost->ns[2] = cost->ns[1];
    cost->ns[1] = cost->ns[0];
    cost->ns[0] = (double)(ns ? ns : 1);
    cost->noted = ++policy->n_passes;
}

static double least(double a, double b) {
    return a < b ? a : b;
}

static double most(double a, double b) {
    return a > b ? a : b;
}

/* 0: nothing was noted. */
static double typical(const struct draft_cost *cost) {
    const double a = cost->ns[0], b = cost->ns[1], c = cost->ns[2];
    if (b <= 0)
        return a;
    return c <= 0 ? least(a, b) : most(least(a, b), least(most(a, b), c));
}

/* The cost of one row is what others are compared with: it is never forgotten. */
static bool is_known(const struct draft_policy *policy, int n_rows) {
    const struct draft_cost *cost = &policy->cost[n_rows];
    return policy->cost[1].ns[0] > 0 && cost->ns[0] > 0 &&
           (n_rows == 1 || policy->n_passes - cost->noted < STALE);
}

double draft_policy_cost(const struct draft_policy *policy, int n_rows) {
    const double one = is_known(policy, 1) ? typical(&policy->cost[1]) : 1;
    int below = n_rows, above = n_rows;
    while (below > 1 && !is_known(policy, below))
        below--;
    while (above <= DRAFT_ROWS && !is_known(policy, above))
        above++;
    const double base = below > 1 ? typical(&policy->cost[below]) : one;
    double slope = NEW_ROW * one; // of a row
    if (below == n_rows)
        return base;
    if (above <= DRAFT_ROWS)
        slope = (typical(&policy->cost[above]) - base) / (above - below);
    else if (below > 1 && base > one)
        slope = (base - one) / (below - 1);
    const double cost = base + slope * (n_rows - below);
    return cost > one ? cost : one;
}

int draft_policy_length(const struct draft_policy *policy, const double *right, int max,
                        double guess_ns) {
    if (policy->cost[1].ns[0] > 0 && policy->n_passes - policy->cost[1].noted >= STALE)
        return 0;
    double tokens = 1, all_right = 1;
    double best_rate = MARGIN / draft_policy_cost(policy, 1);
    int best = 0;
    for (int n = 1; n <= max && n < DRAFT_ROWS; n++) {
        all_right *= right[n - 1];
        tokens += all_right;
        const double rate = tokens / (draft_policy_cost(policy, 1 + n) + n * guess_ns);
        if (rate > best_rate) {
            best_rate = rate;
            best = n;
        }
    }
    return best;
}
