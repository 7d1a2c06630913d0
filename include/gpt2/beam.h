/* beam.h - beam search: the likeliest continuations instead of drawn ones.
 *
 * As Hugging Face transformers' tensor implementation of it, in f64. A beam's running score is the
 * sum of its tokens' log-probabilities (logprobs.h), among those that the tokenizer has, if there
 * is one. Each step:
 *
 *   1. of all continuations of the running beams (one at the first step) the best
 *      K = max(2, 1 + n_eos) * n_beams are looked at, of equal ones the lowest beam * n_vocab + id;
 *   2. the best n_beams of them that do not end go on;
 *   3. those of the first n_beams that end (at an end id, where a stop or a choice is complete, or
 *      because max_tokens or the context is used up) are finished, with the score
 *      sum / n^length_penalty, where n counts the generated tokens with the end id; the n_beams
 *      best finished ones are kept.
 *
 * It is over when everything looked at has ended; or with early stopping, when n_beams are
 * finished; or else when they are and the best running beam cannot beat the worst of them if it
 * ended now (with GPT2_EARLY_NEVER and a positive length_penalty: if its sum stayed as it is until
 * the longest length).
 *
 * A search is one of a generator's requests, beside others: the prompt is read once, and one pass
 * over the weights moves all beams of all searches on. The result does not depend on the
 * other requests.
 *
 *     struct gpt2_beams *beams = gpt2_beams_create(model, &options, &err);
 *     gpt2_beams_run(beams, generator, ids, n_ids, &err);
 *     struct gpt2_beam best = gpt2_beams_get(beams, 0);
 */
#ifndef GPT2_BEAM_H
#define GPT2_BEAM_H

#include <gpt2/choices.h>
#include <gpt2/error.h>
#include <gpt2/generator.h>
#include <gpt2/healing.h>
#include <gpt2/logprobs.h>
#include <gpt2/model.h>
#include <gpt2/sampler.h>
#include <gpt2/stops.h>
#include <gpt2/tokenizer.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum gpt2_early_stopping { GPT2_EARLY_FALSE, GPT2_EARLY_TRUE, GPT2_EARLY_NEVER };

/* Everything that is pointed to is borrowed, but for eos_ids. */
struct gpt2_beam_options {
    int n_beams;          /* at least 1                                                         */
    int max_tokens;       /* generated tokens at most, at least 1; -1: until the context is full */
    float length_penalty; /* Hugging Face's default is 1; > 0 favours long ones, < 0 short ones */
    enum gpt2_early_stopping early_stopping;
    const int32_t *eos_ids; /* [n_eos] the end ids; copied                                */
    int n_eos;
    int n_vocab; /* ids from here on are never chosen (padding); 0: the model's vocabulary */
    int n_top;   /* how many of the likeliest ids to note at each place; 0: none           */

    /* Penalties, bans and the like, applied to the log-probabilities (sampler.h), its filters and
     * draws are not used. NULL: none. Made for n_vocab at most. */
    struct gpt2_sampler *rules;

    const struct gpt2_tokenizer *tokenizer; /* for stops; else it may be NULL      */
    const struct gpt2_stops *stops;         /* NULL: none                          */
    const struct gpt2_choices *choices;     /* NULL: any text                      */
    const struct gpt2_healer *healer;       /* NULL: the prompt is taken as it is  */

    /* Asked before each step, with what it goes on from; false ends the search, as if max_tokens
     * were reached. NULL: never. */
    bool (*go_on)(void *user, const struct gpt2_step *steps, int n_steps);
    /* The search is over: results are there, or an error. It may free what was given to
     * gpt2_beams_start. NULL: no call. */
    void (*ended)(void *user);
    void *user;
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* One search after another. Borrows the model. Fails with GPT2_ERR_USAGE where an option is out of
 * range (NaN included), or GPT2_ERR_MEMORY. */
struct gpt2_beams;
struct gpt2_beams *gpt2_beams_create(const struct gpt2_model *model,
                                     const struct gpt2_beam_options *options,
                                     struct gpt2_error *err);
/* If its search is running, the generator can only be freed afterwards. NULL is allowed. */
void gpt2_beams_free(struct gpt2_beams *beams);

/* Hands a search for continuations of ids [n_ids], n_ids >= 1, to a generator of the same model,
 * which has it until it is done. With a healer the end of the ids may be taken off. Fails with
 * GPT2_ERR_USAGE while the search before is not done or where the generator is of another model, or
 * as gpt2_generator_add. */
bool gpt2_beams_start(struct gpt2_beams *beams, struct gpt2_generator *generator,
                      const int32_t *ids, int n_ids, struct gpt2_error *err);
bool gpt2_beams_done(const struct gpt2_beams *beams);

/* Why a search that is done has no results: the rules leave no id to go on with (GPT2_ERR_USAGE),
 * GPT2_ERR_MEMORY. NULL: it has. */
const struct gpt2_error *gpt2_beams_error(const struct gpt2_beams *beams);

/* Starts a search and steps the generator until it is done. Fails as these do. */
bool gpt2_beams_run(struct gpt2_beams *beams, struct gpt2_generator *generator, const int32_t *ids,
                    int n_ids, struct gpt2_error *err);

struct gpt2_beam {
    const int32_t *ids; /* [n_ids] generated, without the end id; borrowed until the next start */
    int n_ids;
    bool ended;     /* at an end id                                                       */
    int32_t end_id; /* the end id, where ended                                            */
    bool stopped;   /* at a stop, or as a choice is complete. Neither: by length          */
    double sum;     /* of log-probabilities as the rules left them, the end id's included */
    double score;   /* sum / n^length_penalty: what they are ranked by                    */

    const double *logprobs;         /* [n_ids] of the unmodified logits (logprobs.h) */
    const struct gpt2_logprob *top; /* [n_ids][n_top] the likeliest ids at each place; n_top as
                                       asked for, but at most the model's vocabulary        */
    int n_top;
};

/* The results of the last search, best first: n_beams of them, fewer only where there are not so
 * many. None before it is done. */
int gpt2_beams_count(const struct gpt2_beams *beams);
struct gpt2_beam gpt2_beams_get(const struct gpt2_beams *beams, int i);

#ifdef __cplusplus
}
#endif
#endif
