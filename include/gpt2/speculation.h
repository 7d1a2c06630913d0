/* speculation.h - several tokens a pass: guesses of what comes next, checked and never believed.
 *
 * Decoding reads all weights for each token. A pass that also reads a few guessed tokens reads the
 * weights once for all of them; as long as the guesses are what is then chosen, each saves a pass.
 * A guess is accepted exactly if it is the token that would have been chosen without it: logits do
 * not depend on how tokens are cut into passes, and draws are keyed by position. So texts, their
 * log-probabilities and the order of callbacks are the same, bit for bit, with and without; only
 * time differs.
 *
 *     struct gpt2_speculation *s =
 *         gpt2_speculation_create(&(struct gpt2_speculation_options){.lookup = true}, &err);
 *     options.speculation = s;                  // of a completion
 *
 * Guesses come from one of two places:
 *
 *   lookup   what followed the last tokens when they stood in the prompt, the text or `corpus`
 *            before: the longest match of at least 2 tokens. Costs next to nothing, and is good
 *            where text repeats: code, lists, summaries that quote.
 *   model    a smaller model of the same vocabulary, or a quantized form of the model itself,
 *            draws with the same keys, rules and constraints.
 *
 * How many tokens are guessed follows from how often guesses were right lately, what a pass of so
 * many tokens was measured to cost, and what a guess costs. Where none pays, none is made; lookup
 * goes on comparing what it would have guessed, which needs no pass, and starts again by itself. */
#ifndef GPT2_SPECULATION_H
#define GPT2_SPECULATION_H

#include <gpt2/error.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/session.h>
#include <gpt2/version.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GPT2_MAX_DRAFT 32

struct gpt2_speculation_options {
    bool lookup;
    bool always;   /* guess as much as there is room for, whatever it costs: for tests      */
    int max_draft; /* tokens of one pass: 1 to GPT2_MAX_DRAFT; 0: 16                        */
    const int32_t *corpus; /* [n_corpus] where lookup looks too; copied */
    size_t n_corpus;
    const struct gpt2_model *model; /* guesses in place of lookup; NULL: none. Borrowed */
    struct gpt2_runtime *runtime; /* its threads; needed with a model. Borrowed                   */
    enum gpt2_kv kv;              /* of the model's sessions                                      */
    uint64_t reserved[GPT2_RESERVED]; /* 0 (version.h) */
};

/* It learns from text to text, and may serve any number of completions, one after the other; a
 * completion borrows it until it is freed. Fails with GPT2_ERR_USAGE unless exactly one of lookup
 * and model is asked for (corpus only with lookup) and max_draft is in range; GPT2_ERR_MEMORY. */
struct gpt2_speculation *gpt2_speculation_create(const struct gpt2_speculation_options *options,
                                                 struct gpt2_error *err);
void gpt2_speculation_free(struct gpt2_speculation *speculation); /* NULL is allowed */

/* As many as max_draft: what a generator's max_draft is to be for a completion with it. */
int gpt2_speculation_max_draft(const struct gpt2_speculation *speculation);

/* What became of the guesses, over all completions so far. */
struct gpt2_speculation_counts {
    uint64_t n_passes;   /* that read a token of a text, with guesses or without */
    uint64_t n_tokens;   /* chosen after them                                    */
    uint64_t n_drafted;  /* guesses that were read                               */
    uint64_t n_accepted; /* ... and chosen                                       */
};
struct gpt2_speculation_counts gpt2_speculation_counts(const struct gpt2_speculation *speculation);

/* Why the model makes no more guesses: its weights give no finite logits, or memory is out. Texts
 * go on without. NULL: nothing is wrong. */
const struct gpt2_error *gpt2_speculation_error(const struct gpt2_speculation *speculation);

#ifdef __cplusplus
}
#endif
#endif
