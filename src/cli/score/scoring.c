/* scoring.c - gathers windows of texts into passes and hands their scores over in order. */
#include "cli/score/scoring.h"
#include "cli/io/report.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS    512 /* tokens gathered for a pass; a longer window has its own pass */
#define MAX_ENTRIES 64

/* The tokens of a text that later windows or the sink still need.
 *
 *      text       0 .......... base .... emitted ......... n
 *      ids                     [0] ................ [n - base]             */
struct scoring_text {
    void *user;
    struct gpt2_plan plan;
    int32_t *ids;
    size_t cap;
    int64_t base, emitted, n;
    int64_t n_own; /* tokens of the text without end_id, set when it has ended */
    struct scoring_text *next;
};

/* Work for the next pass: a window, or the end of a text (n_ids 0). */
struct scoring_entry {
    struct scoring_text *text;
    size_t at; /* its ids in the pool */
    int n_ids, first;
    int64_t position; /* of the first scored token in the text */
};

struct scoring {
    struct gpt2_scorer *scorer;
    struct scoring_options options;
    struct scoring_sink sink;
    struct scoring_entry entries[MAX_ENTRIES];
    int n_entries;
    size_t n_rows;
    int32_t *pool; /* [max_pool] ids of the waiting windows */
    size_t max_pool;
    struct gpt2_score *scores;    /* [max_pool]        */
    struct gpt2_alternative *top; /* [max_pool, n_top] */
    struct scoring_text *texts;   /* those not handed over yet, in no order */
};

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory while scoring");
}

struct scoring *scoring_create(struct gpt2_scorer *scorer, const struct scoring_options *options,
                               const struct scoring_sink *sink, struct gpt2_error *err) {
    struct scoring *s = calloc(1, sizeof *s);
    if (!s) {
        no_memory(err);
        return NULL;
    }
    s->scorer = scorer;
    s->options = *options;
    s->sink = *sink;
    s->max_pool =
        (size_t)options->plan.n_ctx + 2 > MAX_ROWS ? (size_t)options->plan.n_ctx + 2 : MAX_ROWS;
    s->pool = calloc(s->max_pool, sizeof *s->pool);
    s->scores = calloc(s->max_pool, sizeof *s->scores);
    s->top = calloc(s->max_pool, ((size_t)options->n_top + 1) * sizeof *s->top);
    if (!s->pool || !s->scores || !s->top) {
        scoring_free(s);
        no_memory(err);
        return NULL;
    }
    return s;
}

static void drop(struct scoring *s, struct scoring_text *text) {
    for (struct scoring_text **link = &s->texts; *link; link = &(*link)->next) {
        if (*link == text) {
            *link = text->next;
            break;
        }
    }
    s->sink.drop(text->user);
    free(text->ids);
    free(text);
}

void scoring_free(struct scoring *s) {
    if (!s)
        return;
    while (s->texts)
        drop(s, s->texts);
    free(s->top);
    free(s->scores);
    free(s->pool);
    free(s);
}

static bool append(struct scoring_text *text, const int32_t *ids, size_t n,
                   struct gpt2_error *err) {
    size_t held = (size_t)(text->n - text->base);
    if (n > SIZE_MAX / sizeof *ids / 2 - held)
        return no_memory(err);
    if (held + n > text->cap) {
        size_t cap = text->cap * 2 > held + n ? text->cap * 2 : held + n;
        int32_t *grown = realloc(text->ids, cap * sizeof *grown);
        if (!grown)
            return no_memory(err);
        text->ids = grown;
        text->cap = cap;
    }
    if (n)
        memcpy(text->ids + held, ids, n * sizeof *ids);
    text->n += (int64_t)n;
    return true;
}

/* What is read before the text; its tokens count as handed over. */
static bool set_context(struct scoring_text *text, const int32_t *context, size_t n, bool bos,
                        struct gpt2_error *err) {
    text->plan.bos = bos;
    const size_t room = (size_t)(text->plan.n_ctx - 1 - bos);
    if (n > room)
        return command_error(err, GPT2_ERR_INPUT, "a shorter context, or a larger --ctx",
                             "a context of %zu tokens: expected at most %zu, for windows of %d", n,
                             room, text->plan.n_ctx);
    text->plan.scored = text->emitted = (int64_t)n;
    return append(text, context, n, err);
}

struct scoring_text *scoring_begin(struct scoring *s, void *user, const int32_t *context,
                                   size_t n_context, struct gpt2_error *err) {
    struct scoring_text *text = calloc(1, sizeof *text);
    if (!text) {
        s->sink.drop(user);
        no_memory(err);
        return NULL;
    }
    text->user = user;
    text->plan = s->options.plan;
    text->n_own = INT64_MAX;
    text->next = s->texts;
    s->texts = text;
    if (n_context == 0 || set_context(text, context, n_context, s->options.context_bos, err))
        return text;
    drop(s, text);
    return NULL;
}

/* Hands over the token at text->emitted. */
static bool emit(struct scoring *s, struct scoring_text *text, const struct gpt2_score *score,
                 const struct gpt2_alternative *top, struct gpt2_error *err) {
    struct scored_token token = {
        .id = text->ids[text->emitted - text->base],
        .score = score,
        .top = top,
        .is_end = text->emitted >= text->n_own,
    };
    text->emitted++;
    return s->sink.token(s->sink.user, text->user, &token, err);
}

/* Hands over the tokens before `position`, which no window scores. */
static bool emit_unscored(struct scoring *s, struct scoring_text *text, int64_t position,
                          struct gpt2_error *err) {
    while (text->emitted < position)
        if (!emit(s, text, NULL, NULL, err))
            return false;
    return true;
}

bool scoring_flush(struct scoring *s, struct gpt2_error *err) {
    struct gpt2_window windows[MAX_ENTRIES];
    int n = 0;
    for (int i = 0; i < s->n_entries; i++) {
        const struct scoring_entry *e = &s->entries[i];
        if (e->n_ids)
            windows[n++] = (struct gpt2_window){s->pool + e->at, e->n_ids, e->first};
    }
    if (!gpt2_scorer_run(s->scorer, windows, n, s->scores, s->top, err))
        return false;
    size_t at = 0; // index into the scores
    for (int i = 0; i < s->n_entries; i++) {
        const struct scoring_entry *e = &s->entries[i];
        if (e->n_ids) {
            if (!emit_unscored(s, e->text, e->position, err))
                return false;
            for (int k = e->first; k < e->n_ids; k++, at++)
                if (!emit(s, e->text, &s->scores[at], s->top + at * (size_t)s->options.n_top, err))
                    return false;
        } else {
            bool ok = emit_unscored(s, e->text, e->text->n, err) &&
                      s->sink.end(s->sink.user, e->text->user, &e->text->plan, err);
            drop(s, e->text);
            if (!ok) {
                // scoring_free drops the texts of the entries after it
                s->n_entries = 0;
                return false;
            }
        }
    }
    s->n_entries = 0;
    s->n_rows = 0;
    return true;
}

static bool push(struct scoring *s, struct scoring_text *text,
                 const struct gpt2_plan_window *window, struct gpt2_error *err) {
    size_t n = window ? (size_t)(window->end - window->begin) + window->bos : 0;
    if ((s->n_entries == MAX_ENTRIES || (s->n_rows && s->n_rows + n > MAX_ROWS)) &&
        !scoring_flush(s, err))
        return false;
    struct scoring_entry *e = &s->entries[s->n_entries++];
    *e = (struct scoring_entry){.text = text, .at = s->n_rows, .n_ids = (int)n};
    if (!window)
        return true;
    int32_t *ids = s->pool + s->n_rows;
    if (window->bos)
        *ids++ = s->options.bos_id;
    memcpy(ids, text->ids + (window->begin - text->base),
           (size_t)(window->end - window->begin) * sizeof *ids);
    e->first = (int)(window->first - window->begin) + window->bos;
    e->position = window->first;
    s->n_rows += n;
    return true;
}

/* Makes all windows that the tokens so far allow. */
static bool plan(struct scoring *s, struct scoring_text *text, bool finished,
                 struct gpt2_error *err) {
    struct gpt2_plan_window window;
    while (gpt2_plan_next(&text->plan, text->n, finished, &window))
        if (!push(s, text, &window, err))
            return false;
    return true;
}

/* Drops tokens that are no longer needed, once they are half of those held. */
static void forget(struct scoring_text *text) {
    int64_t keep = text->plan.keep < text->emitted ? text->plan.keep : text->emitted;
    int64_t unused = keep - text->base, held = text->n - text->base;
    if (unused <= held / 2)
        return;
    memmove(text->ids, text->ids + unused, (size_t)(held - unused) * sizeof *text->ids);
    text->base = keep;
}

bool scoring_add(struct scoring *s, struct scoring_text *text, const int32_t *ids, size_t n,
                 struct gpt2_error *err) {
    forget(text);
    return append(text, ids, n, err) && plan(s, text, false, err);
}

bool scoring_end(struct scoring *s, struct scoring_text *text, struct gpt2_error *err) {
    text->n_own = text->n;
    if (s->options.end_id >= 0 && !append(text, &s->options.end_id, 1, err))
        return false;
    return plan(s, text, true, err) && push(s, text, NULL, err);
}
