/* beam.c - beam search over sessions (the definition: gpt2/beam.h).
 *
 * This folder holds strategies that drive a model with what the public headers offer: it stands
 * above model and sampling, which do not know each other, and sees neither of them from inside.
 *
 * Each running beam has a session. When two beams grow out of one, the first of them keeps its
 * session and the other gets a copy in the session of a beam that died: never more than n_beams
 * sessions, and nothing is copied for a beam that goes on alone. */
#include <gpt2/beam.h>

#include "base/error.h"
#include "base/math.h"
#include "base/os.h"

#include <gpt2/logprobs.h>
#include <limits.h>
#include <string.h>

/* A text under way, or finished. */
struct track {
    int32_t *ids; /* [n_ids] generated, without an end id; room for the context and one more */
    int n_ids;
    int n_read; /* generated tokens with the end id: what its length is */
    bool ended;
    int32_t end_id;
    double sum, score;
};

/* A beam that takes one more token. */
struct continuation {
    double sum;
    int beam;
    int32_t id;
};

struct gpt2_beams {
    struct gpt2_beam_options options;
    int32_t *eos_ids;
    int n_pool; /* how many continuations are looked at in a step */
    struct continuation *pool;
    int n_running, n_finished;
    struct track *running, *next, *finished; /* [n_beams] each; finished: best first */
    int32_t *id_room;
    struct gpt2_session **sessions, **next_sessions; /* [n_beams] of `running`, of `next` */
    struct gpt2_history **histories, **next_histories;
    int *parents;   /* [n_beams] which beam each of `next` grew out of */
    bool *is_taken; /* [n_beams] whose session has gone to one of `next` */
    struct gpt2_span *spans;
    float *scores; /* [n_vocab] log-probabilities for the rules */
    struct gpt2_batch *batch;
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
    return true;
}

/* Gives each of 3 * n_beams tracks its ids. */
static bool allocate_tracks(struct gpt2_beams *beams, int capacity, struct gpt2_error *err) {
    size_t n = (size_t)beams->options.n_beams, room = (size_t)capacity + 1;
    beams->running = os_alloc(n, sizeof *beams->running, "beam search", err);
    beams->next = os_alloc(n, sizeof *beams->next, "beam search", err);
    beams->finished = os_alloc(n, sizeof *beams->finished, "beam search", err);
    beams->id_room = os_alloc(3 * n * room, sizeof *beams->id_room, "beam search", err);
    if (!beams->running || !beams->next || !beams->finished || !beams->id_room)
        return false;
    for (size_t i = 0; i < n; i++) {
        beams->running[i].ids = beams->id_room + (3 * i) * room;
        beams->next[i].ids = beams->id_room + (3 * i + 1) * room;
        beams->finished[i].ids = beams->id_room + (3 * i + 2) * room;
    }
    return true;
}

static bool allocate(struct gpt2_beams *beams, const struct gpt2_model *model,
                     struct gpt2_error *err) {
    struct gpt2_beam_options *o = &beams->options;
    size_t n = (size_t)o->n_beams, n_eos = (size_t)o->n_eos;
    beams->eos_ids = os_alloc(n_eos, sizeof *beams->eos_ids, "beam search", err);
    beams->pool = os_alloc((size_t)beams->n_pool, sizeof *beams->pool, "beam search", err);
    beams->sessions = os_alloc(n, sizeof(void *), "beam search", err);
    beams->next_sessions = os_alloc(n, sizeof(void *), "beam search", err);
    beams->histories = os_alloc(n, sizeof(void *), "beam search", err);
    beams->next_histories = os_alloc(n, sizeof(void *), "beam search", err);
    beams->parents = os_alloc(n, sizeof *beams->parents, "beam search", err);
    beams->is_taken = os_alloc(n, sizeof *beams->is_taken, "beam search", err);
    beams->spans = os_alloc(n, sizeof *beams->spans, "beam search", err);
    beams->scores = os_alloc((size_t)o->n_vocab, sizeof *beams->scores, "beam search", err);
    if (!beams->eos_ids || !beams->pool || !beams->sessions || !beams->next_sessions ||
        !beams->histories || !beams->next_histories || !beams->parents || !beams->is_taken ||
        !beams->spans || !beams->scores)
        return false;
    for (size_t i = 0; i < n_eos; i++)
        beams->eos_ids[i] = o->eos_ids[i];
    for (size_t i = 0; i < n; i++) {
        beams->sessions[i] = gpt2_session_create(model, &o->session, err);
        if (!beams->sessions[i])
            return false;
        beams->histories[i] = o->rules ? gpt2_history_create(o->rules, err) : NULL;
        if (o->rules && !beams->histories[i])
            return false;
    }
    return allocate_tracks(beams, gpt2_session_capacity(beams->sessions[0]), err);
}

struct gpt2_beams *gpt2_beams_create(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                     const struct gpt2_beam_options *options,
                                     struct gpt2_error *err) {
    int n_vocab = gpt2_model_config(model)->n_vocab;
    if (!check_options(options, n_vocab, err))
        return NULL;
    struct gpt2_beams *beams = os_alloc(1, sizeof *beams, "beam search", err);
    if (!beams)
        return NULL;
    beams->options = *options;
    if (!options->n_vocab)
        beams->options.n_vocab = n_vocab;
    beams->n_pool = (options->n_eos > 1 ? 1 + options->n_eos : 2) * options->n_beams;
    struct gpt2_batch_options batch = {.max_rows = options->max_rows,
                                       .max_logits = options->n_beams};
    if (allocate(beams, model, err))
        beams->batch = gpt2_batch_create(model, runtime, &batch, err);
    if (beams->batch)
        return beams;
    gpt2_beams_free(beams);
    return NULL;
}

void gpt2_beams_free(struct gpt2_beams *beams) {
    if (!beams)
        return;
    gpt2_batch_free(beams->batch);
    for (int i = 0; beams->sessions && i < beams->options.n_beams; i++)
        gpt2_session_free(beams->sessions[i]);
    for (int i = 0; beams->histories && i < beams->options.n_beams; i++)
        gpt2_history_free(beams->histories[i]);
    os_free(beams->scores);
    os_free(beams->spans);
    os_free(beams->is_taken);
    os_free(beams->parents);
    os_free(beams->next_histories);
    os_free(beams->histories);
    os_free(beams->next_sessions);
    os_free(beams->sessions);
    os_free(beams->pool);
    os_free(beams->eos_ids);
    os_free(beams->id_room);
    os_free(beams->finished);
    os_free(beams->next);
    os_free(beams->running);
    os_free(beams);
}

/* Puts a continuation into the pool, which is kept best first. What comes later must be better than
 * an equal one to stand before it: so the lowest beam and id win. Returns how many there are. */
static int offer(struct gpt2_beams *beams, int n, struct continuation c) {
    if (!(c.sum > -INFINITY) || (n == beams->n_pool && !(c.sum > beams->pool[n - 1].sum)))
        return n;
    int at = n < beams->n_pool ? n++ : n - 1;
    for (; at > 0 && c.sum > beams->pool[at - 1].sum; at--)
        beams->pool[at] = beams->pool[at - 1];
    beams->pool[at] = c;
    return n;
}

/* The best continuations of all running beams: the last run's logits. Returns how many. */
static int fill_pool(struct gpt2_beams *beams) {
    const struct gpt2_beam_options *o = &beams->options;
    int n = 0;
    for (int beam = 0; beam < beams->n_running; beam++) {
        const float *logits = gpt2_batch_logits(beams->batch, beam, 0);
        double total = gpt2_logprobs_total(logits, o->n_vocab), sum = beams->running[beam].sum;
        if (o->rules) {
            for (int32_t id = 0; id < o->n_vocab; id++)
                beams->scores[id] = (float)((double)logits[id] - total);
            gpt2_sampler_apply_rules(o->rules, beams->scores, beams->histories[beam]);
        }
        for (int32_t id = 0; id < o->n_vocab; id++) {
            double logprob = o->rules ? (double)beams->scores[id] : (double)logits[id] - total;
            n = offer(beams, n, (struct continuation){sum + logprob, beam, id});
        }
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

static void grow_track(struct track *to, const struct track *from, struct continuation c,
                       bool ended) {
    memcpy(to->ids, from->ids, (size_t)from->n_ids * sizeof *to->ids);
    to->n_ids = from->n_ids;
    to->n_read = from->n_read + 1;
    to->sum = c.sum;
    to->ended = ended;
    to->end_id = ended ? c.id : 0;
    if (!ended)
        to->ids[to->n_ids++] = c.id;
}

/* Puts a text among the finished ones, if it is good enough. */
static void finish(struct gpt2_beams *beams, struct continuation c) {
    const struct track *from = &beams->running[c.beam];
    double score = score_of(beams, c.sum, from->n_read + 1);
    struct track *list = beams->finished;
    int n = beams->n_finished;
    if (n == beams->options.n_beams && !(score > list[n - 1].score))
        return;
    int at = n < beams->options.n_beams ? beams->n_finished++ : n - 1;
    struct track place = list[at]; // its ids are reused
    for (; at > 0 && score > list[at - 1].score; at--)
        list[at] = list[at - 1];
    list[at] = place;
    grow_track(&list[at], from, c, is_end(beams, c.id));
    list[at].score = score;
}

/* Sorts the pool into finished texts and the next beams. `last`: everything ends here. Returns how
 * many go on. */
static int sort_pool(struct gpt2_beams *beams, int n_pool, bool last) {
    int n_next = 0, n_beams = beams->options.n_beams;
    for (int rank = 0; rank < n_pool; rank++) {
        struct continuation c = beams->pool[rank];
        bool stops = last || is_end(beams, c.id);
        if (stops && rank < n_beams)
            finish(beams, c);
        if (stops || n_next == n_beams)
            continue;
        grow_track(&beams->next[n_next], &beams->running[c.beam], c, false);
        beams->parents[n_next++] = c.beam;
    }
    return n_next;
}

/* True where a beam that goes on can still change the result. */
static bool is_open(const struct gpt2_beams *beams, int n_next, int n_generated, int limit) {
    const struct gpt2_beam_options *o = &beams->options;
    if (n_next == 0)
        return false;
    if (beams->n_finished < o->n_beams)
        return true;
    if (o->early_stopping == GPT2_EARLY_TRUE)
        return false;
    bool optimistic = o->early_stopping == GPT2_EARLY_NEVER && o->length_penalty > 0;
    double best = score_of(beams, beams->next[0].sum, optimistic ? limit : n_generated);
    return best > beams->finished[beams->n_finished - 1].score;
}

/* Gives next beam i the session and history of `place`. */
static void take(struct gpt2_beams *beams, int i, int place) {
    beams->next_sessions[i] = beams->sessions[place];
    beams->next_histories[i] = beams->histories[place];
    beams->is_taken[place] = true;
}

/* Hands the sessions on: first to those that can have their parent's, then copies of it. What is
 * not taken is kept behind them. */
static bool hand_on(struct gpt2_beams *beams, int n_next, struct gpt2_error *err) {
    int n = beams->options.n_beams, vacant = 0;
    memset(beams->is_taken, 0, (size_t)n * sizeof *beams->is_taken);
    for (int i = 0; i < n; i++)
        beams->next_sessions[i] = NULL;
    for (int i = 0; i < n_next; i++)
        if (!beams->is_taken[beams->parents[i]])
            take(beams, i, beams->parents[i]);
    for (int i = 0; i < n; i++) {
        if (beams->next_sessions[i])
            continue;
        while (beams->is_taken[vacant])
            vacant++;
        take(beams, i, vacant);
        if (i >= n_next)
            continue;
        int parent = beams->parents[i];
        if (!gpt2_session_fork(beams->sessions[vacant], beams->sessions[parent], err) ||
            (beams->options.rules &&
             !gpt2_history_copy(beams->histories[vacant], beams->histories[parent], err)))
            return false;
    }
    return true;
}

static void swap_lists(struct gpt2_beams *beams) {
    struct track *running = beams->running;
    struct gpt2_session **sessions = beams->sessions;
    struct gpt2_history **histories = beams->histories;
    beams->running = beams->next;
    beams->sessions = beams->next_sessions;
    beams->histories = beams->next_histories;
    beams->next = running;
    beams->next_sessions = sessions;
    beams->next_histories = histories;
}

/* The next beams become the running ones and read their last tokens, all in one pass. */
static bool step(struct gpt2_beams *beams, int n_next, struct gpt2_error *err) {
    if (!hand_on(beams, n_next, err))
        return false;
    swap_lists(beams);
    beams->n_running = n_next;
    for (int i = 0; i < n_next; i++) {
        const int32_t *last = &beams->running[i].ids[beams->running[i].n_ids - 1];
        beams->spans[i] = (struct gpt2_span){
            .session = beams->sessions[i], .ids = last, .n_ids = 1, .n_logits = 1};
        if (beams->options.rules && !gpt2_history_push(beams->histories[i], last, 1, true, err))
            return false;
    }
    return gpt2_batch_run(beams->batch, beams->spans, n_next, err);
}

/* One beam, which reads the prompt. */
static bool start(struct gpt2_beams *beams, const int32_t *ids, int n_ids, struct gpt2_error *err) {
    beams->n_running = 1;
    beams->n_finished = 0;
    struct track *first = &beams->running[0];
    *first = (struct track){.ids = first->ids};
    if (beams->options.rules) {
        gpt2_history_clear(beams->histories[0]);
        if (!gpt2_history_push(beams->histories[0], ids, n_ids, false, err))
            return false;
    }
    struct gpt2_span span = {
        .session = beams->sessions[0], .ids = ids, .n_ids = n_ids, .n_logits = 1};
    return gpt2_session_rewind(beams->sessions[0], 0, err) &&
           gpt2_batch_run(beams->batch, &span, 1, err);
}

bool gpt2_beams_run(struct gpt2_beams *beams, const int32_t *ids, int n_ids,
                    struct gpt2_error *err) {
    const struct gpt2_beam_options *o = &beams->options;
    if (!start(beams, ids, n_ids, err)) {
        beams->n_finished = 0;
        return false;
    }
    int limit = gpt2_session_capacity(beams->sessions[0]) - n_ids + 1; // the last is not read
    if (o->max_tokens > 0 && o->max_tokens < limit)
        limit = o->max_tokens;
    for (int n = 1;; n++) {
        int n_pool = fill_pool(beams);
        bool last = n == limit || (o->go_on && !o->go_on(o->user));
        int n_next = sort_pool(beams, n_pool, last);
        if (last || !is_open(beams, n_next, n, limit))
            break;
        if (!step(beams, n_next, err)) {
            beams->n_finished = 0;
            return false;
        }
    }
    if (beams->n_finished == 0)
        return error_set(err, GPT2_ERR_USAGE, "beam search: the rules leave no id to go on with");
    return true;
}

int gpt2_beams_count(const struct gpt2_beams *beams) {
    return beams->n_finished;
}

struct gpt2_beam gpt2_beams_get(const struct gpt2_beams *beams, int i) {
    const struct track *track = &beams->finished[i];
    return (struct gpt2_beam){
        .ids = track->ids,
        .n_ids = track->n_ids,
        .ended = track->ended,
        .end_id = track->end_id,
        .sum = track->sum,
        .score = track->score,
    };
}
