/* filter_top_p.c - top-p: the likeliest first, until their weights reach p of the total.
 *
 * With the one that reaches it; sample.py of the gpt-2 release leaves it out, and keeps those whose
 * sum does not exceed p, and their equals. */
#include "sampling/filters.h"

static int keep(struct candidate *list, int n, double p, enum gpt2_compat compat, void *scratch) {
    bool crossing = compat != GPT2_COMPAT_OPENAI;
    double total = candidates_total(list, n);
    // All candidates lighter than this together weigh less than 1 - p of the total: none of them
    // can be in the prefix, so they need not be sorted. (Half, to be clear of rounding.)
    double least = 0.5 * (1 - p) * total / n;
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (list[i].weight >= least)
            list[kept++] = list[i];
    candidates_sort_by_logit(list, kept);
    double sum = 0;
    int prefix = 0;
    if (crossing) {
        while (prefix < kept && (prefix == 0 || sum < p * total))
            sum += list[prefix++].weight;
    } else {
        while (prefix < kept && (sum += list[prefix].weight) <= p * total)
            prefix++;
        prefix += prefix == 0;
        while (prefix < kept && list[prefix].logit == list[prefix - 1].logit)
            prefix++;
    }
    candidates_sort_by_id(list, prefix);
    return prefix;
}

const struct filter filter_top_p = {
    .option = {.name = "top-p",
               .argument = "P",
               .help = "only the likeliest tokens that together reach P\n"
                       "(default 0.95; 1: off)",
               .offset = offsetof(struct gpt2_sampler_options, top_p),
               .min = 0,
               .max = 1,
               .off = 1},
    .keep = keep,
};
