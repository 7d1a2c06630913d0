/* lens.c - the logit lens: the stream after each layer, read by ln_f and the head as if the model
 * ended there (nostalgebraist, "interpreting GPT: the logit lens", 2020). */
#include "base/math.h"
#include "base/os.h"
#include "inspect/inspector.h"

#include <assert.h>
#include <string.h>

struct lens_watch {
    int n_rows;  /* of this pass */
    float *rows; /* [n_layer + 1][INSPECTOR_ROWS][n_embd] the stream after each layer */
};

static void watch_tap(void *user, enum gpt2_site site, int layer,
                      const struct gpt2_session *session, int position, int n_rows,
                      const float *data, int width, size_t stride) {
    struct lens_watch *watch = user;
    if (site != GPT2_SITE_EMBEDDING && site != GPT2_SITE_RESID)
        return;
    assert(n_rows <= INSPECTOR_ROWS);
    size_t after = site == GPT2_SITE_EMBEDDING ? 0 : (size_t)layer + 1;
    for (int r = 0; r < n_rows; r++)
        memcpy(watch->rows + (after * INSPECTOR_ROWS + (size_t)r) * (size_t)width,
               data + (size_t)r * stride, (size_t)width * sizeof(float));
}

/* The likeliest tokens: an insertion into a short sorted list. */
static void find_top(struct gpt2_lens *lens, const double *log_probs, int n) {
    int found = 0;
    for (int id = 0; id < n; id++) {
        int at = found;
        while (at > 0 && log_probs[id] > log_probs[lens->top[at - 1]])
            at--;
        if (at == GPT2_LENS_TOP)
            continue;
        found += found < GPT2_LENS_TOP;
        for (int i = found - 1; i > at; i--)
            lens->top[i] = lens->top[i - 1];
        lens->top[at] = id;
    }
    for (int i = found; i < GPT2_LENS_TOP; i++)
        lens->top[i] = -1;
    for (int i = 0; i < found; i++)
        lens->p[i] = math_exp_f64(log_probs[lens->top[i]]);
}

static void find_rank(struct gpt2_lens *lens, const double *log_probs, int n) {
    lens->rank = 1;
    for (int id = 0; id < n; id++)
        lens->rank += log_probs[id] > log_probs[lens->next] ||
                      (log_probs[id] == log_probs[lens->next] && id < lens->next);
    lens->p_next = math_exp_f64(log_probs[lens->next]);
}

/* Reads the rows of one pass at every depth, from the last to the first: what the whole model says
 * decides what comes after the end of the text. */
static bool read_depths(struct gpt2_inspector *inspector, const struct lens_watch *watch,
                        const int32_t *ids, int at, int n, double *log_probs,
                        struct gpt2_lens *lens, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    size_t n_embd = (size_t)config->n_embd;
    int32_t last = 0;
    for (int depth = config->n_layer; depth >= 0; depth--) {
        const float *rows = watch->rows + (size_t)depth * INSPECTOR_ROWS * n_embd;
        if (!gpt2_batch_unembed(inspector->batch, rows, n_embd, watch->n_rows, err))
            return false;
        for (int r = 0; r < watch->n_rows; r++) {
            struct gpt2_lens *out = &lens[(size_t)depth * (size_t)n + (size_t)(at + r)];
            inspector_log_softmax(log_probs, gpt2_batch_logits(inspector->batch, 0, r),
                                  config->n_vocab);
            find_top(out, log_probs, config->n_vocab);
            if (at + r == n - 1 && depth == config->n_layer)
                last = out->top[0];
            out->next = at + r < n - 1 ? ids[at + r + 1] : last;
            find_rank(out, log_probs, config->n_vocab);
        }
    }
    return true;
}

bool gpt2_inspect_lens(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                       struct gpt2_lens *lens, struct gpt2_error *err) {
    if (!inspector_begin(inspector, ids, n, err))
        return false;
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    size_t depths = (size_t)config->n_layer + 1;
    struct lens_watch watch = {0};
    watch.rows =
        os_alloc(depths * INSPECTOR_ROWS, (size_t)config->n_embd * sizeof(float), "streams", err);
    double *log_probs = os_alloc((size_t)config->n_vocab, sizeof *log_probs, "a row", err);
    bool ok = watch.rows && log_probs;
    for (int at = 0; ok && at < n; at += watch.n_rows) {
        watch.n_rows = inspector_step(at, n);
        ok = inspector_read(inspector, ids + at, watch.n_rows, 0, watch_tap, &watch, err) &&
             read_depths(inspector, &watch, ids, at, n, log_probs, lens, err);
    }
    os_free(log_probs);
    os_free(watch.rows);
    return ok;
}
