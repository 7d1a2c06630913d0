/* norms.c - the statistics of layer normalization, and the proof that they are each token's
 * own.
 *
 * In the pass every site is preceded by the stream that goes into it, so the tap keeps the last
 * stream it was shown and reads both when the site's output arrives. */
#include "base/error_internal.h"
#include "base/os.h"
#include "inspect/inspector.h"
#include "model/weights.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gpt2_norm_sites(const struct gpt2_model *model) {
    return 2 * model->config.n_layer + 1;
}

void gpt2_norm_name(const struct gpt2_model *model, int site, char name[32]) {
    if (site == 2 * model->config.n_layer)
        snprintf(name, 32, "ln_f");
    else
        snprintf(name, 32, "h.%d.ln_%d", site / 2, 1 + site % 2);
}

static const struct layer_norm *norm_of(const struct gpt2_model *model, int site) {
    if (site == 2 * model->config.n_layer)
        return &model->ln_f;
    const struct block *block = &model->h[site / 2];
    return site % 2 ? &block->ln_2 : &block->ln_1;
}

static void find_range(const float *x, int n, double *least, double *most, double *mean,
                       int *least_at, int *most_at) {
    double sum = 0;
    *least_at = *most_at = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i];
        *least_at = x[i] < x[*least_at] ? i : *least_at;
        *most_at = x[i] > x[*most_at] ? i : *most_at;
    }
    *least = x[*least_at];
    *most = x[*most_at];
    *mean = sum / n;
}

void gpt2_norm_learned(const struct gpt2_model *model, int site, struct gpt2_learned *learned) {
    const struct layer_norm *norm = norm_of(model, site);
    struct gpt2_learned *l = learned;
    int n = model->config.n_embd, least, most;
    find_range(norm->gain, n, &l->least_gain, &l->most_gain, &l->mean_gain, &l->least_gain_feature,
               &l->most_gain_feature);
    find_range(norm->bias, n, &l->least_bias, &l->most_bias, &l->mean_bias, &least, &most);
}

/* The site a tap shows the output of, or -1. */
static int site_of(enum gpt2_site site, int layer) {
    switch (site) {
    case GPT2_SITE_LN_1:
    case GPT2_SITE_LN_F: // its layer is n_layer
        return 2 * layer;
    case GPT2_SITE_LN_2:
        return 2 * layer + 1;
    default:
        return -1;
    }
}

static bool is_stream(enum gpt2_site site) {
    return site == GPT2_SITE_EMBEDDING || site == GPT2_SITE_RESID_MID || site == GPT2_SITE_RESID;
}

/* The stream of one session's rows, until the norm after it has been seen. */
struct residual_rows {
    int position; /* of the first row */
    float *rows;  /* [INSPECTOR_ROWS, n_embd] */
};

static void keep_stream(struct residual_rows *stream, int position, int n_rows, const float *data,
                        int n_embd, size_t stride) {
    assert(n_rows <= INSPECTOR_ROWS);
    stream->position = position;
    for (int r = 0; r < n_rows; r++)
        memcpy(stream->rows + (size_t)r * (size_t)n_embd, data + (size_t)r * stride,
               (size_t)n_embd * sizeof(float));
}

static const float *stream_row(const struct residual_rows *stream, int position, int n_embd) {
    return stream->rows + (size_t)(position - stream->position) * (size_t)n_embd;
}

static double get_f32(const void *x, int i) {
    return ((const float *)x)[i];
}

static double get_f64(const void *x, int i) {
    return ((const double *)x)[i];
}

static struct gpt2_spread spread_of(const void *x, double (*get)(const void *, int), int n) {
    struct gpt2_spread s = {0};
    double square = 0, second = 0, fourth = 0;
    for (int i = 0; i < n; i++) {
        double value = get(x, i);
        s.mean += value;
        square += value * value;
        if (i == 0 || fabs(value) > fabs(s.largest)) {
            s.largest = value;
            s.feature = i;
        }
    }
    s.mean /= n;
    for (int i = 0; i < n; i++) {
        double d = (get(x, i) - s.mean) * (get(x, i) - s.mean);
        second += d;
        fourth += d * d;
    }
    s.norm = sqrt(square);
    s.deviation = sqrt(second / n);
    s.kurtosis = second > 0 ? fourth / second / second * n : 0;
    s.spike = square > 0 ? fabs(s.largest) / sqrt(square / n) : 0;
    return s;
}

/* What the site should give for a token's feature, parts that are ablated left out. */
static double formula(const struct gpt2_inspector *inspector, int site, double x, double normalized,
                      double mean, int i) {
    const struct layer_norm *norm = norm_of(inspector->model, site);
    unsigned a = inspector->ablations;
    double common = inspector->deviations ? inspector->deviations[site] : 1;
    return (a & GPT2_ABLATE_LN_SCALE ? (x - mean) / common : normalized) *
               (a & GPT2_ABLATE_LN_GAIN ? 1 : norm->gain[i]) +
           (a & GPT2_ABLATE_LN_BIAS ? 0 : norm->bias[i]);
}

static void compare(struct gpt2_norm *out, const struct gpt2_inspector *inspector, int site,
                    const float *x, const double *normalized, const float *y) {
    double xn = 0, nn = 0, ny = 0, xx = 0, yy = 0, moved = 0;
    for (int i = 0; i < inspector->model->config.n_embd; i++) {
        double n = normalized[i];
        xn += x[i] * n;
        nn += n * n;
        ny += n * y[i];
        xx += (double)x[i] * x[i];
        yy += (double)y[i] * y[i];
        moved += (y[i] - n) * (y[i] - n);
        double error = fabs(y[i] - formula(inspector, site, x[i], n, out->stream.mean, i));
        out->error = error > out->error ? error : out->error;
    }
    out->cosine_stream = xx > 0 && nn > 0 ? xn / sqrt(xx * nn) : 0;
    out->cosine_branch = yy > 0 && nn > 0 ? ny / sqrt(yy * nn) : 0;
    out->change = nn > 0 ? sqrt(moved / nn) : 0;
}

struct norms_watch {
    const struct gpt2_inspector *inspector;
    int n;
    struct residual_rows stream;
    double *normalized;      /* [n_embd] */
    struct gpt2_norm *norms; /* [sites][n] */
};

static void look(struct norms_watch *watch, int site, int position, const float *x,
                 const float *y) {
    const struct gpt2_model *model = watch->inspector->model;
    int n_embd = model->config.n_embd;
    struct gpt2_norm *out = &watch->norms[(size_t)site * (size_t)watch->n + (size_t)position];
    *out = (struct gpt2_norm){.stream = spread_of(x, get_f32, n_embd),
                              .branch = spread_of(y, get_f32, n_embd)};
    double rstd = 1 / sqrt(out->stream.deviation * out->stream.deviation +
                           (double)model->config.layer_norm_epsilon);
    for (int i = 0; i < n_embd; i++)
        watch->normalized[i] = (x[i] - out->stream.mean) * rstd;
    out->normalized = spread_of(watch->normalized, get_f64, n_embd);
    compare(out, watch->inspector, site, x, watch->normalized, y);
}

static void watch_tap(void *user, enum gpt2_site site, int layer,
                      const struct gpt2_session *session, int position, int n_rows,
                      const float *data, int width, size_t stride) {
    struct norms_watch *watch = user;
    if (is_stream(site))
        keep_stream(&watch->stream, position, n_rows, data, width, stride);
    for (int r = 0; site_of(site, layer) >= 0 && r < n_rows; r++)
        look(watch, site_of(site, layer), position + r,
             stream_row(&watch->stream, position + r, width), data + (size_t)r * stride);
}

bool gpt2_inspect_norms(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                        struct gpt2_norm *norms, struct gpt2_error *err) {
    size_t n_embd = (size_t)inspector->model->config.n_embd;
    struct norms_watch watch = {.inspector = inspector, .n = n, .norms = norms};
    bool ok = inspector_begin(inspector, ids, n, err);
    watch.stream.rows = os_alloc(INSPECTOR_ROWS, n_embd * sizeof(float), "the stream", err);
    watch.normalized = os_alloc(n_embd, sizeof(double), "a row", err);
    ok = ok && watch.stream.rows && watch.normalized;
    for (int at = 0; ok && at < n; at += INSPECTOR_ROWS) {
        int step = inspector_step(at, n);
        ok = inspector_read(inspector, ids + at, step, step, watch_tap, &watch, err);
    }
    os_free(watch.stream.rows);
    os_free(watch.normalized);
    return ok;
}

/* ---- each token's own ---- */

/* One token at one site, by its bits: mean, deviation, and FNV-1a of the vector after the site. */
struct mark {
    uint64_t mean, deviation, output;
};

struct marking {
    const struct gpt2_inspector *inspector;
    int n;                       /* positions beyond are not marked */
    struct residual_rows stream; /* of the inspector's session */
    struct mark *marks;          /* [sites][n] of that session */
};

static uint64_t bits_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void marking_tap(void *user, enum gpt2_site site, int layer,
                        const struct gpt2_session *session, int position, int n_rows,
                        const float *data, int width, size_t stride) {
    struct marking *marking = user;
    if (session != marking->inspector->session)
        return; // the company
    struct residual_rows *stream = &marking->stream;
    if (is_stream(site))
        keep_stream(stream, position, n_rows, data, width, stride);
    for (int r = 0; site_of(site, layer) >= 0 && r < n_rows && position + r < marking->n; r++) {
        struct gpt2_spread s = spread_of(stream_row(stream, position + r, width), get_f32, width);
        const float *y = data + (size_t)r * stride;
        struct mark mark = {bits_of(s.mean), bits_of(s.deviation), 0xCBF29CE484222325};
        for (int i = 0; i < width; i++) {
            uint32_t bits;
            memcpy(&bits, &y[i], sizeof bits);
            mark.output = (mark.output ^ bits) * 0x100000001B3;
        }
        size_t row = (size_t)site_of(site, layer) * (size_t)marking->n;
        marking->marks[row + (size_t)(position + r)] = mark;
    }
}

/* Reads ids with the tap, `step` tokens a pass, beside `company` (NULL: alone), which reads the
 * same tokens from the last to the first. */
static bool mark_all(struct marking *marking, struct gpt2_inspector *inspector, const int32_t *ids,
                     int n, int max_step, struct gpt2_session *company, int32_t *room,
                     struct gpt2_error *err) {
    bool ok = inspector_begin(inspector, ids, n, err);
    gpt2_batch_set_tap(inspector->batch, marking_tap, marking);
    for (int at = 0; ok && at < n;) {
        int step = inspector_step(at, n) < max_step ? inspector_step(at, n) : max_step;
        for (int i = 0; i < step; i++)
            room[i] = ids[n - 1 - at - i];
        struct gpt2_span spans[2] = {{company, room, step, step},
                                     {inspector->session, ids + at, step, step}};
        ok = company ? gpt2_batch_run(inspector->batch, spans, 2, err)
                     : gpt2_batch_run(inspector->batch, spans + 1, 1, err);
        at += step;
    }
    gpt2_batch_set_tap(inspector->batch, NULL, NULL);
    return ok;
}

static int count_same(const struct mark *a, const struct mark *b, int n_sites, int n,
                      int n_tokens) {
    int same = 0;
    for (int site = 0; site < n_sites; site++)
        for (int t = 0; t < n_tokens; t++) {
            size_t i = (size_t)site * (size_t)n + (size_t)t;
            same += memcmp(&a[i], &b[i], sizeof *a) == 0;
        }
    return same;
}

static int order(const void *a, const void *b) {
    const struct mark *x = a, *y = b;
    if (x->mean != y->mean)
        return x->mean < y->mean ? -1 : 1;
    return (x->deviation > y->deviation) - (x->deviation < y->deviation);
}

/* Sorts the marks. */
static int count_distinct(struct mark *marks, size_t n) {
    int distinct = 0;
    qsort(marks, n, sizeof *marks, order);
    for (size_t i = 0; i < n; i++)
        distinct += i == 0 || order(&marks[i - 1], &marks[i]) != 0;
    return distinct;
}

/* The text with everything after its first half replaced, and one token more where it has only
 * one. Returns how many tokens that are. */
static int change_text(int32_t *changed, const int32_t *ids, int n,
                       const struct gpt2_config *config, int kept) {
    int n_changed = n > kept || n == config->n_ctx ? n : n + 1;
    for (int i = 0; i < n_changed; i++)
        changed[i] = i < kept ? ids[i] : (int32_t)((i < n ? ids[i] + 1 : 0) % config->n_vocab);
    return n_changed;
}

static bool try_all(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                    struct marking *marking, struct mark *base, struct gpt2_session *company,
                    int32_t *changed, struct gpt2_independence *result, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(inspector->model);
    int32_t room[INSPECTOR_ROWS];
    struct gpt2_independence *out = result;
    int n_sites = gpt2_norm_sites(inspector->model), all = n_sites * n;
    struct mark *other = marking->marks;

    marking->marks = base;
    if (!mark_all(marking, inspector, ids, n, INSPECTOR_ROWS, NULL, room, err))
        return false;
    marking->marks = other;
    if (!mark_all(marking, inspector, ids, n, 1, NULL, room, err))
        return false;
    *out = (struct gpt2_independence){.alone = all, .company = all};
    out->alone_same = count_same(base, other, n_sites, n, n);

    memset(other, 0, (size_t)all * sizeof *other);
    if (!mark_all(marking, inspector, ids, n, INSPECTOR_ROWS, company, room, err))
        return false;
    out->company_same = count_same(base, other, n_sites, n, n);

    memset(other, 0, (size_t)all * sizeof *other);
    out->before_change = (n + 1) / 2;
    out->change = n_sites * out->before_change;
    int n_changed = change_text(changed, ids, n, config, out->before_change);
    if (!mark_all(marking, inspector, changed, n_changed, INSPECTOR_ROWS, NULL, room, err))
        return false;
    out->change_same = count_same(base, other, n_sites, n, out->before_change);
    out->distinct = count_distinct(base, (size_t)all);
    return true;
}

bool gpt2_inspect_independence(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                               struct gpt2_independence *result, struct gpt2_error *err) {
    if (!inspector_begin(inspector, ids, n, err))
        return false;
    size_t all = (size_t)gpt2_norm_sites(inspector->model) * (size_t)n;
    size_t n_embd = (size_t)inspector->model->config.n_embd;
    struct marking marking = {.inspector = inspector, .n = n};
    struct mark *base = os_alloc(all, sizeof *base, "statistics", err);
    struct mark *other = os_alloc(all, sizeof *other, "statistics", err);
    int32_t *changed = os_alloc((size_t)n + 1, sizeof *changed, "a text", err);
    struct gpt2_session *company = inspector_session(inspector->model, err);
    marking.stream.rows = os_alloc(INSPECTOR_ROWS, n_embd * sizeof(float), "the stream", err);
    marking.marks = other;
    bool ok = base && other && changed && company && marking.stream.rows &&
              try_all(inspector, ids, n, &marking, base, company, changed, result, err);
    os_free(marking.stream.rows);
    gpt2_session_free(company);
    os_free(changed);
    os_free(other);
    os_free(base);
    return ok;
}
