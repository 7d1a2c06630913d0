/* completion_internal.h - a completion from inside (what it is for: gpt2/completion.h). */
#ifndef DECODE_COMPLETION_INTERNAL_H
#define DECODE_COMPLETION_INTERNAL_H

#include "decode/completion_sample.h"

struct gpt2_completion {
    const struct gpt2_model *model;
    const struct gpt2_config *config;
    const struct gpt2_tokenizer *tokenizer; /* or NULL */
    struct gpt2_completion_options options; /* sampler and stops are set, own or not */
    struct gpt2_sampler *own_sampler;       /* NULL: the caller's */
    struct gpt2_stops *own_stops;           /* NULL: the caller's, or there is no tokenizer */
    struct gpt2_ids prompt;
    int n_read; /* of its ids; healing generates the others again */
    struct completion_sample *samples;
    int n_samples, n_ended;
    bool started;
    struct constraints probe; /* of a text that is only guessed, where there is speculation */
    struct gpt2_logprob *top; /* [options.n_top] of the token at hand */
    struct gpt2_beams *beams; /* while a search goes on; else NULL */
    bool stopped, timed_out;  /* what ended it */
    uint64_t start_ns;
    struct gpt2_error err; /* of a text with GPT2_FINISH_FAILED */
};

/* The rows of logits that are tokens. */
static inline int completion_rows(const struct gpt2_completion *c) {
    return gpt2_tokenizer_rows(c->tokenizer, c->config->n_vocab);
}

/* ---- completion_text.c: a text grows, drawn or searched for ---- */

/* Appends a token to a text and shows it. *last is set where the text ends with it. False: the
 * text has failed, with its error in c->err. */
bool completion_append(struct gpt2_completion *c, int sample, const struct sample_token *token,
                       bool *last);

/* A text has ended because of `finish`, or of what completion_append found: shows what was held
 * back. */
void completion_close(struct gpt2_completion *c, int sample, enum gpt2_finish finish);

/* True where max_time is over. */
bool completion_timed_out(const struct gpt2_completion *c);

/* The next id by these constraints, keyed by step->sample and n_ids, or -1 where there is none. */
int32_t completion_draw(const struct gpt2_completion *c, const struct constraints *constraints,
                        const struct gpt2_step *step);

/* Whether a text ends with this id. Among choices it says which of two is meant. */
bool completion_ends_with(const struct gpt2_completion *c, int32_t id);

/* ---- completion_draft.c: guesses, where options.speculation asks for them ---- */

/* Makes c->probe. */
bool completion_draft_begin(struct gpt2_completion *c, const struct constraints_options *options,
                            struct gpt2_error *err);

/* gpt2_request.draft, with the completion as `user`. */
int completion_draft(void *user, const struct gpt2_step *step, const struct gpt2_pass *last,
                     int32_t *draft, int max_draft);

/* A text has ended: what was guessed last can be checked. */
void completion_draft_end(struct gpt2_completion *c, int sample);

/* ---- completion_search.c: texts that are searched for ---- */

/* Makes c->beams, by the options. At the search's end the best beams become the texts, token by
 * token, as if they had just been drawn; where there are fewer beams, the texts become fewer. */
bool completion_search_create(struct gpt2_completion *c, struct gpt2_error *err);

#endif
