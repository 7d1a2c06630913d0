/* filter_typical.c - locally typical sampling (Meister et al. 2022): the ids whose surprise is
 * nearest to the entropy first, until their weights reach typical_p of the total. */
#include "base/math.h"
#include "sampling/filters.h"

#include <stdlib.h>

struct typicality {
    double distance; /* |-ln p - H| */
    int at;          /* index in the list */
};

static int by_distance(const void *a, const void *b) {
    const struct typicality *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Replaces weights by distances from the entropy. */
static void measure(const struct candidate *list, int n, double total, struct typicality *out) {
    double log_total = math_log_f64(total), entropy = 0;
    for (int i = 0; i < n; i++) {
        // the logarithm of a weight that is too small for f64 is far from any entropy
        double surprise = log_total - math_log_f64(list[i].weight);
        out[i] = (struct typicality){.distance = surprise, .at = i};
        if (list[i].weight > 0)
            entropy += list[i].weight / total * surprise;
    }
    for (int i = 0; i < n; i++)
        out[i].distance = fabs(out[i].distance - entropy);
}

static int keep(struct candidate *list, int n, double mass, enum gpt2_compat compat,
                void *scratch) {
    struct typicality *order = scratch;
    bool ties = compat == GPT2_COMPAT_HF;
    double total = candidates_total(list, n), sum = 0;
    measure(list, n, total, order);
    qsort(order, (size_t)n, sizeof *order, by_distance);
    int kept = 0;
    while (kept < n && (kept == 0 || sum < mass * total))
        sum += list[order[kept++].at].weight;
    while (ties && kept < n && order[kept].distance == order[kept - 1].distance)
        kept++;
    for (int i = kept; i < n; i++)
        list[order[i].at].id = -1;
    int left = 0;
    for (int i = 0; i < n; i++)
        if (list[i].id >= 0)
            list[left++] = list[i];
    return left;
}

const struct filter filter_typical = {
    .option = {.name = "typical-p",
               .aliases = "typical",
               .argument = "P",
               .help = "only tokens about as surprising as expected, that\n"
                       "together reach P (default 1: off)",
               .offset = offsetof(struct gpt2_sampler_options, typical_p),
               .min = 0,
               .max = 1,
               .off = 1},
    .zero_is_off = true,
    .first_in_llama_cpp = true,
    .scratch = sizeof(struct typicality),
    .keep = keep,
};
