/* filters.c - top-k, top-p, min-p, typical-p over a list of candidates. */
#include "sampling/filters.h"
#include "base/math.h"

#include <stdlib.h>

static int32_t id_at(const struct filters_source *from, int i) {
    return from->ids ? from->ids[i] : i;
}

static bool is_out(const struct filters_source *from, int32_t id) {
    return from->is_banned[id] || from->logits[id] == -INFINITY;
}

#define RUN 64

/* True if one of RUN logits is above `bound`. Vectorizes. */
static int any_above(const float *logits, float bound) {
    int any = 0;
    for (int i = 0; i < RUN; i++)
        any |= logits[i] > bound;
    return any;
}

/* The first index from i on at which a run of ids begins that may have a logit above `bound`. Of
 * most runs none has, and they are passed over. i itself where ids are listed. */
static int next_above(const struct filters_source *from, int i, float bound) {
    if (!from->ids)
        while (from->n_ids - i >= RUN && !any_above(from->logits + i, bound))
            i += RUN;
    return i;
}

int32_t filters_likeliest(const struct filters_source *from) {
    int32_t best = -1;
    float most = -INFINITY;
    for (int begin = 0; (begin = next_above(from, begin, most)) < from->n_ids; begin += RUN) {
        for (int i = begin; i < from->n_ids && i < begin + RUN; i++) {
            int32_t id = id_at(from, i);
            if (from->logits[id] > most && !from->is_banned[id]) {
                best = id;
                most = from->logits[id];
            }
        }
    }
    return best;
}

/* True if a comes before b: the higher logit, among equals the lower id. */
static bool before(const struct candidate *a, const struct candidate *b) {
    return a->logit != b->logit ? a->logit > b->logit : a->id < b->id;
}

static int by_likelihood(const void *a, const void *b) {
    return before(a, b) ? -1 : before(b, a) ? 1 : 0;
}

static int by_id(const void *a, const void *b) {
    int32_t x = ((const struct candidate *)a)->id, y = ((const struct candidate *)b)->id;
    return (x > y) - (x < y);
}

/* Restores the heap below `at`: every entry stands before its children's parent, so that entry 0 is
 * the last of them all. */
static void sift_down(struct candidate *heap, int n, int at) {
    struct candidate moved = heap[at];
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1]))
            child++;
        if (!before(&moved, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* All candidates whose logit is at least this, in id order. */
static int collect_from(struct candidate *list, const struct filters_source *from, float least) {
    int n = 0;
    for (int i = 0; i < from->n_ids; i++) {
        int32_t id = id_at(from, i);
        if (!is_out(from, id) && from->logits[id] >= least)
            list[n++] = (struct candidate){.logit = from->logits[id], .id = id};
    }
    return n;
}

int filters_top_k(struct candidate *list, const struct filters_source *from, int k, bool ties) {
    if (k <= 0 || k >= from->n_ids)
        return collect_from(list, from, -INFINITY);
    int n = 0;
    // ids ascend, so one as likely as the last of a full heap comes after it
    for (int i = 0; i < from->n_ids; i++) {
        if (n == k && i % RUN == 0 && (i = next_above(from, i, list[0].logit)) >= from->n_ids)
            break;
        int32_t id = id_at(from, i);
        if ((n == k && from->logits[id] <= list[0].logit) || is_out(from, id))
            continue;
        struct candidate next = {.logit = from->logits[id], .id = id};
        if (n < k) {
            list[n++] = next;
            if (n == k)
                for (int at = n / 2 - 1; at >= 0; at--)
                    sift_down(list, n, at);
        } else if (before(&next, &list[0])) {
            list[0] = next;
            sift_down(list, n, 0);
        }
    }
    if (n == k && ties)
        return collect_from(list, from, list[0].logit);
    if (n == k)
        qsort(list, (size_t)n, sizeof *list, by_id);
    return n;
}

void filters_weigh(struct candidate *list, int n, double max, double temperature) {
    for (int i = 0; i < n; i++)
        list[i].weight = math_exp_f64(((double)list[i].logit - max) / temperature);
}

static double total_of(const struct candidate *list, int n) {
    double total = 0;
    for (int i = 0; i < n; i++)
        total += list[i].weight;
    return total;
}

int filters_top_p(struct candidate *list, int n, double p, bool crossing) {
    double total = total_of(list, n);
    // All candidates lighter than this together weigh less than 1 - p of the total: none of them
    // can be in the prefix, so they need not be sorted. (Half, to be clear of rounding.)
    double least = 0.5 * (1 - p) * total / n;
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (list[i].weight >= least)
            list[kept++] = list[i];
    qsort(list, (size_t)kept, sizeof *list, by_likelihood);
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
    qsort(list, (size_t)prefix, sizeof *list, by_id);
    return prefix;
}

int filters_min_p(struct candidate *list, int n, double min_p) {
    double heaviest = 0;
    for (int i = 0; i < n; i++)
        heaviest = list[i].weight > heaviest ? list[i].weight : heaviest;
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (list[i].weight >= min_p * heaviest)
            list[kept++] = list[i];
    return kept;
}

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

int filters_typical(struct candidate *list, int n, double mass, bool ties,
                    struct typicality *scratch) {
    double total = total_of(list, n), sum = 0;
    measure(list, n, total, scratch);
    qsort(scratch, (size_t)n, sizeof *scratch, by_distance);
    int kept = 0;
    while (kept < n && (kept == 0 || sum < mass * total))
        sum += list[scratch[kept++].at].weight;
    while (ties && kept < n && scratch[kept].distance == scratch[kept - 1].distance)
        kept++;
    for (int i = kept; i < n; i++)
        list[scratch[i].at].id = -1;
    int left = 0;
    for (int i = 0; i < n; i++)
        if (list[i].id >= 0)
            list[left++] = list[i];
    return left;
}
