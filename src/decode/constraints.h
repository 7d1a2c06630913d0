/* constraints.h - the state of one sequence that decides which tokens may come next and when the
 * text ends: history (for penalties), choices, healing and stops.
 *
 * A text that is drawn and each beam of a search have one each. For one thread at a time. */
#ifndef DECODE_CONSTRAINTS_H
#define DECODE_CONSTRAINTS_H

#include <gpt2/choices.h>
#include <gpt2/healing.h>
#include <gpt2/sampler.h>
#include <gpt2/stops.h>
#include <gpt2/tokenizer.h>

/* What the sequences of a request have in common. Everything is borrowed and may be NULL. */
struct constraints_options {
    const struct gpt2_sampler *sampler; /* whose rules may need a history */
    const struct gpt2_tokenizer *tokenizer;
    const struct gpt2_stops *stops; /* needs the tokenizer */
    const struct gpt2_choices *choices;
    const struct gpt2_healer *healer;
    int n_generated; /* of the last ids of the prompt: to the history they are no prompt */
};

struct constraints {
    struct constraints_options options;
    struct gpt2_history *history;    /* NULL: no rule looks back */
    struct gpt2_stop_stream *stream; /* NULL: no stops           */
    struct gpt2_heal *heal;          /* NULL: no healer          */
    int place;                       /* in the trie of choices   */
};

/* False: GPT2_ERR_MEMORY; free it all the same. */
bool constraints_create(struct constraints *constraints, const struct constraints_options *options,
                        struct gpt2_error *err);
void constraints_free(struct constraints *constraints); /* a zeroed struct is allowed */

/* Starts a new text after the prompt ids [n_ids]. *n_kept is how many of them the model reads:
 * healing takes the others off the end, to be generated again. */
bool constraints_begin(struct constraints *constraints, const int32_t *ids, int n_ids, int *n_kept,
                       struct gpt2_error *err);

/* Makes it a copy of `source`, which has the same options and began with the same prompt. */
bool constraints_copy(struct constraints *constraints, const struct constraints *source,
                      struct gpt2_error *err);

/* The ids that may come next, ascending, *n of them; NULL: any. Valid until the next token. */
const int32_t *constraints_allowed(const struct constraints *constraints, int *n);

/* What a token did. */
struct constraints_step {
    struct gpt2_shown shown; /* the text that can be shown now, and the stop that ended it */
    bool chosen;             /* a choice is complete                                       */
};

/* Appends a token, which is allowed. *step is valid until the next call. After an error only
 * constraints_begin and constraints_free may follow. */
bool constraints_take(struct constraints *constraints, int32_t id, struct constraints_step *step,
                      struct gpt2_error *err);

/* Sets *ends to whether the text would end with `id`, at a stop or as a complete choice. `probe`
 * has the same options; its text is lost. */
bool constraints_would_end(const struct constraints *constraints, int32_t id,
                           struct constraints *probe, bool *ends, struct gpt2_error *err);

/* The text ended without a stop: gives what was held back. */
void constraints_finish(struct constraints *constraints, struct gpt2_shown *shown);

#endif
