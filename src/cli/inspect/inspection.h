/* inspection.h - what the kinds of `gpt2 inspect` share: texts, a model and a view to fill.
 * Each kind is a file inspect_KIND.c. */
#ifndef CLI_INSPECT_INSPECTION_H
#define CLI_INSPECT_INSPECTION_H

#include "cli/inspect/view.h"
#include <gpt2/inspect.h>
#include <gpt2/tokenizer.h>

#define INSPECT_TEXTS 4 /* at most, for `compare` */

struct inspect {
    const struct gpt2_model *model;
    const struct gpt2_config *config;
    struct gpt2_runtime *runtime;
    const struct gpt2_tokenizer *tokenizer; /* NULL: tokens are shown as numbers */
    struct gpt2_inspector *inspector;       /* with the ablations of --ablate    */
    unsigned ablations;
    float *deviations; /* [sites] for ln-scale: mean over the texts' tokens without position 0 */
    struct gpt2_ids texts[INSPECT_TEXTS]; /* each at least one token */
    int n_texts;
    bool bos;         /* texts begin with an added bos token */
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

struct dump_options {
    const char *sites; /* a list; NULL: "resid", or with `lens` nothing */
    bool lens;
};

/* Writes arrays of the first text to `path` (--output) and returns the exit code; errors are
 * reported. */
int inspect_dump(struct inspect *inspect, const struct dump_options *options, const char *path);

/* The bytes of a token; "#ID" without a tokenizer. */
struct label inspect_token(struct inspect *inspect, int32_t id);

/* The same for use in a sentence: in quotes, escaped. */
const char *inspect_quote(struct inspect *inspect, int32_t id);

/* The names of a set of ablations: "ln-gain,ln-bias"; "nothing" if it is empty. */
const char *inspect_ablations(struct view *view, unsigned ablations);

/* Parses such a list; NULL is the empty set. False with GPT2_ERR_USAGE for an unknown name. */
bool inspect_parse_ablations(const char *list, unsigned *ablations, struct gpt2_error *err);

/* Fills err with GPT2_ERR_MEMORY; returns false. */
bool inspect_no_memory(struct gpt2_error *err);

static inline struct cell cell_text(struct label text) {
    return (struct cell){.text = text};
}

static inline struct cell cell_number(double number) {
    return (struct cell){.number = number};
}

#endif
