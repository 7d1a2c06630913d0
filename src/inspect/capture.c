/* capture.c - what the pass has at its sites, as it is: the numbers of many sites in one reading.
 */
#include "inspect/inspector.h"

#include "base/error_internal.h"
#include <string.h>

struct capture_watch {
    const struct gpt2_capture *captures;
    int n_captures;
};

int gpt2_site_width(const struct gpt2_model *model, enum gpt2_site site) {
    const struct gpt2_config *config = gpt2_model_config(model);
    return site == GPT2_SITE_QKV      ? 3 * config->n_embd
           : site == GPT2_SITE_HIDDEN ? config->n_inner
                                      : config->n_embd;
}

bool gpt2_site_has_layers(enum gpt2_site site) {
    return site != GPT2_SITE_EMBEDDING && site != GPT2_SITE_LN_F;
}

static void watch_tap(void *user, enum gpt2_site site, int layer,
                      const struct gpt2_session *session, int position, int n_rows,
                      const float *data, int width, size_t stride) {
    const struct capture_watch *watch = user;
    (void)session;
    for (int i = 0; i < watch->n_captures; i++) {
        const struct gpt2_capture *capture = &watch->captures[i];
        if (capture->site != site || (gpt2_site_has_layers(site) && capture->layer != layer))
            continue;
        for (int r = 0; r < n_rows; r++)
            memcpy(capture->data + (size_t)(position + r) * (size_t)width,
                   data + (size_t)r * stride, (size_t)width * sizeof *data);
    }
}

bool gpt2_inspect_capture(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                          const struct gpt2_capture *captures, int n_captures, float *logits,
                          struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    bool all_rows = logits != NULL; // ln_f is computed for rows with logits
    if (n_captures < 0)
        return error_set(err, GPT2_ERR_USAGE, "expected 0 or more captures, got %d", n_captures);
    for (int i = 0; i < n_captures; i++) {
        if ((int)captures[i].site < 0 || captures[i].site > GPT2_SITE_LN_F)
            return error_set(err, GPT2_ERR_USAGE, "capture %d: site %d: expected %d to %d", i,
                             (int)captures[i].site, GPT2_SITE_EMBEDDING, GPT2_SITE_LN_F);
        if (gpt2_site_has_layers(captures[i].site) &&
            !inspector_layer(config, captures[i].layer, err))
            return false;
        all_rows = all_rows || captures[i].site == GPT2_SITE_LN_F;
    }
    if (!inspector_begin(inspector, ids, n, err))
        return false;
    struct capture_watch watch = {captures, n_captures};
    const size_t n_vocab = (size_t)config->n_vocab;
    for (int at = 0; at < n; at += INSPECTOR_ROWS) {
        const int rows = inspector_step(at, n);
        if (!inspector_read(inspector, ids + at, rows, all_rows ? rows : 0, watch_tap, &watch, err))
            return false;
        if (logits)
            memcpy(logits + (size_t)at * n_vocab, gpt2_batch_logits(inspector->batch, 0, 0),
                   (size_t)rows * n_vocab * sizeof *logits);
    }
    return true;
}

bool gpt2_inspect_unembed(struct gpt2_inspector *inspector, const float *x, int n, float *logits,
                          struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    const size_t n_embd = (size_t)config->n_embd, n_vocab = (size_t)config->n_vocab;
    for (int at = 0; at < n; at += INSPECTOR_ROWS) {
        const int rows = inspector_step(at, n);
        if (!gpt2_batch_unembed(inspector->batch, x + (size_t)at * n_embd, n_embd, rows, err))
            return false;
        memcpy(logits + (size_t)at * n_vocab, gpt2_batch_logits(inspector->batch, 0, 0),
               (size_t)rows * n_vocab * sizeof *logits);
    }
    return true;
}
