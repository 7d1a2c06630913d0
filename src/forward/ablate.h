/* ablate.h - layer normalization with a part taken away, to see what the part is good for. */
#ifndef FORWARD_ABLATE_H
#define FORWARD_ABLATE_H

#include "model/weights.h"

struct ablation {
    unsigned parts;          /* bits of enum gpt2_ablation (gpt2/session.h); 0: none      */
    const float *deviations; /* [2 n_layer + 1] of sites, or NULL: all 1; for LN_SCALE    */
};

/* What the kernel layer_norm computes for ONE token, without the parts of the ablation:
 *
 *   y[i] = (x[i] - mean) * rstd * gain[i] + bias[i]
 *                          |      |         |
 *                          |      +-1       +-0
 *      1 / deviations[site]+  LN_GAIN     LN_BIAS
 *                  LN_SCALE
 *
 * `norm` is one of the model's own. Sums are in double, in the order of the features. y, x
 * [n_embd]; y may be x. */
void ablate_layer_norm(const struct ablation *ablation, const struct gpt2_model *model, float *y,
                       const float *x, const struct layer_norm *norm);

#endif
