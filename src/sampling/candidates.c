/* candidates.c - lists the ids that take part in a draw: the likeliest, the k likeliest, all. */
#include "sampling/candidates.h"
#include "base/math.h"

#include <stdlib.h>

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
static int next_above(const struct candidates_source *from, int i, float bound) {
    if (!from->ids)
        while (from->n_ids - i >= RUN && !any_above(from->logits + i, bound))
            i += RUN;
    return i;
}

/* The next id from index *i on that is not banned and has a logit above `bound`; *i is after it.
 * -1: there is none. */
static int32_t next_id(const struct candidates_source *from, int *i, float bound) {
    for (; *i < from->n_ids; ++*i) {
        if (*i % RUN == 0 && bound > -INFINITY && (*i = next_above(from, *i, bound)) >= from->n_ids)
            break;
        int32_t id = from->ids ? from->ids[*i] : *i;
        if (from->logits[id] > bound && !from->is_banned[id]) {
            ++*i;
            return id;
        }
    }
    return -1;
}

int32_t candidates_likeliest(const struct candidates_source *from) {
    int32_t best = -1, id;
    float most = -INFINITY;
    for (int i = 0; (id = next_id(from, &i, most)) >= 0;) {
        best = id;
        most = from->logits[id];
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
static int collect_from(struct candidate *list, const struct candidates_source *from, float least) {
    int32_t id;
    int n = 0;
    for (int i = 0; (id = next_id(from, &i, -INFINITY)) >= 0;)
        if (from->logits[id] >= least)
            list[n++] = (struct candidate){.logit = from->logits[id], .id = id};
    return n;
}

int candidates_top_k(struct candidate *list, const struct candidates_source *from, int k,
                     bool ties) {
    if (k <= 0 || k >= from->n_ids)
        return collect_from(list, from, -INFINITY);
    int32_t id;
    int n = 0, i = 0;
    while (n < k && (id = next_id(from, &i, -INFINITY)) >= 0)
        list[n++] = (struct candidate){.logit = from->logits[id], .id = id};
    if (n < k)
        return n;
    for (int at = n / 2 - 1; at >= 0; at--)
        sift_down(list, n, at);
    // ids ascend, so one as likely as the last of the heap comes after it
    while ((id = next_id(from, &i, list[0].logit)) >= 0) {
        list[0] = (struct candidate){.logit = from->logits[id], .id = id};
        sift_down(list, n, 0);
    }
    if (ties)
        return collect_from(list, from, list[0].logit);
    candidates_sort_by_id(list, n);
    return n;
}

void candidates_weigh(struct candidate *list, int n, double max, double temperature) {
    for (int i = 0; i < n; i++)
        list[i].weight = math_exp_f64(((double)list[i].logit - max) / temperature);
}

double candidates_total(const struct candidate *list, int n) {
    double total = 0;
    for (int i = 0; i < n; i++)
        total += list[i].weight;
    return total;
}

void candidates_sort_by_logit(struct candidate *list, int n) {
    qsort(list, (size_t)n, sizeof *list, by_likelihood);
}

void candidates_sort_by_id(struct candidate *list, int n) {
    qsort(list, (size_t)n, sizeof *list, by_id);
}
