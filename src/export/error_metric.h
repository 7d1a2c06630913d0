/* error_metric.h - how the errors of one group of weights count.
 *
 * With e[k] the error of input k, H the second moments of the group's inputs (calibrate.h) and
 * H = C W C^T, where W is diagonal and C unit upper triangular,
 *
 *   e^T H e = sum over k of weight[k] * (e[k] + sum over i < k of carry[k][i] * e[i])^2
 *
 * so integers that are chosen one after the other can make up for the errors of those before them:
 * what is to be rounded at k is w[k] + sum of carry[k][i] * e[i]. This is GPTQ (Frantar et al.
 * 2022) or Babai's nearest plane, within a group. */
#ifndef EXPORT_ERROR_METRIC_H
#define EXPORT_ERROR_METRIC_H

#include "kernels/panels.h"

struct error_metric {
    float weight[GROUP];       /* 0 where inputs are filled up                    */
    float carry[GROUP][GROUP]; /* of row k the first k; C[i][k]                   */
    float ones[GROUP];         /* 1 + the sum of row k: what a constant e becomes */
    int n_carry;               /* rows from this one on are 0: 0 without moments  */
};

/* All of the first n inputs count the same, each for itself. */
void error_metric_plain(struct error_metric *metric, int n);

/* From second moments [GROUP][GROUP], of which the first n count; `mean` [GROUP] is taken out of
 * them (where a bias makes up for it), NULL: it is not. Only the proportions of moments count: H is
 * scaled to a diagonal of 1 on average. Weights are then at least 0.005, whatever is given. */
void error_metric_of(struct error_metric *metric, const float *second, const float *mean, int n);

#endif
