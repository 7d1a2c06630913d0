/* sampler.c - rules, filters, one keyed draw. */
#include <gpt2/sampler.h>

#include "base/error_internal.h"
#include "base/os.h"
#include "sampling/candidates.h"
#include "sampling/filters.h"
#include "sampling/history.h"
#include "sampling/race.h"
#include "sampling/rules.h"

#include <math.h>
#include <string.h>

struct gpt2_sampler {
    struct rules rules;
    float *scores;                /* [n_vocab] scratch, where rules change the logits */
    struct candidate *candidates; /* [n_vocab] scratch */
    void *scratch;                /* [n_vocab] of the filters, as large as they ask for */
};

struct gpt2_sampler *gpt2_sampler_create(const struct gpt2_sampler_options *options, int n_vocab,
                                         struct gpt2_error *err) {
    struct gpt2_sampler *sampler = os_alloc(1, sizeof *sampler, "the sampler", err);
    if (!sampler)
        return NULL;
    if (!rules_init(&sampler->rules, options, n_vocab, err))
        goto fail;
    size_t n = (size_t)n_vocab, n_scores = rules_change(&sampler->rules) ? n : 0;
    sampler->candidates = os_alloc(n, sizeof *sampler->candidates, "the sampler", err);
    sampler->scores = os_alloc(n_scores, sizeof *sampler->scores, "the sampler", err);
    sampler->scratch = os_alloc(n, filters_scratch(options), "the sampler", err);
    if (sampler->candidates && sampler->scores && sampler->scratch)
        return sampler;
fail:
    gpt2_sampler_free(sampler);
    return NULL;
}

int gpt2_sampler_vocab(const struct gpt2_sampler *sampler) {
    return sampler->rules.n_vocab;
}

void gpt2_sampler_free(struct gpt2_sampler *sampler) {
    if (!sampler)
        return;
    os_free(sampler->scratch);
    os_free(sampler->scores);
    os_free(sampler->candidates);
    rules_free(&sampler->rules);
    os_free(sampler);
}

bool gpt2_sampler_needs_history(const struct gpt2_sampler *sampler) {
    const struct gpt2_sampler_options *options = &sampler->rules.options;
    return (rules_penalize(options) && options->last_n != 0) || options->no_repeat_ngram ||
           (options->min_tokens && sampler->rules.n_eos);
}

struct gpt2_history *gpt2_history_create(const struct gpt2_sampler *sampler,
                                         struct gpt2_error *err) {
    const struct gpt2_sampler_options *options = &sampler->rules.options;
    const struct history_needs needs = {
        .last_n = rules_penalize(options) ? options->last_n : 0,
        .generated_only = options->generated_only,
        .ngram = options->no_repeat_ngram,
    };
    return history_create(needs, err);
}

void gpt2_sampler_apply_rules(struct gpt2_sampler *sampler, float *scores,
                              const struct gpt2_history *history) {
    rules_apply(&sampler->rules, scores, history);
    for (int id = 0; id < sampler->rules.n_vocab; id++)
        if (sampler->rules.is_banned[id])
            scores[id] = -INFINITY;
}

/* The draw's allowed ids, without those outside the vocabulary at either end of the list. */
static void restrict_to(struct candidates_source *from, struct gpt2_draw draw, int n_vocab) {
    const int32_t *ids = draw.allowed;
    int n = draw.n_allowed > 0 ? draw.n_allowed : 0;
    for (; n > 0 && ids[n - 1] >= n_vocab; n--)
        ;
    for (; n > 0 && ids[0] < 0; n--)
        ids++;
    from->ids = ids;
    from->n_ids = n;
}

/* The filters after top-k; llama.cpp's see weights without the temperature. */
static int filter_by_weight(struct gpt2_sampler *sampler, struct candidate *list, int n,
                            double max) {
    const struct gpt2_sampler_options *options = &sampler->rules.options;
    bool temperature_last = options->compat == GPT2_COMPAT_LLAMA_CPP;
    candidates_weigh(list, n, max, temperature_last ? 1 : (double)options->temperature);
    return filters_run(options, list, n, sampler->scratch);
}

/* The winner of the race among a list. Its likeliest need not be the likeliest of all, which
 * typical-p may drop. */
static int32_t draw_from(const struct candidate *list, int n,
                         const struct gpt2_sampler_options *options, const struct gpt2_draw *draw) {
    double max = -INFINITY;
    for (int i = 0; i < n; i++)
        max = (double)list[i].logit > max ? (double)list[i].logit : max;
    struct race race;
    race_begin(&race, options->seed, draw, max, options->temperature);
    for (int i = 0; i < n; i++)
        race_enter(&race, list[i].id, list[i].logit);
    return race.winner;
}

static bool keeps_ties(enum gpt2_compat compat) {
    return compat == GPT2_COMPAT_HF || compat == GPT2_COMPAT_OPENAI ||
           compat == GPT2_COMPAT_NANOGPT;
}

int32_t gpt2_sampler_next(struct gpt2_sampler *sampler, const float *logits,
                          struct gpt2_draw draw) {
    const struct rules *rules = &sampler->rules;
    const struct gpt2_sampler_options *options = &rules->options;
    if (rules_change(rules)) {
        memcpy(sampler->scores, logits, (size_t)rules->n_vocab * sizeof *logits);
        rules_apply(rules, sampler->scores, draw.history);
        logits = sampler->scores;
    }
    struct candidates_source from = {
        .logits = logits, .is_banned = rules->is_banned, .n_ids = rules->n_vocab};
    if (draw.allowed)
        restrict_to(&from, draw, rules->n_vocab);
    int32_t best = candidates_likeliest(&from);
    if (best < 0 || options->greedy || options->temperature == 0)
        return best;
    struct race race;
    const bool all_take_part = !draw.allowed && !filters_on(options) &&
                               (options->top_k <= 0 || options->top_k >= rules->n_vocab);
    if (all_take_part) {
        race_begin(&race, options->seed, &draw, logits[best], options->temperature);
        race_enter_all(&race, logits, rules->is_banned, rules->n_vocab);
        return race.winner;
    }
    struct candidate *list = sampler->candidates;
    int n = candidates_top_k(list, &from, options->top_k, keeps_ties(options->compat));
    if (filters_on(options))
        n = filter_by_weight(sampler, list, n, logits[best]);
    return draw_from(list, n, options, &draw);
}
