/* inspect_layernorm.c - what layer normalization does to each token of a prompt, site by site. */
#include "base/plural.h"
#include "cli/inspect/inspection.h"

#include <gpt2/session.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ANOTHER_KIND 3 /* times the norm of the others: position 0 is not as they are */

/* What the view is made from. */
struct layernorm_results {
    int n, sites;
    const int32_t *ids;
    struct gpt2_norm *norms; /* [sites][n] */
    struct gpt2_independence own;
};

static const struct gpt2_norm *norm_at(const struct layernorm_results *r, int site, int token) {
    return &r->norms[(size_t)site * (size_t)r->n + (size_t)token];
}

/* The first token of averages. Position 0 is left out, since in many models its activations are
 * massive (Sun et al. 2024, arXiv:2402.17762), unless it is the only one. */
static int first_token(const struct layernorm_results *r) {
    return r->n > 1;
}

static double average(const struct layernorm_results *r, int site,
                      double (*get)(const struct gpt2_norm *norm)) {
    double sum = 0;
    for (int t = first_token(r); t < r->n; t++)
        sum += get(norm_at(r, site, t));
    return sum / (r->n - first_token(r));
}

static double stream_norm(const struct gpt2_norm *norm) {
    return norm->stream.norm;
}

static double stream_kurtosis(const struct gpt2_norm *norm) {
    return norm->stream.kurtosis;
}

static double branch_kurtosis(const struct gpt2_norm *norm) {
    return norm->branch.kurtosis;
}

static double branch_norm(const struct gpt2_norm *norm) {
    return norm->branch.norm;
}

static double cosine_branch(const struct gpt2_norm *norm) {
    return norm->cosine_branch;
}

static double stream_spike(const struct gpt2_norm *norm) {
    return norm->stream.spike;
}

static double change(const struct gpt2_norm *norm) {
    return norm->change;
}

static bool add_map(struct inspect *inspect, const struct layernorm_results *r, const char *name,
                    const char *title, const char *note,
                    double (*get)(const struct gpt2_norm *norm), const char *format, bool chart) {
    struct view *view = &inspect->view;
    struct map *map = view_map(view, name, title, r->sites, r->n);
    if (!map)
        return false;
    map->note = note;
    map->format = format;
    map->log = map->apart = true;
    map->chart = chart;
    for (int t = 0; t < r->n; t++)
        map->columns[t] = inspect_token(inspect, r->ids[t]);
    for (int s = 0; s < r->sites; s++) {
        char site[32];
        gpt2_norm_name(inspect->model, s, site);
        map->rows[s] = view_label(view, "%s", site);
        for (int t = 0; t < r->n; t++)
            *map_value(map, s, t) = get(norm_at(r, s, t));
    }
    return true;
}

static bool add_maps(struct inspect *inspect, const struct layernorm_results *r) {
    return add_map(inspect, r, "stream_norm", "The residual stream before each site: its norm",
                   "never normalized: what branches add stays in it", stream_norm, "%.1f", true) &&
           add_map(
               inspect, r, "branch_norm", "What the branch reads after the site: its norm",
               "normalizing makes all tokens equally long: what differs comes from gain and bias",
               branch_norm, "%.1f", true) &&
           add_map(inspect, r, "stream_kurtosis",
                   "How spiky the stream is: kurtosis over the features",
                   view_format(&inspect->view,
                               "3: like a normal distribution, %d: one single spike; "
                               "normalizing does not change it",
                               inspect->config->n_embd),
                   stream_kurtosis, "%.1f", false);
}

static void put_spread(struct cell *row, const char *at, const struct gpt2_spread *s, double cosine,
                       double error) {
    row[3] = cell_text((struct label){at, strlen(at)});
    row[4] = cell_number(s->mean);
    row[5] = cell_number(s->deviation);
    row[6] = cell_number(s->norm);
    row[7] = cell_number(s->largest);
    row[8] = cell_number(s->feature);
    row[9] = cell_number(s->kurtosis);
    row[10] = cell_number(s->spike);
    row[11] = cell_number(cosine);
    row[12] = cell_number(error);
}

/* Three lines for each token and site: the stream, normalized, and after gain and bias. */
static bool add_details(struct inspect *inspect, const struct layernorm_results *r) {
    static const struct column columns[] = {
        {"position", "%.0f", 1}, {"token", NULL, -1},    {"site", NULL, -9},
        {"at", NULL, -10},       {"mean", "%.3f", 7},    {"deviation", "%.3f", 9},
        {"norm", "%.2f", 8},     {"largest", "%.2f", 7}, {"feature", "%.0f", 7},
        {"kurtosis", "%.1f", 8}, {"max/rms", "%.1f", 7}, {"cosine", "%.4f", 0},
        {"rounding", "%.1e", 0},
    };
    enum { N = sizeof columns / sizeof *columns };
    struct view_table *table = view_table(
        &inspect->view, "norms", "Each token at each site: before, normalized, after gain and bias",
        columns, N, 3 * r->n * r->sites);
    if (!table)
        return false;
    table->n_group = 2;
    int row = 0;
    for (int t = 0; t < r->n; t++)
        for (int s = 0; s < r->sites; s++, row += 3) {
            char name[32];
            const struct gpt2_norm *norm = norm_at(r, s, t);
            gpt2_norm_name(inspect->model, s, name);
            struct label site = view_label(&inspect->view, "%s", name);
            for (int i = 0; i < 3; i++) {
                table_cell(table, row + i, 0)->number = t;
                *table_cell(table, row + i, 1) = cell_text(inspect_token(inspect, r->ids[t]));
                *table_cell(table, row + i, 2) = cell_text(site);
            }
            put_spread(table_cell(table, row, 0), "stream", &norm->stream, NAN, NAN);
            put_spread(table_cell(table, row + 1, 0), "normalized", &norm->normalized,
                       norm->cosine_stream, NAN);
            put_spread(table_cell(table, row + 2, 0), "branch", &norm->branch, norm->cosine_branch,
                       norm->error);
        }
    return true;
}

static bool add_learned(struct inspect *inspect, const struct layernorm_results *r) {
    static const struct column columns[] = {
        {"site", NULL, -9},       {"least_gain", "%.3f", 10}, {"mean_gain", "%.3f", 9},
        {"most_gain", "%.3f", 9}, {"at_feature", "%.0f", 10}, {"least_bias", "%.3f", 10},
        {"most_bias", "%.3f", 9}, {"cosine", "%.3f", 7},
    };
    enum { N = sizeof columns / sizeof *columns };
    struct view_table *table = view_table(&inspect->view, "learned",
                                          "Gain and bias of each site, and how far they turn the "
                                          "normalized vector",
                                          columns, N, r->sites);
    if (!table)
        return false;
    for (int s = 0; s < r->sites; s++) {
        struct gpt2_learned l;
        char name[32];
        gpt2_norm_name(inspect->model, s, name);
        gpt2_norm_learned(inspect->model, s, &l);
        const struct cell cells[N] = {
            cell_text(view_label(&inspect->view, "%s", name)),
            cell_number(l.least_gain),
            cell_number(l.mean_gain),
            cell_number(l.most_gain),
            cell_number(l.most_gain_feature),
            cell_number(l.least_bias),
            cell_number(l.most_bias),
            cell_number(average(r, s, cosine_branch)),
        };
        memcpy(table_cell(table, s, 0), cells, sizeof cells);
    }
    return true;
}

static const char *verdict(int same, int all) {
    return same == all ? "" : " (they should all be)";
}

static void tell_counts(struct inspect *inspect, const struct layernorm_results *r) {
    const struct gpt2_config *c = inspect->config;
    struct view *view = &inspect->view;
    const struct gpt2_independence *own = &r->own;
    int all = r->sites * r->n;
    double error = 0;
    for (int i = 0; i < all; i++)
        error = fmax(error, r->norms[i].error);
    view_sentence(view,
                  "One mean and one deviation for each token and site: %d sites (ln_1 and ln_2 of "
                  "%d block%s, and ln_f) x %d token%s = %d pairs, each taken over that token's own "
                  "%d feature%s. %d of the %d pairs are different.",
                  r->sites, c->n_layer, plural(c->n_layer), r->n, plural(r->n), all, c->n_embd,
                  plural(c->n_embd), own->distinct, all);
    view_sentence(view,
                  "Nothing else enters: (x - mean) / sqrt(deviation^2 + %g) * gain + bias with "
                  "that one pair gives every number that the branches read, to within %.1e of "
                  "rounding (%lld numbers compared).",
                  (double)c->layer_norm_epsilon, error, (long long)all * c->n_embd);
    view_sentence(view,
                  "No pair is shared. Read again one token at a time, %d of %d pairs and what they "
                  "gave are the same bits%s; in one batch with another sequence, %d of %d%s; with "
                  "every token after position %d changed, %d of the %d up to there%s.",
                  own->alone_same, own->alone, verdict(own->alone_same, own->alone),
                  own->company_same, own->company, verdict(own->company_same, own->company),
                  own->before_change - 1, own->change_same, own->change,
                  verdict(own->change_same, own->change));
    view_fact(view, "sites", r->sites);
    view_fact(view, "tokens", r->n);
    view_fact(view, "pairs", all);
    view_fact(view, "distinct_pairs", own->distinct);
    view_fact(view, "rounding", error);
    view_fact(view, "alone", own->alone);
    view_fact(view, "alone_same_bits", own->alone_same);
    view_fact(view, "company", own->company);
    view_fact(view, "company_same_bits", own->company_same);
    view_fact(view, "later_changed", own->change);
    view_fact(view, "later_changed_same_bits", own->change_same);
}

/* By what factor a block changes the norm of the stream, on average. */
static double growth_of(const struct layernorm_results *r, int block) {
    return average(r, 2 * block + 2, stream_norm) / average(r, 2 * block, stream_norm);
}

static void tell_growth(struct inspect *inspect, const struct layernorm_results *r) {
    struct view *view = &inspect->view;
    double from = average(r, 0, stream_norm), to = average(r, r->sites - 1, stream_norm);
    double low = INFINITY, high = 0;
    for (int s = 0; s < r->sites; s++) {
        low = fmin(low, average(r, s, branch_norm));
        high = fmax(high, average(r, s, branch_norm));
    }
    const int n_layer = inspect->config->n_layer;
    int most = 0;
    for (int b = 1; b < n_layer; b++)
        if (growth_of(r, b) > growth_of(r, most))
            most = b;
    double least_other = INFINITY, most_other = 0;
    for (int b = 0; b < n_layer; b++) {
        if (b == most)
            continue;
        least_other = fmin(least_other, growth_of(r, b));
        most_other = fmax(most_other, growth_of(r, b));
    }
    char others[80] = "";
    if (n_layer > 1)
        snprintf(others, sizeof others, ", and x %.3g to x %.3g in the others", least_other,
                 most_other);
    view_sentence(view,
                  "The residual stream passes un-normalized: its norm goes from %.4g before "
                  "the first block to %.4g after the last (mean of %s): x %.3g in block %d, where "
                  "it grows most%s. The branches read copies whose mean norm is %.3g to %.3g at "
                  "every site.",
                  from, to, r->n > 1 ? "all tokens but position 0" : "the one token",
                  growth_of(r, most), most, others, low, high);
    view_fact(view, "stream_norm_first", from);
    view_fact(view, "stream_norm_last", to);
    view_fact(view, "growth_per_block", pow(to / from, 1.0 / n_layer));
    view_fact(view, "growth_most", growth_of(r, most));
    view_fact(view, "growth_most_block", most);
}

/* How many times as long position 0 is before a site as the others are on average. */
static double times_the_others(const struct layernorm_results *r, int site) {
    return norm_at(r, site, 0)->stream.norm / average(r, site, stream_norm);
}

/* Whether position 0 has massive activations: what is said follows from the figures. */
static void tell_position_0(struct inspect *inspect, const struct layernorm_results *r) {
    struct view *view = &inspect->view;
    if (r->n < 2)
        return;
    int longest = 0, spikiest = 0;
    for (int s = 1; s < r->sites; s++) {
        if (times_the_others(r, s) > times_the_others(r, longest))
            longest = s;
        if (norm_at(r, s, 0)->stream.spike > norm_at(r, spikiest, 0)->stream.spike)
            spikiest = s;
    }
    const double ratio = times_the_others(r, longest);
    char name[32], spike_name[32];
    gpt2_norm_name(inspect->model, longest, name);
    gpt2_norm_name(inspect->model, spikiest, spike_name);
    view_fact(view, "position_0_most_times_the_others", ratio);
    const struct gpt2_norm *norm = norm_at(r, longest, 0);
    if (ratio > ANOTHER_KIND) {
        view_sentence(view,
                      "Position 0 is of another kind (massive activations), so it is shown apart: "
                      "before %s its norm is %.4g, %.3g times that of the others, and its largest "
                      "coordinate, feature %d, is %.4g, %.3g times its RMS. After the site its "
                      "norm is %.3g.",
                      name, norm->stream.norm, ratio, norm->stream.feature, norm->stream.largest,
                      norm->stream.spike, norm->branch.norm);
        return;
    }
    norm = norm_at(r, spikiest, 0);
    int same = 0;
    for (int t = 1; t < r->n; t++)
        same += norm_at(r, spikiest, t)->stream.feature == norm->stream.feature;
    view_sentence(view,
                  "In this model position 0 is not of another kind: its norm is at most %.3g times "
                  "that of the others (before %s). It is shown apart as in models with massive "
                  "activations there. Its largest coordinate stands out most before %s: feature %d "
                  "is %.4g there, %.3g times its RMS. That feature is the largest of %d of the %d "
                  "other token%s, too; their largest is %.3g times their RMS on average.",
                  ratio, name, spike_name, norm->stream.feature, norm->stream.largest,
                  norm->stream.spike, same, r->n - 1, plural(r->n - 1),
                  average(r, spikiest, stream_spike));
}

static void tell_loss(struct inspect *inspect, const struct layernorm_results *r) {
    struct view *view = &inspect->view;
    double cosine = 1, kurtosis = 0, least = 1, sum = 0, moved = 0, before = 0, after = 0;
    struct gpt2_learned l, lowest = {0}, highest = {0};
    int low_site = 0, high_site = 0;
    char low[32], high[32];
    for (int s = 0; s < r->sites; s++) {
        gpt2_norm_learned(inspect->model, s, &l);
        if (s == 0 || l.least_gain < lowest.least_gain) {
            lowest = l;
            low_site = s;
        }
        if (s == 0 || l.most_gain > highest.most_gain) {
            highest = l;
            high_site = s;
        }
        sum += average(r, s, cosine_branch) / r->sites;
        moved += average(r, s, change) / r->sites;
        before += average(r, s, stream_kurtosis) / r->sites;
        after += average(r, s, branch_kurtosis) / r->sites;
        for (int t = 0; t < r->n; t++) {
            const struct gpt2_norm *norm = norm_at(r, s, t);
            cosine = fmin(cosine, norm->cosine_stream);
            least = fmin(least, norm->cosine_branch);
            if (norm->stream.kurtosis > 0)
                kurtosis =
                    fmax(kurtosis, fabs(norm->normalized.kurtosis / norm->stream.kurtosis - 1));
        }
    }
    view_sentence(view,
                  "What a branch loses is one offset and one scale, 2 numbers of %d. The direction "
                  "stays: the cosine between a token's vector and its normalized copy is at least "
                  "%.4f (the offset is what is missing), and the kurtosis, how spiky it is, "
                  "changes by at most %.1e of itself. Both numbers are still in the stream x: "
                  "what the branch computes is added to x itself, not to the copy.",
                  inspect->config->n_embd, cosine, kurtosis);
    gpt2_norm_name(inspect->model, low_site, low);
    gpt2_norm_name(inspect->model, high_site, high);
    view_sentence(view,
                  "Gain and bias, one of each per feature and site, the same for all tokens: gains "
                  "go from %.3g (%s, feature %d) to %.3g (%s, feature %d). They move the "
                  "normalized vector by %.0f %% of its length on average, turn it to a cosine of "
                  "%.3f on average, %.3f at least, and take the mean kurtosis from %.3g to %.3g.",
                  lowest.least_gain, low, lowest.least_gain_feature, highest.most_gain, high,
                  highest.most_gain_feature, 100 * moved, sum, least, before, after);
    view_fact(view, "mean_kurtosis_stream", before);
    view_fact(view, "mean_kurtosis_branch", after);
    view_fact(view, "least_cosine_stream_normalized", cosine);
    view_fact(view, "kurtosis_change", kurtosis);
    view_fact(view, "mean_cosine_normalized_branch", sum);
    view_fact(view, "mean_change_by_gain_and_bias", moved);
    if (inspect->ablations)
        view_sentence(view, "All of this without %s, at every site.",
                      inspect_ablations(view, inspect->ablations));
}

bool inspect_layernorm(struct inspect *inspect, struct gpt2_error *err) {
    struct view *view = &inspect->view;
    struct layernorm_results r = {.n = (int)inspect->texts[0].len,
                                  .sites = gpt2_norm_sites(inspect->model),
                                  .ids = inspect->texts[0].data};
    r.norms = view_alloc(view, (size_t)r.sites * (size_t)r.n, sizeof *r.norms);
    if (!r.norms)
        return inspect_no_memory(err);
    if (!gpt2_inspect_norms(inspect->inspector, r.ids, r.n, r.norms, err) ||
        !gpt2_inspect_independence(inspect->inspector, r.ids, r.n, &r.own, err))
        return false;
    view->title = view_format(view, "Layer normalization in %s: %d token%s at %d sites",
                              view->model, r.n, plural(r.n), r.sites);
    if (!add_details(inspect, &r) || !add_learned(inspect, &r) || !add_maps(inspect, &r))
        return inspect_no_memory(err);
    tell_counts(inspect, &r);
    tell_growth(inspect, &r);
    tell_position_0(inspect, &r);
    tell_loss(inspect, &r);
    return true;
}
