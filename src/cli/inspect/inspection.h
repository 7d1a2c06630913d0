/* inspection.h - what the five kinds of `gpt2 inspect` share: a text or several, read by a model,
 * and the view that each of them fills in its own file. */
#ifndef CLI_INSPECT_INSPECTION_H
#define CLI_INSPECT_INSPECTION_H

#include "cli/inspect/view.h"
#include <gpt2/inspect.h>
#include <gpt2/tokenizer.h>

#define INSPECT_TEXTS 4 /* the most that `compare` takes */

struct inspect {
    const struct gpt2_model *model;
    const struct gpt2_config *config;
    struct gpt2_runtime *runtime;
    const struct gpt2_tokenizer *tokenizer; /* NULL: tokens are shown as numbers   */
    struct gpt2_inspector *inspector;       /* under the ablations that were asked */
    unsigned ablations;
    float
        *deviations; /* [sites] for ln-scale: the mean of the texts' tokens, position 0 left out */
    struct gpt2_ids texts[INSPECT_TEXTS]; /* each at least one token */
    int n_texts;
    bool bos;         /* <|endoftext|> was put in front */
    int layer, head;  /* -1: not given */
    int32_t token;    /* -1: not given */
    struct view view; /* to be filled  */
};

/* Each fills inspect->view. */
bool inspect_layernorm(struct inspect *inspect, struct gpt2_error *err);
bool inspect_compare(struct inspect *inspect, struct gpt2_error *err);
bool inspect_lens(struct inspect *inspect, struct gpt2_error *err);
bool inspect_attention(struct inspect *inspect, struct gpt2_error *err);
bool inspect_residual(struct inspect *inspect, struct gpt2_error *err);

/* The bytes of a token, or "#ID". */
struct label inspect_token(struct inspect *inspect, int32_t id);

/* The same for the middle of a sentence: in quotes, escaped. */
const char *inspect_quote(struct inspect *inspect, int32_t id);

/* Names of a set of ablations: "ln-gain,ln-bias"; "nothing" of none. */
const char *inspect_ablations(struct view *view, unsigned ablations);

/* The other way round, of what --ablate has; NULL is nothing. GPT2_ERR_USAGE for other names. */
bool inspect_parse_ablations(const char *list, unsigned *ablations, struct gpt2_error *err);

/* Error for memory that ran out; false. */
bool inspect_no_memory(struct gpt2_error *err);

static inline struct cell cell_text(struct label text) {
    return (struct cell){.text = text};
}

static inline struct cell cell_number(double number) {
    return (struct cell){.number = number};
}

#endif
