/* ablate.c - see ablate.h. Plain loops: nobody waits for an ablation. */
#include "model/ablate.h"

#include <gpt2/session.h>
#include <math.h>

void ablate_layer_norm(unsigned ablations, float *y, const float *x, const struct layer_norm *norm,
                       size_t n, float epsilon) {
    double mean = 0, var = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    var /= (double)n;
    double scale = ablations & GPT2_ABLATE_LN_SCALE ? 1 : 1 / sqrt(var + (double)epsilon);
    for (size_t i = 0; i < n; i++) {
        double gain = ablations & GPT2_ABLATE_LN_GAIN ? 1 : norm->gain[i];
        double bias = ablations & GPT2_ABLATE_LN_BIAS ? 0 : norm->bias[i];
        y[i] = (float)((x[i] - mean) * scale * gain + bias);
    }
}
