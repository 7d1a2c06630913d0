/* ablate.c - layer normalization without the ablated parts, in plain loops: speed does not matter.
 */
#include "forward/ablate.h"

#include <gpt2/session.h>
#include <math.h>

/* Which site it is, in the order of the pass. */
static int site_of(const struct gpt2_model *model, const struct layer_norm *norm) {
    for (int layer = 0; layer < model->config.n_layer; layer++) {
        if (norm == &model->h[layer].ln_1)
            return 2 * layer;
        if (norm == &model->h[layer].ln_2)
            return 2 * layer + 1;
    }
    return 2 * model->config.n_layer; // ln_f
}

/* What the token is multiplied with. */
static double scale_of(const struct ablation *ablation, const struct gpt2_model *model,
                       const struct layer_norm *norm, double var) {
    if (!(ablation->parts & GPT2_ABLATE_LN_SCALE))
        return 1 / sqrt(var + (double)model->config.layer_norm_epsilon);
    return ablation->deviations ? 1.0 / ablation->deviations[site_of(model, norm)] : 1;
}

void ablate_layer_norm(const struct ablation *ablation, const struct gpt2_model *model, float *y,
                       const float *x, const struct layer_norm *norm) {
    int n = model->config.n_embd;
    double mean = 0, var = 0;
    for (int i = 0; i < n; i++)
        mean += x[i];
    mean /= n;
    for (int i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    double scale = scale_of(ablation, model, norm, var / n);
    for (int i = 0; i < n; i++) {
        double gain = ablation->parts & GPT2_ABLATE_LN_GAIN ? 1 : norm->gain[i];
        double bias = ablation->parts & GPT2_ABLATE_LN_BIAS ? 0 : norm->bias[i];
        y[i] = (float)((x[i] - mean) * scale * gain + bias);
    }
}
