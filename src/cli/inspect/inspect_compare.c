/* inspect_compare.c - compares the last tokens of several prompts layer by layer.
 *
 * It also shows what becomes of their next tokens when parts of layer normalization are ablated. */
#include "cli/inspect/inspection.h"

#include <gpt2/session.h>
#include <math.h>
#include <string.h>

static const unsigned usual[] = {GPT2_ABLATE_LN_GAIN, GPT2_ABLATE_LN_BIAS,
                                 GPT2_ABLATE_LN_GAIN | GPT2_ABLATE_LN_BIAS, GPT2_ABLATE_LN_SCALE};

struct compare_results {
    int n, sites;                                         /* texts, sites                         */
    struct gpt2_norm *norms[INSPECT_TEXTS];               /* [sites] of the last token of a text  */
    unsigned ablations[1 + sizeof usual / sizeof *usual]; /* the first is none      */
    int n_ablations;
    double *log_probs; /* [n_ablations][n][n_vocab] */
};

static const double *distribution(const struct inspect *inspect, const struct compare_results *r,
                                  int ablation, int text) {
    size_t row = (size_t)ablation * (size_t)r->n + (size_t)text;
    return r->log_probs + row * (size_t)inspect->config->n_vocab;
}

static int32_t last_token(const struct inspect *inspect, int text) {
    return inspect->texts[text].data[inspect->texts[text].len - 1];
}

/* ---- running the model ---- */

static bool read_norms(struct inspect *inspect, struct gpt2_inspector *plain,
                       struct compare_results *r, struct gpt2_error *err) {
    for (int i = 0; i < r->n; i++) {
        const struct gpt2_ids *ids = &inspect->texts[i];
        size_t n = ids->len, sites = (size_t)r->sites;
        struct gpt2_norm *all = view_alloc(&inspect->view, sites * n, sizeof *all);
        r->norms[i] = view_alloc(&inspect->view, sites, sizeof *all);
        if (!all || !r->norms[i])
            return inspect_no_memory(err);
        if (!gpt2_inspect_norms(plain, ids->data, (int)n, all, err))
            return false;
        for (size_t s = 0; s < sites; s++)
            r->norms[i][s] = all[s * n + n - 1];
    }
    return true;
}

static bool read_next(struct inspect *inspect, struct gpt2_inspector *inspector,
                      struct compare_results *r, int ablation, struct gpt2_error *err) {
    for (int i = 0; i < r->n; i++)
        if (!gpt2_inspect_next(inspector, inspect->texts[i].data, (int)inspect->texts[i].len,
                               (double *)distribution(inspect, r, ablation, i), err))
            return false;
    return true;
}

static bool run_all(struct inspect *inspect, struct compare_results *r, struct gpt2_error *err) {
    bool ok = true;
    for (int a = 0; ok && a < r->n_ablations; a++) {
        struct gpt2_inspector *inspector = gpt2_inspector_create(
            inspect->model, inspect->runtime, r->ablations[a], inspect->deviations, err);
        ok = inspector && (a > 0 || read_norms(inspect, inspector, r, err)) &&
             read_next(inspect, inspector, r, a, err);
        gpt2_inspector_free(inspector);
    }
    return ok;
}

/* ---- the view ---- */

static double value_of(const struct gpt2_spread *s, int which) {
    return which == 0 ? s->norm : which == 1 ? s->kurtosis : s->spike;
}

static bool add_map(struct inspect *inspect, const struct compare_results *r, int which,
                    const char *name, const char *title) {
    struct view *view = &inspect->view;
    struct map *map = view_map(view, name, title, r->sites, 2 * r->n);
    if (!map)
        return false;
    map->log = true;
    map->chart = which == 0;
    map->width = 11;
    map->format = which == 2 ? "%.2f" : "%.1f";
    for (int i = 0; i < r->n; i++) {
        struct label token = inspect_token(inspect, last_token(inspect, i));
        map->columns[2 * i] = token;
        size_t space = token.n > 1 && token.bytes[0] == ' ';
        map->columns[2 * i + 1] =
            view_label(view, "ln(%.*s)", (int)(token.n - space), token.bytes + space);
    }
    for (int s = 0; s < r->sites; s++) {
        char site[32];
        gpt2_norm_name(inspect->model, s, site);
        map->rows[s] = view_label(view, "%s", site);
        for (int i = 0; i < r->n; i++) {
            *map_value(map, s, 2 * i) = value_of(&r->norms[i][s].stream, which);
            *map_value(map, s, 2 * i + 1) = value_of(&r->norms[i][s].branch, which);
        }
    }
    return true;
}

static bool add_spikes(struct inspect *inspect, const struct compare_results *r) {
    static const struct column columns[] = {
        {"prompt", "%.0f", 0},  {"token", NULL, 0},     {"site", NULL, 0},
        {"at", NULL, 0},        {"norm", "%.1f", 0},    {"kurtosis", "%.1f", 0},
        {"max/rms", "%.2f", 0}, {"largest", "%.2f", 0}, {"feature", "%.0f", 0}};
    static const char *const at[] = {"stream", "normalized", "branch"};
    struct view *view = &inspect->view;
    struct view_table *table =
        view_table(view, "spikes", "Spikes", columns, 9, 3 * r->n * r->sites);
    if (!table)
        return false;
    for (int i = 0, row = 0; i < r->n; i++)
        for (int s = 0; s < r->sites; s++)
            for (int k = 0; k < 3; k++, row++) {
                const struct gpt2_norm *norm = &r->norms[i][s];
                const struct gpt2_spread *spread = k == 0   ? &norm->stream
                                                   : k == 1 ? &norm->normalized
                                                            : &norm->branch;
                char site[32];
                gpt2_norm_name(inspect->model, s, site);
                const struct cell cells[9] = {
                    cell_number(i),
                    cell_text(inspect_token(inspect, last_token(inspect, i))),
                    cell_text(view_label(view, "%s", site)),
                    cell_text((struct label){at[k], strlen(at[k])}),
                    cell_number(spread->norm),
                    cell_number(spread->kurtosis),
                    cell_number(spread->spike),
                    cell_number(spread->largest),
                    cell_number(spread->feature),
                };
                memcpy(table_cell(table, row, 0), cells, sizeof cells);
            }
    return true;
}

static int32_t likeliest(const double *log_probs, int n) {
    int32_t best = 0;
    for (int32_t id = 1; id < n; id++)
        best = log_probs[id] > log_probs[best] ? id : best;
    return best;
}

static bool add_ablations(struct inspect *inspect, const struct compare_results *r) {
    static const struct column columns[] = {{"prompt", "%.0f", 1},
                                            {"token", NULL, -1},
                                            {"without", NULL, -16},
                                            {"kl_nats", "%.4f", 9},
                                            {"next", NULL, -14},
                                            {"p", "%.4f", 7},
                                            {"p_of_plain_next", "%.4f", 15},
                                            {"rank_of_plain_next", "%.0f", 0}};
    struct view *view = &inspect->view;
    int n_vocab = inspect->config->n_vocab;
    struct view_table *table =
        view_table(view, "ablations", "The next token, with parts of every layer norm taken away",
                   columns, 8, r->n * r->n_ablations);
    if (!table)
        return false;
    table->n_group = 2;
    for (int i = 0, row = 0; i < r->n; i++)
        for (int a = 0; a < r->n_ablations; a++, row++) {
            const double *p = distribution(inspect, r, 0, i), *q = distribution(inspect, r, a, i);
            int32_t plain = likeliest(p, n_vocab), next = likeliest(q, n_vocab);
            const char *without = inspect_ablations(view, r->ablations[a]);
            int rank = 1;
            for (int id = 0; id < n_vocab; id++)
                rank += q[id] > q[plain] || (q[id] == q[plain] && id < plain);
            const struct cell cells[8] = {
                cell_number(i),
                cell_text(inspect_token(inspect, last_token(inspect, i))),
                cell_text((struct label){without, strlen(without)}),
                cell_number(gpt2_inspect_kl(p, q, n_vocab)),
                cell_text(inspect_token(inspect, next)),
                cell_number(exp(q[next])),
                cell_number(exp(q[plain])),
                cell_number(rank),
            };
            memcpy(table_cell(table, row, 0), cells, sizeof cells);
        }
    return true;
}

enum place { AT_STREAM, AT_NORMALIZED, AT_BRANCH };

static const struct gpt2_spread *spread_at(const struct gpt2_norm *norm, enum place place) {
    return place == AT_STREAM       ? &norm->stream
           : place == AT_NORMALIZED ? &norm->normalized
                                    : &norm->branch;
}

/* The largest ratio of two texts' numbers at one site. */
static double most_apart(const struct compare_results *r, enum place place, int which) {
    double most = 1;
    for (int s = 0; s < r->sites; s++) {
        double low = INFINITY, high = 0;
        for (int i = 0; i < r->n; i++) {
            double value = value_of(spread_at(&r->norms[i][s], place), which);
            low = fmin(low, value);
            high = fmax(high, value);
        }
        most = low > 0 ? fmax(most, high / low) : most;
    }
    return most;
}

static double most_changed(const struct compare_results *r) {
    double most = 0;
    for (int i = 0; i < r->n; i++)
        for (int s = 0; s < r->sites; s++) {
            const struct gpt2_norm *norm = &r->norms[i][s];
            if (norm->stream.kurtosis > 0)
                most = fmax(most, fabs(norm->normalized.kurtosis / norm->stream.kurtosis - 1));
        }
    return most;
}

static void tell_places(struct inspect *inspect) {
    const struct gpt2_ids *ids = &inspect->texts[0];
    bool first = false;
    for (int i = 0; i < inspect->n_texts; i++)
        first |= inspect->texts[i].len == 1;
    if (inspect->bos)
        view_sentence(&inspect->view,
                      "Each text was read after %s, so that no compared token is at position 0, "
                      "which is another kind (--no-bos reads the text alone).",
                      inspect_quote(inspect, ids->data[0]));
    else if (first)
        view_sentence(&inspect->view,
                      "A compared token is at position 0, whose activations are another kind; "
                      "--bos puts the end of a text in front.");
}

static void tell(struct inspect *inspect, const struct compare_results *r) {
    struct view *view = &inspect->view;
    int n_vocab = inspect->config->n_vocab;
    tell_places(inspect);
    for (int i = 0; i < r->n; i++)
        if (inspect->texts[i].len > 1u + inspect->bos)
            view_sentence(view, "Text %d has %zu tokens; its last one, %s, is compared.", i,
                          inspect->texts[i].len - inspect->bos,
                          inspect_quote(inspect, last_token(inspect, i)));
    view_sentence(view,
                  "In the stream these tokens' norms differ by up to x %.3f at a site; normalized, "
                  "by up to x %.3f: a token's overall size is what layer norm takes out of the "
                  "copy. Gain and bias, which weight each feature, make it up to x %.3f in what "
                  "the branches read.",
                  most_apart(r, AT_STREAM, 0), most_apart(r, AT_NORMALIZED, 0),
                  most_apart(r, AT_BRANCH, 0));
    view_sentence(view,
                  "Their spikes stay: kurtosis before and after normalizing differs by at most "
                  "%.1e of itself at every site; it is gain and bias, the same for all tokens, "
                  "that change it. Between the tokens it differs by up to x %.3g in the stream, x "
                  "%.3g in the branches.",
                  most_changed(r), most_apart(r, AT_STREAM, 1), most_apart(r, AT_BRANCH, 1));
    for (int a = 1; a < r->n_ablations; a++) {
        double sum = 0;
        int same = 0;
        for (int i = 0; i < r->n; i++) {
            const double *p = distribution(inspect, r, 0, i), *q = distribution(inspect, r, a, i);
            sum += gpt2_inspect_kl(p, q, n_vocab) / r->n;
            same += likeliest(p, n_vocab) == likeliest(q, n_vocab);
        }
        view_sentence(view,
                      "Without %s: the next token's distribution moves by %.3g nats (KL, mean); %d "
                      "of %d texts keep their likeliest next token.",
                      inspect_ablations(view, r->ablations[a]), sum, same, r->n);
    }
    view_sentence(view,
                  "Without ln-scale means: each token is divided by the site's mean deviation over "
                  "these texts' tokens, not by its own, so that its scale is put back.");
    view_fact(view, "prompts", r->n);
    view_fact(view, "stream_norms_apart", most_apart(r, AT_STREAM, 0));
    view_fact(view, "normalized_norms_apart", most_apart(r, AT_NORMALIZED, 0));
    view_fact(view, "branch_norms_apart", most_apart(r, AT_BRANCH, 0));
    view_fact(view, "kurtosis_change", most_changed(r));
}

bool inspect_compare(struct inspect *inspect, struct gpt2_error *err) {
    struct view *view = &inspect->view;
    struct compare_results r = {.n = inspect->n_texts, .sites = gpt2_norm_sites(inspect->model)};
    r.n_ablations = 1; // none
    if (inspect->ablations)
        r.ablations[r.n_ablations++] = inspect->ablations;
    for (size_t i = 0; !inspect->ablations && i < sizeof usual / sizeof *usual; i++)
        r.ablations[r.n_ablations++] = usual[i];
    r.log_probs =
        view_alloc(view, (size_t)r.n_ablations * (size_t)r.n * (size_t)inspect->config->n_vocab,
                   sizeof *r.log_probs);
    if (!r.log_probs)
        return inspect_no_memory(err);
    if (!run_all(inspect, &r, err))
        return false;
    view->title = view_format(view, "The last tokens of %d texts in %s", r.n, view->model);
    if (!add_ablations(inspect, &r) || !add_spikes(inspect, &r) ||
        !add_map(inspect, &r, 0, "norm", "Norm: X in the stream, ln(X) as the branch reads it") ||
        !add_map(inspect, &r, 1, "kurtosis", "Kurtosis: how spiky, 3 is a normal distribution") ||
        !add_map(inspect, &r, 2, "max_rms", "Largest coordinate as a multiple of the RMS"))
        return inspect_no_memory(err);
    tell(inspect, &r);
    return true;
}
