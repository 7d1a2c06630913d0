/* divergence.c - two rows of logits, one number. */
#include <gpt2/divergence.h>

#include "base/math.h"

static int32_t likeliest(const float *logits, int n) {
    int32_t top = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[top])
            top = i;
    return top;
}

#define BLOCK 64 /* exponentials taken at a time: loops over them become vectors */

/* e[i] = e^(logits[i] - max), x[i] = logits[i] - max */
static void exponentials(double *e, double *x, const float *logits, double max, int n) {
    for (int i = 0; i < BLOCK; i++)
        x[i] = i < n ? logits[i] - max : -INFINITY;
    for (int i = 0; i < BLOCK; i++)
        e[i] = math_exp_f64(x[i]);
}

/* With p and q the logits less their maxima, and Z the sums of their exponentials:
 *   KL = sum e^p / Zp (p - ln Zp - q + ln Zq) = sum e^p (p - q) / Zp - ln Zp + ln Zq
 * which takes one exponential for each logit and no logarithm. */
struct gpt2_divergence gpt2_divergence(const float *reference, const float *logits, int n_vocab,
                                       int32_t target) {
    struct gpt2_divergence d = {.reference_top = likeliest(reference, n_vocab),
                                .top = likeliest(logits, n_vocab)};
    const double p_max = reference[d.reference_top], q_max = logits[d.top];
    double p_sum = 0, q_sum = 0, apart = 0;
    for (int first = 0; first < n_vocab; first += BLOCK) {
        double p[BLOCK], q[BLOCK], e_p[BLOCK], e_q[BLOCK];
        const int n = n_vocab - first < BLOCK ? n_vocab - first : BLOCK;
        exponentials(e_p, p, reference + first, p_max, n);
        exponentials(e_q, q, logits + first, q_max, n);
        for (int i = 0; i < n; i++) {
            p_sum += e_p[i];
            q_sum += e_q[i];
            apart += e_p[i] * (p[i] - q[i]);
        }
    }
    const double p_log = math_log_f64(p_sum), q_log = math_log_f64(q_sum);
    d.kl = apart / p_sum - p_log + q_log;
    d.kl = d.kl < 0 ? 0 : d.kl; // by rounding
    d.reference_log_prob = reference[target] - p_max - p_log;
    d.log_prob = logits[target] - q_max - q_log;
    return d;
}
