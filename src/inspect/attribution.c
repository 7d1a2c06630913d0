/* attribution.c - a logit as the sum of what each branch added to the stream.
 *
 *   x = embedding + sum of branches                                   the last position's stream
 *   logit[v] = sum over i of ((x[i] - mean(x)) * rstd * gain[i] + bias[i]) * head[v, i]
 *
 * mean is linear and rstd is one number, so the part p of x contributes
 *
 *   sum over i of (p[i] - mean(p)) * rstd * gain[i] * u[i],     u = head[v] - mean over v of head
 *
 * and ln_f's bias the sum of bias[i] * u[i]. With ln_f's scale, gain or bias ablated the same holds
 * with what takes its place. */
#include "base/error_internal.h"
#include "base/os.h"
#include "forward/forward.h"
#include "inspect/inspector.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

int gpt2_residual_parts(const struct gpt2_model *model) {
    return 2 * model->config.n_layer + 2;
}

struct attribution_watch {
    int position;  /* the one that is looked at */
    float *parts;  /* [1 + 2 n_layer][n_embd]   */
    float *stream; /* [1 + 2 n_layer][n_embd] after each part */
};

static void watch_tap(void *user, enum gpt2_site site, int layer,
                      const struct gpt2_session *session, int position, int n_rows,
                      const float *data, int width, size_t stride) {
    struct attribution_watch *watch = user;
    if (watch->position < position || watch->position >= position + n_rows)
        return;
    const float *row = data + (size_t)(watch->position - position) * stride;
    size_t n = (size_t)width, attn = (1 + 2 * (size_t)layer) * n, mlp = attn + n;
    switch (site) {
    case GPT2_SITE_EMBEDDING:
        memcpy(watch->parts, row, n * sizeof *row);
        memcpy(watch->stream, row, n * sizeof *row);
        break;
    case GPT2_SITE_ATTN:
        memcpy(watch->parts + attn, row, n * sizeof *row);
        break;
    case GPT2_SITE_RESID_MID:
        memcpy(watch->stream + attn, row, n * sizeof *row);
        break;
    case GPT2_SITE_MLP:
        memcpy(watch->parts + mlp, row, n * sizeof *row);
        break;
    case GPT2_SITE_RESID:
        memcpy(watch->stream + mlp, row, n * sizeof *row);
        break;
    default:
        break;
    }
}

static double norm_of(const float *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static double mean_of(const float *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

/* ln_f's factor for every part of the stream x. */
static double scale_of(const struct gpt2_inspector *inspector, const float *x) {
    const struct gpt2_config *config = &inspector->model->config;
    double mean = mean_of(x, config->n_embd), var = 0;
    for (int i = 0; i < config->n_embd; i++)
        var += (x[i] - mean) * (x[i] - mean);
    if (inspector->ablations & GPT2_ABLATE_LN_SCALE)
        return inspector->deviations ? 1.0 / inspector->deviations[2 * config->n_layer] : 1;
    return 1 / sqrt(var / config->n_embd + (double)config->layer_norm_epsilon);
}

/* Room for the head's rows. */
struct head {
    double *mean; /* [n_embd] over the vocabulary */
    float *row;   /* [n_embd] of one token        */
};

static void read_head(const struct gpt2_model *model, struct head *head) {
    const struct kernels *kernels = kernels_variant(0);
    for (int v = 0; v < model->config.n_vocab; v++) {
        forward_look_up(head->row, kernels, &model->head, (size_t)v);
        for (int i = 0; i < model->config.n_embd; i++)
            head->mean[i] += head->row[i];
    }
    for (int i = 0; i < model->config.n_embd; i++)
        head->mean[i] /= model->config.n_vocab;
}

/* out [parts]: contributions to the logit whose row of the head is in head->row. */
static void attribute(double *out, const struct gpt2_inspector *inspector,
                      const struct attribution_watch *watch, const struct head *head) {
    const struct gpt2_model *model = inspector->model;
    int n = model->config.n_embd, last = gpt2_residual_parts(model) - 1;
    unsigned a = inspector->ablations;
    double scale = scale_of(inspector, watch->stream + (size_t)(last - 1) * (size_t)n);
    for (int part = 0; part < last; part++) {
        const float *p = watch->parts + (size_t)part * (size_t)n;
        double mean = mean_of(p, n);
        out[part] = 0;
        for (int i = 0; i < n; i++)
            out[part] += (p[i] - mean) * scale *
                         (a & GPT2_ABLATE_LN_GAIN ? 1 : model->ln_f.gain[i]) *
                         (head->row[i] - head->mean[i]);
    }
    out[last] = 0;
    for (int i = 0; i < n && !(a & GPT2_ABLATE_LN_BIAS); i++)
        out[last] += model->ln_f.bias[i] * (head->row[i] - head->mean[i]);
}

static void describe(struct gpt2_part *parts, const struct gpt2_model *model,
                     const struct attribution_watch *watch) {
    int n = model->config.n_embd, last = gpt2_residual_parts(model) - 1;
    for (int i = 0; i < last; i++) {
        size_t row = (size_t)i * (size_t)n;
        parts[i] =
            (struct gpt2_part){norm_of(watch->parts + row, n), norm_of(watch->stream + row, n)};
    }
    parts[last] = (struct gpt2_part){norm_of(model->ln_f.bias, n), parts[last - 1].stream};
}

static bool read_text(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                      struct attribution_watch *watch, struct gpt2_error *err) {
    bool ok = true;
    for (int at = 0; ok && at < n;) {
        int step = inspector_step(at, n);
        ok = inspector_read(inspector, ids + at, step, at + step == n, watch_tap, watch, err);
        at += step;
    }
    return ok;
}

bool gpt2_inspect_residual(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                           const int32_t *tokens, int n_tokens, struct gpt2_part *parts,
                           double *contributions, double *logits, struct gpt2_error *err) {
    const struct gpt2_model *model = inspector->model;
    const struct gpt2_config *config = &model->config;
    for (int i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] >= config->n_vocab)
            return error_set(err, GPT2_ERR_USAGE, "token id %d: expected 0 to %d", (int)tokens[i],
                             config->n_vocab - 1);
    if (!inspector_begin(inspector, ids, n, err))
        return false;
    size_t n_embd = (size_t)config->n_embd, n_parts = (size_t)gpt2_residual_parts(model);
    struct attribution_watch watch = {.position = n - 1};
    struct head head = {os_alloc(n_embd, sizeof(double), "a row of the head", err),
                        os_alloc(n_embd, sizeof(float), "a row of the head", err)};
    watch.parts = os_alloc(n_parts, n_embd * sizeof(float), "the stream", err);
    watch.stream = os_alloc(n_parts, n_embd * sizeof(float), "the stream", err);
    bool ok = head.mean && head.row && watch.parts && watch.stream &&
              read_text(inspector, ids, n, &watch, err);
    if (ok) {
        const float *all = gpt2_batch_logits(inspector->batch, 0, 0);
        describe(parts, model, &watch);
        read_head(model, &head);
        for (int i = 0; i < n_tokens; i++) {
            forward_look_up(head.row, kernels_variant(0), &model->head, (size_t)tokens[i]);
            attribute(contributions + (size_t)i * n_parts, inspector, &watch, &head);
            logits[i] = all[tokens[i]] - mean_of(all, config->n_vocab);
        }
    }
    os_free(watch.stream);
    os_free(watch.parts);
    os_free(head.row);
    os_free(head.mean);
    return ok;
}
