/* inspector.c - runs a text through the model with a tap set. */
#include "inspect/inspector.h"
#include "base/error_internal.h"
#include "base/math.h"
#include "base/os.h"

#include <assert.h>

struct gpt2_session *inspector_session(const struct gpt2_model *model, struct gpt2_error *err) {
    return gpt2_session_create(model, &(struct gpt2_session_options){.kv = GPT2_KV_F32}, err);
}

/* Rows for two sequences, and a session for each: see norms.c. */
static const struct gpt2_batch_options batch_options = {.max_rows = 2 * INSPECTOR_ROWS,
                                                        .max_logits = 2 * INSPECTOR_ROWS};

uint64_t gpt2_inspector_bytes(const struct gpt2_model *model, const struct gpt2_runtime *runtime) {
    const struct gpt2_session_options session = {.kv = GPT2_KV_F32};
    return 2 * (uint64_t)gpt2_session_bytes(model, &session) +
           gpt2_batch_bytes(model, runtime, &batch_options);
}

struct gpt2_inspector *gpt2_inspector_create(const struct gpt2_model *model,
                                             struct gpt2_runtime *runtime, unsigned ablations,
                                             const float *deviations, struct gpt2_error *err) {
    struct gpt2_inspector *inspector = os_alloc(1, sizeof *inspector, "an inspector", err);
    if (!inspector)
        return NULL;
    inspector->model = model;
    inspector->ablations = ablations;
    inspector->deviations = deviations;
    inspector->session = inspector_session(model, err);
    inspector->batch =
        inspector->session ? gpt2_batch_create(model, runtime, &batch_options, err) : NULL;
    if (!inspector->batch) {
        gpt2_inspector_free(inspector);
        return NULL;
    }
    gpt2_batch_set_ablations(inspector->batch, ablations, deviations);
    return inspector;
}

void gpt2_inspector_free(struct gpt2_inspector *inspector) {
    if (!inspector)
        return;
    gpt2_batch_free(inspector->batch);
    gpt2_session_free(inspector->session);
    os_free(inspector);
}

bool inspector_begin(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                     struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    if (n < 1)
        return error_set(err, GPT2_ERR_USAGE, "expected at least 1 token to look at, got %d", n);
    if (n > config->n_ctx)
        return error_set(err, GPT2_ERR_INPUT, "%d tokens do not fit: the context holds %d", n,
                         config->n_ctx);
    for (int i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= config->n_vocab)
            return error_set(err, GPT2_ERR_USAGE, "token id %d: expected 0 to %d, the rows of wte",
                             (int)ids[i], config->n_vocab - 1);
    return gpt2_session_rewind(inspector->session, 0, err);
}

bool inspector_layer(const struct gpt2_config *config, int layer, struct gpt2_error *err) {
    return (layer >= 0 && layer < config->n_layer) ||
           error_set(err, GPT2_ERR_USAGE, "layer %d: the model has layers 0 to %d", layer,
                     config->n_layer - 1);
}

bool inspector_read(struct gpt2_inspector *inspector, const int32_t *ids, int n, int n_logits,
                    gpt2_tap tap, void *user, struct gpt2_error *err) {
    assert(n <= INSPECTOR_ROWS);
    struct gpt2_span span = {inspector->session, ids, n, n_logits};
    gpt2_batch_set_tap(inspector->batch, tap, user);
    bool ok = gpt2_batch_run(inspector->batch, &span, 1, err);
    gpt2_batch_set_tap(inspector->batch, NULL, NULL);
    return ok;
}

void inspector_log_softmax(double *log_probs, const float *logits, int n) {
    double max = logits[0], sum = 0;
    for (int i = 1; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    for (int i = 0; i < n; i++)
        sum += math_exp_f64(logits[i] - max);
    double log_sum = max + math_log_f64(sum);
    for (int i = 0; i < n; i++)
        log_probs[i] = logits[i] - log_sum;
}

bool gpt2_inspect_next(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                       double *log_probs, struct gpt2_error *err) {
    if (!inspector_begin(inspector, ids, n, err))
        return false;
    for (int at = 0; at < n;) {
        int step = inspector_step(at, n);
        if (!inspector_read(inspector, ids + at, step, at + step == n, NULL, NULL, err))
            return false;
        at += step;
    }
    inspector_log_softmax(log_probs, gpt2_batch_logits(inspector->batch, 0, 0),
                          gpt2_model_config(inspector->model)->n_vocab);
    return true;
}

double gpt2_inspect_kl(const double *log_p, const double *log_q, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += math_exp_f64(log_p[i]) * (log_p[i] - log_q[i]);
    return sum;
}
