/* speculation_internal.h - speculation from inside: what a completion asks of it. */
#ifndef DECODE_SPECULATION_INTERNAL_H
#define DECODE_SPECULATION_INTERNAL_H

#include "decode/draft_lookup.h"
#include "decode/draft_model.h"
#include "decode/draft_policy.h"
#include <gpt2/generator.h>

#define LENGTH_CLASSES 5 /* of matches: 2, 3-4, 5-8, 9-16, more */

/* One text that guesses are made for. */
struct draft_text {
    struct draft_lookup own;    /* its tokens so far              */
    struct draft_reader reader; /* where a model guesses          */
    int32_t guess[GPT2_MAX_DRAFT];
    int n_guess, n_drafted; /* guessed; and how many of these a pass reads */
    int at;                 /* the text's length then; 0: nothing is waited for */
    int length;             /* of the match                   */
};

struct gpt2_speculation {
    struct gpt2_speculation_options options; /* max_draft is set */
    struct draft_lookup corpus;
    struct draft_model model;
    struct draft_policy policy;
    struct draft_odds by_length[LENGTH_CLASSES]; /* of lookup's guesses */
    struct draft_odds by_model;
    uint64_t n_idle;          /* passes since the model guessed */
    struct draft_text *texts; /* [n_texts] by sample */
    int n_texts;
    struct gpt2_speculation_counts counts;
    struct gpt2_error err; /* GPT2_OK: the model may guess */
};

/* Guesses for gpt2_request.draft; n_vocab is that of the model that checks them. */
int speculation_draft(struct gpt2_speculation *speculation, const struct gpt2_step *step,
                      const struct gpt2_pass *last, int n_vocab,
                      const struct draft_chooser *chooser, int32_t *draft, int max);

/* What the text has become: to be called at its end, with its ids. */
void speculation_learn(struct gpt2_speculation *speculation, int sample, const int32_t *ids,
                       int n_ids);

#endif
