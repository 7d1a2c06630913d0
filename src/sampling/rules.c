/* rules.c - bias, penalties and bans, in the order of gpt2/sampler.h. */
#include "sampling/rules.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "sampling/filters.h"
#include "sampling/history.h"

#include <float.h>
#include <math.h>

static bool check_range(const char *name, float value, float least, float most,
                        struct gpt2_error *err) {
    if (value >= least && value <= most) // NaN fails
        return true;
    return error_set(err, GPT2_ERR_USAGE, "%s: expected %g to %.10g, got %g", name, (double)least,
                     (double)most, (double)value);
}

static bool check_count(const char *name, int value, int least, struct gpt2_error *err) {
    if (value >= least)
        return true;
    return error_set(err, GPT2_ERR_USAGE, "%s: expected %s, got %d", name,
                     least ? "-1 (all), 0 (off) or more" : "0 (off) or more", value);
}

static bool check_biases(const struct gpt2_sampler_options *options, struct gpt2_error *err) {
    for (int i = 0; i < options->n_biases; i++)
        if (!(options->biases[i].bias < INFINITY)) // NaN fails
            return error_set(err, GPT2_ERR_USAGE,
                             "logit bias of id %d: expected a number or -infinity, got %g",
                             (int)options->biases[i].id, (double)options->biases[i].bias);
    return true;
}

static bool check_options(const struct gpt2_sampler_options *o, int n_vocab,
                          struct gpt2_error *err) {
    if (n_vocab < 1)
        return error_set(err, GPT2_ERR_USAGE, "sampler: expected a vocabulary, got %d ids",
                         n_vocab);
    if (!gpt2_compat_name(o->compat))
        return error_set(err, GPT2_ERR_USAGE, "compat: expected %d to %d, got %d",
                         (int)GPT2_COMPAT_NATIVE, (int)GPT2_COMPAT_NANOGPT, (int)o->compat);
    return check_range("temperature", o->temperature, 0, 1e6f, err) &&
           check_count("top-k", o->top_k, 0, err) && filters_check(o, err) &&
           check_range("repeat-penalty", o->repeat_penalty, 0, 1e6f, err) &&
           check_range("presence-penalty", o->presence_penalty, -1e6f, 1e6f, err) &&
           check_range("frequency-penalty", o->frequency_penalty, -1e6f, 1e6f, err) &&
           check_count("repeat-last-n", o->last_n, -1, err) &&
           check_count("no-repeat-ngram", o->no_repeat_ngram, 0, err) &&
           check_count("banned ids", o->n_banned, 0, err) &&
           check_count("logit biases", o->n_biases, 0, err) &&
           check_count("end ids", o->n_eos, 0, err) &&
           check_count("min-tokens", o->min_tokens, 0, err) && check_biases(o, err);
}

static bool in_vocabulary(const struct rules *rules, int32_t id) {
    return id >= 0 && id < rules->n_vocab;
}

static void ban(struct rules *rules, int32_t id) {
    if (in_vocabulary(rules, id))
        rules->is_banned[id] = 1;
}

static bool copy_lists(struct rules *rules, struct gpt2_error *err) {
    const struct gpt2_sampler_options *options = &rules->options;
    size_t n_biases = options->n_biases > 0 ? (size_t)options->n_biases : 0;
    size_t n_eos = options->n_eos > 0 ? (size_t)options->n_eos : 0;
    rules->is_banned = os_alloc((size_t)rules->n_vocab, 1, "the sampler", err);
    rules->biases = os_alloc(n_biases, sizeof *rules->biases, "the sampler", err);
    rules->eos_ids = os_alloc(n_eos, sizeof *rules->eos_ids, "the sampler", err);
    if (!rules->is_banned || !rules->biases || !rules->eos_ids)
        return false;
    for (int i = 0; i < options->n_banned; i++)
        ban(rules, options->banned[i]);
    for (size_t i = 0; i < n_biases; i++) {
        struct gpt2_bias bias = options->biases[i];
        if (bias.bias == -INFINITY)
            ban(rules, bias.id);
        else if (in_vocabulary(rules, bias.id))
            rules->biases[rules->n_biases++] = bias;
    }
    for (size_t i = 0; i < n_eos; i++) {
        if (options->ignore_eos)
            ban(rules, options->eos_ids[i]);
        else if (in_vocabulary(rules, options->eos_ids[i]))
            rules->eos_ids[rules->n_eos++] = options->eos_ids[i];
    }
    return true;
}

bool rules_init(struct rules *rules, const struct gpt2_sampler_options *options, int n_vocab,
                struct gpt2_error *err) {
    *rules = (struct rules){.options = *options, .n_vocab = n_vocab};
    if (!error_reserved(options->reserved, "gpt2_sampler_options", err) ||
        !check_options(options, n_vocab, err) || !copy_lists(rules, err))
        return false;
    if (rules->options.repeat_penalty == 0)
        rules->options.repeat_penalty = 1;
    for (int id = 0; id < n_vocab; id++)
        if (!rules->is_banned[id])
            return true;
    return error_set(err, GPT2_ERR_USAGE, "sampler: all %d ids are banned", n_vocab);
}

void rules_free(struct rules *rules) {
    os_free(rules->is_banned);
    os_free(rules->biases);
    os_free(rules->eos_ids);
}

bool rules_penalize(const struct gpt2_sampler_options *options) {
    bool repeat = options->repeat_penalty != 1 && options->repeat_penalty != 0;
    return repeat || options->presence_penalty != 0 || options->frequency_penalty != 0;
}

bool rules_change(const struct rules *rules) {
    const struct gpt2_sampler_options *options = &rules->options;
    return rules->n_biases || (rules_penalize(options) && options->last_n != 0) ||
           options->no_repeat_ngram || (options->min_tokens && rules->n_eos);
}

/* Logits near the ends of f32 stay within them: -infinity is for bans. */
static float in_range(float score) {
    return score > FLT_MAX ? FLT_MAX : score < -FLT_MAX ? -FLT_MAX : score;
}

static float penalize(const struct gpt2_sampler_options *options, float score, int32_t count) {
    float by = options->repeat_penalty;
    score = in_range(score < 0 ? score * by : score / by);
    return in_range(score -
                    ((float)count * options->frequency_penalty + options->presence_penalty));
}

void rules_apply(const struct rules *rules, float *scores, const struct gpt2_history *history) {
    const struct gpt2_sampler_options *options = &rules->options;
    for (int i = 0; i < rules->n_biases; i++) {
        float *score = &scores[rules->biases[i].id];
        *score = in_range(*score + rules->biases[i].bias);
    }
    for (size_t i = 0; history && i < history->n_counts; i++) {
        struct history_count said = history->counts[i];
        if (in_vocabulary(rules, said.id))
            scores[said.id] = penalize(options, scores[said.id], said.count);
    }
    size_t place = 0;
    int32_t id;
    while (history && history_next_repeat(history, &place, &id))
        if (in_vocabulary(rules, id))
            scores[id] = -INFINITY;
    if ((history ? history->n_generated : 0) < options->min_tokens)
        for (int i = 0; i < rules->n_eos; i++)
            scores[rules->eos_ids[i]] = -INFINITY;
}
