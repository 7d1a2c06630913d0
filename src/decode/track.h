/* track.h - the texts of a beam search, under way or finished. */
#ifndef DECODE_TRACK_H
#define DECODE_TRACK_H

#include <gpt2/error.h>
#include <gpt2/logprobs.h>
#include <stdbool.h>
#include <stdint.h>

struct track {
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
struct track_list {
    struct track *tracks;
    int32_t *ids;
    double *logprobs;
    struct gpt2_logprob *top;
};

/* n texts of at most n_tokens. On failure it is to be freed. */
bool track_list_init(struct track_list *list, int n, int n_tokens, int n_top,
                     struct gpt2_error *err);
void track_list_free(struct track_list *list); /* a zeroed struct is allowed */

/* Makes `to` the text of `from`, of another list of the same n_top, with one token behind it; its
 * sum and score are not set. */
void track_grow(struct track *to, const struct track *from, int32_t id, double logprob,
                const struct gpt2_logprob *top, int n_top);

/* The same with an end id, which is not part of the text. */
void track_end(struct track *to, const struct track *from, int32_t end_id, int n_top);

#endif
