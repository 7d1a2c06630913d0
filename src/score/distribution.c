/* distribution.c - softmax, entropy, rank and the likeliest tokens of one row. */
#include "score/distribution.h"
#include "base/math.h"

#define LANES 16

/* What a lane adds up. The constant trip counts below are what lets compilers vectorize. */
struct distribution_sums {
    double z[LANES];      /* e            */
    double zd[LANES];     /* e (l - max)  */
    double marked[LANES]; /* e of marked ids    */
    double others[LANES]; /* e of the other ids */
};

static float row_max(const float *logits, int n) {
    float lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = logits[0];
    int at = 0;
    for (; at + LANES <= n; at += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] = logits[at + i] > lane[i] ? logits[at + i] : lane[i];
    float max = lane[0];
    for (int i = 1; i < LANES; i++)
        max = lane[i] > max ? lane[i] : max;
    for (; at < n; at++)
        max = logits[at] > max ? logits[at] : max;
    return max;
}

static void add_block(struct distribution_sums *sums, const float *logits, const float *exps,
                      double max, const unsigned char *marked) {
    for (int i = 0; i < LANES; i++) {
        double e = exps[i];
        sums->z[i] += e;
        sums->zd[i] += e * ((double)logits[i] - max);
    }
    if (!marked)
        return;
    for (int i = 0; i < LANES; i++) {
        sums->marked[i] += marked[i] ? (double)exps[i] : 0.0;
        sums->others[i] += marked[i] ? 0.0 : (double)exps[i];
    }
}

static double tree(double lane[LANES]) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

/* How many of x[0..n) are above `own`, or at least as large. */
static int32_t count(const float *x, int n, float own, bool or_equal) {
    int32_t lane[LANES] = {0}, sum = 0;
    int at = 0;
    for (; at + LANES <= n; at += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] += or_equal ? x[at + i] >= own : x[at + i] > own;
    for (; at < n; at++)
        sum += or_equal ? x[at] >= own : x[at] > own;
    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    return sum;
}

/* Tokens likelier than id: those above it, and of its equals those with lower ids. */
static int32_t rank_of(const float *logits, int n, int32_t id) {
    return count(logits, id, logits[id], true) +
           count(logits + id + 1, n - id - 1, logits[id], false);
}

/* Keeps the list sorted while walking up the ids: an equal that comes later goes after. */
static void find_top(struct gpt2_alternative *top, int n_top, const float *logits, int n) {
    int known = 0;
    for (int32_t id = 0; id < n; id++) {
        if (known == n_top && !(logits[id] > logits[top[n_top - 1].id]))
            continue;
        int at = known < n_top ? known++ : n_top - 1;
        for (; at > 0 && logits[id] > logits[top[at - 1].id]; at--)
            top[at] = top[at - 1];
        top[at].id = id;
    }
}

void distribution_score(struct gpt2_score *score, struct gpt2_alternative *top, int n_top,
                        const float *logits, const float *exps, int n, int32_t id,
                        const unsigned char *marked) {
    struct distribution_sums sums = {0};
    double max = row_max(logits, n);
    int at = 0;
    for (; at + LANES <= n; at += LANES)
        add_block(&sums, logits + at, exps + at, max, marked ? marked + at : NULL);
    if (at < n) { // the rest, with lanes of weight 0 after it
        float rest[LANES] = {0}, rest_exps[LANES] = {0};
        unsigned char rest_marked[LANES] = {0};
        for (int i = 0; at + i < n; i++) {
            rest[i] = logits[at + i];
            rest_exps[i] = exps[at + i];
            rest_marked[i] = marked ? marked[at + i] : 0;
        }
        add_block(&sums, rest, rest_exps, max, marked ? rest_marked : NULL);
    }
    double z = tree(sums.z), log_z = math_log_f64(z);
    score->id = id;
    score->rank = rank_of(logits, n, id);
    score->logprob = ((double)logits[id] - max) - log_z;
    score->entropy = log_z - tree(sums.zd) / z;
    if (!(score->entropy > 0)) // rounding, where one token has all the probability
        score->entropy = 0;
    score->marked = marked ? math_log_f64(tree(sums.marked)) - log_z : -INFINITY;
    score->unmarked = marked ? math_log_f64(tree(sums.others)) - log_z : 0;
    if (n_top > 0)
        find_top(top, n_top, logits, n);
    for (int i = 0; i < n_top; i++)
        top[i].logprob = ((double)logits[top[i].id] - max) - log_z;
}

double gpt2_exp(double x) {
    return math_exp_f64(x);
}

double gpt2_log(double x) {
    return math_log_f64(x);
}
