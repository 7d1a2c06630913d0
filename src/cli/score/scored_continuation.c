/* scored_continuation.c - tokenizes and scores continuations of one context. */
#include "cli/score/scored_continuation.h"
#include "base/digest.h"
#include "cli/io/report.h"

#include <stdlib.h>
#include <string.h>

/* The last ids of a context and one continuation, as many as can be read; ids[0..start) belong to
 * the context. */
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

/* The most ids of context and continuation: the last one is predicted, not read. */
static size_t room(const struct scoring_batch *batch) {
    return (size_t)gpt2_model_config(batch->engine->model)->n_ctx + 1;
}

/* Appends the last ids of a text that fit, and counts all of them: there is memory for the text,
 * and not for a token for each of its bytes. */
static bool encode_last(const struct scoring_batch *batch, const char *text, size_t n,
                        struct gpt2_ids *ids, size_t *n_all, struct gpt2_error *err) {
    return gpt2_tokenizer_encode_some(batch->engine->tokenizer, text, n, GPT2_ENCODE_TEXT,
                                      room(batch), true, ids, n_all, err);
}

/* The ids of a text without the first `skip`, of which a digest is kept, nor more than `room`. */
struct later_ids {
    size_t skip, room;
    struct digest before;
    struct gpt2_ids ids;
};

static bool take_later(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                       struct gpt2_error *err) {
    struct later_ids *later = user;
    const size_t n_before = n < later->skip ? n : later->skip;
    digest_add(&later->before, ids, n_before * sizeof *ids);
    later->skip -= n_before;
    for (size_t i = n_before; i < n && later->ids.len < later->room; i++)
        if (!gpt2_ids_push(&later->ids, ids[i], err))
            return false;
    return true;
}

static bool encode_later(const struct scoring_batch *batch, const char *text, size_t n, size_t skip,
                         size_t most, struct later_ids *later, struct gpt2_error *err) {
    const struct gpt2_encode_sink sink = {take_later, later, false};
    *later = (struct later_ids){.skip = skip, .room = most};
    digest_start(&later->before, DIGEST_SHA256);
    return gpt2_tokenizer_encode_parts(batch->engine->tokenizer, text, n, GPT2_ENCODE_TEXT, &sink,
                                       err);
}

/* How many of ids[0..n), which `cut` others come before in text[0..len + more), the context
 * text[0..len) alone begins with, too: *start. 0: with none, or the others differ. `own` are the
 * context's first ids. */
static bool find_start(size_t *start, const struct scoring_batch *batch, const char *text,
                       size_t len, size_t more, size_t cut, const int32_t *ids, size_t n,
                       const struct gpt2_ids *own, struct gpt2_error *err) {
    struct later_ids alone = {0}, joined = {0};
    bool ok = true;
    *start = 0;
    if (cut > 0) {
        char here[DIGEST_HEX], there[DIGEST_HEX];
        ok = encode_later(batch, text, len, cut, room(batch), &alone, err) &&
             encode_later(batch, text, len + more, cut, 0, &joined, err);
        if (ok) {
            digest_end(&alone.before, here);
            digest_end(&joined.before, there);
        }
        if (!ok || alone.skip > 0 || strcmp(here, there) != 0)
            alone.ids.len = 0;
        own = &alone.ids;
    }
    while (ok && *start < own->len && *start < n && own->data[*start] == ids[*start])
        ++*start;
    gpt2_ids_free(&alone.ids);
    return ok;
}

/* Tokenizes context + continuation; `own` are the first ids of the context alone. */
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
    const size_t n_bos = ids->len;
    size_t n_all, start;
    if (!encode_last(batch, text, len + item->len, ids, &n_all, err))
        return false;
    n_all += n_bos;
    const size_t cut = n_all < room(batch) ? 0 : n_all - room(batch);
    if (cut > 0 && (!batch->truncates || n_bos))
        return too_long(n_all, config->n_ctx, err);
    // of a context the last token is never scored, of a continuation at least one is
    const size_t most = ids->len > 0 ? ids->len - 1 : 0;
    start = n_bos;
    if (!n_bos && !find_start(&start, batch, text, len, item->len, cut, ids->data, most, own, err))
        return false;
    if (start == 0 && cut > 0) // nothing of the context is left
        return too_long(n_all, config->n_ctx, err);
    joined->start = start > 0 ? start : 1; // no common prefix: the first token is context, too
    if (ids->len <= joined->start)
        return command_error(err, GPT2_ERR_INPUT, "give a longer context",
                             "expected a token of the continuation's own, found that it and the "
                             "context are %s together",
                             ids->len ? "one token" : "no token");
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
    struct later_ids own = {0};
    batch.joined = calloc((size_t)n, sizeof *batch.joined);
    batch.windows = calloc((size_t)n, sizeof *batch.windows);
    bool ok = batch.joined && batch.windows ? true : no_memory(err);
    ok = ok && encode_later(&batch, context, len, 0, room(&batch), &own, err);
    for (int i = 0; ok && i < n; i++)
        ok = join(&batch, &batch.joined[i], context, len, &own.ids, &items[i], err);
    ok = ok && run(&batch, scorer, items, err);
    gpt2_ids_free(&own.ids);
    batch_free(&batch);
    return ok;
}
