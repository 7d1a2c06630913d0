/* generator.c - which tokens go into the next pass, and what becomes of its logits.
 *
 *   queue     requests in the order in which they came; each has samples that have not started yet
 *   samples   those in progress. The tokens that a sample has and its session has not read are the
 *             last n_pending of its ids: a prompt at first, then one token after the other, or
 *             what a slide reads again.
 *
 * The first sample of a request reads the prompt. Where the others find a place at once they fork
 * its session and choose from the same logits; else the request keeps both until they do. Where
 * another sample has read the beginning of a prompt, or is about to, the reading goes on from
 * there.
 *
 * A drafted token stands after its sample's ids, where the choice of that id will put it, and the
 * session reads it with the one token that is pending: gather() lays it there, choose_all() goes on
 * from row to row of the logits as long as choices are what was drafted, and settle() makes the
 * session forget the rest.
 *
 * The samples of a search (search.c) start together and end together, and stand side by side in the
 * list; those that have no text now sleep. */
#include <gpt2/generator.h>

#include "base/error_internal.h"
#include "base/os.h"
#include "decode/generator_internal.h"

#include <limits.h>
#include <string.h>

#define DEFAULT_SAMPLES 64
#define DEFAULT_ROWS    512
#define DEFAULT_CACHE   ((size_t)2 << 30)
#define MAX_SAMPLES     4096
#define MAX_DRAFT       1024

static bool make_prefixes(struct gpt2_generator *g, const struct gpt2_model *model,
                          const struct gpt2_generator_options *options, struct gpt2_error *err) {
    if (!options->prefix_bytes)
        return true;
    g->prefixes = gpt2_prefix_cache_create(
        model,
        &(struct gpt2_prefix_cache_options){.max_bytes = options->prefix_bytes, .kv = options->kv},
        err);
    return g->prefixes != NULL;
}

struct gpt2_generator *gpt2_generator_create(const struct gpt2_model *model,
                                             struct gpt2_runtime *runtime,
                                             const struct gpt2_generator_options *options,
                                             struct gpt2_error *err) {
    struct gpt2_generator_options o = options ? *options : (struct gpt2_generator_options){0};
    if (!error_reserved(o.reserved, "gpt2_generator_options", err))
        return NULL;
    if (!o.max_samples)
        o.max_samples = DEFAULT_SAMPLES;
    if (!o.max_search)
        o.max_search = o.max_samples;
    int most = o.max_search > o.max_samples ? o.max_search : o.max_samples;
    if (!o.max_rows)
        o.max_rows = most > DEFAULT_ROWS ? most : DEFAULT_ROWS;
    if (!o.cache_bytes)
        o.cache_bytes = DEFAULT_CACHE;
    if (o.max_samples < 1 || o.max_search < 1 || most > MAX_SAMPLES || o.max_rows < most) {
        error_set(
            err, GPT2_ERR_USAGE,
            "generator: expected 1 to %d samples, of a search too, and at least as many rows, "
            "got %d, %d and %d",
            MAX_SAMPLES, o.max_samples, o.max_search, o.max_rows);
        return NULL;
    }
    if (o.max_draft < 0 || o.max_draft > MAX_DRAFT) {
        error_set(err, GPT2_ERR_USAGE, "generator: expected 0 to %d drafted tokens, got %lld",
                  MAX_DRAFT, (long long)o.max_draft);
        return NULL;
    }
    struct gpt2_generator *g = os_alloc(1, sizeof *g, "a generator", err);
    if (!g)
        return NULL;
    g->config = gpt2_model_config(model);
    g->max_samples = o.max_samples;
    g->max_search = o.max_search;
    g->max_rows = o.max_rows;
    g->max_draft = (int)o.max_draft;
    size_t n = (size_t)most;
    g->samples = os_alloc(n, sizeof *g->samples, "a generator", err);
    g->spans = os_alloc(n, sizeof *g->spans, "a generator", err);
    g->span_of = os_alloc(n, sizeof *g->span_of, "a generator", err);
    g->batch = gpt2_batch_create(
        model, runtime,
        &(struct gpt2_batch_options){.max_rows = o.max_rows, .max_logits = most + g->max_draft},
        err);
    g->draft = os_alloc((size_t)g->max_draft, sizeof *g->draft, "a generator", err);
    g->steps = os_alloc(n, sizeof *g->steps, "a generator", err);
    g->branches = os_alloc(n, sizeof *g->branches, "a generator", err);
    g->moved = os_alloc(n, sizeof *g->moved, "a generator", err);
    g->slots = os_alloc(n, sizeof *g->slots, "a generator", err);
    if (!g->draft || !g->samples || !g->spans || !g->span_of || !g->steps || !g->branches ||
        !g->moved || !g->slots || !g->batch ||
        !session_pool_init(&g->sessions, model, o.kv, o.cache_bytes, most, err) ||
        !make_prefixes(g, model, &o, err)) {
        gpt2_generator_free(g);
        return NULL;
    }
    return g;
}

static void free_request(struct gpt2_generator *g, struct request *request) {
    session_pool_give(&g->sessions, request->source);
    os_free(request->logits);
    os_free(request->ids);
    os_free(request);
}

void gpt2_generator_free(struct gpt2_generator *g) {
    if (!g)
        return;
    for (int i = 0; i < g->n_samples; i++)
        generator_drop(g, &g->samples[i]);
    while (g->queue) {
        struct request *next = g->queue->next;
        free_request(g, g->queue);
        g->queue = next;
    }
    gpt2_prefix_cache_free(g->prefixes);
    session_pool_free(&g->sessions);
    gpt2_batch_free(g->batch);
    os_free(g->draft);
    os_free(g->slots);
    os_free(g->moved);
    os_free(g->branches);
    os_free(g->steps);
    os_free(g->span_of);
    os_free(g->spans);
    os_free(g->samples);
    os_free(g);
}

int gpt2_generator_room(const struct gpt2_generator *g) {
    int taken = g->n_samples + g->n_waiting;
    return taken < g->max_samples ? g->max_samples - taken : 0;
}

bool gpt2_generator_busy(const struct gpt2_generator *g) {
    return g->queue != NULL;
}

bool generator_is_of(const struct gpt2_generator *g, const struct gpt2_config *config,
                     struct gpt2_error *err) {
    return g->config == config ||
           error_set(err, GPT2_ERR_USAGE, "the generator is of another model");
}

/* It is of the model, and of no other request: a pass would fail for all. */
static bool check_session(const struct gpt2_generator *g, const struct gpt2_session *session,
                          struct gpt2_error *err) {
    if (gpt2_model_config(gpt2_session_model(session)) != g->config)
        return error_set(err, GPT2_ERR_USAGE, "request: its session is of another model");
    for (const struct request *other = g->queue; other; other = other->next)
        if (other->asked.session == session)
            return error_set(err, GPT2_ERR_USAGE, "request: another one has its session");
    return true;
}

static bool check_request(const struct gpt2_generator *g, const struct gpt2_request *asked,
                          struct gpt2_error *err) {
    int n_ctx = g->config->n_ctx;
    if (!asked->choose == !asked->advance)
        return error_set(err, GPT2_ERR_USAGE,
                         "request: expected either `choose` or `advance`, got %s",
                         asked->choose ? "both" : "none");
    if ((int)asked->overflow < 0 || asked->overflow > GPT2_OVERFLOW_ERROR)
        return error_set(err, GPT2_ERR_USAGE, "request: overflow %d: expected %d to %d",
                         (int)asked->overflow, GPT2_OVERFLOW_STOP, GPT2_OVERFLOW_ERROR);
    if (asked->n_ids < 1 || asked->n_ids > n_ctx)
        return error_set(err, GPT2_ERR_USAGE,
                         "request: expected a prompt of 1 to %d tokens, got %d", n_ctx,
                         asked->n_ids);
    for (int i = 0; i < asked->n_ids; i++)
        if (asked->ids[i] < 0 || asked->ids[i] >= g->config->n_vocab)
            return error_set(err, GPT2_ERR_USAGE, "request: token id %d: expected 0 to %d",
                             (int)asked->ids[i], g->config->n_vocab - 1);
    if (asked->n_samples < 1 || asked->n_samples > INT_MAX - g->n_waiting || asked->max_tokens < 1)
        return error_set(err, GPT2_ERR_USAGE,
                         "request: expected at least 1 sample and 1 token, got %d and %d",
                         asked->n_samples, asked->max_tokens);
    if (asked->advance &&
        (asked->n_samples > g->max_search || asked->overflow == GPT2_OVERFLOW_SLIDE))
        return error_set(
            err, GPT2_ERR_USAGE,
            "request: expected a search of at most %d samples that does not slide, got %d",
            g->max_search, asked->n_samples);
    if (asked->overflow == GPT2_OVERFLOW_SLIDE && (asked->keep < 0 || asked->keep >= n_ctx))
        return error_set(err, GPT2_ERR_USAGE, "request: expected 0 to %d tokens to keep, got %d",
                         n_ctx - 1, asked->keep);
    if (asked->session && (asked->n_samples != 1 || gpt2_session_capacity(asked->session) < n_ctx ||
                           gpt2_session_position(asked->session) >= asked->n_ids))
        return error_set(err, GPT2_ERR_USAGE,
                         "request: expected 1 sample and a session of %d tokens that has read less "
                         "than the prompt's %d, got %d, %d and %d",
                         n_ctx, asked->n_ids, asked->n_samples,
                         gpt2_session_capacity(asked->session),
                         gpt2_session_position(asked->session));
    return !asked->session || check_session(g, asked->session, err);
}

bool gpt2_generator_add(struct gpt2_generator *g, const struct gpt2_request *asked,
                        struct gpt2_error *err) {
    if (!check_request(g, asked, err))
        return false;
    struct request *request = os_alloc(1, sizeof *request, "a request", err);
    if (!request)
        return false;
    request->ids = os_alloc((size_t)asked->n_ids, sizeof *request->ids, "a prompt", err);
    if (!request->ids) {
        os_free(request);
        return false;
    }
    memcpy(request->ids, asked->ids, (size_t)asked->n_ids * sizeof *request->ids);
    request->asked = *asked;
    request->asked.ids = request->ids;
    struct request **end = &g->queue;
    while (*end)
        end = &(*end)->next;
    *end = request;
    g->n_waiting += asked->n_samples;
    return true;
}

/* Makes the first `keep` tokens and the later half of the others a new beginning. */
static bool slide(struct gpt2_generator *g, struct generator_sample *sample,
                  struct gpt2_error *err) {
    int keep = sample->request->asked.keep;
    sample->n_pending += (g->config->n_ctx - keep) / 2;
    generator_end_prefix(sample);
    return gpt2_session_rewind(sample->session, keep, err);
}

/* Where the session would be without drafts. */
static int position_of(const struct generator_sample *sample) {
    return gpt2_session_position(sample->session) - sample->n_ahead;
}

/* Makes the session forget what was drafted and not chosen. */
static bool settle(struct generator_sample *sample, struct gpt2_error *err) {
    int position = position_of(sample);
    sample->n_ahead = 0;
    return gpt2_session_rewind(sample->session, position, err);
}

static bool end(struct generator_sample *sample, enum gpt2_end why, struct gpt2_error *err) {
    struct request *request = sample->request;
    sample->done = true;
    request->n_ended++;
    if (!settle(sample, err)) // the caller may look at a session of its own now
        return false;
    if (request->asked.ended)
        request->asked.ended(request->asked.user, sample->index, why);
    return true;
}

static struct gpt2_step step_of(const struct generator_sample *sample, const float *logits) {
    return (struct gpt2_step){.sample = sample->index,
                              .logits = logits,
                              .ids = sample->ids.data,
                              .n_ids = (int)sample->ids.len,
                              .n_prompt = sample->request->asked.n_ids};
}

/* Asks for a sample's next token. */
static bool choose(struct gpt2_generator *g, struct generator_sample *sample, const float *logits,
                   struct gpt2_error *err) {
    const struct gpt2_request *asked = &sample->request->asked;
    struct gpt2_step step = step_of(sample, logits);
    bool last = false;
    int32_t id = asked->choose(asked->user, &step, &last);
    if (id < 0 || last)
        return end(sample, GPT2_END_CHOSEN, err);
    if (id >= g->config->n_vocab)
        return error_set(err, GPT2_ERR_USAGE, "token id %d was chosen: expected 0 to %d", (int)id,
                         g->config->n_vocab - 1);
    if (!gpt2_ids_push(&sample->ids, id, err))
        return false;
    sample->n_pending = 1;
    if ((int)sample->ids.len - asked->n_ids == asked->max_tokens)
        return end(sample, GPT2_END_LIMIT, err);
    if (position_of(sample) < g->config->n_ctx)
        return true;
    if (asked->overflow == GPT2_OVERFLOW_SLIDE)
        return slide(g, sample, err);
    return end(sample, GPT2_END_CONTEXT, err);
}

/* Asks for its next tokens: one, and one more after each that is what was drafted. */
static bool choose_all(struct gpt2_generator *g, int i, struct gpt2_error *err) {
    struct generator_sample *sample = &g->samples[i];
    for (int row = 0;; row++) {
        const size_t len = sample->ids.len;
        const int32_t guess = sample->n_ahead > 0 ? sample->ids.data[len] : -1;
        if (!choose(g, sample, gpt2_batch_logits(g->batch, g->span_of[i], row), err))
            return false;
        if (sample->done || sample->n_ahead == 0)
            return true;
        if (sample->ids.data[len] != guess)
            return settle(sample, err);
        sample->n_ahead--; // the session has read it already
        sample->n_pending = 0;
    }
}

/* The prompt of a request has been read by its first sample: the others can start. */
static bool share_prompt(struct gpt2_generator *g, struct request *request,
                         const struct gpt2_session *read, const float *logits,
                         struct gpt2_error *err) {
    bool started = true;
    while (started && request->n_started < request->asked.n_samples &&
           g->n_samples < g->max_samples) {
        int at = g->n_samples;
        if (!generator_start(g, request, read, false, &started, err) ||
            (started && !choose(g, &g->samples[at], logits, err)))
            return false;
    }
    if (request->n_started == request->asked.n_samples) {
        session_pool_give(&g->sessions, request->source);
        request->source = NULL;
        return true;
    }
    if (request->source)
        return true;
    // Without memory for a copy of the prompt the next sample reads it again.
    if (!session_pool_take(&g->sessions, request->asked.n_ids, false, &request->source, err))
        return false;
    if (!request->source)
        return true;
    request->logits = os_alloc((size_t)g->config->n_vocab, sizeof(float), "logits", err);
    if (!request->logits)
        return false;
    memcpy(request->logits, logits, (size_t)g->config->n_vocab * sizeof(float));
    return gpt2_session_fork(request->source, read, err);
}

/* True where a sample of the request is still reading the prompt, which others will share. */
static bool is_reading(const struct gpt2_generator *g, const struct request *request) {
    for (int i = 0; i < g->n_samples; i++)
        if (g->samples[i].request == request && (int)g->samples[i].ids.len == request->asked.n_ids)
            return true;
    return false;
}

/* Starts what waits, in order, as far as there is room. */
static bool start_waiting(struct gpt2_generator *g, struct gpt2_error *err) {
    for (struct request *request = g->queue; request && g->n_samples < g->max_samples;
         request = request->next) {
        if (request->n_started == request->asked.n_samples)
            continue;
        bool started = false;
        if (request->source) {
            if (!share_prompt(g, request, request->source, request->logits, err))
                return false;
            started = request->n_started == request->asked.n_samples;
        } else if (is_reading(g, request)) {
            started = true;
        } else if (request->asked.advance) {
            if (!search_start(g, request, &started, err))
                return false;
        } else if (!generator_start(g, request, NULL, g->n_samples == 0, &started, err)) {
            return false;
        }
        if (!started) // what came later does not overtake
            break;
    }
    return true;
}

static bool reads(const struct generator_sample *sample) {
    return !sample->done && !sample->asleep && !sample->waits;
}

/* How many tokens the request would let a pass read and choose from, beyond the one pending.
 */
static int draft_room(const struct gpt2_generator *g, const struct generator_sample *sample) {
    const struct gpt2_request *asked = &sample->request->asked;
    int chosen = (int)sample->ids.len - asked->n_ids;
    int context = g->config->n_ctx - gpt2_session_position(sample->session) - 1;
    int limit = asked->max_tokens - chosen - 1;
    return limit < context ? limit : context;
}

/* Asks what may follow and puts at most `most` guesses after the sample's ids. */
static bool draft(struct gpt2_generator *g, struct generator_sample *sample, int most,
                  struct gpt2_error *err) {
    const struct gpt2_request *asked = &sample->request->asked;
    sample->n_ahead = 0;
    if (!asked->draft || sample->n_pending != 1 || (int)sample->ids.len == asked->n_ids)
        return true;
    int room = draft_room(g, sample);
    most = room < most ? room : most;
    struct gpt2_step step = step_of(sample, NULL);
    int n = asked->draft(asked->user, &step, &g->pass, g->draft, most);
    const size_t len = sample->ids.len;
    for (int i = 0; i < n && g->draft[i] >= 0 && g->draft[i] < g->config->n_vocab; i++) {
        if (!gpt2_ids_push(&sample->ids, g->draft[i], err))
            return false;
        sample->n_ahead++;
    }
    sample->ids.len = len; // they stand after it
    return true;
}

/* Whether drafts are asked for in this step, and how many of each sample that writes. */
static int draft_share(const struct gpt2_generator *g) {
    int n_writing = 0;
    for (int i = 0; i < g->n_samples; i++)
        n_writing += reads(&g->samples[i]) && g->samples[i].n_pending == 1;
    return n_writing ? g->max_draft / n_writing : 0;
}

/* One token for each sample that writes, and what is drafted after it; the rows left over go to
 * those that read, in order. *n_spans is how many spans there are. */
static bool gather(struct gpt2_generator *g, int *n_spans, struct gpt2_error *err) {
    int left = g->max_rows, share = draft_share(g);
    for (int i = 0; i < g->n_samples; i++)
        left -= reads(&g->samples[i]); // each gets at least one row
    *n_spans = 0;
    for (int i = 0; i < g->n_samples; i++) {
        struct generator_sample *s = &g->samples[i];
        g->span_of[i] = -1;
        if (!reads(s))
            continue;
        s->position = gpt2_session_position(s->session);
        if (!draft(g, s, share < left ? share : left, err))
            return false;
        int n = s->n_pending - 1 < left ? s->n_pending : left + 1;
        left -= n - 1 + s->n_ahead;
        g->spans[*n_spans] = (struct gpt2_span){.session = s->session,
                                                .ids = s->ids.data + s->ids.len - s->n_pending,
                                                .n_ids = n + s->n_ahead,
                                                .n_logits = n == s->n_pending ? 1 + s->n_ahead : 0};
        s->n_pending -= n;
        g->span_of[i] = (*n_spans)++;
    }
    return true;
}

/* Takes the drafts out of the step again, and what was read of it. False: there are none. */
static bool drop_drafts(struct gpt2_generator *g) {
    bool any = false;
    for (int i = 0; i < g->n_samples; i++) {
        struct generator_sample *s = &g->samples[i];
        if (g->span_of[i] < 0)
            continue;
        struct gpt2_span *span = &g->spans[g->span_of[i]];
        any |= s->n_ahead > 0;
        span->n_ids -= s->n_ahead;
        span->n_logits -= s->n_ahead;
        s->n_ahead = 0;
        if (gpt2_session_position(s->session) > s->position &&
            !gpt2_session_rewind(s->session, s->position, NULL))
            return false;
    }
    return any;
}

/* The pass over what was gathered. Where a drafted token is what makes it fail, as one whose
 * weights are damaged, the step goes without drafts. */
static bool run(struct gpt2_generator *g, int n_spans, struct gpt2_error *err) {
    uint64_t start = os_now_ns();
    struct gpt2_error failure;
    bool reads_prompt = false;
    for (int i = 0; i < g->n_samples; i++)
        if (g->span_of[i] >= 0)
            reads_prompt |= g->spans[g->span_of[i]].n_ids > 1 + g->samples[i].n_ahead;
    bool ok = gpt2_batch_run(g->batch, g->spans, n_spans, &failure);
    if (!ok && failure.status == GPT2_ERR_MODEL && drop_drafts(g))
        ok = gpt2_batch_run(g->batch, g->spans, n_spans, &failure);
    if (!ok) {
        if (err)
            *err = failure;
        return false;
    }
    g->pass = (struct gpt2_pass){.ns = os_now_ns() - start};
    for (int i = 0; i < n_spans; i++)
        g->pass.n_rows += g->spans[i].n_ids;
    if (reads_prompt)
        g->pass.n_rows = 0;
    return true;
}

/* Frees what has ended: samples, then requests all of whose samples have. */
static void sweep(struct gpt2_generator *g) {
    int kept = 0;
    for (int i = 0; i < g->n_samples; i++) {
        struct generator_sample *s = &g->samples[i];
        if (s->done)
            generator_drop(g, s);
        else
            g->samples[kept++] = *s;
    }
    g->n_samples = kept;
    for (struct request **at = &g->queue; *at;) {
        struct request *request = *at;
        if (request->n_ended < request->asked.n_samples) {
            at = &request->next;
        } else {
            *at = request->next;
            free_request(g, request);
        }
    }
}

bool gpt2_generator_step(struct gpt2_generator *g, struct gpt2_error *err) {
    for (int i = 0; i < g->n_samples; i++)
        if (g->samples[i].waits && !generator_take_prefix(&g->samples[i], err))
            return false;
    if (!start_waiting(g, err))
        return false;
    int n_before = g->n_samples, n_spans;
    if (!gather(g, &n_spans, err) || (n_spans > 0 && !run(g, n_spans, err)))
        return false;
    for (int i = 0; i < n_before; i++)
        if (g->samples[i].prefix && !g->samples[i].waits)
            gpt2_prefix_read(g->samples[i].prefix);
    for (int i = 0; i < n_before; i++) { // later ones have started with a choice
        struct generator_sample *sample = &g->samples[i];
        struct request *request = sample->request;
        if (request->asked.advance) {
            if (!search_advance(g, i, err))
                return false;
            i += request->asked.n_samples - 1;
            continue;
        }
        const float *logits = generator_logits(g, i);
        if (!logits)
            continue;
        bool prompt = (int)sample->ids.len == request->asked.n_ids;
        // before its own choice, after which a slide may have begun
        if (prompt && !share_prompt(g, request, sample->session, logits, err))
            return false;
        if (!choose_all(g, i, err))
            return false;
    }
    sweep(g);
    return true;
}
