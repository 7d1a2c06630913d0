/* candidates.h - the ids that take part in a draw, as a list with their weights.
 *
 * A list is in the order of the ids whenever a function here or a filter (filters.h) begins or
 * ends. Every order in between is total (logit, then id), so neither the sort algorithm nor the
 * machine can change which ids are kept or how they are summed. */
#ifndef SAMPLING_CANDIDATES_H
#define SAMPLING_CANDIDATES_H

#include <stdbool.h>
#include <stdint.h>

struct candidate {
    double weight; /* exp((logit - max) / temperature): 1 for the likeliest */
    float logit;
    int32_t id;
};

/* Where the ids come from. */
struct candidates_source {
    const float *logits;            /* [n_vocab]; -infinity: banned           */
    const unsigned char *is_banned; /* [n_vocab]                              */
    const int32_t *ids;             /* [n_ids] ascending, or NULL: 0..n_ids-1 */
    int n_ids;
};

/* The likeliest id, of equals the lowest; -1 where all are banned. */
int32_t candidates_likeliest(const struct candidates_source *from);

/* Fills the list [n_ids] with the k likeliest (0: all) and, with ties, all that are as likely as
 * the last of those. Returns how many; weights are not set. */
int candidates_top_k(struct candidate *list, const struct candidates_source *from, int k,
                     bool ties);

/* weight = exp((logit - max) / temperature) */
void candidates_weigh(struct candidate *list, int n, double max, double temperature);

/* The sum of the weights, in the order of the list. */
double candidates_total(const struct candidate *list, int n);

/* Sorts by logit, the highest first, of equals the lowest id; and back, by id. */
void candidates_sort_by_logit(struct candidate *list, int n);
void candidates_sort_by_id(struct candidate *list, int n);

#endif
