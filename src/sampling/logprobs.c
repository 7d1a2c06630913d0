/* logprobs.c - log-softmax, its largest entries, its rank and its entropy. */
#include <gpt2/logprobs.h>

#include "base/math.h"

#include <stdbool.h>

enum { N_SUMS = 16 };

/* The tree over the strided partial sums. */
static double sum_of(double sums[N_SUMS]) {
    for (int half = N_SUMS / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

double gpt2_logprobs_total(const float *logits, int n_vocab) {
    float max = logits[0];
    for (int id = 1; id < n_vocab; id++)
        max = logits[id] > max ? logits[id] : max;
    double sums[N_SUMS] = {0};
    for (int id = 0; id < n_vocab; id++)
        sums[id % N_SUMS] += math_exp_f64((double)logits[id] - (double)max);
    return (double)max + math_log_f64(sum_of(sums));
}

/* True if id a comes before id b. */
static bool before(const float *logits, int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
}

int gpt2_logprobs_top(const float *logits, int n_vocab, double total, struct gpt2_logprob *top,
                      int n_top) {
    int n = 0;
    for (int32_t id = 0; id < n_vocab; id++) {
        if (n >= n_top && (n == 0 || !before(logits, id, top[n - 1].id)))
            continue;
        int at = n < n_top ? n++ : n - 1; // lists are short: insertion, mostly at the end
        for (; at > 0 && before(logits, id, top[at - 1].id); at--)
            top[at] = top[at - 1];
        top[at] = (struct gpt2_logprob){.id = id, .logprob = (double)logits[id] - total};
    }
    return n;
}

int gpt2_logprobs_rank(const float *logits, int n_vocab, int32_t id) {
    int rank = 0;
    for (int32_t other = 0; other < n_vocab; other++)
        rank += before(logits, other, id);
    return rank;
}

double gpt2_logprobs_entropy(const float *logits, int n_vocab, double total) {
    double sums[N_SUMS] = {0};
    for (int id = 0; id < n_vocab; id++) {
        double logprob = (double)logits[id] - total;
        sums[id % N_SUMS] -= math_exp_f64(logprob) * logprob;
    }
    return sum_of(sums);
}
