/* error_metric.c - the factors of a group's second moments. */
#include "export/error_metric.h"

#include <string.h>

/* Added to the diagonal, whose mean is 1: a text shows what is usual, not all that will come. */
#define DAMPING 0.01

void error_metric_plain(struct error_metric *metric, int n) {
    memset(metric, 0, sizeof *metric);
    for (int k = 0; k < n; k++)
        metric->weight[k] = metric->ones[k] = 1;
}

/* h[0..n)[0..n): positive definite in exact arithmetic, and at least `least` at every step. */
static void factor(struct error_metric *metric, double h[GROUP][GROUP], int n, double least) {
    for (int k = n - 1; k >= 0; k--) {
        const double weight = h[k][k] > least ? h[k][k] : least;
        double ones = 1;
        metric->weight[k] = (float)weight;
        for (int i = 0; i < k; i++) {
            const double carry = h[i][k] / weight;
            metric->carry[k][i] = (float)carry;
            ones += carry;
            for (int j = 0; j <= i; j++)
                h[j][i] -= h[j][k] * carry;
        }
        metric->ones[k] = (float)ones;
    }
}

void error_metric_of(struct error_metric *metric, const float *second, const float *mean, int n) {
    double h[GROUP][GROUP], diagonal = 0;
    for (int k = 0; k < n; k++) {
        for (int j = 0; j < n; j++)
            h[k][j] = second[k * GROUP + j] - (mean ? (double)mean[k] * mean[j] : 0);
        h[k][k] = h[k][k] > 0 ? h[k][k] : 0;
        diagonal += h[k][k];
    }
    const double mean_square = diagonal / n;
    if (!(mean_square > 1e-30 && mean_square < 1e30)) { // nothing that could be told apart
        error_metric_plain(metric, n);
        return;
    }
    for (int k = 0; k < n; k++) {
        for (int j = 0; j < n; j++)
            h[k][j] /= mean_square;
        h[k][k] += DAMPING;
    }
    memset(metric, 0, sizeof *metric);
    factor(metric, h, n, DAMPING / 2);
    metric->n_carry = n;
}
