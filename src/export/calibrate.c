/* calibrate.c - sums over a text, gathered where the forward pass can be watched. */
#include "export/calibrate.h"

#include "base/error_internal.h"
#include "base/os.h"
#include "kernels/panels.h"
#include "machine/runtime_internal.h"
#include <assert.h>
#include <gpt2/session.h>
#include <string.h>

#define ROWS 64 /* of a pass; part of what is computed, since sums are taken pass by pass */

/* The inputs of one block's four products. */
enum calibrated_input { IN_C_ATTN, IN_ATTN_C_PROJ, IN_C_FC, IN_MLP_C_PROJ, N_INPUTS };

struct calibration {
    const struct gpt2_model *model;
    struct pool *pool;             /* borrowed */
    const struct kernels *kernels; /* borrowed */
    struct moments *inputs;        /* [n_layer * N_INPUTS + 1] blocks, then the head */
    size_t n_inputs;
    float **memory; /* [n_inputs] what mean and second point into */
    size_t n_rows;  /* in the sums */
};

static size_t index_of(int layer, enum calibrated_input input) {
    return (size_t)layer * N_INPUTS + (size_t)input;
}

static bool alloc_moments(struct calibration *c, size_t i, int K, struct gpt2_error *err) {
    size_t groups = (size_t)panels_groups(DTYPE_Q8, K);
    c->memory[i] = os_alloc(groups, (1 + GROUP) * GROUP * sizeof(float), "moments", err);
    if (!c->memory[i])
        return false;
    c->inputs[i] = (struct moments){K, c->memory[i], c->memory[i] + groups * GROUP};
    return true;
}

static struct calibration *create(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                  struct gpt2_error *err) {
    const struct gpt2_config *config = &model->config;
    struct calibration *c = os_alloc(1, sizeof *c, "moments", err);
    if (!c)
        return NULL;
    c->model = model;
    c->pool = runtime->pool;
    c->kernels = runtime->kernels;
    c->n_inputs = index_of(config->n_layer, 0) + 1;
    c->inputs = os_alloc(c->n_inputs, sizeof *c->inputs, "moments", err);
    c->memory = os_alloc(c->n_inputs, sizeof *c->memory, "moments", err);
    bool ok = c->inputs && c->memory;
    for (size_t i = 0; ok && i < c->n_inputs; i++)
        ok = alloc_moments(c, i, i % N_INPUTS == IN_MLP_C_PROJ ? config->n_inner : config->n_embd,
                           err);
    if (ok)
        return c;
    calibrate_free(c);
    return NULL;
}

void calibrate_free(struct calibration *c) {
    if (!c)
        return;
    for (size_t i = 0; c->memory && i < c->n_inputs; i++)
        os_free(c->memory[i]);
    os_free(c->memory);
    os_free(c->inputs);
    os_free(c);
}

const struct moments *calibrate_moments(const struct calibration *c, const struct matrix *weight) {
    for (int layer = 0; layer < c->model->config.n_layer; layer++) {
        const struct block *h = &c->model->h[layer];
        const struct matrix *weights[N_INPUTS] = {&h->attn.c_attn.weight, &h->attn.c_proj.weight,
                                                  &h->mlp.c_fc.weight, &h->mlp.c_proj.weight};
        for (int i = 0; i < N_INPUTS; i++)
            if (weights[i] == weight)
                return &c->inputs[index_of(layer, (enum calibrated_input)i)];
    }
    // a tied head is read through wte
    const bool head = weight == &c->model->head ||
                      (gpt2_model_head_is_tied(c->model) && weight == &c->model->wte);
    return head ? &c->inputs[c->n_inputs - 1] : NULL;
}

/* ---- sums ---- */

struct calibration_rows {
    const struct calibration *calibration;
    const struct moments *moments;
    const float *data;
    size_t stride;
    int n; /* at most ROWS */
};

/* Adds rows to the sums of group g, first among themselves: so the sums stay precise. */
static void add_group(void *arg, int g, int worker) {
    const struct calibration_rows *rows = arg;
    const int first = g * GROUP, left = rows->moments->K - first;
    const int width = left < GROUP ? left : GROUP;
    assert(rows->n <= ROWS);
    float x[ROWS][GROUP] = {{0}}, columns[GROUP][ROWS], second[GROUP][GROUP] = {{0}};
    float *means = rows->moments->mean + first;
    float *seconds = rows->moments->second + (size_t)g * GROUP * GROUP;
    for (int r = 0; r < rows->n; r++)
        memcpy(x[r], rows->data + (size_t)r * rows->stride + first, (size_t)width * sizeof(float));
    for (int k = 0; k < GROUP; k++) {
        float mean = 0;
        for (int r = 0; r < rows->n; r++)
            mean += columns[k][r] = x[r][k];
        means[k] += mean;
    }
    rows->calibration->kernels->gemm[DTYPE_F32](second[0], GROUP, columns[0], ROWS, x[0], GROUP,
                                                PANEL, GROUP, GROUP, rows->n);
    for (int k = 0; k < GROUP; k++)
        for (int j = 0; j < GROUP; j++)
            seconds[k * GROUP + j] += second[k][j];
}

static void watch(void *user, enum gpt2_site site, int layer, const struct gpt2_session *session,
                  int position, int n_rows, const float *data, int width, size_t stride) {
    struct calibration *c = user;
    size_t i;
    switch (site) {
    case GPT2_SITE_LN_1:
        i = index_of(layer, IN_C_ATTN);
        break;
    case GPT2_SITE_HEADS:
        i = index_of(layer, IN_ATTN_C_PROJ);
        break;
    case GPT2_SITE_LN_2:
        i = index_of(layer, IN_C_FC);
        break;
    case GPT2_SITE_HIDDEN:
        i = index_of(layer, IN_MLP_C_PROJ);
        break;
    case GPT2_SITE_LN_F:
        i = c->n_inputs - 1;
        break;
    default:
        return;
    }
    assert(width == c->inputs[i].K);
    const int skip = position == 0;
    struct calibration_rows rows = {c, &c->inputs[i], data + (size_t)skip * stride, stride,
                                    n_rows - skip};
    if (rows.n > 0)
        pool_run(c->pool, panels_groups(DTYPE_Q8, width), add_group, &rows);
}

static void divide(struct calibration *c) {
    for (size_t i = 0; i < c->n_inputs; i++) {
        size_t n = (size_t)panels_groups(DTYPE_Q8, c->inputs[i].K) * (1 + GROUP) * GROUP;
        for (size_t k = 0; k < n; k++)
            c->memory[i][k] /= (float)c->n_rows;
    }
}

static bool read_text(struct calibration *c, struct gpt2_session *session, struct gpt2_batch *batch,
                      const int32_t *ids, size_t n, calibrate_progress progress, void *user,
                      struct gpt2_error *err) {
    for (size_t done = 0; done < n;) {
        int position = gpt2_session_position(session);
        if (position == gpt2_session_capacity(session)) {
            position = 0;
            if (!gpt2_session_rewind(session, 0, err))
                return false;
        }
        size_t most = (size_t)(gpt2_session_capacity(session) - position);
        most = most < ROWS ? most : ROWS;
        const int rows = (int)(n - done < most ? n - done : most);
        struct gpt2_span span = {session, ids + done, rows, rows};
        if (!gpt2_batch_run(batch, &span, 1, err))
            return false;
        c->n_rows += (size_t)(rows - (position == 0));
        done += (size_t)rows;
        if (progress && !progress(user, done))
            return error_set(err, GPT2_ERR_RUNTIME, "calibration was interrupted");
    }
    return c->n_rows > 0 ||
           error_set(err, GPT2_ERR_USAGE, "calibration: expected a text of two tokens at least");
}

struct calibration *calibrate(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                              const int32_t *ids, size_t n, calibrate_progress progress, void *user,
                              struct gpt2_error *err) {
    struct calibration *c = create(model, runtime, err);
    struct gpt2_session *session = c ? gpt2_session_create(model, NULL, err) : NULL;
    struct gpt2_batch *batch =
        session
            ? gpt2_batch_create(model, runtime,
                                &(struct gpt2_batch_options){.max_rows = ROWS, .max_logits = ROWS},
                                err)
            : NULL;
    bool ok = batch != NULL;
    if (ok) {
        gpt2_batch_set_tap(batch, watch, c);
        ok = read_text(c, session, batch, ids, n, progress, user, err);
    }
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    if (ok) {
        divide(c);
        return c;
    }
    calibrate_free(c);
    return NULL;
}
