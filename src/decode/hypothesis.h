/* hypothesis.h - the hypotheses of a beam search, running or finished. */
#ifndef DECODE_HYPOTHESIS_H
#define DECODE_HYPOTHESIS_H

#include <gpt2/error.h>
#include <gpt2/logprobs.h>
#include <stdbool.h>
#include <stdint.h>

struct hypothesis {
    int32_t *ids; /* [n_ids] generated, without an end id; room for the longest text */
    double *logprobs;
    struct gpt2_logprob *top; /* [n_ids][n_top] */
    int n_ids;
    int n_read; /* generated tokens with the end id: what its length is */
    bool ended, stopped;
    int32_t end_id;
    double sum, score;
};

/* A list of them, with the memory that they share out. */
struct hypothesis_list {
    struct hypothesis *hypotheses;
    int32_t *ids;
    double *logprobs;
    struct gpt2_logprob *top;
};

/* n texts of at most n_tokens. On failure it is to be freed. */
bool hypothesis_list_init(struct hypothesis_list *list, int n, int n_tokens, int n_top,
                          struct gpt2_error *err);
void hypothesis_list_free(struct hypothesis_list *list); /* a zeroed struct is allowed */

/* Makes `to` the text of `from`, of another list of the same n_top, with one more token; its
 * sum and score are not set. */
void hypothesis_grow(struct hypothesis *to, const struct hypothesis *from, int32_t id,
                     double logprob, const struct gpt2_logprob *top, int n_top);

/* The same with an end id, which is not part of the text. */
void hypothesis_end(struct hypothesis *to, const struct hypothesis *from, int32_t end_id,
                    int n_top);

#endif
