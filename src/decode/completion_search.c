/* completion_search.c - a completion whose texts are searched for instead of drawn. */
#include "decode/completion_internal.h"
#include "decode/stops_internal.h"

static bool go_on(void *user, const struct gpt2_step *steps, int n_steps) {
    struct gpt2_completion *c = user;
    const struct gpt2_completion_options *o = &c->options;
    for (int i = 0; o->go_on && i < n_steps; i++)
        c->stopped |= !o->go_on(o->user, steps[i].logits);
    c->timed_out = completion_timed_out(c);
    return !c->stopped && !c->timed_out;
}

/* Why a beam ended, unless it was at a stop or a choice. */
static enum gpt2_finish finish_of(const struct gpt2_completion *c, const struct gpt2_beam *beam) {
    if (beam->ended)
        return GPT2_FINISH_EOS;
    if (c->stopped)
        return GPT2_FINISH_STOPPED;
    if (c->timed_out)
        return GPT2_FINISH_TIME;
    return beam->n_ids == c->options.max_tokens ? GPT2_FINISH_LENGTH : GPT2_FINISH_CONTEXT;
}

static void take_beam(struct gpt2_completion *c, int sample, const struct gpt2_beam *beam) {
    bool last = false, ok = true;
    for (int i = 0; ok && i < beam->n_ids; i++)
        ok = completion_append(
            c, sample,
            &(struct sample_token){.id = beam->ids[i],
                                   .logprob = c->options.logprobs ? beam->logprobs[i] : 0,
                                   .top = beam->top + (size_t)i * (size_t)beam->n_top},
            &last);
    completion_close(c, sample, ok ? finish_of(c, beam) : GPT2_FINISH_FAILED);
}

static void ended(void *user) {
    struct gpt2_completion *c = user;
    const struct gpt2_error *err = gpt2_beams_error(c->beams);
    int n = gpt2_beams_count(c->beams);
    if (err)
        c->err = *err;
    for (; !err && c->n_samples > n; c->n_samples--)
        completion_sample_free(&c->samples[c->n_samples - 1]);
    for (int i = 0; i < c->n_samples; i++) {
        if (err) {
            completion_close(c, i, GPT2_FINISH_FAILED);
            continue;
        }
        struct gpt2_beam beam = gpt2_beams_get(c->beams, i);
        take_beam(c, i, &beam);
    }
    gpt2_beams_free(c->beams);
    c->beams = NULL;
}

bool completion_search_create(struct gpt2_completion *c, struct gpt2_error *err) {
    const struct gpt2_completion_options *o = &c->options;
    bool stops = o->stops && !stops_is_empty(o->stops);
    struct gpt2_beam_options options = {.n_beams = o->n_beams,
                                        .max_tokens = o->max_tokens,
                                        .length_penalty = o->length_penalty,
                                        .early_stopping = o->early_stopping,
                                        .eos_ids = c->config->eos_ids,
                                        .n_eos = o->ignore_eos ? 0 : c->config->n_eos,
                                        .n_top = o->n_top,
                                        .rules = o->sampler,
                                        .tokenizer = c->tokenizer,
                                        .stops = stops ? o->stops : NULL,
                                        .choices = o->choices,
                                        .healer = o->healer,
                                        .go_on = go_on,
                                        .ended = ended,
                                        .user = c};
    c->beams = gpt2_beams_create(c->model, &options, err);
    return c->beams != NULL;
}
