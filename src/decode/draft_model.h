/* draft_model.h - a smaller model that reads along with a text and says what it would choose next.
 *
 * Its session follows the text: what both have is kept, the rest is read or forgotten. So it may be
 * asked about any text at any time; it is fastest where its guesses were right. */
#ifndef DECODE_DRAFT_MODEL_H
#define DECODE_DRAFT_MODEL_H

#include <gpt2/session.h>
#include <gpt2/tokenizer.h>

struct draft_model {
    const struct gpt2_model *model;
    enum gpt2_kv kv;
    struct gpt2_batch *batch;
    int n_vocab;
    float *wide; /* [n_wide] logits for a larger vocabulary; or NULL */
    int n_wide;
    double guess_ns; /* of one guess, lately; 0: not known */
};

/* One text that it reads. Zeroed: none yet. */
struct draft_reader {
    struct gpt2_session *session;
    struct gpt2_ids read; /* by the session: the text from `base` on, and what was guessed */
    int base;
};

/* How a token is chosen for the place after all that was guessed so far: the id, or -1 to end. */
struct draft_chooser {
    int32_t (*choose)(void *user, const float *logits);
    void *user;
};

/* Borrows model and runtime. */
bool draft_model_create(struct draft_model *draft, const struct gpt2_model *model,
                        struct gpt2_runtime *runtime, enum gpt2_kv kv, struct gpt2_error *err);
void draft_model_free(struct draft_model *draft); /* a zeroed struct is allowed */
void draft_model_forget(struct draft_reader *reader);

/* Guesses at most `max` ids after ids [n_ids], for a vocabulary of n_vocab; the logits of ids that
 * this model lacks are far below all others. *n is how many. Fails as gpt2_batch_run does. */
bool draft_model_guess(struct draft_model *draft, struct draft_reader *reader, const int32_t *ids,
                       int n_ids, int n_vocab, const struct draft_chooser *chooser, int32_t *out,
                       int max, int *n, struct gpt2_error *err);

#endif
