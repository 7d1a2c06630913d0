/* scoring.h - scores texts of any number and length; results come in the order of the texts.
 *
 * Windows of one long text or of many short texts are gathered until they fill a pass of the model
 * (gpt2/score.h), so that a file of short lines is scored as fast as a book.
 *
 *     scoring_begin -> text -> scoring_add ... -> scoring_end        (one text open at a time)
 *
 * After each pass its results are handed over: `token` for each token of a text in order, then
 * `end`. */
#ifndef CLI_SCORE_SCORING_H
#define CLI_SCORE_SCORING_H

#include <gpt2/score.h>
#include <stdbool.h>
#include <stddef.h>

/* One token of a text, as the sink receives it. */
struct scored_token {
    int32_t id;
    const struct gpt2_score *score;     /* NULL: this protocol does not score it */
    const struct gpt2_alternative *top; /* [n_top] */
    bool is_end;                        /* the appended end_id, which is not part of the text */
};

/* Receives the results. `token` and `end` may return false with err set, which ends the scoring. */
struct scoring_sink {
    bool (*token)(void *user, void *text, const struct scored_token *token, struct gpt2_error *err);
    bool (*end)(void *user, void *text, const struct gpt2_plan *plan, struct gpt2_error *err);
    void (*drop)(void *text); /* frees the text's `user`: after `end`, or in scoring_free */
    void *user;
};

struct scoring;
struct scoring_text;

struct scoring_options {
    struct gpt2_plan plan; /* protocol, n_ctx, stride, and bos of a text without a context */
    bool context_bos;      /* ... and of one with it */
    int32_t bos_id;        /* used if plan.bos */
    int32_t end_id;        /* appended to every text; -1: none */
    int n_top;
};

/* The scorer is borrowed. NULL: out of memory. */
struct scoring *scoring_create(struct gpt2_scorer *scorer, const struct scoring_options *options,
                               const struct scoring_sink *sink, struct gpt2_error *err);
void scoring_free(struct scoring *scoring); /* NULL is allowed; drops unfinished texts */

/* Begins a text, after context [n_context] (n_context 0: nothing), which is read and not scored,
 * nor handed over. `user` is passed to the sink with all of the text's results; `drop` frees it,
 * even if this function fails: GPT2_ERR_INPUT where the context leaves no room for a token. */
struct scoring_text *scoring_begin(struct scoring *scoring, void *user, const int32_t *context,
                                   size_t n_context, struct gpt2_error *err);
bool scoring_add(struct scoring *scoring, struct scoring_text *text, const int32_t *ids, size_t n,
                 struct gpt2_error *err);
bool scoring_end(struct scoring *scoring, struct scoring_text *text, struct gpt2_error *err);

/* Scores all windows gathered so far and hands over their results. */
bool scoring_flush(struct scoring *scoring, struct gpt2_error *err);

#endif
