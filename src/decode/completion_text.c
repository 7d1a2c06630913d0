/* completion_text.c - a text of a completion grows: its next token, what is shown of it, its end.
 */
#include "base/error_internal.h"
#include "base/os.h"
#include "decode/completion_internal.h"

static bool show(struct gpt2_completion *c, const struct gpt2_piece *piece) {
    const struct gpt2_completion_options *o = &c->options;
    if (!o->show || o->show(o->user, piece, &c->err))
        return true;
    if (c->err.status == GPT2_OK)
        error_set(&c->err, GPT2_ERR_RUNTIME, "completion: the caller could not take the text");
    return false;
}

bool completion_append(struct gpt2_completion *c, int i, const struct sample_token *token,
                       bool *last) {
    struct completion_sample *text = &c->samples[i];
    struct gpt2_shown shown;
    if (!completion_sample_take(text, token, &shown, &c->err))
        return false;
    *last = text->finish != GPT2_FINISH_NONE;
    return show(c, &(struct gpt2_piece){.sample = i,
                                        .index = (int)text->ids.len - 1,
                                        .id = token->id,
                                        .bytes = shown.bytes,
                                        .n_bytes = shown.n_bytes,
                                        .logprob = token->logprob});
}

/* False: a full context is an error, now in c->err. */
static bool may_be_full(struct gpt2_completion *c) {
    if (c->options.overflow != GPT2_OVERFLOW_ERROR)
        return true;
    error_set(&c->err, GPT2_ERR_INPUT, "the context of %d tokens is full", c->config->n_ctx);
    return error_hint(&c->err, "--on-overflow stop or slide");
}

void completion_close(struct gpt2_completion *c, int i, enum gpt2_finish finish) {
    struct completion_sample *text = &c->samples[i];
    struct gpt2_shown rest;
    c->n_ended++;
    if (text->finish == GPT2_FINISH_NONE || finish == GPT2_FINISH_FAILED)
        text->finish = finish;
    if (text->finish == GPT2_FINISH_CONTEXT && !may_be_full(c))
        text->finish = GPT2_FINISH_FAILED;
    if (text->finish == GPT2_FINISH_STOP || text->finish == GPT2_FINISH_FAILED)
        return;
    bool ok = completion_sample_end(text, &rest, &c->err);
    if (ok && rest.n_bytes)
        ok = show(c, &(struct gpt2_piece){
                         .sample = i, .id = -1, .bytes = rest.bytes, .n_bytes = rest.n_bytes});
    if (!ok)
        text->finish = GPT2_FINISH_FAILED;
}

bool completion_timed_out(const struct gpt2_completion *c) {
    double max_time = (double)c->options.max_time;
    return max_time > 0 && (double)(os_now_ns() - c->start_ns) * 1e-9 >= max_time;
}

bool completion_ends_with(const struct gpt2_completion *c, int32_t id) {
    if (c->options.ignore_eos && !c->options.choices)
        return false;
    for (int i = 0; i < c->config->n_eos; i++)
        if (c->config->eos_ids[i] == id)
            return true;
    return false;
}

int32_t completion_draw(const struct gpt2_completion *c, const struct constraints *constraints,
                        const struct gpt2_step *step) {
    struct gpt2_draw draw = {.record = c->options.record,
                             .sample = c->options.first_sample + (uint32_t)step->sample,
                             .position = (uint32_t)step->n_ids,
                             .history = constraints->history};
    draw.allowed = constraints_allowed(constraints, &draw.n_allowed);
    return gpt2_sampler_next(c->options.sampler, step->logits, draw);
}
