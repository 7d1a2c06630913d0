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

/* With p and q the logits less their maxima, and Z the sums of their exponentials:
 *   KL = sum e^p / Zp (p - ln Zp - q + ln Zq) = sum e^p (p - q) / Zp - ln Zp + ln Zq
 * which takes one exponential for each logit and no logarithm. */
struct gpt2_divergence gpt2_divergence(const float *reference, const float *logits, int n_vocab,
                                       int32_t target) {
    struct gpt2_divergence d = {.reference_top = likeliest(reference, n_vocab),
                                .top = likeliest(logits, n_vocab)};
    const double p_max = reference[d.reference_top], q_max = logits[d.top];
    double p_sum = 0, q_sum = 0, apart = 0;
    for (int i = 0; i < n_vocab; i++) {
        double p = reference[i] - p_max, q = logits[i] - q_max, e = math_exp_f64(p);
        p_sum += e;
        q_sum += math_exp_f64(q);
        apart += e * (p - q);
    }
    const double p_log = math_log_f64(p_sum), q_log = math_log_f64(q_sum);
    d.kl = apart / p_sum - p_log + q_log;
    d.kl = d.kl < 0 ? 0 : d.kl; // by rounding
    d.reference_log_prob = reference[target] - p_max - p_log;
    d.log_prob = logits[target] - q_max - q_log;
    return d;
}
