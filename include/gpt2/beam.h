/* beam.h - beam search: the likeliest continuations instead of drawn ones.
 *
 * As Hugging Face transformers' tensor implementation of it, in f64. A beam's running score is the
 * sum of its tokens' log-probabilities. Each step:
 *
 *   1. of all continuations of the running beams (one at the first step) the best
 *      K = max(2, 1 + n_eos) * n_beams are looked at, of equal ones the lowest beam * n_vocab + id;
 *   2. the best n_beams of them that do not end go on;
 *   3. those of the first n_beams that end (at an end id, or because max_tokens or the context is
 *      used up) are finished, with the score sum / n^length_penalty, where n counts the generated
 *      tokens with the end id; the n_beams best finished ones are kept.
 *
 * It is over when everything looked at has ended; or with early stopping, when n_beams are
 * finished; or else when they are and the best running beam cannot beat the worst of them if it
 * ended now (with GPT2_EARLY_NEVER and a positive length_penalty: if its sum stayed as it is until
 * the longest length).
 *
 * The beams' prompt is read once; one pass over the weights moves all beams on. Same bits for any
 * number of threads, as everywhere. */
#ifndef GPT2_BEAM_H
#define GPT2_BEAM_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/sampler.h>
#include <gpt2/session.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum gpt2_early_stopping { GPT2_EARLY_FALSE, GPT2_EARLY_TRUE, GPT2_EARLY_NEVER };

struct gpt2_beam_options {
    int n_beams;          /* at least 1                                                         */
    int max_tokens;       /* generated tokens at most, at least 1; -1: until the context is full */
    float length_penalty; /* Hugging Face's default is 1; > 0 favours long ones, < 0 short ones */
    enum gpt2_early_stopping early_stopping;
    const int32_t *eos_ids; /* [n_eos] the end ids; copied                                */
    int n_eos;
    int n_vocab; /* ids from here on are never chosen (padding); 0: the model's vocabulary */

    /* Penalties, bans and the like, applied to the log-probabilities (sampler.h), its filters and
     * draws are not used. NULL: none. Borrowed; made for the same n_vocab. */
    struct gpt2_sampler *rules;

    struct gpt2_session_options session; /* what each beam's session is made with */
    int max_rows;                        /* of the batch (session.h); 0: its default      */

    /* Asked before each step; false ends the search, as if max_tokens were reached. NULL: never. */
    bool (*go_on)(void *user);
    void *user;
};

/* Everything that a search needs. Borrows model and runtime. Fails with GPT2_ERR_USAGE where an
 * option is out of range (NaN included), or GPT2_ERR_MEMORY. */
struct gpt2_beams;
struct gpt2_beams *gpt2_beams_create(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                     const struct gpt2_beam_options *options,
                                     struct gpt2_error *err);
void gpt2_beams_free(struct gpt2_beams *beams); /* NULL is allowed */

/* Searches for continuations of ids [n_ids], n_ids >= 1. To be called any number of times. Fails
 * as gpt2_batch_run does, and with GPT2_ERR_USAGE where the rules leave no id to go on with. */
bool gpt2_beams_run(struct gpt2_beams *beams, const int32_t *ids, int n_ids,
                    struct gpt2_error *err);

struct gpt2_beam {
    const int32_t
        *ids; /* [n_ids] what was generated, without the end id; borrowed until the next run */
    int n_ids;
    bool ended;     /* at an end id; else by length                                     */
    int32_t end_id; /* the end id, where ended                                          */
    double sum;     /* of log-probabilities, the end id's included                      */
    double score;   /* sum / n^length_penalty: what they are ranked by                  */
};

/* The results of the last run, best first: n_beams of them, fewer only where the vocabulary is too
 * small for so many. */
int gpt2_beams_count(const struct gpt2_beams *beams);
struct gpt2_beam gpt2_beams_get(const struct gpt2_beams *beams, int i);

#ifdef __cplusplus
}
#endif
#endif
