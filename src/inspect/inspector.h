/* inspector.h - reads a text with a tap set; every kind of inspection is built on this. */
#ifndef INSPECT_INSPECTOR_H
#define INSPECT_INSPECTOR_H

#include <gpt2/inspect.h>
#include <gpt2/session.h>

#define INSPECTOR_ROWS 32 /* tokens a pass, and rows of logits */

struct gpt2_inspector {
    const struct gpt2_model *model; /* borrowed */
    unsigned ablations;
    const float *deviations; /* [sites] or NULL; borrowed */
    struct gpt2_session *session;
    struct gpt2_batch *batch;
};

/* A session that keeps keys and values as computed. */
struct gpt2_session *inspector_session(const struct gpt2_model *model, struct gpt2_error *err);

/* Reads the next n ids of the inspector's session, at most INSPECTOR_ROWS of them, with the tap (or
 * NULL) set; logits of the last n_logits can be had. */
bool inspector_read(struct gpt2_inspector *inspector, const int32_t *ids, int n, int n_logits,
                    gpt2_tap tap, void *user, struct gpt2_error *err);

/* Forgets what was read and checks that there is a text of n tokens to read. */
bool inspector_begin(struct gpt2_inspector *inspector, const int32_t *ids, int n,
                     struct gpt2_error *err);

/* Whether there is such a block; GPT2_ERR_USAGE. */
bool inspector_layer(const struct gpt2_config *config, int layer, struct gpt2_error *err);

/* Tokens from position `at` that one pass takes. */
static inline int inspector_step(int at, int n) {
    return n - at < INSPECTOR_ROWS ? n - at : INSPECTOR_ROWS;
}

/* log_probs [n] = logits less the logarithm of the sum of their exponentials. */
void inspector_log_softmax(double *log_probs, const float *logits, int n);

#endif
