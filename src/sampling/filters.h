/* filters.h - who takes part in the draw.
 *
 * A list of candidates is in the order of the ids whenever a function here begins or ends; every
 * order in between is total (logit, then id), so neither the sort algorithm nor the machine can
 * change which ids are kept or how they are summed. Each filter keeps at least one and returns how
 * many it keeps, moved to the front. */
#ifndef SAMPLING_FILTERS_H
#define SAMPLING_FILTERS_H

#include <stdbool.h>
#include <stdint.h>

struct candidate {
    double weight; /* exp((logit - max) / temperature): 1 for the likeliest */
    float logit;
    int32_t id;
};

/* Where the ids come from. */
struct filters_source {
    const float *logits;            /* [n_vocab]; -infinity: banned                   */
    const unsigned char *is_banned; /* [n_vocab]                                      */
    const int32_t *ids;             /* [n_ids] ascending, or NULL: 0..n_ids-1         */
    int n_ids;
};

/* The likeliest id, of equals the lowest; -1 where all are banned. */
int32_t filters_likeliest(const struct filters_source *from);

/* Fills the list [n_ids] with the k likeliest (0: all) and, with ties, all that are as likely as
 * the last of those. Weights are not set. */
int filters_top_k(struct candidate *list, const struct filters_source *from, int k, bool ties);

/* weight = exp((logit - max) / temperature) */
void filters_weigh(struct candidate *list, int n, double max, double temperature);

/* The likeliest first, until their weights reach p of the total; `crossing`: with the one that
 * reaches it, else those whose sum does not exceed it, and their equals. */
int filters_top_p(struct candidate *list, int n, double p, bool crossing);

int filters_min_p(struct candidate *list, int n, double min_p);

/* Locally typical sampling; with ties: all that are as typical as the last one. `scratch` is [n].
 */
struct typicality {
    double distance; /* |-ln p - H| */
    int at;          /* index in the list */
};
int filters_typical(struct candidate *list, int n, double mass, bool ties,
                    struct typicality *scratch);

#endif
