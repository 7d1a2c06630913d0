/* completion_sample.h - one sample of a completion: its ids, text and log-probabilities as they
 * come. */
#ifndef DECODE_COMPLETION_SAMPLE_H
#define DECODE_COMPLETION_SAMPLE_H

#include "base/buffer.h"
#include "decode/constraints.h"
#include <gpt2/completion.h>

struct completion_sample {
    struct constraints constraints;
    struct gpt2_ids ids;
    struct buffer bytes; /* what was shown */
    bool wants_logprobs;
    int n_top;
    double sum;                  /* of the logprobs */
    struct buffer logprobs, top; /* double [ids.len], struct gpt2_logprob [ids.len][n_top], where
                                    they are wanted; after them those of `end`, if there is one */
    int32_t end;                 /* the end id, where its log-probability was noted; else -1 */
    enum gpt2_finish finish;
    int stop; /* which one ended it, or GPT2_STOP_NONE */
};

/* A token with what the model thought of it. */
struct sample_token {
    int32_t id;
    double logprob;                 /* 0 where it is not wanted  */
    const struct gpt2_logprob *top; /* [n_top], NULL likewise    */
};

/* Starts an empty text after the prompt; wants_logprobs and n_top are set afterwards. *n_read as
 * constraints_begin has it. False: GPT2_ERR_MEMORY; free it all the same. */
bool completion_sample_begin(struct completion_sample *text,
                             const struct constraints_options *options, const int32_t *prompt,
                             int n_prompt, int *n_read, struct gpt2_error *err);
void completion_sample_free(struct completion_sample *text); /* a zeroed struct is allowed */

/* Appends a token. Where the text ends with it, at a stop or as a choice, `finish` says so. *shown
 * is the bytes that can be shown now, valid until the next call. */
bool completion_sample_take(struct completion_sample *text, const struct sample_token *token,
                            struct gpt2_shown *shown, struct gpt2_error *err);

/* Notes the end id that the text ends with, where log-probabilities are wanted. It is no part of
 * the text, and of `sum`. */
void completion_sample_note_end(struct completion_sample *text, const struct sample_token *token);

/* The text has ended, and `finish` is set: *shown is what was held back, nothing after a stop. */
bool completion_sample_end(struct completion_sample *text, struct gpt2_shown *shown,
                           struct gpt2_error *err);

#endif
