/* generated.h - one text of a completion, as it is generated: from ids to bytes. */
#ifndef DECODE_GENERATED_H
#define DECODE_GENERATED_H

#include "decode/constraints.h"
#include <gpt2/completion.h>

struct generated {
    struct constraints constraints;
    struct gpt2_ids ids;
    char *bytes; /* [n_bytes] what was shown */
    size_t n_bytes, cap_bytes;
    bool wants_logprobs;
    int n_top;
    double sum;               /* of the logprobs */
    double *logprobs;         /* [ids.len], where they are wanted; cap_logprobs of room */
    struct gpt2_logprob *top; /* [ids.len][n_top] the same */
    size_t cap_logprobs;
    enum gpt2_finish finish;
    int stop; /* which one ended it, or GPT2_STOP_NONE */
};

/* A token with what the model thought of it. */
struct generated_token {
    int32_t id;
    double logprob;                 /* 0 where it is not wanted  */
    const struct gpt2_logprob *top; /* [n_top], NULL likewise    */
};

/* Starts an empty text after the prompt; wants_logprobs and n_top are set afterwards. *n_read as
 * constraints_begin has it. False: GPT2_ERR_MEMORY; free it all the same. */
bool generated_begin(struct generated *text, const struct constraints_options *options,
                     const int32_t *prompt, int n_prompt, int *n_read, struct gpt2_error *err);
void generated_free(struct generated *text); /* a zeroed struct is allowed */

/* Appends a token. Where the text ends with it, at a stop or as a choice, `finish` says so. *shown
 * is the bytes that can be shown now, valid until the next call. */
bool generated_take(struct generated *text, const struct generated_token *token,
                    struct gpt2_shown *shown, struct gpt2_error *err);

/* The text has ended, and `finish` is set: *shown is what was held back, nothing after a stop. */
bool generated_end(struct generated *text, struct gpt2_shown *shown, struct gpt2_error *err);

#endif
