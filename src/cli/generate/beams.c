/* beams.c - see beams.h. */
#include "cli/generate/beams.h"
#include "base/os.h"
#include "cli/io/output.h"
#include "cli/io/signals.h"

static bool go_on(void *user, const struct gpt2_turn *turns, int n_turns) {
    struct completion *c = user;
    float max_time = c->decoding->settings.max_time;
    for (int i = 0; c->see && i < n_turns; i++)
        c->see(c->user, turns[i].logits);
    c->out_of_time = max_time > 0 && (double)(os_now_ns() - c->start_ns) * 1e-9 >= (double)max_time;
    return !c->out_of_time && !signals_caught();
}

/* Why a beam ended that is not at an end id, a stop or a choice. */
static enum finish why_ended(struct completion *c, const struct gpt2_beam *beam) {
    if (signals_caught())
        return FINISH_INTERRUPTED;
    if (c->out_of_time)
        return FINISH_TIME;
    if (beam->n_ids == c->decoding->settings.max_tokens)
        return FINISH_LENGTH;
    return completion_context_full(c) ? FINISH_CONTEXT : FINISH_FAILED;
}

static bool take_beam(struct completion *c, int sample, const struct gpt2_beam *beam) {
    bool last = false;
    for (int i = 0; i < beam->n_ids; i++) {
        struct likelihood likelihood = {
            .logprob = beam->logprobs[i],
            .top = beam->n_top ? beam->top + (size_t)i * (size_t)beam->n_top : NULL,
            .n_top = beam->n_top};
        if (!completion_take(c, sample, beam->ids[i], &likelihood, &last))
            return false;
    }
    if (!last)
        c->samples[sample].finish = beam->ended ? FINISH_EOS : why_ended(c, beam);
    completion_finish(c, sample);
    return c->samples[sample].finish != FINISH_FAILED;
}

static void ended(void *user) {
    struct completion *c = user;
    const struct gpt2_error *err = gpt2_beams_error(c->beams);
    int n = gpt2_beams_count(c->beams);
    if (err)
        c->err = *err;
    else
        completion_keep(c, n);
    for (int i = 0; i < c->n_samples; i++) {
        struct gpt2_beam beam = {0};
        if (!err)
            beam = gpt2_beams_get(c->beams, i);
        if (err || !take_beam(c, i, &beam))
            c->samples[i].finish = FINISH_FAILED;
    }
    c->n_ended = c->n_samples;
    gpt2_beams_free(c->beams);
    c->beams = NULL;
}

bool beams_create(struct completion *c, struct gpt2_error *err) {
    const struct decoding *d = c->decoding;
    const struct settings *s = &d->settings;
    const struct gpt2_config *config = gpt2_model_config(c->model);
    struct gpt2_beam_options o = {.n_beams = s->beams,
                                  .max_tokens = s->max_tokens,
                                  .length_penalty = s->length_penalty,
                                  .early_stopping = (enum gpt2_early_stopping)s->early_stopping,
                                  .eos_ids = config->eos_ids,
                                  .n_eos = s->ignore_eos || s->goes_on ? 0 : config->n_eos,
                                  .n_top = s->logprobs > 0 ? s->logprobs : 0,
                                  .rules = d->sampler,
                                  .tokenizer = c->tokenizer,
                                  .stops = s->stop.n || s->until ? d->stops : NULL,
                                  .choices = c->choices,
                                  .healer = d->healer,
                                  .go_on = go_on,
                                  .ended = ended,
                                  .user = c};
    c->beams = gpt2_beams_create(c->model, &o, err);
    return c->beams != NULL;
}
