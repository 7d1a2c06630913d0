/* generator_internal.h - the generator's own state: its requests and their samples. */
#ifndef DECODE_GENERATOR_INTERNAL_H
#define DECODE_GENERATOR_INTERNAL_H

#include "decode/session_pool.h"
#include <gpt2/generator.h>
#include <gpt2/prefix_cache.h>
#include <gpt2/tokenizer.h>

struct request {
    struct gpt2_request asked;
    int32_t *ids;  /* the prompt; asked.ids points here            */
    int n_started; /* samples                                    */
    int n_ended;
    struct gpt2_session *source; /* the prompt as read, for samples still to start; or NULL */
    float *logits;               /* [n_vocab] after it; or NULL                              */
    struct request *next;
};

struct generator_sample {
    struct request *request;
    int index;
    struct gpt2_session *session;
    struct gpt2_ids ids;
    int n_pending; /* tokens at the end of `ids` that the session has not read */
    int n_ahead;   /* drafted tokens that it reads beyond them, at ids.data[ids.len]: of a step */
    int position;  /* the session's, before the step                              */
    bool asleep;   /* of a search: it has no text now */
    struct gpt2_prefix *prefix; /* of the one that reads a request's prompt; or NULL */
    bool waits;                 /* another sample reads what its prompt begins with  */
    bool done;
};

struct gpt2_generator {
    const struct gpt2_config *config;
    struct gpt2_batch *batch;
    struct session_pool sessions;
    struct gpt2_prefix_cache *prefixes; /* NULL: nothing is kept */
    int max_samples, max_search, max_rows;
    struct request *queue;            /* in order */
    int n_waiting;                    /* samples that have not started */
    struct generator_sample *samples; /* room for max_samples or one search, as the lists below */
    int n_samples;
    struct gpt2_span *spans; /* of a step          */
    int *span_of;            /* of a sample, or -1 */

    int max_draft;         /* of a step       */
    int32_t *draft;        /* [max_draft]     */
    struct gpt2_pass pass; /* the last one    */

    /* what a search is asked with, and where its samples are put in order */
    struct gpt2_step *steps;
    struct gpt2_branch *branches;
    struct generator_sample *moved;
    int *slots;
};

/* ---- generator_sample.c: a sample begins and ends ---- */

/* Starts one more sample of a request, with what `source` has read or from the beginning of the
 * prompt. *started is false where it must wait for memory, which with `must` is granted anyway. */
bool generator_start(struct gpt2_generator *g, struct request *request,
                     const struct gpt2_session *source, bool must, bool *started,
                     struct gpt2_error *err);

/* Ends it: its session goes back to the pool, unless the request brought it. */
void generator_drop(struct gpt2_generator *g, struct generator_sample *sample);

/* Begins to read what no other sample has read or is about to; else sample->waits is set. */
bool generator_take_prefix(struct generator_sample *sample, struct gpt2_error *err);

/* What it reads from here on is its own. */
void generator_end_prefix(struct generator_sample *sample);

/* False with GPT2_ERR_USAGE: it is of another model than the one of this config. */
bool generator_is_of(const struct gpt2_generator *g, const struct gpt2_config *config,
                     struct gpt2_error *err);

/* The logits that it is to go on from, or NULL where it has not read everything. */
const float *generator_logits(const struct gpt2_generator *g, int sample);

/* ---- search.c: requests that weigh their samples against each other ---- */

/* Starts all samples of a search, side by side, or none: then *started is false. */
bool search_start(struct gpt2_generator *g, struct request *request, bool *started,
                  struct gpt2_error *err);

/* Where all that goes on of the search whose samples begin at `first` has been read: asks what the
 * next samples are and moves them there. */
bool search_advance(struct gpt2_generator *g, int first, struct gpt2_error *err);

#endif
