/* record_texts.c - makes a record's completions, looks after them, and scores their prompts. */
#include "cli/generate/record_texts.h"
#include "base/plural.h"
#include "cli/generate/completion_json.h"
#include "cli/io/report.h"

#include <stdlib.h>

static bool make_decoding(struct record_texts *t, const struct text_maker *maker,
                          struct gpt2_error *err) {
    t->decoding = maker->decoding;
    if (!t->record.has_settings)
        return true;
    settings_resolve(&t->record.settings, gpt2_model_config(maker->model));
    t->decoding = &t->own;
    return decoding_create(&t->own, &t->record.settings, maker->model, maker->tokenizer, err);
}

struct prompt_encoder text_maker_encoder(const struct text_maker *maker) {
    return (struct prompt_encoder){maker->tokenizer, gpt2_model_config(maker->model)->n_ctx};
}

bool record_texts_create(struct record_texts *t, const struct text_maker *maker,
                         bool (*go_on)(void *user, const float *logits), void *user,
                         struct gpt2_error *err) {
    const struct bulk_record *record = &t->record;
    struct gpt2_completion_options options;
    uint32_t n_samples = 0;
    if (!make_decoding(t, maker, err))
        return false;
    t->completions = calloc((size_t)record->n_prompts, sizeof *t->completions);
    if (!t->completions)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    for (; t->n < record->n_prompts; t->n++) {
        const struct gpt2_ids *ids = &record->prompts[t->n];
        if (!decoding_options(t->decoding, ids, maker->tokenizer, &options, err))
            return false;
        options.go_on = go_on;
        options.user = user;
        options.record = record->key;
        options.first_sample = n_samples;
        n_samples += (uint32_t)options.n_samples;
        if (n_samples > (uint32_t)maker->max_samples)
            return usage_error(
                err, "prompt: %d prompt%s with %d sample%s each: expected at most %d texts",
                record->n_prompts, plural(record->n_prompts), options.n_samples,
                plural(options.n_samples), maker->max_samples);
        const struct gpt2_prompt prompt = {.ids = ids->data, .n_ids = (int)ids->len};
        t->completions[t->n] =
            gpt2_completion_create(maker->model, maker->tokenizer, &prompt, &options, err);
        if (!t->completions[t->n])
            return false;
    }
    return true;
}

bool record_texts_to_score(const struct record_texts *t, const struct gpt2_tokenizer *tokenizer) {
    return t->n_scored < t->n && completion_wants_prompt(&t->decoding->settings, tokenizer);
}

bool record_texts_score(struct record_texts *t, struct prompt_scorer *scorer,
                        struct gpt2_error *err) {
    if (!t->scores)
        t->scores = calloc((size_t)t->n, sizeof *t->scores);
    if (!t->scores)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a record");
    const int i = t->n_scored;
    if (!prompt_scores_make(&t->scores[i], scorer, t->completions[i],
                            t->decoding->settings.logprobs, err))
        return false;
    t->n_scored++;
    return true;
}

bool record_texts_done(const struct record_texts *t) {
    for (int i = 0; i < t->n; i++)
        if (!gpt2_completion_done(t->completions[i]))
            return false;
    return true;
}

const struct gpt2_error *record_texts_error(const struct record_texts *t) {
    const struct gpt2_error *err = NULL;
    for (int i = 0; i < t->n && !err; i++)
        err = gpt2_completion_error(t->completions[i]);
    return err;
}

void record_texts_free(struct record_texts *t) {
    for (int i = 0; i < t->n; i++)
        gpt2_completion_free(t->completions[i]);
    for (int i = 0; t->scores && i < t->n; i++)
        prompt_scores_free(&t->scores[i]);
    free(t->scores);
    free(t->completions);
    decoding_free(&t->own);
    bulk_record_free(&t->record);
    *t = (struct record_texts){0};
}
