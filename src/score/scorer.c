/* scorer.c - windows go through the model side by side; their logits become scores a few rows at a
 * time.
 *
 * A row of logits is 200 KB for GPT-2's vocabulary, so the rows of a pass are never all there: the
 * head is asked for PORTION rows, all threads reduce them to scores, and the next rows overwrite
 * them.
 *
 *     windows  ->  one pass of the blocks over up to MAX_ROWS tokens
 *                    -> head: PORTION rows of logits  -> scores
 *                    -> head: the next PORTION rows   -> scores ...
 *
 * A window whose context begins as that of one in the same pass goes into a later one, and does not
 * read that again. */
#include "base/error_internal.h"
#include "base/os.h"
#include "machine/runtime_internal.h"
#include "score/distribution.h"
#include <gpt2/prefix_cache.h>

#include <inttypes.h>
#include <string.h>

#define MAX_ROWS 512

/* Rows of logits at a time: enough that the head is read at the speed of arithmetic. A multiple of
 * the rows that the head meets at a time (forward/matmul.c). */
#define PORTION 96

#define DEFAULT_WINDOWS 32

#define LOOK_AHEAD 128 /* windows among which those of a pass are looked for */

/* A window that is not read yet. */
struct waiting {
    const struct gpt2_window *window;
    size_t at;                  /* of its first score in the run */
    struct gpt2_prefix *prefix; /* of its context, or NULL       */
    bool joins;                 /* the pass at hand              */
};

/* What a row of logits is for. */
struct logits_row {
    int32_t target;
    size_t at; /* of its score in the run */
};

struct gpt2_scorer {
    const struct gpt2_model *model; /* borrowed */
    struct pool *pool;              /* borrowed */
    const struct kernels *kernels;
    struct gpt2_batch *batch;
    int n_vocab, n_top, max_windows;
    unsigned char *marked; /* [n_vocab] or NULL */
    float *exps;           /* [threads, n_vocab] */

    struct gpt2_session *prefix;    /* holds the prefix                                    */
    struct gpt2_session **sessions; /* [max_windows]; created when they are first needed   */
    bool *continues;                /* [max_windows] session i holds a copy of the prefix  */
    struct gpt2_span *spans;        /* [max_windows] */

    struct gpt2_prefix_cache *prefixes; /* NULL: nothing is kept */

    /* of the current run */
    struct waiting *waiting; /* [LOOK_AHEAD] windows that are next, in order */
    int n_waiting;
    struct logits_row *rows; /* [max_rows] of logits of a pass */
    size_t max_rows;
    struct gpt2_score *scores;    /* [rows of the run]         */
    struct gpt2_alternative *top; /* [rows of the run, n_top]  */
};

/* Some rows on their way to their scores. */
struct portion {
    const struct gpt2_scorer *scorer;
    const float *logits; /* [n, rows of wte] */
    int first;           /* which row of the run logits[0] is */
};

static void score_row(void *arg, int row, int worker) {
    const struct portion *portion = arg;
    const struct gpt2_scorer *s = portion->scorer;
    size_t stride = (size_t)gpt2_model_config(s->model)->n_vocab;
    const struct logits_row *made = &s->rows[(size_t)portion->first + (size_t)row];
    size_t at = made->at, n_vocab = (size_t)s->n_vocab;
    const float *logits = portion->logits + (size_t)row * stride;
    float *exps = s->exps + (size_t)worker * n_vocab;
    memcpy(exps, logits, n_vocab * sizeof *exps);
    s->kernels->softmax(exps, n_vocab, 1.0f);
    distribution_score(&s->scores[at], s->n_top ? s->top + at * (size_t)s->n_top : NULL, s->n_top,
                       logits, exps, s->n_vocab, made->target, s->marked);
}

static void take_logits(void *user, int first, int n, const float *logits) {
    struct gpt2_scorer *scorer = user;
    struct portion portion = {scorer, logits, first};
    pool_run(scorer->pool, n, score_row, &portion);
}

static bool check_options(const struct gpt2_scorer_options *options, int n_rows,
                          struct gpt2_error *err) {
    int n_vocab = options->n_vocab ? options->n_vocab : n_rows;
    if (!error_reserved(options->reserved, "gpt2_scorer_options", err))
        return false;
    if (options->n_vocab < 0 || options->n_vocab > n_rows)
        return error_set(err, GPT2_ERR_USAGE, "scorer: expected a vocabulary of 0 to %d, got %d",
                         n_rows, options->n_vocab);
    if (options->n_top < 0 || options->n_top > n_vocab)
        return error_set(err, GPT2_ERR_USAGE, "scorer: expected 0 to %d alternatives, got %d",
                         n_vocab, options->n_top);
    if (options->max_windows < 0 || options->max_windows > MAX_ROWS)
        return error_set(err, GPT2_ERR_USAGE, "scorer: expected 0 to %d windows, got %d", MAX_ROWS,
                         options->max_windows);
    return true;
}

struct gpt2_scorer *gpt2_scorer_create(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                       const struct gpt2_scorer_options *options,
                                       struct gpt2_error *err) {
    struct gpt2_scorer_options defaults = {0};
    if (!options)
        options = &defaults;
    int n_rows = gpt2_model_config(model)->n_vocab;
    if (!check_options(options, n_rows, err))
        return NULL;
    struct gpt2_scorer *s = os_alloc(1, sizeof *s, "the scorer", err);
    if (!s)
        return NULL;
    s->model = model;
    s->pool = runtime->pool;
    s->kernels = runtime->kernels;
    s->n_vocab = options->n_vocab ? options->n_vocab : n_rows;
    s->n_top = options->n_top;
    s->max_windows = options->max_windows ? options->max_windows : DEFAULT_WINDOWS;
    size_t n = (size_t)s->max_windows;
    struct gpt2_batch_options sizes = {.max_rows = MAX_ROWS, .max_logits = PORTION};
    s->batch = gpt2_batch_create(model, runtime, &sizes, err);
    if (!s->batch)
        goto fail;
    gpt2_batch_set_reader(s->batch, take_logits, s);
    s->sessions = os_alloc(n, sizeof(struct gpt2_session *), "the scorer", err);
    s->continues = os_alloc(n, sizeof *s->continues, "the scorer", err);
    s->spans = os_alloc(n, sizeof *s->spans, "the scorer", err);
    s->prefix = gpt2_session_create(model, &(struct gpt2_session_options){.kv = options->kv}, err);
    size_t floats = (size_t)pool_size(s->pool) * (size_t)s->n_vocab;
    s->exps = os_alloc(floats, sizeof *s->exps, "the scorer", err);
    s->waiting = os_alloc(LOOK_AHEAD, sizeof *s->waiting, "the scorer", err);
    if (!s->sessions || !s->continues || !s->spans || !s->prefix || !s->exps || !s->waiting)
        goto fail;
    if (options->prefix_bytes) {
        s->prefixes =
            gpt2_prefix_cache_create(model,
                                     &(struct gpt2_prefix_cache_options){
                                         .max_bytes = options->prefix_bytes, .kv = options->kv},
                                     err);
        if (!s->prefixes)
            goto fail;
    }
    if (options->marked) {
        s->marked = os_alloc((size_t)s->n_vocab, 1, "the scorer", err);
        if (!s->marked)
            goto fail;
        memcpy(s->marked, options->marked, (size_t)s->n_vocab);
    }
    return s;
fail:
    gpt2_scorer_free(s);
    return NULL;
}

void gpt2_scorer_free(struct gpt2_scorer *s) {
    if (!s)
        return;
    for (int i = 0; s->sessions && i < s->max_windows; i++)
        gpt2_session_free(s->sessions[i]);
    gpt2_prefix_cache_free(s->prefixes);
    os_free(s->waiting);
    os_free(s->rows);
    os_free(s->exps);
    os_free(s->marked);
    gpt2_session_free(s->prefix);
    os_free(s->spans);
    os_free(s->continues);
    os_free(s->sessions);
    gpt2_batch_free(s->batch);
    os_free(s);
}

static bool check_id(const struct gpt2_scorer *s, int32_t id, struct gpt2_error *err) {
    return (id >= 0 && id < s->n_vocab) ||
           error_set(err, GPT2_ERR_USAGE, "token id %" PRId32 ": expected 0 to %d, the vocabulary",
                     id, s->n_vocab - 1);
}

/* Reads ids [n_ids] into the prefix's session, but for what another text has read. */
static bool read_prefix(struct gpt2_scorer *s, const int32_t *ids, int n_ids,
                        struct gpt2_prefix *prefix, struct gpt2_error *err) {
    if (prefix && !gpt2_prefix_take(prefix, s->prefix, err))
        return false;
    int n_read = gpt2_session_position(s->prefix);
    struct gpt2_span span = {.session = s->prefix, .ids = ids + n_read, .n_ids = n_ids - n_read};
    if (!gpt2_batch_run(s->batch, &span, 1, err))
        return false;
    if (prefix)
        gpt2_prefix_read(prefix);
    return true;
}

bool gpt2_scorer_prefix(struct gpt2_scorer *s, const int32_t *ids, int n_ids,
                        struct gpt2_error *err) {
    for (int i = 0; i < n_ids; i++)
        if (!check_id(s, ids[i], err))
            return false;
    memset(s->continues, 0, (size_t)s->max_windows * sizeof *s->continues);
    if (!gpt2_session_rewind(s->prefix, 0, err))
        return false;
    if (n_ids == 0)
        return true;
    struct gpt2_prefix *prefix = NULL;
    if (s->prefixes && n_ids <= gpt2_session_capacity(s->prefix) &&
        !(prefix = gpt2_prefix_begin(s->prefixes, ids, n_ids, err)))
        return false;
    bool ok = read_prefix(s, ids, n_ids, prefix, err);
    gpt2_prefix_end(prefix);
    return ok;
}

bool gpt2_scorer_keep(struct gpt2_scorer *s, const struct gpt2_session *session, const int32_t *ids,
                      int n_ids, struct gpt2_error *err) {
    if (!s->prefixes)
        return error_set(err, GPT2_ERR_USAGE, "scorer: expected prefix_bytes, got 0");
    return gpt2_prefix_keep(s->prefixes, session, ids, n_ids, err);
}

/* Session i with the prefix in it and nothing else; NULL: out of memory. */
static struct gpt2_session *session_at_prefix(struct gpt2_scorer *s, int i,
                                              struct gpt2_error *err) {
    if (!s->sessions[i]) {
        struct gpt2_session_options options = {.kv = gpt2_session_kv(s->prefix)};
        s->sessions[i] = gpt2_session_create(s->model, &options, err);
        if (!s->sessions[i])
            return NULL;
    }
    bool ok = s->continues[i]
                  ? gpt2_session_rewind(s->sessions[i], gpt2_session_position(s->prefix), err)
                  : gpt2_session_fork(s->sessions[i], s->prefix, err);
    s->continues[i] = ok;
    return ok ? s->sessions[i] : NULL;
}

static bool check_window(const struct gpt2_scorer *s, const struct gpt2_window *window, int index,
                         struct gpt2_error *err) {
    if (window->n_ids < 1 || window->first < 1 || window->first > window->n_ids)
        return error_set(err, GPT2_ERR_USAGE,
                         "window %d: expected at least 1 token, scored from 1 to that many on, got "
                         "%d and %d",
                         index, window->n_ids, window->first);
    for (int i = 0; i < window->n_ids; i++)
        if (!check_id(s, window->ids[i], err))
            return false;
    return true;
}

/* Room to remember what n rows of logits are for. */
static bool reserve_rows(struct gpt2_scorer *s, size_t n, struct gpt2_error *err) {
    if (n <= s->max_rows)
        return true;
    os_free(s->rows);
    s->max_rows = 0;
    s->rows = os_alloc(n, sizeof *s->rows, "the scorer", err);
    if (s->rows)
        s->max_rows = n;
    return s->rows != NULL;
}

/* ---- which windows are read together ---- */

/* What the windows' contexts begin with is shared where nothing else stands before them. */
static bool begin_prefix(struct gpt2_scorer *s, struct waiting *w, struct gpt2_error *err) {
    if (!s->prefixes || gpt2_session_position(s->prefix) > 0 || w->window->first < 2)
        return true;
    w->prefix = gpt2_prefix_begin(s->prefixes, w->window->ids, w->window->first, err);
    return w->prefix != NULL;
}

/* Fills the list of those that are looked at. */
static bool look_ahead(struct gpt2_scorer *s, const struct gpt2_window *windows, int n_windows,
                       int *next, size_t *at, struct gpt2_error *err) {
    while (s->n_waiting < LOOK_AHEAD && *next < n_windows) {
        const struct gpt2_window *window = &windows[(*next)++];
        struct waiting *w = &s->waiting[s->n_waiting];
        *w = (struct waiting){.window = window, .at = *at};
        *at += (size_t)(window->n_ids - window->first);
        if (window->first == window->n_ids) // nothing of it is scored
            continue;
        s->n_waiting++;
        if (!begin_prefix(s, w, err))
            return false;
    }
    return true;
}

/* Puts a window into the next pass, unless it waits for another one or does not fit. */
static bool join_pass(struct gpt2_scorer *s, struct waiting *w, int *n_spans, size_t *n_rows,
                      struct gpt2_error *err) {
    const struct gpt2_window *window = w->window;
    int n_read = w->prefix ? gpt2_prefix_ready(w->prefix) : 0;
    size_t rows = (size_t)(window->n_ids - 1 - n_read);
    // a window that is longer than a pass goes alone
    if (*n_spans == s->max_windows || (*n_spans > 0 && *n_rows + rows > MAX_ROWS) ||
        (w->prefix && gpt2_prefix_waits(w->prefix)))
        return true;
    struct gpt2_session *session = session_at_prefix(s, *n_spans, err);
    if (!session || (w->prefix && !gpt2_prefix_take(w->prefix, session, err)))
        return false;
    w->joins = true;
    *n_rows += rows;
    s->spans[(*n_spans)++] = (struct gpt2_span){
        session, window->ids + n_read, window->n_ids - 1 - n_read, window->n_ids - window->first};
    return true;
}

/* Says what the rows of logits of the pass are for. */
static bool note_rows(struct gpt2_scorer *s, struct gpt2_error *err) {
    size_t n = 0;
    for (int i = 0; i < s->n_waiting; i++)
        if (s->waiting[i].joins)
            n += (size_t)(s->waiting[i].window->n_ids - s->waiting[i].window->first);
    if (!reserve_rows(s, n, err))
        return false;
    n = 0;
    for (int i = 0; i < s->n_waiting; i++) {
        const struct waiting *w = &s->waiting[i];
        for (int k = w->window->first; w->joins && k < w->window->n_ids; k++)
            s->rows[n++] =
                (struct logits_row){w->window->ids[k], w->at + (size_t)(k - w->window->first)};
    }
    return true;
}

/* Takes those that were read, or with `all` every one, from the list. */
static void sweep(struct gpt2_scorer *s, bool all) {
    int n_kept = 0;
    for (int i = 0; i < s->n_waiting; i++) {
        struct waiting *w = &s->waiting[i];
        if (!all && !w->joins) {
            s->waiting[n_kept++] = *w;
            continue;
        }
        gpt2_prefix_end(w->prefix);
    }
    s->n_waiting = n_kept;
}

/* One pass: of the windows in the list as many as fit. */
static bool run_pass(struct gpt2_scorer *s, struct gpt2_error *err) {
    int n_spans = 0;
    size_t n_rows = 0;
    for (int i = 0; i < s->n_waiting; i++)
        if (!join_pass(s, &s->waiting[i], &n_spans, &n_rows, err))
            return false;
    if (!note_rows(s, err) || !gpt2_batch_run(s->batch, s->spans, n_spans, err))
        return false;
    for (int i = 0; i < s->n_waiting; i++)
        if (s->waiting[i].joins && s->waiting[i].prefix)
            gpt2_prefix_read(s->waiting[i].prefix);
    return true;
}

bool gpt2_scorer_run(struct gpt2_scorer *s, const struct gpt2_window *windows, int n_windows,
                     struct gpt2_score *scores, struct gpt2_alternative *top,
                     struct gpt2_error *err) {
    for (int i = 0; i < n_windows; i++)
        if (!check_window(s, &windows[i], i, err))
            return false;
    s->scores = scores;
    s->top = top;
    int next = 0;
    size_t at = 0;
    bool ok = true;
    while (ok && (next < n_windows || s->n_waiting > 0)) {
        ok = look_ahead(s, windows, n_windows, &next, &at, err) &&
             (s->n_waiting == 0 || run_pass(s, err));
        sweep(s, !ok);
    }
    return ok;
}
