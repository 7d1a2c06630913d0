/* record_texts.h - the texts that a record becomes: a completion for each of its prompts. */
#ifndef CLI_GENERATE_RECORD_TEXTS_H
#define CLI_GENERATE_RECORD_TEXTS_H

#include "cli/generate/bulk_record.h"
#include "cli/generate/prompt_scores.h"
#include <gpt2/completion.h>

/* Starts from {0}; `record` is read first (bulk_record.h). */
struct record_texts {
    struct bulk_record record;
    struct decoding own;                  /* where the record has settings of its own   */
    const struct decoding *decoding;      /* that, or the caller's                      */
    struct gpt2_completion **completions; /* [n], one for each of the record's prompts  */
    struct prompt_scores *scores;         /* [n] of them; NULL: not wanted              */
    int n;
    int n_scored;
};

/* What texts are made with; borrowed as long as they are there. */
struct text_maker {
    const struct gpt2_model *model;
    const struct gpt2_tokenizer *tokenizer;
    const struct decoding *decoding; /* of a record without settings of its own */
    int max_samples;                 /* of a record's prompts together          */
};

/* What the record's prompts are encoded with, before. */
struct prompt_encoder text_maker_encoder(const struct text_maker *maker);

/* Makes the completions. Draws go on from prompt to prompt, as the numbers of the choices do.
 * go_on(user) as gpt2_completion_options has it. Fails as decoding_create, decoding_options and
 * gpt2_completion_create do, or with GPT2_ERR_USAGE for too many samples. */
bool record_texts_create(struct record_texts *texts, const struct text_maker *maker,
                         bool (*go_on)(void *user, const float *logits), void *user,
                         struct gpt2_error *err);

/* Scores the next of the prompts, where record_texts_to_score: the scorer is of the same model. */
bool record_texts_to_score(const struct record_texts *texts,
                           const struct gpt2_tokenizer *tokenizer);
bool record_texts_score(struct record_texts *texts, struct prompt_scorer *scorer,
                        struct gpt2_error *err);

/* Whether all texts have ended; then, why one failed, or NULL. */
bool record_texts_done(const struct record_texts *texts);
const struct gpt2_error *record_texts_error(const struct record_texts *texts);

void record_texts_free(struct record_texts *texts); /* leaves {0} */

#endif
