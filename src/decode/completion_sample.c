/* completion_sample.c - what a sample's tokens become. */
#include "decode/completion_sample.h"
#include "base/error_internal.h"

bool completion_sample_begin(struct completion_sample *text,
                             const struct constraints_options *options, const int32_t *prompt,
                             int n_prompt, int *n_read, struct gpt2_error *err) {
    *text = (struct completion_sample){.stop = GPT2_STOP_NONE, .end = -1};
    return constraints_create(&text->constraints, options, err) &&
           constraints_begin(&text->constraints, prompt, n_prompt, n_read, err);
}

void completion_sample_free(struct completion_sample *text) {
    constraints_free(&text->constraints);
    gpt2_ids_free(&text->ids);
    buffer_free(&text->bytes);
    buffer_free(&text->logprobs);
    buffer_free(&text->top);
    *text = (struct completion_sample){0};
}

static bool check_memory(const struct completion_sample *text, struct gpt2_error *err) {
    if (text->bytes.failed || text->logprobs.failed || text->top.failed)
        return error_memory(err, "a text", text->bytes.len);
    return true;
}

static void note_logprob(struct completion_sample *text, const struct sample_token *token) {
    buffer_bytes(&text->logprobs, &token->logprob, sizeof token->logprob);
    if (text->n_top)
        buffer_bytes(&text->top, token->top, (size_t)text->n_top * sizeof *token->top);
}

bool completion_sample_take(struct completion_sample *text, const struct sample_token *token,
                            struct gpt2_shown *shown, struct gpt2_error *err) {
    struct constraints_step step;
    if (!gpt2_ids_push(&text->ids, token->id, err) ||
        !constraints_take(&text->constraints, token->id, &step, err))
        return false;
    if (text->wants_logprobs) {
        text->sum += token->logprob;
        note_logprob(text, token);
    }
    *shown = step.shown;
    buffer_bytes(&text->bytes, shown->bytes, shown->n_bytes);
    text->stop = step.shown.stop;
    if (step.shown.stop != GPT2_STOP_NONE)
        text->finish = GPT2_FINISH_STOP;
    else if (step.chosen)
        text->finish = GPT2_FINISH_CHOICE;
    return check_memory(text, err);
}

void completion_sample_note_end(struct completion_sample *text, const struct sample_token *token) {
    if (!text->wants_logprobs)
        return;
    note_logprob(text, token);
    text->end = token->id;
}

bool completion_sample_end(struct completion_sample *text, struct gpt2_shown *shown,
                           struct gpt2_error *err) {
    constraints_finish(&text->constraints, shown);
    buffer_bytes(&text->bytes, shown->bytes, shown->n_bytes);
    return check_memory(text, err);
}
