/* ablate.h - layer normalisation with a part taken away, to see what the part is good for. */
#ifndef MODEL_ABLATE_H
#define MODEL_ABLATE_H

#include "model/weights.h"
#include <stddef.h>

/* What the kernel layer_norm computes for ONE token, without the parts in `ablations` (bits of enum
 * gpt2_ablation, gpt2/session.h):
 *
 *   y[i] = (x[i] - mean) * rstd * gain[i] + bias[i]
 *                          |      |         |
 *              LN_SCALE: 1-+      +-1:      +-0: LN_BIAS
 *                                   LN_GAIN
 *
 * Sums are in double, in the order of the features. y may be x. */
void ablate_layer_norm(unsigned ablations, float *y, const float *x, const struct layer_norm *norm,
                       size_t n, float epsilon);

#endif
