/* completion.h - a prompt and the texts made from it, between ids and bytes.
 *
 * It answers the generator's question what comes next: sampler, choices, healing, end tokens, stop
 * strings and time meet here, for one text on the terminal and for every record of a job alike. */
#ifndef CLI_GENERATE_COMPLETION_H
#define CLI_GENERATE_COMPLETION_H

#include "base/buffer.h"
#include "cli/generate/settings.h"
#include <gpt2/beam.h>
#include <gpt2/generator.h>
#include <gpt2/logprobs.h>

enum finish {
    FINISH_NONE,
    FINISH_EOS,
    FINISH_STOP,   /* a stop string, --until      */
    FINISH_CHOICE, /* one of --choices is made    */
    FINISH_LENGTH,
    FINISH_CONTEXT,
    FINISH_TIME,
    FINISH_INTERRUPTED,
    FINISH_FAILED
};

/* One text. */
struct sample {
    struct gpt2_history *history; /* NULL where no rule looks back */
    struct gpt2_stop_stream *stream;
    struct gpt2_heal *heal; /* NULL: nothing to heal */
    int place;              /* among the choices */
    struct gpt2_ids ids;
    struct buffer text;
    enum finish finish;
    const char *stop; /* what ended it, or NULL */
    double sum;       /* of log-probabilities, where they are wanted */
    struct buffer tokens, token_logprobs, top_logprobs; /* JSON lists without brackets */
};

#define MAX_TOP 100 /* of --logprobs */

/* How likely the model found a token, and what else it had in mind. */
struct likelihood {
    double logprob;
    const struct gpt2_logprob *top; /* [n_top] the likeliest, where they are wanted */
    int n_top;
};

/* Shows a token that was chosen: its bytes, as far as they can be shown by now. */
struct shown_token {
    int sample, index;
    int32_t id; /* -1: what was held back, at the end */
    const char *bytes;
    size_t n_bytes;
    double logprob; /* 0 where it was not asked for */
};

struct completion {
    const struct decoding *decoding; /* borrowed */
    const struct gpt2_model *model;
    const struct gpt2_tokenizer *tokenizer; /* or NULL */
    const struct gpt2_choices *choices;     /* of the decoding, for this prompt; or NULL      */
    uint64_t record;                        /* key of the draws                               */
    int first_sample;                       /* ... number of the first one; 0 unless set later */
    struct gpt2_ids prompt;
    int n_prompt; /* of its ids that are read: healing takes some off its end */
    bool wants_logprobs;
    struct sample *samples; /* [n_samples] */
    int n_samples, n_ended;
    struct gpt2_beams *beams; /* while they are searched for; else NULL */
    bool out_of_time;
    uint64_t start_ns;
    bool (*show)(void *user, const struct shown_token *token, struct gpt2_error *err); /* or NULL */
    void (*see)(void *user, const float *logits); /* all logits; or NULL */
    void *user;
    struct gpt2_session
        *session;          /* what has read a beginning of the prompt (generator.h); or NULL */
    struct gpt2_error err; /* of a text with FINISH_FAILED */
};

/* `prompt` is taken over: cut or refused where it is too long (GPT2_ERR_INPUT), started from the
 * end token where it is empty. The decoding must outlive the completion. */
bool completion_create(struct completion *completion, const struct decoding *decoding,
                       const struct gpt2_model *model, const struct gpt2_tokenizer *tokenizer,
                       struct gpt2_ids *prompt, uint64_t record, struct gpt2_error *err);
void completion_free(struct completion *completion); /* a zeroed struct is allowed */

/* Hands it to the generator, with a borrowed pointer. Where no token is wanted it is done at once.
 */
bool completion_start(struct completion *completion, struct gpt2_generator *generator,
                      struct gpt2_error *err);
bool completion_done(const struct completion *completion);

/* The sample that failed, if any: completion->err says why. */
bool completion_failed(const struct completion *completion);

/* Takes a chosen id into a text. *last is set where it ends the text, and why is in `finish`.
 * False: the error is in completion->err. */
bool completion_take(struct completion *completion, int sample, int32_t id,
                     const struct likelihood *likelihood, bool *last);

/* The text has ended by itself, its `finish` is set: shows what was held back. */
void completion_finish(struct completion *completion, int sample);

/* The context is full. False: --on-overflow says that this is an error, now in completion->err. */
bool completion_context_full(struct completion *completion);

/* Frees the samples from n on. */
void completion_keep(struct completion *completion, int n);

/* Writes the choices of n prompts in their order, usage and seed as members of a JSON object, with
 * a comma in front. All have the same decoding. */
void completions_json(const struct completion *completions, int n, struct buffer *out);

#endif
