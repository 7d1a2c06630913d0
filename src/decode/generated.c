/* generated.c - one text of a completion: its ids, bytes and log-probabilities as they come. */
#include "decode/generated.h"
#include "base/os.h"

#include <string.h>

bool generated_begin(struct generated *text, const struct constraints_options *options,
                     const int32_t *prompt, int n_prompt, int *n_read, struct gpt2_error *err) {
    *text = (struct generated){.stop = GPT2_STOP_NONE};
    return constraints_create(&text->constraints, options, err) &&
           constraints_begin(&text->constraints, prompt, n_prompt, n_read, err);
}

void generated_free(struct generated *text) {
    constraints_free(&text->constraints);
    gpt2_ids_free(&text->ids);
    os_free(text->bytes);
    os_free(text->logprobs);
    os_free(text->top);
    *text = (struct generated){0};
}

/* A larger copy of a list of n items in place of it. */
static bool grow(void **list, size_t n, size_t cap, size_t size, struct gpt2_error *err) {
    void *grown = os_alloc(cap, size, "a text", err);
    if (!grown)
        return false;
    if (n)
        memcpy(grown, *list, n * size);
    os_free(*list);
    *list = grown;
    return true;
}

static bool append(struct generated *text, const struct gpt2_shown *shown, struct gpt2_error *err) {
    size_t n = text->n_bytes + shown->n_bytes;
    if (n > text->cap_bytes) {
        void *bytes = text->bytes;
        if (!grow(&bytes, text->n_bytes, 2 * n + 64, 1, err))
            return false;
        text->bytes = bytes;
        text->cap_bytes = 2 * n + 64;
    }
    if (shown->n_bytes)
        memcpy(text->bytes + text->n_bytes, shown->bytes, shown->n_bytes);
    text->n_bytes = n;
    return true;
}

static bool make_room(struct generated *text, struct gpt2_error *err) {
    size_t n = text->ids.len, cap = 2 * n + 64, n_top = (size_t)text->n_top;
    if (n < text->cap_logprobs)
        return true;
    void *logprobs = text->logprobs, *top = text->top;
    bool ok = grow(&logprobs, n, cap, sizeof *text->logprobs, err);
    text->logprobs = logprobs;
    ok = ok && grow(&top, n * n_top, cap * n_top, sizeof *text->top, err);
    text->top = top;
    if (ok)
        text->cap_logprobs = cap;
    return ok;
}

/* Before the token's id is in the list. */
static bool note_logprob(struct generated *text, const struct generated_token *token,
                         struct gpt2_error *err) {
    size_t n = text->ids.len, n_top = (size_t)text->n_top;
    if (!make_room(text, err))
        return false;
    text->sum += token->logprob;
    text->logprobs[n] = token->logprob;
    if (n_top)
        memcpy(text->top + n * n_top, token->top, n_top * sizeof *text->top);
    return true;
}

bool generated_take(struct generated *text, const struct generated_token *token,
                    struct gpt2_shown *shown, struct gpt2_error *err) {
    struct constraints_step step;
    if ((text->wants_logprobs && !note_logprob(text, token, err)) ||
        !gpt2_ids_push(&text->ids, token->id, err) ||
        !constraints_take(&text->constraints, token->id, &step, err) ||
        !append(text, &step.shown, err))
        return false;
    *shown = step.shown;
    text->stop = step.shown.stop;
    if (step.shown.stop != GPT2_STOP_NONE)
        text->finish = GPT2_FINISH_STOP;
    else if (step.chosen)
        text->finish = GPT2_FINISH_CHOICE;
    return true;
}

bool generated_end(struct generated *text, struct gpt2_shown *shown, struct gpt2_error *err) {
    constraints_finish(&text->constraints, shown);
    return append(text, shown, err);
}
