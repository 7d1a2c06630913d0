/* inspect_attention.c - attention weights: figures of all heads, or the weights of one head. */
#include "base/plural.h"
#include "cli/inspect/inspection.h"

#include <math.h>

static const struct gpt2_head *head_at(const struct inspect *inspect, const struct gpt2_head *heads,
                                       int layer, int head) {
    return &heads[(size_t)layer * (size_t)inspect->config->n_head + (size_t)head];
}

static double first(const struct gpt2_head *head) {
    return head->first;
}

static double previous(const struct gpt2_head *head) {
    return head->previous;
}

static double entropy(const struct gpt2_head *head) {
    return head->entropy;
}

static bool add_heads_map(struct inspect *inspect, const struct gpt2_head *heads, const char *name,
                          const char *title, double (*get)(const struct gpt2_head *)) {
    struct view *view = &inspect->view;
    const struct gpt2_config *c = inspect->config;
    struct map *map = view_map(view, name, title, c->n_layer, c->n_head);
    if (!map)
        return false;
    map->format = "%.2f";
    map->width = 7;
    for (int h = 0; h < c->n_head; h++)
        map->columns[h] = view_label(view, "head %d", h);
    for (int l = 0; l < c->n_layer; l++) {
        map->rows[l] = view_label(view, "h.%d", l);
        for (int h = 0; h < c->n_head; h++)
            *map_value(map, l, h) = get(head_at(inspect, heads, l, h));
    }
    return true;
}

static bool add_heads_table(struct inspect *inspect, const struct gpt2_head *heads) {
    static const struct column columns[] = {{"layer", "%.0f", 0},   {"head", "%.0f", 0},
                                            {"first", "%.3f", 0},   {"previous", "%.3f", 0},
                                            {"own", "%.3f", 0},     {"entropy", "%.2f", 0},
                                            {"distance", "%.1f", 0}};
    enum { N = sizeof columns / sizeof *columns };
    const struct gpt2_config *c = inspect->config;
    struct view_table *table =
        view_table(&inspect->view, "heads", "Heads", columns, N, c->n_layer * c->n_head);
    if (!table)
        return false;
    for (int l = 0, row = 0; l < c->n_layer; l++)
        for (int h = 0; h < c->n_head; h++, row++) {
            const struct gpt2_head *head = head_at(inspect, heads, l, h);
            const double values[N] = {
                l, h, head->first, head->previous, head->own, head->entropy, head->distance};
            for (int i = 0; i < N; i++)
                table_cell(table, row, i)->number = values[i];
        }
    return true;
}

static bool show_heads(struct inspect *inspect, const struct gpt2_head *heads, int n) {
    struct view *view = &inspect->view;
    const struct gpt2_config *c = inspect->config;
    int n_heads = c->n_layer * c->n_head, most = 0, near = 0;
    double mean = 0;
    for (int i = 0; i < n_heads; i++) {
        mean += heads[i].first / n_heads;
        most = heads[i].first > heads[most].first ? i : most;
        near = heads[i].previous > heads[near].previous ? i : near;
    }
    view->title =
        view_format(view, "Attention heads of %s over %d token%s", view->model, n, plural(n));
    if (!add_heads_table(inspect, heads) ||
        !add_heads_map(inspect, heads, "first", "Weight on position 0, mean of the tokens after it",
                       first) ||
        !add_heads_map(inspect, heads, "previous", "Weight on the token before", previous) ||
        !add_heads_map(inspect, heads, "entropy",
                       "Entropy of the weights in bits: 0 looks at one token", entropy))
        return false;
    view_sentence(view,
                  "Tokens after the first give position 0 a weight of %.3f on average over %d "
                  "heads; most, %.3f, in layer %d head %d.",
                  mean, n_heads, heads[most].first, most / c->n_head, most % c->n_head);
    view_sentence(view, "The head that looks most at the token before is layer %d head %d: %.3f.",
                  near / c->n_head, near % c->n_head, heads[near].previous);
    view_sentence(view, "One head weight by weight: --layer L --head H.");
    view_fact(view, "tokens", n);
    view_fact(view, "mean_weight_on_position_0", mean);
    return true;
}

static bool add_weights(struct inspect *inspect, const double *weights, int n) {
    static const struct column columns[] = {{"position", "%.0f", 0},
                                            {"token", NULL, 0},
                                            {"looks_at_position", "%.0f", 0},
                                            {"looks_at", NULL, 0},
                                            {"weight", "%.4f", 0}};
    struct view *view = &inspect->view;
    const int32_t *ids = inspect->texts[0].data;
    struct view_table *table = view_table(view, "weights", "Weights", columns, 5, n * (n + 1) / 2);
    struct map *map = table ? view_map(view, "weights", "Weights in percent", n, n) : NULL;
    if (!map)
        return false;
    map->note = "rows: who looks; columns: at whom. A row adds up to 100";
    map->format = "%.0f";
    map->width = 4;
    map->apart = true;
    for (int t = 0, row = 0; t < n; t++) {
        map->columns[t] = map->rows[t] = inspect_token(inspect, ids[t]);
        for (int j = 0; j < n; j++)
            *map_value(map, t, j) = j <= t ? 100 * weights[(size_t)t * (size_t)n + (size_t)j] : NAN;
        for (int j = 0; j <= t; j++, row++) {
            struct cell *cell = table_cell(table, row, 0);
            cell[0] = cell_number(t);
            cell[1] = cell_text(inspect_token(inspect, ids[t]));
            cell[2] = cell_number(j);
            cell[3] = cell_text(inspect_token(inspect, ids[j]));
            cell[4] = cell_number(weights[(size_t)t * (size_t)n + (size_t)j]);
        }
    }
    return true;
}

static bool show_weights(struct inspect *inspect, const struct gpt2_head *heads,
                         const double *weights, int n) {
    struct view *view = &inspect->view;
    const struct gpt2_head *head = head_at(inspect, heads, inspect->layer, inspect->head);
    view->title = view_format(view, "Attention of layer %d head %d of %s", inspect->layer,
                              inspect->head, view->model);
    if (!add_weights(inspect, weights, n))
        return false;
    view_sentence(view,
                  "Averaged over the tokens after the first: %.3f on position 0, %.3f on the token "
                  "before, %.3f on the token itself; %.2f bits of entropy; it looks %.3g tokens "
                  "back.",
                  head->first, head->previous, head->own, head->entropy, head->distance);
    view_fact(view, "layer", inspect->layer);
    view_fact(view, "head", inspect->head);
    view_fact(view, "first", head->first);
    view_fact(view, "previous", head->previous);
    view_fact(view, "own", head->own);
    view_fact(view, "entropy_bits", head->entropy);
    view_fact(view, "distance", head->distance);
    return true;
}

bool inspect_attention(struct inspect *inspect, struct gpt2_error *err) {
    struct view *view = &inspect->view;
    size_t n = inspect->texts[0].len;
    bool one = inspect->layer >= 0;
    struct gpt2_head *heads = view_alloc(
        view, (size_t)inspect->config->n_layer * (size_t)inspect->config->n_head, sizeof *heads);
    double *weights = one ? view_alloc(view, n * n, sizeof *weights) : NULL;
    if (!heads || (one && !weights))
        return inspect_no_memory(err);
    if (!gpt2_inspect_attention(inspect->inspector, inspect->texts[0].data, (int)n,
                                one ? inspect->layer : 0, one ? inspect->head : 0, heads, weights,
                                err))
        return false;
    if (!(one ? show_weights(inspect, heads, weights, (int)n) : show_heads(inspect, heads, (int)n)))
        return inspect_no_memory(err);
    return true;
}
