/* beam.c - beam search as a request of a generator (the definition: gpt2/beam.h).
 *
 * This folder holds strategies that drive a model with what the public headers offer: it stands
 * above model and sampling, which do not know each other, and sees neither of them from inside.
 *
 * The generator has the beams' sessions and asks for each step with the logits of all of them. */
#include <gpt2/beam.h>

#include "base/error_internal.h"
#include "base/math.h"
#include "base/os.h"
#include "decode/beam_reorder.h"
#include "decode/constraints.h"
#include "decode/generator_internal.h"
#include "decode/hypothesis.h"

#include <limits.h>
#include <string.h>

/* A beam that takes one more token. */
struct extension {
    double sum;
    int beam;
    int32_t id;
};

struct gpt2_beams {
    const struct gpt2_config *config;
    struct gpt2_beam_options options;
    int32_t *eos_ids;
    int n_pool; /* how many continuations are looked at in a step */
    struct extension *pool;
    int n_running, n_finished;
    struct hypothesis_list running, next, finished; /* n_beams each; finished: best first */
    struct constraints *constraints, *moved; /* [n_beams] of `running`; room to reorder them */
    struct constraints probe;
    struct gpt2_branch *branches; /* [n_beams] where each of `next` comes from */
    int *slots;
    double *totals;           /* [n_beams] logprob(id) is logits[id] - total         */
    struct gpt2_logprob *top; /* [n_beams][n_top] of this step                       */
    float *scores;            /* [n_vocab] log-probabilities for the rules           */
    int limit, n_steps;       /* tokens at most; tokens by now                       */
    bool started, done;       /* of the last search */
    struct gpt2_error err;    /* GPT2_OK: none      */
};

static bool check_options(const struct gpt2_beam_options *o, int n_vocab, struct gpt2_error *err) {
    if (o->n_beams < 1 || o->n_beams > 4096)
        return error_set(err, GPT2_ERR_USAGE, "beams: expected 1 to 4096, got %d", o->n_beams);
    if (o->max_tokens < -1 || o->max_tokens == 0)
        return error_set(err, GPT2_ERR_USAGE,
                         "beam search: expected at least 1 token, or -1 (until the context is "
                         "full), got %d",
                         o->max_tokens);
    if (!(o->length_penalty >= -100 && o->length_penalty <= 100)) // NaN fails
        return error_set(err, GPT2_ERR_USAGE, "length penalty: expected -100 to 100, got %g",
                         (double)o->length_penalty);
    if ((int)o->early_stopping < 0 || o->early_stopping > GPT2_EARLY_NEVER)
        return error_set(err, GPT2_ERR_USAGE, "early stopping: expected %d to %d, got %d",
                         GPT2_EARLY_FALSE, GPT2_EARLY_NEVER, (int)o->early_stopping);
    if (o->n_eos < 0 || o->n_eos > 4096)
        return error_set(err, GPT2_ERR_USAGE, "beam search: expected 0 to 4096 end ids, got %d",
                         o->n_eos);
    if (o->n_vocab < 0 || o->n_vocab > n_vocab)
        return error_set(err, GPT2_ERR_USAGE,
                         "beam search: expected a vocabulary of 0 to %d ids, got %d", n_vocab,
                         o->n_vocab);
    if (o->rules && gpt2_sampler_vocab(o->rules) > (o->n_vocab ? o->n_vocab : n_vocab))
        return error_set(err, GPT2_ERR_USAGE,
                         "beam search: expected rules for at most %d ids, got some for %d",
                         o->n_vocab ? o->n_vocab : n_vocab, gpt2_sampler_vocab(o->rules));
    if (o->n_top < 0 || (o->stops && !o->tokenizer))
        return error_set(err, GPT2_ERR_USAGE,
                         "beam search: expected 0 or more likeliest ids, got %d, and a tokenizer "
                         "where there are stops",
                         o->n_top);
    return true;
}

static bool allocate(struct gpt2_beams *beams, struct gpt2_error *err) {
    struct gpt2_beam_options *o = &beams->options;
    size_t n = (size_t)o->n_beams, n_eos = (size_t)o->n_eos, n_top = (size_t)o->n_top;
    beams->eos_ids = os_alloc(n_eos, sizeof *beams->eos_ids, "beam search", err);
    beams->pool = os_alloc((size_t)beams->n_pool, sizeof *beams->pool, "beam search", err);
    beams->constraints = os_alloc(n, sizeof *beams->constraints, "beam search", err);
    beams->moved = os_alloc(n, sizeof *beams->moved, "beam search", err);
    beams->branches = os_alloc(n, sizeof *beams->branches, "beam search", err);
    beams->slots = os_alloc(n, sizeof *beams->slots, "beam search", err);
    beams->totals = os_alloc(n, sizeof *beams->totals, "beam search", err);
    beams->top = os_alloc(n * n_top, sizeof *beams->top, "beam search", err);
    beams->scores = os_alloc((size_t)o->n_vocab, sizeof *beams->scores, "beam search", err);
    if (!beams->eos_ids || !beams->pool || !beams->constraints || !beams->moved ||
        !beams->branches || !beams->slots || !beams->totals || !beams->top || !beams->scores)
        return false;
    if (n_eos)
        memcpy(beams->eos_ids, o->eos_ids, n_eos * sizeof *beams->eos_ids);
    struct constraints_options options = {.sampler = o->rules,
                                          .tokenizer = o->tokenizer,
                                          .stops = o->stops,
                                          .choices = o->choices,
                                          .healer = o->healer};
    for (size_t i = 0; i < n; i++)
        if (!constraints_create(&beams->constraints[i], &options, err))
            return false;
    int room = beams->config->n_ctx;
    if (o->max_tokens > 0 && o->max_tokens < room)
        room = o->max_tokens;
    return constraints_create(&beams->probe, &options, err) &&
           hypothesis_list_init(&beams->running, o->n_beams, room, o->n_top, err) &&
           hypothesis_list_init(&beams->next, o->n_beams, room, o->n_top, err) &&
           hypothesis_list_init(&beams->finished, o->n_beams, room, o->n_top, err);
}

struct gpt2_beams *gpt2_beams_create(const struct gpt2_model *model,
                                     const struct gpt2_beam_options *options,
                                     struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(model);
    if (!error_reserved(options->reserved, "gpt2_beam_options", err) ||
        !check_options(options, config->n_vocab, err))
        return NULL;
    struct gpt2_beams *beams = os_alloc(1, sizeof *beams, "beam search", err);
    if (!beams)
        return NULL;
    beams->config = config;
    beams->options = *options;
    if (!options->n_vocab)
        beams->options.n_vocab = config->n_vocab;
    const int n_rows = gpt2_tokenizer_rows(options->tokenizer, beams->options.n_vocab);
    if (options->n_top > n_rows)
        beams->options.n_top = n_rows;
    beams->n_pool = (options->n_eos > 1 ? 1 + options->n_eos : 2) * options->n_beams;
    if (allocate(beams, err))
        return beams;
    gpt2_beams_free(beams);
    return NULL;
}

void gpt2_beams_free(struct gpt2_beams *beams) {
    if (!beams)
        return;
    for (int i = 0; beams->constraints && i < beams->options.n_beams; i++)
        constraints_free(&beams->constraints[i]);
    constraints_free(&beams->probe);
    os_free(beams->scores);
    os_free(beams->top);
    os_free(beams->totals);
    os_free(beams->slots);
    os_free(beams->branches);
    os_free(beams->moved);
    os_free(beams->constraints);
    os_free(beams->pool);
    os_free(beams->eos_ids);
    hypothesis_list_free(&beams->finished);
    hypothesis_list_free(&beams->next);
    hypothesis_list_free(&beams->running);
    os_free(beams);
}

/* Puts a continuation into the pool, which is kept best first. What comes later must be better than
 * an equal one to stand before it: so the lowest beam and id win. Returns how many there are. */
static int offer(struct gpt2_beams *beams, int n, struct extension c) {
    if (!(c.sum > -INFINITY) || (n == beams->n_pool && !(c.sum > beams->pool[n - 1].sum)))
        return n;
    int at = n < beams->n_pool ? n++ : n - 1;
    for (; at > 0 && c.sum > beams->pool[at - 1].sum; at--)
        beams->pool[at] = beams->pool[at - 1];
    beams->pool[at] = c;
    return n;
}

/* The continuations of one beam. */
static int offer_beam(struct gpt2_beams *beams, int n, int beam, const float *logits) {
    const struct gpt2_beam_options *o = &beams->options;
    double sum = beams->running.hypotheses[beam].sum, total = beams->totals[beam];
    int n_ids = o->n_vocab;
    const int32_t *allowed = constraints_allowed(&beams->constraints[beam], &n_ids);
    if (o->rules) {
        for (int32_t id = 0; id < o->n_vocab; id++)
            beams->scores[id] = (float)((double)logits[id] - total);
        gpt2_sampler_apply_rules(o->rules, beams->scores, beams->constraints[beam].history);
    }
    for (int i = 0; i < n_ids; i++) {
        int32_t id = allowed ? allowed[i] : i;
        if (id >= o->n_vocab)
            break;
        double logprob = o->rules ? (double)beams->scores[id] : (double)logits[id] - total;
        n = offer(beams, n, (struct extension){sum + logprob, beam, id});
    }
    return n;
}

/* The best continuations of all running beams. Returns how many. */
static int fill_pool(struct gpt2_beams *beams, const struct gpt2_step *steps) {
    const struct gpt2_beam_options *o = &beams->options;
    const int n_rows = gpt2_tokenizer_rows(o->tokenizer, o->n_vocab);
    int n = 0;
    for (int beam = 0; beam < beams->n_running; beam++) {
        const float *logits = steps[beam].logits;
        beams->totals[beam] = gpt2_logprobs_total(logits, n_rows);
        struct gpt2_logprob *top = beams->top + (size_t)beam * (size_t)o->n_top;
        if (o->n_top)
            gpt2_logprobs_top(logits, n_rows, beams->totals[beam], top, o->n_top);
        n = offer_beam(beams, n, beam, logits);
    }
    return n;
}

static bool is_end(const struct gpt2_beams *beams, int32_t id) {
    for (int i = 0; i < beams->options.n_eos; i++)
        if (beams->eos_ids[i] == id)
            return true;
    return false;
}

/* sum / n^length_penalty */
static double score_of(const struct gpt2_beams *beams, double sum, int n) {
    double penalty = beams->options.length_penalty;
    if (penalty == 1) // exact, as published scores are
        return sum / n;
    return sum / math_exp_f64(penalty * math_log_f64(n));
}

/* A beam with one token more. */
static void grow(const struct gpt2_beams *beams, struct hypothesis *to, struct extension c,
                 const float *logits) {
    const struct hypothesis *from = &beams->running.hypotheses[c.beam];
    int n_top = beams->options.n_top;
    if (is_end(beams, c.id))
        hypothesis_end(to, from, c.id, n_top);
    else
        hypothesis_grow(to, from, c.id, (double)logits[c.id] - beams->totals[c.beam],
                        beams->top + (size_t)c.beam * (size_t)n_top, n_top);
    to->sum = c.sum;
}

/* Puts a text among the finished ones, if it is good enough. */
static void finish(struct gpt2_beams *beams, struct extension c, bool stopped,
                   const float *logits) {
    double score = score_of(beams, c.sum, beams->running.hypotheses[c.beam].n_read + 1);
    struct hypothesis *list = beams->finished.hypotheses;
    int n = beams->n_finished;
    if (n == beams->options.n_beams && !(score > list[n - 1].score))
        return;
    int at = n < beams->options.n_beams ? beams->n_finished++ : n - 1;
    struct hypothesis place = list[at]; // its room is used again
    for (; at > 0 && score > list[at - 1].score; at--)
        list[at] = list[at - 1];
    list[at] = place;
    grow(beams, &list[at], c, logits);
    list[at].stopped = stopped;
    list[at].score = score;
}

/* Sorts the pool into finished texts and the next beams. `last`: everything ends here. Returns how
 * many go on, -1 for an error. */
static int sort_pool(struct gpt2_beams *beams, const struct gpt2_step *steps, int n_pool,
                     bool last) {
    int n_next = 0, n_beams = beams->options.n_beams;
    for (int rank = 0; rank < n_pool; rank++) {
        struct extension c = beams->pool[rank];
        bool stopped = false, ended = is_end(beams, c.id);
        if (!ended && !constraints_would_end(&beams->constraints[c.beam], c.id, &beams->probe,
                                             &stopped, &beams->err))
            return -1;
        ended = ended || stopped || last;
        if (ended && rank < n_beams)
            finish(beams, c, stopped, steps[c.beam].logits);
        if (ended || n_next == n_beams)
            continue;
        grow(beams, &beams->next.hypotheses[n_next], c, steps[c.beam].logits);
        beams->branches[n_next++] = (struct gpt2_branch){c.beam, c.id};
    }
    return n_next;
}

/* True where a beam that goes on can still change the result. */
static bool is_open(const struct gpt2_beams *beams, int n_next) {
    const struct gpt2_beam_options *o = &beams->options;
    if (n_next == 0)
        return false;
    if (beams->n_finished < o->n_beams)
        return true;
    if (o->early_stopping == GPT2_EARLY_TRUE)
        return false;
    bool optimistic = o->early_stopping == GPT2_EARLY_NEVER && o->length_penalty > 0;
    double best =
        score_of(beams, beams->next.hypotheses[0].sum, optimistic ? beams->limit : beams->n_steps);
    return best > beams->finished.hypotheses[beams->n_finished - 1].score;
}

/* The next beams become the running ones. */
static bool move_on(struct gpt2_beams *beams, int n_next) {
    int n = beams->options.n_beams;
    const struct gpt2_branch *next = beams->branches;
    beam_reorder(next, n_next, n, beams->slots);
    for (int i = 0; i < n_next; i++)
        if (beams->slots[i] != next[i].parent &&
            !constraints_copy(&beams->constraints[beams->slots[i]],
                              &beams->constraints[next[i].parent], &beams->err))
            return false;
    for (int i = 0; i < n; i++)
        beams->moved[i] = beams->constraints[beams->slots[i]];
    memcpy(beams->constraints, beams->moved, (size_t)n * sizeof *beams->constraints);
    struct constraints_step step;
    for (int i = 0; i < n_next; i++)
        if (!constraints_take(&beams->constraints[i], next[i].id, &step, &beams->err))
            return false;
    struct hypothesis_list running = beams->running;
    beams->running = beams->next;
    beams->next = running;
    beams->n_running = n_next;
    return true;
}

/* The generator has the logits of all running beams. */
static int advance(void *user, const struct gpt2_step *steps, int n_steps,
                   struct gpt2_branch *next) {
    struct gpt2_beams *beams = user;
    const struct gpt2_beam_options *o = &beams->options;
    bool last = ++beams->n_steps == beams->limit;
    if (o->go_on && !o->go_on(o->user, steps, n_steps))
        last = true;
    int n_next = sort_pool(beams, steps, fill_pool(beams, steps), last);
    if (n_next <= 0 || !is_open(beams, n_next) || !move_on(beams, n_next))
        return 0;
    memcpy(next, beams->branches, (size_t)n_next * sizeof *next);
    return n_next;
}

static void ended(void *user, int sample, enum gpt2_end why) {
    struct gpt2_beams *beams = user;
    (void)sample;
    (void)why; // the limit is its own: the generator's come no sooner
    if (beams->err.status == GPT2_OK && beams->n_finished == 0)
        error_set(&beams->err, GPT2_ERR_USAGE, "beam search: the rules leave no id to go on with");
    beams->done = true;
    if (beams->options.ended)
        beams->options.ended(beams->options.user); // which may free it
}

bool gpt2_beams_start(struct gpt2_beams *beams, struct gpt2_generator *generator,
                      const int32_t *ids, int n_ids, struct gpt2_error *err) {
    const struct gpt2_beam_options *o = &beams->options;
    int n_kept;
    if (beams->started && !beams->done)
        return error_set(err, GPT2_ERR_USAGE, "beam search: the one before is not done");
    if (!generator_is_of(generator, beams->config, err))
        return false;
    beams->started = false;
    beams->n_running = 1;
    beams->n_finished = beams->n_steps = 0;
    beams->done = false;
    beams->err.status = GPT2_OK;
    struct hypothesis *first = &beams->running.hypotheses[0];
    first->n_ids = first->n_read = 0;
    first->sum = 0;
    for (int i = o->n_beams - 1; i >= 0; i--)
        if (!constraints_begin(&beams->constraints[i], ids, n_ids, &n_kept, err))
            return false;
    beams->limit = beams->config->n_ctx - n_kept + 1; // the last one is not read
    if (o->max_tokens > 0 && o->max_tokens < beams->limit)
        beams->limit = o->max_tokens;
    beams->started = gpt2_generator_add(generator,
                                        &(struct gpt2_request){.ids = ids,
                                                               .n_ids = n_kept,
                                                               .n_samples = o->n_beams,
                                                               .max_tokens = beams->limit,
                                                               .user = beams,
                                                               .advance = advance,
                                                               .ended = ended},
                                        err);
    return beams->started;
}

bool gpt2_beams_done(const struct gpt2_beams *beams) {
    return beams->done;
}

const struct gpt2_error *gpt2_beams_error(const struct gpt2_beams *beams) {
    return beams->err.status == GPT2_OK ? NULL : &beams->err;
}

bool gpt2_beams_run(struct gpt2_beams *beams, struct gpt2_generator *generator, const int32_t *ids,
                    int n_ids, struct gpt2_error *err) {
    if (!gpt2_beams_start(beams, generator, ids, n_ids, err))
        return false;
    while (!beams->done)
        if (!gpt2_generator_step(generator, err))
            return false;
    if (beams->err.status != GPT2_OK && err)
        *err = beams->err;
    return beams->err.status == GPT2_OK;
}

int gpt2_beams_count(const struct gpt2_beams *beams) {
    return beams->done && beams->err.status == GPT2_OK ? beams->n_finished : 0;
}

struct gpt2_beam gpt2_beams_get(const struct gpt2_beams *beams, int i) {
    const struct hypothesis *hypothesis = &beams->finished.hypotheses[i];
    return (struct gpt2_beam){
        .ids = hypothesis->ids,
        .n_ids = hypothesis->n_ids,
        .ended = hypothesis->ended,
        .end_id = hypothesis->end_id,
        .stopped = hypothesis->stopped,
        .sum = hypothesis->sum,
        .score = hypothesis->score,
        .logprobs = hypothesis->logprobs,
        .top = hypothesis->top,
        .n_top = beams->options.n_top,
    };
}
