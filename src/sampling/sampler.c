/* sampler.c - temperature, top-k, top-p, min-p, one keyed draw.
 *
 * A candidate list is only made where a filter needs one. It is in the order of the ids, except
 * while top-p wants the likeliest first; every order is total (logit, then id), so neither the sort
 * algorithm nor the machine can change which tokens are kept or how they are summed. */
#include <gpt2/sampler.h>

#include "base/error.h"
#include "base/math.h"
#include "base/os.h"
#include "base/rng.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
    double weight; /* exp((logit - max) / temperature): 1 for the likeliest */
    float logit;
    int32_t id;
};

struct gpt2_sampler {
    struct gpt2_sampler_options options; /* banned is not used after creation */
    int n_vocab;
    unsigned char *is_banned;     /* [n_vocab] */
    struct candidate *candidates; /* [n_vocab] scratch */
};

static bool check_options(const struct gpt2_sampler_options *options, int n_vocab,
                          struct gpt2_error *err) {
    if (n_vocab < 1)
        return error_set(err, GPT2_ERR_USAGE, "sampler: expected a vocabulary, got %d ids",
                         n_vocab);
    // written so that NaN fails
    if (!(options->temperature >= 0 && options->temperature <= 1e6f))
        return error_set(err, GPT2_ERR_USAGE, "temperature: expected 0 to 1000000, got %g",
                         (double)options->temperature);
    if (options->top_k < 0)
        return error_set(err, GPT2_ERR_USAGE, "top-k: expected 0 (off) or more, got %d",
                         options->top_k);
    if (!(options->top_p >= 0 && options->top_p <= 1))
        return error_set(err, GPT2_ERR_USAGE, "top-p: expected 0 to 1, got %g",
                         (double)options->top_p);
    if (!(options->min_p >= 0 && options->min_p <= 1))
        return error_set(err, GPT2_ERR_USAGE, "min-p: expected 0 to 1, got %g",
                         (double)options->min_p);
    return true;
}

struct gpt2_sampler *gpt2_sampler_create(const struct gpt2_sampler_options *options, int n_vocab,
                                         struct gpt2_error *err) {
    if (!check_options(options, n_vocab, err))
        return NULL;
    struct gpt2_sampler *sampler = os_alloc(1, sizeof *sampler, "the sampler", err);
    if (!sampler)
        return NULL;
    sampler->options = *options;
    sampler->n_vocab = n_vocab;
    sampler->is_banned = os_alloc((size_t)n_vocab, 1, "the sampler", err);
    sampler->candidates =
        os_alloc((size_t)n_vocab, sizeof *sampler->candidates, "the sampler", err);
    if (!sampler->is_banned || !sampler->candidates)
        goto fail;
    int n_banned = 0;
    for (int i = 0; i < options->n_banned; i++) {
        int32_t id = options->banned[i];
        if (id >= 0 && id < n_vocab && !sampler->is_banned[id]) {
            sampler->is_banned[id] = 1;
            n_banned++;
        }
    }
    if (n_banned == n_vocab) {
        error_set(err, GPT2_ERR_USAGE, "sampler: all %d ids are banned", n_vocab);
        goto fail;
    }
    return sampler;
fail:
    gpt2_sampler_free(sampler);
    return NULL;
}

void gpt2_sampler_free(struct gpt2_sampler *sampler) {
    if (!sampler)
        return;
    os_free(sampler->candidates);
    os_free(sampler->is_banned);
    os_free(sampler);
}

static int32_t likeliest(const struct gpt2_sampler *sampler, const float *logits) {
    int32_t best = -1;
    for (int32_t id = 0; id < sampler->n_vocab; id++)
        if (!sampler->is_banned[id] && (best < 0 || logits[id] > logits[best]))
            best = id;
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

/* Fills the list with the k first candidates (or all, where k is 0 or larger), in id order. */
static int collect(struct gpt2_sampler *sampler, const float *logits, int k) {
    struct candidate *list = sampler->candidates;
    int n = 0;
    if (k <= 0 || k > sampler->n_vocab)
        k = sampler->n_vocab;
    for (int32_t id = 0; id < sampler->n_vocab; id++) {
        if (sampler->is_banned[id])
            continue;
        struct candidate next = {.logit = logits[id], .id = id};
        if (n < k) {
            list[n++] = next;
            if (n == k && k < sampler->n_vocab)
                for (int at = n / 2 - 1; at >= 0; at--)
                    sift_down(list, n, at);
        } else if (before(&next, &list[0])) {
            list[0] = next;
            sift_down(list, n, 0);
        }
    }
    if (n == k && k < sampler->n_vocab)
        qsort(list, (size_t)n, sizeof *list, by_id);
    return n;
}

/* Keeps the shortest prefix, likeliest first, whose weights reach p of the total. */
static int keep_top_p(struct candidate *list, int n, double p) {
    double total = 0;
    for (int i = 0; i < n; i++)
        total += list[i].weight;
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
    while (prefix < kept && (prefix == 0 || sum < p * total))
        sum += list[prefix++].weight;
    qsort(list, (size_t)prefix, sizeof *list, by_id);
    return prefix;
}

static int keep_min_p(struct candidate *list, int n, double min_p) {
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (list[i].weight >= min_p) // the likeliest weighs 1 and always stays
            list[kept++] = list[i];
    return kept;
}

/* The candidate in which the running sum passes u of the total. */
static int32_t draw_from(const struct candidate *list, int n, double u) {
    double total = 0;
    for (int i = 0; i < n; i++)
        total += list[i].weight;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += list[i].weight;
        if (sum > u * total)
            return list[i].id;
    }
    return list[n - 1].id;
}

int32_t gpt2_sampler_next(struct gpt2_sampler *sampler, const float *logits,
                          struct gpt2_draw draw) {
    const struct gpt2_sampler_options *options = &sampler->options;
    int32_t best = likeliest(sampler, logits);
    if (options->temperature == 0)
        return best;
    struct candidate *list = sampler->candidates;
    int n = collect(sampler, logits, options->top_k);
    double max = logits[best], temperature = options->temperature;
    for (int i = 0; i < n; i++)
        list[i].weight = math_exp_f64(((double)list[i].logit - max) / temperature);
    if (options->top_p < 1)
        n = keep_top_p(list, n, options->top_p);
    if (options->min_p > 0)
        n = keep_min_p(list, n, options->min_p);

    uint32_t counter[4] = {draw.position, draw.sample, (uint32_t)draw.record,
                           (uint32_t)(draw.record >> 32)};
    uint32_t key[2] = {(uint32_t)options->seed, (uint32_t)(options->seed >> 32)};
    return draw_from(list, n, rng_uniform(counter, key));
}
