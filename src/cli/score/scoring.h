/* scoring.h - texts go in as token ids, their scores come out in order.
 *
 * Windows of one long text, or of many short ones, are gathered until they fill a pass of the model
 * (gpt2/score.h), so that scoring a file of short lines runs as fast as scoring a book.
 *
 *     scoring_begin -> text -> scoring_add ... -> scoring_end        (one text open at a time)
 *
 * Results are handed over as soon as there is a pass of them: `token` for each token of each text
 * in order, then `end`. */
#ifndef CLI_SCORE_SCORING_H
#define CLI_SCORE_SCORING_H

#include <gpt2/score.h>
#include <stdbool.h>
#include <stddef.h>

/* One token of a text on its way out. */
struct scored_token {
    int32_t id;
    const struct gpt2_score *score;     /* NULL: this protocol does not score it */
    const struct gpt2_alternative *top; /* [n_top] */
    bool is_end; /* it is scoring.end_id, which the text does not have: for its context's sake */
};

/* What becomes of the results. The first two return false with err set to stop everything. */
struct scoring_sink {
    bool (*token)(void *user, void *text, const struct scored_token *token, struct gpt2_error *err);
    bool (*end)(void *user, void *text, const struct gpt2_plan *plan, struct gpt2_error *err);
    void (*drop)(
        void *text); /* frees what scoring_begin was given: after `end`, or on the way out */
    void *user;
};

struct scoring;
struct scoring_text;

struct scoring_options {
    struct gpt2_plan plan; /* the upper part */
    int32_t bos_id;        /* where plan.bos */
    int32_t end_id;        /* -1, or put behind every text */
    int n_top;
};

/* Borrows the scorer. NULL: GPT2_ERR_MEMORY. */
struct scoring *scoring_create(struct gpt2_scorer *scorer, const struct scoring_options *options,
                               const struct scoring_sink *sink, struct gpt2_error *err);
void scoring_free(struct scoring *scoring); /* NULL is allowed; texts under way are dropped */

/* `user` is handed to the sink with everything about this text, and to its `drop`, also where this
 * fails. */
struct scoring_text *scoring_begin(struct scoring *scoring, void *user, struct gpt2_error *err);
bool scoring_add(struct scoring *scoring, struct scoring_text *text, const int32_t *ids, size_t n,
                 struct gpt2_error *err);
bool scoring_end(struct scoring *scoring, struct scoring_text *text, struct gpt2_error *err);

/* Scores what is still waiting. */
bool scoring_flush(struct scoring *scoring, struct gpt2_error *err);

#endif
