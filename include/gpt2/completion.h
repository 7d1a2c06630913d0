/* completion.h - continue a text: from a prompt to new text, piece by piece.
 *
 *     static bool print(void *user, const struct gpt2_piece *piece, struct gpt2_error *err) {
 *         return fwrite(piece->bytes, 1, piece->n_bytes, stdout) == piece->n_bytes;
 *     }
 *     ...
 *     struct gpt2_prompt prompt = {.text = "Once upon a time"};
 *     struct gpt2_completion_options options = {.max_tokens = 256, .show = print};
 *     gpt2_complete(model, tokenizer, NULL, &prompt, &options, &err);
 *
 * That is all for one text. A program that wants the texts' ids, log-probabilities or reasons, or
 * many completions at once, makes the object instead:
 *
 *     struct gpt2_completion *c;
 *
 *     c = gpt2_completion_create(model, tokenizer, &prompt, &options, &err);
 *     gpt2_completion_run(c, runtime, &err);
 *     struct gpt2_sample sample = gpt2_completion_get(c, 0);
 *
 * or, in place of gpt2_completion_run, beside others in a generator: gpt2_completion_start(c,
 * generator, &err), and steps of the generator until gpt2_completion_done(c).
 *
 * The texts depend on the model, the prompt, the options and the seed alone: not on the runtime, on
 * what else the generator works on, or on how the prompt was given (unless max_time or go_on ends
 * them). A completion is for one thread at a time, that of its generator; callbacks come on it. */
#ifndef GPT2_COMPLETION_H
#define GPT2_COMPLETION_H

#include <gpt2/beam.h>
#include <gpt2/choices.h>
#include <gpt2/error.h>
#include <gpt2/generator.h>
#include <gpt2/healing.h>
#include <gpt2/logprobs.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/sampler.h>
#include <gpt2/session.h>
#include <gpt2/speculation.h>
#include <gpt2/stops.h>
#include <gpt2/tokenizer.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is continued: a text or its ids. Copied. Without any token the text starts from the model's
 * bos_id. */
struct gpt2_prompt {
    const char *text;   /* NUL-ended; needs the tokenizer. NULL: the ids are the prompt */
    unsigned flags;     /* of the text's encoding, enum gpt2_encode_flags               */
    const int32_t *ids; /* [n_ids]                                                      */
    int n_ids;
};

/* A prompt that has more tokens than the model's context. */
enum gpt2_truncate {
    GPT2_TRUNCATE_ERROR, /* is refused: GPT2_ERR_INPUT */
    GPT2_TRUNCATE_LEFT,  /* loses its beginning        */
    GPT2_TRUNCATE_RIGHT  /* loses its end              */
};

/* Why a sample ended. */
enum gpt2_finish {
    GPT2_FINISH_NONE,    /* it goes on                                    */
    GPT2_FINISH_EOS,     /* at an end id, or the rules leave no other id  */
    GPT2_FINISH_STOP,    /* at a stop                                     */
    GPT2_FINISH_CHOICE,  /* a choice is complete                          */
    GPT2_FINISH_LENGTH,  /* it has max_tokens                             */
    GPT2_FINISH_CONTEXT, /* the model's context is full                   */
    GPT2_FINISH_TIME,    /* max_time is over                              */
    GPT2_FINISH_STOPPED, /* go_on said so                                 */
    GPT2_FINISH_FAILED   /* gpt2_completion_error says why                */
};

/* A token that was chosen, or what was held back when a text ended. Borrowed for the call. */
struct gpt2_piece {
    int sample;        /* whose token it is, from 0                                        */
    int index;         /* the token's place in it, from 0; 0 where there is none           */
    int32_t id;        /* the token; -1: there is none, the bytes were held back           */
    const char *bytes; /* [n_bytes] what can be shown now: whole characters, no stop       */
    size_t n_bytes;
    double logprob; /* of the token, where options.logprobs asks for it; else 0         */
};

/* How texts of a model are drawn by default: gpt2_sampler_defaults (GPT2_COMPAT_NATIVE), replaced
 * by what the model's files recommend (config->generation), and the model's end ids, borrowed from
 * `config`. */
void gpt2_completion_defaults(struct gpt2_sampler_options *options,
                              const struct gpt2_config *config);

/* {0} continues nothing: at least max_tokens is to be set. What is pointed to is borrowed until the
 * completion is freed. */
struct gpt2_completion_options {
    int max_tokens; /* of each text; 0: none, -1: until the context is full */
    int n_samples;  /* texts for the prompt; 0: 1                           */

    /* Draws, which are keyed by `record`, sample and position (sampler.h); one
     * sampler serves any number of completions. NULL: a sampler of gpt2_completion_defaults that
     * bans ids without a token. It is of the model's n_vocab at most. */
    struct gpt2_sampler *sampler;
    uint64_t record;
    uint32_t first_sample; /* the number of the first sample in its draws */

    const struct gpt2_choices *choices; /* NULL: any text                     */
    const struct gpt2_healer *healer;   /* NULL: the prompt is taken as it is */
    const struct gpt2_stops *stops;     /* NULL: only whole characters are
                                           waited for. Unused without a tokenizer, which gives
                                           pieces no bytes                     */
    bool ignore_eos; /* an end id does not end a text, unless it makes a choice. It can still be
                        chosen; to prevent that, let the sampler ban it                        */

    enum gpt2_truncate truncate;
    enum gpt2_overflow overflow;
    int keep;       /* for GPT2_OVERFLOW_SLIDE (generator.h)                             */
    float max_time; /* seconds from the creation on, after which a token is the last; 0: no limit */

    /* Beam search in place of draws (beam.h): the n_samples best of n_beams, of the sampler the
     * rules alone. 0 and 1: off. Pieces come when the search is over. */
    int n_beams;
    float length_penalty;
    enum gpt2_early_stopping early_stopping;

    bool logprobs; /* note each token's log-probability among those that the tokenizer has
                      (logprobs.h) */
    int n_top;     /* ... and so many of the likeliest ids at its place; 0: none */

    /* A session of the caller's that has read a beginning of the prompt, as gpt2_request has it;
     * for one text without beams: of the model, with a capacity of config.n_ctx. NULL: none. */
    struct gpt2_session *session;
    enum gpt2_kv kv; /* of the sessions that gpt2_completion_run makes */

    /* Gets each piece, in the order of its text. False ends the text with GPT2_FINISH_FAILED and
     * what it wrote to `err` (by itself GPT2_ERR_RUNTIME). NULL: none. */
    bool (*show)(void *user, const struct gpt2_piece *piece, struct gpt2_error *err);
    /* Asked before each choice, with the logits [n_vocab] that it is made from; false ends the text
     * (a search: all texts) without that token. NULL: never. */
    bool (*go_on)(void *user, const float *logits);
    void *user;
    /* Guesses of what comes next, so that a pass yields several tokens: the texts stay the same.
     * For texts without beams. NULL: none. In a generator of the caller's it needs max_draft there.
     */
    struct gpt2_speculation *speculation;
    int64_t n_generated; /* so many of the prompt's last ids count as generated ones, as where a
                            text goes on that was saved: to the rules they are (sampler.h)   */
    uint64_t reserved[GPT2_RESERVED - 2]; /* 0 (version.h) */
};

/* Continues a prompt and returns when all its texts have ended. `tokenizer` may be NULL where the
 * prompt has ids and the pieces' ids are enough; `runtime` too: then threads are made for the call.
 * Everything is borrowed for the call. Fails as gpt2_completion_create and gpt2_completion_run. */
bool gpt2_complete(const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                   struct gpt2_runtime *runtime, const struct gpt2_prompt *prompt,
                   const struct gpt2_completion_options *options, struct gpt2_error *err);

/* A prompt and the texts that continue it. Borrows model and tokenizer, which may be NULL as above.
 * Fails with GPT2_ERR_USAGE for an option or an id out of range, GPT2_ERR_INPUT for a prompt that
 * is too long, or empty where the model has no bos_id, or as gpt2_tokenizer_encode, or with
 * GPT2_ERR_MEMORY. */
struct gpt2_completion;
struct gpt2_completion *gpt2_completion_create(const struct gpt2_model *model,
                                               const struct gpt2_tokenizer *tokenizer,
                                               const struct gpt2_prompt *prompt,
                                               const struct gpt2_completion_options *options,
                                               struct gpt2_error *err);
/* Where a completion was started and is not done, its generator can then only be freed. NULL is
 * allowed. */
void gpt2_completion_free(struct gpt2_completion *completion);

/* Makes the texts: once for each completion. Fails with GPT2_ERR_USAGE where it was started before,
 * as the generator does, or with the error of a text that failed, when all have ended. */
bool gpt2_completion_run(struct gpt2_completion *completion, struct gpt2_runtime *runtime,
                         struct gpt2_error *err);

/* The same beside other work: hands the texts to a generator of the same model, which borrows the
 * completion until it is done. Where no token is wanted it is done at once. Fails with
 * GPT2_ERR_USAGE where it was started before or the generator is of another model, or as
 * gpt2_generator_add; then it can be started again. */
bool gpt2_completion_start(struct gpt2_completion *completion, struct gpt2_generator *generator,
                           struct gpt2_error *err);
bool gpt2_completion_done(const struct gpt2_completion *completion); /* all texts have ended */

/* Why a text failed that has GPT2_FINISH_FAILED; NULL: none has. */
const struct gpt2_error *gpt2_completion_error(const struct gpt2_completion *completion);

/* The prompt's ids [*n_ids], as they were truncated. The model reads the first *n_read of them:
 * healing generates the others again. */
const int32_t *gpt2_completion_prompt(const struct gpt2_completion *completion, int *n_ids,
                                      int *n_read);

/* One sample, as far as it goes. Borrowed: valid until the generator's next step, or where the
 * sample has ended, until the completion is freed. */
struct gpt2_sample {
    const int32_t *ids; /* [n_ids] generated, without the end id */
    int n_ids;
    const char *bytes; /* [n_bytes] what the pieces showed, together */
    size_t n_bytes;
    enum gpt2_finish finish;
    int stop;                       /* which one ended it (stops.h); else GPT2_STOP_NONE      */
    const double *logprobs;         /* [n_ids]; NULL where options.logprobs is false           */
    const struct gpt2_logprob *top; /* [n_ids][n_top], likeliest first; NULL without logprobs  */
    int n_top;                      /* as asked for, but at most the model's vocabulary        */
    double sum;                     /* of the logprobs                                         */
};

/* How many samples there are: n_samples, fewer only where a search found fewer. */
int gpt2_completion_count(const struct gpt2_completion *completion);
struct gpt2_sample gpt2_completion_get(const struct gpt2_completion *completion, int i);

/* The end id that sample i ended with, which is not among its ids, with its log-probability; *top
 * becomes the likeliest ids at its place [n_top], borrowed as the sample is. False:
 * options.logprobs is false, the sample has not ended with such an id, or it was searched for. */
bool gpt2_completion_end_token(const struct gpt2_completion *completion, int i,
                               struct gpt2_logprob *end, const struct gpt2_logprob **top);

#ifdef __cplusplus
}
#endif
#endif
