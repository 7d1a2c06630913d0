/* rows.h - the rows of a pass, one for each new token: whose they are, and their activations. */
#ifndef FORWARD_ROWS_H
#define FORWARD_ROWS_H

#include "forward/session_internal.h"

/* Consecutive new tokens of one session. */
struct chunk {
    struct gpt2_session *session;
    const int32_t *ids; /* [n_rows] */
    int n_rows;
    int position;  /* of the first of them in the session */
    int first_row; /* where they are in the batch       */
};

/* Activations, one row per token. Rows are `stride` floats apart; the strides avoid powers of two,
 * so that neighbouring rows do not fall into the same cache set. Many rows lie on huge pages: a
 * product goes along columns of them, which on small pages means one page after another. */
struct activations {
    float *data;
    size_t stride;
    int max_rows;
    size_t n_bytes;
};

#endif
