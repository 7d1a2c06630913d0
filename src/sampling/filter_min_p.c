/* filter_min_p.c - min-p: the ids that are at least min_p times as likely as the likeliest. */
#include "sampling/filters.h"

static int keep(struct candidate *list, int n, double min_p, enum gpt2_compat compat,
                void *scratch) {
    double heaviest = 0;
    for (int i = 0; i < n; i++)
        heaviest = list[i].weight > heaviest ? list[i].weight : heaviest;
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (list[i].weight >= min_p * heaviest)
            list[kept++] = list[i];
    return kept;
}

const struct filter filter_min_p = {
    .option = {.name = "min-p",
               .argument = "P",
               .help = "only tokens at least P times as likely as the\n"
                       "likeliest (default 0: off)",
               .offset = offsetof(struct gpt2_sampler_options, min_p),
               .min = 0,
               .max = 1,
               .off = 0},
    .keep = keep,
};
