/* scored_continuation.c - tokenizes and scores continuations of one context. */
#include "cli/score/scored_continuation.h"
#include "cli/io/report.h"

#include <stdlib.h>
#include <string.h>

/* Context and one continuation as ids; ids[0..start) belong to the context. */
struct joined {
    struct gpt2_ids ids;
    size_t start;
};

struct scoring_batch {
    const struct engine *engine;
    struct joined *joined; /* [n] */
    struct gpt2_window *windows;
    struct gpt2_score *scores;
    char *text;
    int n;
    bool truncates;
};

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory while scoring");
}

static void batch_free(struct scoring_batch *batch) {
    for (int i = 0; batch->joined && i < batch->n; i++)
        gpt2_ids_free(&batch->joined[i].ids);
    free(batch->joined);
    free(batch->windows);
    free(batch->scores);
    free(batch->text);
}

static bool too_long(size_t n, int n_ctx, struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_INPUT, "shorten it",
                         "context and continuation have %zu tokens, the model's context holds %d",
                         n, n_ctx);
}

/* Appends the ids of a text. Where nothing is cut off, no more than one too many of them: so there
 * is memory for the text, and not for a token for each of its bytes. */
static bool encode(const struct scoring_batch *batch, const char *text, size_t n, size_t *n_all,
                   struct gpt2_ids *ids, struct gpt2_error *err) {
    const size_t room = (size_t)gpt2_model_config(batch->engine->model)->n_ctx + 1;
    return gpt2_tokenizer_encode_some(batch->engine->tokenizer, text, n, GPT2_ENCODE_TEXT,
                                      batch->truncates ? SIZE_MAX : room + 1, false, ids, n_all,
                                      err);
}

/* Tokenizes context + continuation; `own` are the ids of the context alone. */
static bool join(struct scoring_batch *batch, struct joined *joined, const char *context,
                 size_t len, const struct gpt2_ids *own, const struct scored_continuation *item,
                 struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(batch->engine->model);
    char *text = realloc(batch->text, len + item->len + 1);
    if (!text)
        return no_memory(err);
    batch->text = text;
    if (len)
        memcpy(text, context, len);
    memcpy(text + len, item->text, item->len);
    struct gpt2_ids *ids = &joined->ids;
    if (len == 0) {
        if (config->bos_id < 0)
            return command_error(err, GPT2_ERR_INPUT, "give a context",
                                 "the context is empty and the model has no token to start from");
        if (!gpt2_ids_push(ids, config->bos_id, err))
            return false;
    }
    const size_t n_start = ids->len;
    size_t n_all;
    if (!encode(batch, text, len + item->len, &n_all, ids, err))
        return false;
    if (ids->len < n_start + n_all)
        return too_long(n_start + n_all, config->n_ctx, err);
    joined->start = len == 0;
    while (joined->start < own->len && joined->start + 1 < ids->len &&
           own->data[joined->start] == ids->data[joined->start])
        joined->start++;
    if (joined->start == 0) // no common prefix: the first token is context, too
        joined->start = 1;
    return true;
}

/* Cuts ids off at the beginning until the rest fits the model's context. */
static bool fit(struct joined *joined, int n_ctx, bool truncate, struct gpt2_error *err) {
    size_t room = (size_t)n_ctx + 1, n = joined->ids.len; // the last token is predicted, not read
    if (n <= room)
        return true;
    size_t cut = n - room;
    if (!truncate || cut >= joined->start)
        return too_long(n, n_ctx, err);
    memmove(joined->ids.data, joined->ids.data + cut, room * sizeof *joined->ids.data);
    joined->ids.len = room;
    joined->start -= cut;
    return true;
}

/* The number of leading ids that all share and that come before the first scored token, without the
 * id that predicts that token. */
static size_t shared(const struct scoring_batch *batch) {
    size_t n = batch->joined[0].start - 1;
    for (int i = 1; i < batch->n; i++) {
        const struct joined *a = &batch->joined[0], *b = &batch->joined[i];
        if (b->start - 1 < n)
            n = b->start - 1;
        for (size_t k = 0; k < n; k++)
            if (a->ids.data[k] != b->ids.data[k])
                n = k;
    }
    return n;
}

static void sum_up(struct scored_continuation *item, const struct gpt2_score *scores, size_t n) {
    item->n_tokens = (int)n;
    item->logprob = 0;
    item->is_greedy = true;
    for (size_t i = 0; i < n; i++) {
        item->logprob += scores[i].logprob;
        item->is_greedy = item->is_greedy && scores[i].rank == 0;
    }
    item->last_first = n > 0 && scores[n - 1].rank == 0;
}

static bool run(struct scoring_batch *batch, struct gpt2_scorer *scorer,
                struct scored_continuation *items, struct gpt2_error *err) {
    size_t n_shared = batch->n > 1 ? shared(batch) : 0, n_scores = 0;
    if (!gpt2_scorer_prefix(scorer, batch->joined[0].ids.data, (int)n_shared, err))
        return false;
    for (int i = 0; i < batch->n; i++) {
        const struct joined *joined = &batch->joined[i];
        batch->windows[i] =
            (struct gpt2_window){joined->ids.data + n_shared, (int)(joined->ids.len - n_shared),
                                 (int)(joined->start - n_shared)};
        n_scores += joined->ids.len - joined->start;
    }
    batch->scores = calloc(n_scores + 1, sizeof *batch->scores);
    if (!batch->scores)
        return no_memory(err);
    if (!gpt2_scorer_run(scorer, batch->windows, batch->n, batch->scores, NULL, err))
        return false;
    const struct gpt2_score *at = batch->scores;
    for (int i = 0; i < batch->n; i++) {
        size_t n = batch->joined[i].ids.len - batch->joined[i].start;
        sum_up(&items[i], at, n);
        at += n;
    }
    return true;
}

bool continuation_score(const struct engine *engine, struct gpt2_scorer *scorer,
                        const char *context, size_t len, struct scored_continuation *items, int n,
                        bool truncate, struct gpt2_error *err) {
    if (n == 0)
        return true;
    struct scoring_batch batch = {.engine = engine, .truncates = truncate, .n = n};
    size_t n_own;
    struct gpt2_ids own = {0};
    int n_ctx = gpt2_model_config(engine->model)->n_ctx;
    batch.joined = calloc((size_t)n, sizeof *batch.joined);
    batch.windows = calloc((size_t)n, sizeof *batch.windows);
    bool ok = batch.joined && batch.windows ? true : no_memory(err);
    ok = ok && encode(&batch, context, len, &n_own, &own, err);
    for (int i = 0; ok && i < n; i++)
        ok = join(&batch, &batch.joined[i], context, len, &own, &items[i], err) &&
             fit(&batch.joined[i], n_ctx, truncate, err);
    ok = ok && run(&batch, scorer, items, err);
    gpt2_ids_free(&own);
    batch_free(&batch);
    return ok;
}
