/* heads.c - where each attention head looks: its weights, from the queries and keys of the pass.
 *
 *   w[t, j] = softmax over j <= t of (q[t] . k[j]) * sigma                 (forward/attention.h) */
#include "base/error_internal.h"
#include "base/math.h"
#include "base/os.h"
#include "inspect/inspector.h"

#include <math.h>
#include <string.h>

struct heads_watch {
    const struct gpt2_config *config;
    int n, layer, head;
    float *keys;             /* [n_layer][n][n_embd] */
    double *row;             /* [n] weights of one token and head */
    struct gpt2_head *heads; /* [n_layer][n_head] sums so far, or NULL */
    double *weights;         /* [n][n] of (layer, head), or NULL */
    float *all;              /* [layers][n_head][n][n] of layer, -1: of each, or NULL */
};

static double sigma(const struct gpt2_config *config, int layer) {
    double scale = config->scale_attn_weights ? 1 / sqrt(config->n_embd / config->n_head) : 1;
    return config->scale_attn_by_inverse_layer_idx ? scale / (layer + 1) : scale;
}

/* row[0..t] = the weights of token t. */
static void weigh(double *row, const float *q, const float *keys, int n_embd, int head_dim, int t,
                  double scale) {
    double max = -INFINITY, sum = 0;
    for (int j = 0; j <= t; j++) {
        double dot = 0;
        for (int i = 0; i < head_dim; i++)
            dot += (double)q[i] * keys[(size_t)j * (size_t)n_embd + (size_t)i];
        row[j] = dot * scale;
        max = row[j] > max ? row[j] : max;
    }
    for (int j = 0; j <= t; j++)
        sum += row[j] = math_exp_f64(row[j] - max);
    for (int j = 0; j <= t; j++)
        row[j] /= sum;
}

static void add_to(struct gpt2_head *head, const double *row, int t) {
    head->first += row[0];
    head->previous += t > 0 ? row[t - 1] : 0;
    head->own += row[t];
    for (int j = 0; j <= t; j++) {
        head->distance += row[j] * (t - j);
        if (row[j] > 0)
            head->entropy -= row[j] * math_log_f64(row[j]) / math_log_f64(2);
    }
}

static void look(struct heads_watch *watch, int layer, int t, const float *qkv) {
    int n_embd = watch->config->n_embd, n_head = watch->config->n_head;
    int head_dim = n_embd / n_head;
    size_t n = (size_t)watch->n;
    const float *keys = watch->keys + (size_t)layer * n * (size_t)n_embd;
    for (int h = 0; h < n_head; h++) {
        bool chosen = watch->weights && layer == watch->layer && h == watch->head;
        if (!watch->heads && !watch->all && !chosen)
            continue;
        weigh(watch->row, qkv + h * head_dim, keys + h * head_dim, n_embd, head_dim, t,
              sigma(watch->config, layer));
        if (watch->heads && (t > 0 || n == 1))
            add_to(&watch->heads[(size_t)layer * (size_t)n_head + (size_t)h], watch->row, t);
        if (chosen)
            memcpy(watch->weights + (size_t)t * n, watch->row, ((size_t)t + 1) * sizeof(double));
        if (watch->all && (watch->layer < 0 || watch->layer == layer)) {
            const size_t at = (size_t)(watch->layer < 0 ? layer : 0) * (size_t)n_head + (size_t)h;
            for (int j = 0; j <= t; j++)
                watch->all[(at * n + (size_t)t) * n + (size_t)j] = (float)watch->row[j];
        }
    }
}

static void watch_tap(void *user, enum gpt2_site site, int layer,
                      const struct gpt2_session *session, int position, int n_rows,
                      const float *data, int width, size_t stride) {
    struct heads_watch *watch = user;
    if (site != GPT2_SITE_QKV)
        return;
    size_t n_embd = (size_t)watch->config->n_embd;
    for (int r = 0; r < n_rows; r++) {
        const float *qkv = data + (size_t)r * stride;
        size_t t = (size_t)position + (size_t)r;
        memcpy(watch->keys + ((size_t)layer * (size_t)watch->n + t) * n_embd, qkv + n_embd,
               n_embd * sizeof(float));
        look(watch, layer, (int)t, qkv);
    }
}

static void average(struct gpt2_head *heads, int n_heads, int n) {
    for (int i = 0; i < n_heads; i++) {
        heads[i].first /= n;
        heads[i].previous /= n;
        heads[i].own /= n;
        heads[i].entropy /= n;
        heads[i].distance /= n;
    }
}

/* Reads the text with `watch`, whose keys and row are made here. */
static bool read_heads(struct gpt2_inspector *inspector, const int32_t *ids,
                       struct heads_watch *watch, struct gpt2_error *err) {
    const int n = watch->n;
    if (!inspector_begin(inspector, ids, n, err))
        return false;
    watch->keys = os_alloc((size_t)watch->config->n_layer * (size_t)n,
                           (size_t)watch->config->n_embd * sizeof(float), "keys", err);
    watch->row = os_alloc((size_t)n, sizeof(double), "a row", err);
    bool ok = watch->keys && watch->row;
    for (int at = 0; ok && at < n; at += INSPECTOR_ROWS)
        ok = inspector_read(inspector, ids + at, inspector_step(at, n), 0, watch_tap, watch, err);
    os_free(watch->row);
    os_free(watch->keys);
    return ok;
}

bool gpt2_inspect_attention(struct gpt2_inspector *inspector, const int32_t *ids, int n, int layer,
                            int head, struct gpt2_head *heads, double *weights,
                            struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    if (!inspector_layer(config, layer, err))
        return false;
    if (head < 0 || head >= config->n_head)
        return error_set(err, GPT2_ERR_USAGE, "head %d: a layer has heads 0 to %d", head,
                         config->n_head - 1);
    if (n > 0 && weights)
        memset(weights, 0, (size_t)n * (size_t)n * sizeof *weights);
    const int n_heads = config->n_layer * config->n_head;
    if (heads)
        memset(heads, 0, (size_t)n_heads * sizeof *heads);
    struct heads_watch watch = {
        .config = config, .n = n, .layer = layer, .head = head, .heads = heads, .weights = weights};
    if (!read_heads(inspector, ids, &watch, err))
        return false;
    if (heads)
        average(heads, n_heads, n > 1 ? n - 1 : 1);
    return true;
}

bool gpt2_inspect_weights(struct gpt2_inspector *inspector, const int32_t *ids, int n, int layer,
                          float *weights, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    if (layer != -1 && !inspector_layer(config, layer, err))
        return false;
    const size_t layers = layer < 0 ? (size_t)config->n_layer : 1;
    if (n > 0)
        memset(weights, 0,
               layers * (size_t)config->n_head * (size_t)n * (size_t)n * sizeof *weights);
    struct heads_watch watch = {.config = config, .n = n, .layer = layer, .all = weights};
    return read_heads(inspector, ids, &watch, err);
}
