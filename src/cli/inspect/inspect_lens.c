/* inspect_lens.c - the logit lens: next-token predictions from the stream after each layer. */
#include "cli/inspect/inspection.h"

#include <math.h>
#include <string.h>

static struct label depth_name(struct view *view, int depth) {
    return depth ? view_label(view, "h.%d", depth - 1) : view_label(view, "embedding");
}

static bool add_map(struct inspect *inspect, const struct gpt2_lens *lens, int n) {
    struct view *view = &inspect->view;
    const int32_t *ids = inspect->texts[0].data;
    int depths = inspect->config->n_layer + 1;
    struct map *map =
        view_map(view, "rank", "The likeliest next token after each layer", depths + 1, n);
    struct label *texts = view_alloc(view, (size_t)(depths + 1) * (size_t)n, sizeof *texts);
    if (!map || !texts)
        return false;
    map->note = "columns: the tokens read; last row: what really follows";
    map->shaded = "the rank of what follows, from 1";
    map->texts = texts;
    map->log = map->total = true;
    map->width = 9;
    for (int t = 0; t < n; t++)
        map->columns[t] = inspect_token(inspect, ids[t]);
    for (int d = 0; d < depths; d++) {
        map->rows[d] = depth_name(view, d);
        for (int t = 0; t < n; t++) {
            const struct gpt2_lens *l = &lens[(size_t)d * (size_t)n + (size_t)t];
            *map_value(map, d, t) = l->rank;
            texts[(size_t)d * (size_t)n + (size_t)t] = inspect_token(inspect, l->top[0]);
        }
    }
    map->rows[depths] = view_label(view, "follows");
    for (int t = 0; t < n; t++) {
        *map_value(map, depths, t) = 1;
        texts[(size_t)depths * (size_t)n + (size_t)t] =
            t + 1 < n ? inspect_token(inspect, ids[t + 1]) : view_label(view, "?");
    }
    return true;
}

static bool add_table(struct inspect *inspect, const struct gpt2_lens *lens, int n) {
    static const struct column columns[] = {
        {"position", "%.0f", 1}, {"token", NULL, -1},   {"next", NULL, -1},   {"after", NULL, -9},
        {"rank", "%.0f", 6},     {"p_next", "%.4f", 7}, {"top_1", NULL, -10}, {"p_1", "%.3f", 6},
        {"top_2", NULL, -10},    {"p_2", "%.3f", 6},    {"top_3", NULL, -10}, {"p_3", "%.3f", 6},
        {"top_4", NULL, 0},      {"p_4", "%.3f", 0},    {"top_5", NULL, 0},   {"p_5", "%.3f", 0},
    };
    enum { N = sizeof columns / sizeof *columns };
    _Static_assert(N == 6 + 2 * GPT2_LENS_TOP, "a column for each of the likeliest tokens");
    struct view *view = &inspect->view;
    int depths = inspect->config->n_layer + 1;
    struct view_table *table =
        view_table(view, "lens", "Rank of the next token, and the likeliest ones, after each layer",
                   columns, N, depths * n);
    if (!table)
        return false;
    table->n_group = 3;
    for (int t = 0, row = 0; t < n; t++)
        for (int d = 0; d < depths; d++, row++) {
            const struct gpt2_lens *l = &lens[(size_t)d * (size_t)n + (size_t)t];
            struct cell *cell = table_cell(table, row, 0);
            *cell++ = cell_number(t);
            *cell++ = cell_text(inspect_token(inspect, inspect->texts[0].data[t]));
            *cell++ = cell_text(inspect_token(inspect, l->next));
            *cell++ = cell_text(depth_name(view, d));
            *cell++ = cell_number(l->rank);
            *cell++ = cell_number(l->p_next);
            for (int i = 0; i < GPT2_LENS_TOP; i++) {
                *cell++ =
                    l->top[i] < 0 ? cell_number(NAN) : cell_text(inspect_token(inspect, l->top[i]));
                *cell++ = cell_number(l->top[i] < 0 ? NAN : l->p[i]);
            }
        }
    return true;
}

/* For how many tokens but the last the token that follows is the likeliest one at this depth. */
static int count_right(const struct gpt2_lens *lens, int depth, int n) {
    int right = 0;
    for (int t = 0; t + 1 < n; t++)
        right += lens[(size_t)depth * (size_t)n + (size_t)t].rank == 1;
    return right;
}

static double mean_log_rank(const struct gpt2_lens *lens, int depth, int n) {
    double sum = 0;
    for (int t = 0; t + 1 < n; t++)
        sum += log(lens[(size_t)depth * (size_t)n + (size_t)t].rank);
    return exp(sum / (n - 1));
}

static void tell(struct inspect *inspect, const struct gpt2_lens *lens, int n) {
    struct view *view = &inspect->view;
    int n_layer = inspect->config->n_layer;
    const struct gpt2_lens *last = &lens[(size_t)n_layer * (size_t)n + (size_t)(n - 1)];
    view_sentence(view, "Each row applies ln_f and the head to the stream as it is after that "
                        "layer; the last one is the model's own prediction, the same bits.");
    if (n > 1)
        view_sentence(view,
                      "Rank of the token that follows, geometric mean over %d: %.3g after the "
                      "embedding, %.3g half-way, %.3g after the last block of %d; it is the "
                      "likeliest for %d, %d and %d of them.",
                      n - 1, mean_log_rank(lens, 0, n), mean_log_rank(lens, n_layer / 2, n),
                      mean_log_rank(lens, n_layer, n), n_layer, count_right(lens, 0, n),
                      count_right(lens, n_layer / 2, n), count_right(lens, n_layer, n));
    int since = n_layer;
    while (since > 0 &&
           lens[(size_t)(since - 1) * (size_t)n + (size_t)(n - 1)].top[0] == last->top[0])
        since--;
    view_sentence(view, "After the last token the model says %s (p = %.3f), and has since %s.",
                  inspect_quote(inspect, last->top[0]), last->p[0],
                  since ? view_format(view, "block %d", since - 1) : "the embedding");
    view_fact(view, "tokens", n);
    if (n > 1) {
        view_fact(view, "mean_rank_embedding", mean_log_rank(lens, 0, n));
        view_fact(view, "mean_rank_last", mean_log_rank(lens, n_layer, n));
    }
}

bool inspect_lens(struct inspect *inspect, struct gpt2_error *err) {
    struct view *view = &inspect->view;
    int n = (int)inspect->texts[0].len;
    struct gpt2_lens *lens =
        view_alloc(view, (size_t)(inspect->config->n_layer + 1) * (size_t)n, sizeof *lens);
    if (!lens)
        return inspect_no_memory(err);
    if (!gpt2_inspect_lens(inspect->inspector, inspect->texts[0].data, n, lens, err))
        return false;
    view->title = view_format(view, "Logit lens of %s", view->model);
    if (!add_table(inspect, lens, n) || !add_map(inspect, lens, n))
        return inspect_no_memory(err);
    tell(inspect, lens, n);
    return true;
}
