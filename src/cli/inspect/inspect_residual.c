/* inspect_residual.c - direct logit attribution: what each part of the model adds to a logit. */
#include "cli/inspect/inspection.h"

#include <math.h>

#define CANDIDATES 6 /* the chosen token and the likeliest others */

struct residual_results {
    int n_parts, n_tokens;
    int32_t tokens[CANDIDATES];
    struct gpt2_part *parts; /* [n_parts]           */
    double *contributions;   /* [n_tokens][n_parts] */
    double logits[CANDIDATES], p[CANDIDATES];
};

static double contribution(const struct residual_results *r, int token, int part) {
    return r->contributions[(size_t)token * (size_t)r->n_parts + (size_t)part];
}

static struct label part_name(struct inspect *inspect, const struct residual_results *r, int part) {
    if (part == 0)
        return view_label(&inspect->view, "embedding");
    if (part == r->n_parts - 1)
        return view_label(&inspect->view, "ln_f.bias");
    return view_label(&inspect->view, "h.%d.%s", (part - 1) / 2, part % 2 ? "attn" : "mlp");
}

/* The chosen token, then the likeliest others. */
static void find_candidates(struct residual_results *r, const struct inspect *inspect,
                            const double *log_probs) {
    int n_vocab = inspect->config->n_vocab;
    if (inspect->token >= 0)
        r->tokens[r->n_tokens++] = inspect->token;
    while (r->n_tokens < CANDIDATES && r->n_tokens < n_vocab) {
        int32_t best = -1;
        for (int32_t id = 0; id < n_vocab; id++) {
            bool taken = false;
            for (int i = 0; i < r->n_tokens; i++)
                taken |= r->tokens[i] == id;
            if (!taken && (best < 0 || log_probs[id] > log_probs[best]))
                best = id;
        }
        r->tokens[r->n_tokens++] = best;
    }
    for (int i = 0; i < r->n_tokens; i++)
        r->p[i] = exp(log_probs[r->tokens[i]]);
}

static bool add_table(struct inspect *inspect, const struct residual_results *r) {
    static const struct column columns[] = {{"part", NULL, 0},
                                            {"norm", "%.2f", 0},
                                            {"stream", "%.2f", 0},
                                            {"token", NULL, 0},
                                            {"contribution", "%.3f", 0}};
    struct view_table *table =
        view_table(&inspect->view, "residual", "Parts", columns, 5, r->n_parts * r->n_tokens);
    if (!table)
        return false;
    for (int t = 0, row = 0; t < r->n_tokens; t++)
        for (int p = 0; p < r->n_parts; p++, row++) {
            struct cell *cell = table_cell(table, row, 0);
            cell[0] = cell_text(part_name(inspect, r, p));
            cell[1] = cell_number(r->parts[p].norm);
            cell[2] = cell_number(r->parts[p].stream);
            cell[3] = cell_text(inspect_token(inspect, r->tokens[t]));
            cell[4] = cell_number(contribution(r, t, p));
        }
    return true;
}

static bool add_contributions(struct inspect *inspect, const struct residual_results *r) {
    struct view *view = &inspect->view;
    struct map *map =
        view_map(view, "contributions", "What each part adds to the logit of a next token",
                 r->n_parts + 1, r->n_tokens);
    if (!map)
        return false;
    map->note =
        "columns: the chosen token, then the likeliest others. Logits count from their mean "
        "over the vocabulary; last row: the sum";
    map->format = "%+.2f";
    map->width = 9;
    map->diverging = map->total = true;
    for (int t = 0; t < r->n_tokens; t++) {
        double sum = 0;
        map->columns[t] = inspect_token(inspect, r->tokens[t]);
        for (int p = 0; p < r->n_parts; p++)
            sum += *map_value(map, p, t) = contribution(r, t, p);
        *map_value(map, r->n_parts, t) = sum;
    }
    for (int p = 0; p < r->n_parts; p++)
        map->rows[p] = part_name(inspect, r, p);
    map->rows[r->n_parts] = view_label(view, "sum");
    return true;
}

static bool add_norms(struct inspect *inspect, const struct residual_results *r) {
    struct view *view = &inspect->view;
    struct map *map = view_map(view, "norms",
                               "How long they are: what is added, and the stream "
                               "after it",
                               r->n_parts - 1, 2);
    if (!map)
        return false;
    map->log = map->chart = true;
    map->format = "%.2f";
    map->width = 9;
    map->columns[0] = view_label(view, "added");
    map->columns[1] = view_label(view, "stream");
    for (int p = 0; p + 1 < r->n_parts; p++) {
        map->rows[p] = part_name(inspect, r, p);
        *map_value(map, p, 0) = r->parts[p].norm;
        *map_value(map, p, 1) = r->parts[p].stream;
    }
    return true;
}

static void tell(struct inspect *inspect, const struct residual_results *r) {
    struct view *view = &inspect->view;
    double sum = 0;
    int most = 0, least = 0;
    for (int p = 0; p < r->n_parts; p++) {
        sum += contribution(r, 0, p);
        most = contribution(r, 0, p) > contribution(r, 0, most) ? p : most;
        least = contribution(r, 0, p) < contribution(r, 0, least) ? p : least;
    }
    const char *token = inspect_quote(inspect, r->tokens[0]);
    view_sentence(view,
                  "The logit of %s (p = %.4f) is %.3f above the mean of the vocabulary; the parts "
                  "add up to %.3f, a difference of %.1e.",
                  token, r->p[0], r->logits[0], sum, fabs(sum - r->logits[0]));
    struct label name = part_name(inspect, r, most);
    view_sentence(view, "Most for it: %s with %+.2f.", name.bytes, contribution(r, 0, most));
    if (contribution(r, 0, least) < 0) {
        name = part_name(inspect, r, least);
        view_sentence(view, "Most against it: %s with %+.2f.", name.bytes,
                      contribution(r, 0, least));
    }
    view_sentence(view, "ln_f divides the whole stream by one number, so each part counts with the "
                        "size it has in the stream: nothing was normalized on the way.");
    view_fact(view, "logit_above_mean", r->logits[0]);
    view_fact(view, "sum_of_parts", sum);
    view_fact(view, "p", r->p[0]);
}

bool inspect_residual(struct inspect *inspect, struct gpt2_error *err) {
    struct view *view = &inspect->view;
    const int32_t *ids = inspect->texts[0].data;
    int n = (int)inspect->texts[0].len;
    struct residual_results r = {.n_parts = gpt2_residual_parts(inspect->model)};
    double *log_probs = view_alloc(view, (size_t)inspect->config->n_vocab, sizeof *log_probs);
    r.parts = view_alloc(view, (size_t)r.n_parts, sizeof *r.parts);
    r.contributions = view_alloc(view, (size_t)r.n_parts * CANDIDATES, sizeof *r.contributions);
    if (!log_probs || !r.parts || !r.contributions)
        return inspect_no_memory(err);
    if (!gpt2_inspect_next(inspect->inspector, ids, n, log_probs, err))
        return false;
    find_candidates(&r, inspect, log_probs);
    if (!gpt2_inspect_residual(inspect->inspector, ids, n, r.tokens, r.n_tokens, r.parts,
                               r.contributions, r.logits, err))
        return false;
    view->title = view_format(view, "A logit of %s, taken apart", view->model);
    if (!add_table(inspect, &r) || !add_contributions(inspect, &r) || !add_norms(inspect, &r))
        return inspect_no_memory(err);
    tell(inspect, &r);
    return true;
}
