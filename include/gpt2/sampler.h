/* sampler.h - from logits to the next token.
 *
 * Randomness is keyed, not streamed: the draw for one token depends on (seed, record, sample,
 * position) alone (Philox4x32-10, Salmon et al. 2011), so order, batching, sharding and resuming
 * never change a text. Logits are f32, probabilities and sums f64 with our own exp and log,
 * so the choice is the same on every machine.
 *
 * First the rules change the logits, in this order:
 *
 *     bias               logit += bias; -infinity bans
 *     repetition         once for each distinct id in the window:
 *                        logit < 0 ? logit * repeat_penalty : logit / repeat_penalty
 *     frequency,         for each id that stands `count` times in the window:
 *     presence           logit -= count * frequency_penalty + presence_penalty
 *     no-repeat-ngram n  bans every id that would complete n consecutive tokens that the sequence,
 *                        prompt and all, already has; n = 1 bans all ids that it has
 *     min-tokens         bans the end ids until so many tokens are generated
 *     banned             never chosen
 *
 * then the filters choose who takes part in the draw, each seeing what the one before left:
 *
 *     temperature   logit / temperature
 *     top-k         the k likeliest
 *     top-p         likeliest first, the shortest prefix whose probability reaches p
 *     min-p         drops ids less likely than min_p times the likeliest
 *     typical-p     with H the entropy: those with the smallest |-ln p(id) - H| first, the shortest
 *                   prefix whose probability reaches typical_p (Meister et al. 2022)
 *
 * and an exponential race decides among them: each id has an exponential variate E of its own,
 * keyed by (seed, record, sample, position, id), and the id with the smallest E / weight is drawn,
 * where weight = exp(logit / temperature). So an id is drawn with its probability, no sum is taken,
 * and two models whose distributions overlap by 98 % draw the same token about 98 % of the time,
 * such as a model and its quantized form. At least one id passes every filter. Ties go to the
 * lowest id everywhere. `compat` changes details, below.
 *
 * One sampler serves any number of sequences; the tokens of a sequence so far are its history. */
#ifndef GPT2_SAMPLER_H
#define GPT2_SAMPLER_H

#include <gpt2/error.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose details and defaults. What the rules and filters do is said above; the differences are:
 *
 *              filters, in their order            top-k      top-p           typical-p
 *   native     temp, top-k, top-p, min-p, typical exactly k  with crossing   exactly
 *   hf         the same                           with ties  with crossing   with ties
 *   openai     the same                           with ties  without, ties   exactly
 *   llama.cpp  top-k, typical, top-p, min-p, temp exactly k  with crossing   exactly
 *   nanogpt    as native                          with ties  with crossing   exactly
 *
 * "with ties": every id that is as likely as the last one kept stays too. "crossing": the id with
 * which the sum reaches p; OpenAI's sample.py leaves it out (of the likeliest ids, those whose sum
 * does not exceed p, and at least one). hf is Hugging Face transformers, openai the gpt-2 release's
 * sample.py (penalties: as documented for the completions API), nanogpt its sample.py. */
enum gpt2_compat {
    GPT2_COMPAT_NATIVE,
    GPT2_COMPAT_HF,
    GPT2_COMPAT_OPENAI,
    GPT2_COMPAT_LLAMA_CPP,
    GPT2_COMPAT_NANOGPT
};

struct gpt2_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY bans */
};

/* All zero but top_p = 1 means: greedy, no rule. */
struct gpt2_sampler_options {
    float temperature; /* >= 0; 0 is greedy                                    */
    int top_k;         /* 0: off                                               */
    float top_p;       /* 0..1; 1: off. At least one token is always kept      */
    float min_p;       /* 0..1; 0: off                                         */
    uint64_t seed;
    const int32_t *banned; /* [n_banned] ids that are never chosen; copied          */
    int n_banned;

    enum gpt2_compat compat;
    bool greedy;     /* always the likeliest, after the rules; no filter, no draw   */
    float typical_p; /* 0..1; 0 and 1: off                                          */

    float repeat_penalty;    /* > 0; 0 and 1: off                                      */
    float presence_penalty;  /* 0: off; negative values favour repetition              */
    float frequency_penalty; /* the same                                               */
    int last_n;              /* the window: the last n tokens; 0: none, -1: all         */
    bool generated_only;     /* the window is within the generated tokens, not the prompt */
    int no_repeat_ngram;     /* 0: off                                                 */

    const struct gpt2_bias *biases; /* [n_biases]; of one id twice: added up; copied   */
    int n_biases;
    int min_tokens;         /* end ids are banned for the first so many generated tokens  */
    bool ignore_eos;        /* end ids are banned for good                             */
    const int32_t *eos_ids; /* [n_eos] the end ids; copied                             */
    int n_eos;
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* A filter after top-k, for programs that let their users set them: the names of its option on a
 * command line, and where its value, a float, is in struct gpt2_sampler_options. */
struct gpt2_filter {
    const char *name;     /* "top-p"                                             */
    const char *aliases;  /* other names, separated by spaces; NULL: none        */
    const char *argument; /* what stands for the value in help: "P"              */
    const char *help;     /* what it does, and its default; may have line breaks */
    size_t offset;
    float min, max; /* the range of the value    */
    float off;      /* the value that is no filter */
};

/* The i-th filter in the order in which they run (`native`); NULL past the last one. */
const struct gpt2_filter *gpt2_filter_at(size_t i);

/* Fills `options` with what a system does when it is told nothing; what the caller knows better is
 * set afterwards. Pointers and counts are left NULL and 0.
 *
 *              draws        temp top-k top-p min-p  window of the penalties (all off)  seed
 *   native     yes          0.8  40    0.95  0      last 64                            0
 *   hf         no: greedy   1    50    1     0      all                                0
 *   openai     yes          1    0     1     0      all that was generated             0
 *   llama.cpp  yes          0.8  40    0.95  0.05   last 64                            0
 *   nanogpt    yes          0.8  200   1     0      all (it has none)                  1337
 *
 * hf: generate() is greedy unless do_sample is asked for; clear `greedy` for that. Seeds: the
 * numbers drawn are ours, not theirs. */
void gpt2_sampler_defaults(struct gpt2_sampler_options *options, enum gpt2_compat compat);

/* What else a system does when it is told nothing. */
struct gpt2_compat_habits {
    int max_tokens;  /* native 256, hf 20, openai n_ctx / 2, llama.cpp -1 (no limit), nanogpt 500 */
    int num_samples; /* 1; nanogpt 10                                                       */
    bool ends_at_eos; /* openai and nanogpt go on after <|endoftext|>                        */
};
struct gpt2_compat_habits gpt2_compat_habits(enum gpt2_compat compat, int n_ctx);

/* "native", "hf", "openai", "llama.cpp", "nanogpt"; NULL where there is no such value. */
const char *gpt2_compat_name(enum gpt2_compat compat);

/* ---- the history of a sequence ---- */

struct gpt2_sampler;
struct gpt2_history;

/* An empty sequence, for draws with this sampler (or one of the same options); it does not refer to
 * the sampler afterwards. Keeps what the sampler's rules need and no more: with no rule that looks
 * back it stays a few bytes. One token costs the same however long the sequence is. For one thread
 * at a time. NULL: GPT2_ERR_MEMORY. */
struct gpt2_history *gpt2_history_create(const struct gpt2_sampler *sampler,
                                         struct gpt2_error *err);
void gpt2_history_free(struct gpt2_history *history); /* NULL is allowed */

/* Appends tokens of the prompt, or generated ones. Ids outside the sampler's vocabulary are
 * allowed: they take part in n-grams. False: GPT2_ERR_MEMORY; the history is then no longer whole
 * and only good for gpt2_history_clear and gpt2_history_free. */
bool gpt2_history_push(struct gpt2_history *history, const int32_t *ids, int n_ids, bool generated,
                       struct gpt2_error *err);

/* Back to an empty sequence; memory is kept. */
void gpt2_history_clear(struct gpt2_history *history);

/* Makes `history` a copy of `source`, made for the same options. False: GPT2_ERR_MEMORY, as above.
 */
bool gpt2_history_copy(struct gpt2_history *history, const struct gpt2_history *source,
                       struct gpt2_error *err);

/* ---- the draw ---- */

/* Which draw this is, and what it depends on beside the logits. */
struct gpt2_draw {
    uint64_t record;   /* index of the prompt in its job, from 0        */
    uint32_t sample;   /* index of the sample for that prompt, from 0   */
    uint32_t position; /* position that the drawn token will have       */

    const struct gpt2_history *history; /* NULL: an empty one                              */
    const int32_t *allowed;             /* [n_allowed] ascending: no other id is chosen;    */
    int n_allowed;                      /*   NULL: all are allowed. choices.h, healing.h    */
};

/* Creates a sampler that chooses among ids 0..n_vocab-1 (not more than the tokenizer has: padding
 * rows are never chosen). Owns its scratch; for one thread at a time. Ids outside the vocabulary in
 * the lists of `options` are passed over. Fails with GPT2_ERR_USAGE where an option is out of range
 * (NaN included) or every id is banned. */
struct gpt2_sampler *gpt2_sampler_create(const struct gpt2_sampler_options *options, int n_vocab,
                                         struct gpt2_error *err);
void gpt2_sampler_free(struct gpt2_sampler *sampler); /* NULL is allowed */

/* The n_vocab that it was made for. */
int gpt2_sampler_vocab(const struct gpt2_sampler *sampler);

/* The next id. `logits` is [n_vocab], finite, and is not changed. -1 where bans leave no id (of
 * those allowed): the sequence cannot go on. That cannot happen without no_repeat_ngram,
 * min_tokens or `allowed`. */
int32_t gpt2_sampler_next(struct gpt2_sampler *sampler, const float *logits, struct gpt2_draw draw);

/* Only the rules: changes `scores` [n_vocab] (logits, or log-probabilities in beam search, as
 * Hugging Face has it); what is banned becomes -infinity. `history` may be NULL. */
void gpt2_sampler_apply_rules(struct gpt2_sampler *sampler, float *scores,
                              const struct gpt2_history *history);

/* True where a rule looks back: only then are histories needed. */
bool gpt2_sampler_needs_history(const struct gpt2_sampler *sampler);

#ifdef __cplusplus
}
#endif
#endif
