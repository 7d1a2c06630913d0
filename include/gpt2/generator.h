/* generator.h - many texts at once: continuous batching over sessions.
 *
 * A request is a prompt and how many samples to continue it with. Each step is one pass over the
 * weights for everything in progress: one new token for each sample that is being written,
 * and beside them pieces of prompts that are still being read. Samples join and leave between
 * steps; nothing is padded, and the samples of one request share the pass over its prompt.
 *
 *     gpt2_generator_add(g, &request, &err); // while gpt2_generator_room(g) > 0
 *     while (gpt2_generator_busy(g) && gpt2_generator_step(g, &err))
 *         ; // a step calls request.choose and request.ended
 *
 * What comes next is the caller's to say: `choose` gets the logits and returns an id, for example
 * from gpt2_sampler_next. The generator deals in ids alone and draws nothing itself, so with a
 * sampler keyed by (seed, record, sample, position) a text does not depend on what else is in
 * progress, in which order requests came, or how the work was cut into steps. Requests whose
 * prompts begin alike share the reading of that (prefix_cache.h), which changes no bit either.
 *
 * Memory: the KV caches of the running samples, sized to what a request can need, bounded together
 * by `cache_bytes`; the activations of one step; and a row of logits for each sample. A generator
 * is for one thread at a time; the runtime's threads do the work. */
#ifndef GPT2_GENERATOR_H
#define GPT2_GENERATOR_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/session.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpt2_generator;

struct gpt2_generator_options {
    int max_samples;     /* in progress at once. 0: 64                                            */
    int max_search;      /* samples of one search; one with more than max_samples runs alone. 0:
                            max_samples                                                            */
    int max_rows;        /* tokens of one step; at least as many as samples. 0: 512               */
    size_t cache_bytes;  /* of KV caches together; one sample always fits. 0: 2 GiB               */
    enum gpt2_kv kv;     /* of every session of its own                                           */
    int64_t max_draft;   /* drafted tokens of one step, over all samples: 0 to 1024
                            (gpt2_request.draft);  each has a row of logits of its own  */
    size_t prefix_bytes; /* of what prompts begin with, kept for later ones; 0: nothing is       */
    uint64_t reserved[GPT2_RESERVED - 2]; /* 0 (version.h) */
};

/* Borrows model and runtime. `options` may be NULL. Fails with GPT2_ERR_USAGE for a number out of
 * range, or GPT2_ERR_MEMORY. */
struct gpt2_generator *gpt2_generator_create(const struct gpt2_model *model,
                                             struct gpt2_runtime *runtime,
                                             const struct gpt2_generator_options *options,
                                             struct gpt2_error *err);

/* Drops what is in progress, without a call of `ended`. NULL is allowed. */
void gpt2_generator_free(struct gpt2_generator *generator);

/* One step of one sample: what its next token is chosen from. Everything is borrowed for the call.
 */
struct gpt2_step {
    int sample; /* of the request, from 0                                                  */
    const float *logits; /* [n_vocab] for the token that comes next                              */
    const int32_t *ids;  /* [n_ids] prompt and all that was chosen so far, slid out or not       */
    int n_ids;
    int n_prompt; /* how many of them are the prompt's */
};

/* Why a sample ended. */
enum gpt2_end {
    GPT2_END_CHOSEN, /* `choose` said so                                       */
    GPT2_END_LIMIT,  /* max_tokens were chosen                                 */
    GPT2_END_CONTEXT /* the model's context is full, and the request does not slide */
};

/* What happens when the context is full and more is wanted. */
enum gpt2_overflow {
    GPT2_OVERFLOW_STOP,  /* the sample ends with GPT2_END_CONTEXT                             */
    GPT2_OVERFLOW_SLIDE, /* the first `keep` tokens and the later half of the others are read
                           again as a new beginning. (Positions are learned, so that cached keys
                           cannot be moved.) `ids` still has everything                      */
    GPT2_OVERFLOW_ERROR  /* as GPT2_OVERFLOW_STOP; for a completion an error (completion.h)   */
};

/* What the generator's last pass was: for drafts that weigh what a row more costs. */
struct gpt2_pass {
    int n_rows; /* tokens that it read, one and what is drafted of each text; 0: of a prompt, too */
    uint64_t ns; /* that it took */
};

/* A sample of a search: what it grows out of. */
struct gpt2_branch {
    int parent; /* a sample as it was before this step */
    int32_t id; /* what follows its text               */
};

struct gpt2_request {
    const int32_t *ids; /* [n_ids] the prompt, at least 1 and at most config.n_ctx; copied */
    int n_ids;
    int n_samples;  /* at least 1 */
    int max_tokens; /* of each sample; at least 1. INT_MAX: no limit */
    enum gpt2_overflow overflow;
    int keep; /* for GPT2_OVERFLOW_SLIDE: less than config.n_ctx */

    /* A session of the caller's in place of one of the generator's, or NULL: of the same model,
     * with a capacity of config.n_ctx, any type of cache, and in no other request. What it has read
     * is the beginning of `ids`, less than all of them, and is not read again; n_samples is 1. It
     * is borrowed until `ended`, or the generator is freed, and has then read a beginning of the
     * prompt and what was chosen: all of it, or all but the last token, unless it slid or did not
     * end. */
    struct gpt2_session *session;
    void *user;

    /* The next id, which becomes part of the sample; negative: the sample ends here. With *last set
     * to true it ends with the returned id. NULL where `advance` is not: one of the two. */
    int32_t (*choose)(void *user, const struct gpt2_step *step, bool *last);

    /* Speculation: guesses what will be chosen after step->ids and writes at most max_draft ids to
     * `draft`, the next one first; returns how many, 0 for none. NULL: never.
     * It is asked before each pass that reads one token of a sample, with step->logits NULL, and
     * max_draft may be 0. The pass then reads the guesses too, and `choose` is called for each
     * place as long as it returns what was guessed. As logits do not depend on how tokens were cut
     * into passes, and choices are made one after the other as ever, no guess changes a text, an
     * error, or the order of a sample's calls: a good one saves passes, a bad one costs rows. Of
     * several samples each may then come several times in a step. Ids outside the vocabulary end a
     * draft. Not for a search. */
    int (*draft)(void *user, const struct gpt2_step *step, const struct gpt2_pass *last,
                 int32_t *draft, int max_draft);

    /* In place of `choose`, for a search, which weighs its samples against each other (beam.h).
     * It gets the steps of all that go on, at first the one that has read the prompt, and says what
     * the next ones are, as many as the return value, at most n_samples. 0: the search is over. A
     * search does not slide. */
    int (*advance)(void *user, const struct gpt2_step *steps, int n_steps,
                   struct gpt2_branch *next);

    /* The sample will get no more calls; of a search it is called once, for sample 0. */
    void (*ended)(void *user, int sample, enum gpt2_end end);
};

/* How many more samples can start now. A request with more samples than that is taken, too: they
 * wait for their turn. 0 also where the memory of the waiting requests says so. */
int gpt2_generator_room(const struct gpt2_generator *generator);

/* Takes a request. Fails with GPT2_ERR_USAGE for a bad request, a search of more samples than
 * max_search included, and with GPT2_ERR_MEMORY; nothing has changed then. */
bool gpt2_generator_add(struct gpt2_generator *generator, const struct gpt2_request *request,
                        struct gpt2_error *err);

/* True while a sample is in progress or waits. */
bool gpt2_generator_busy(const struct gpt2_generator *generator);

/* One pass. Calls `draft` before it, and `choose` or `advance` for each sample whose next logits
 * are there, requests in the order in which they were added, and `ended` right after a sample's
 * last choice. Neither may call the generator. Fails as gpt2_batch_run does, or with
 * GPT2_ERR_MEMORY; the generator can then only be freed. */
bool gpt2_generator_step(struct gpt2_generator *generator, struct gpt2_error *err);

#ifdef __cplusplus
}
#endif
#endif
