/* constraints.c - one sequence's history, choices, healing and stops, moved on together. */
#include "decode/constraints.h"

static const struct gpt2_shown nothing = {.bytes = "", .stop = GPT2_STOP_NONE};

bool constraints_create(struct constraints *c, const struct constraints_options *options,
                        struct gpt2_error *err) {
    *c = (struct constraints){.options = *options};
    if (options->sampler && gpt2_sampler_needs_history(options->sampler) &&
        !(c->history = gpt2_history_create(options->sampler, err)))
        return false;
    return !options->stops || (c->stream = gpt2_stop_stream_create(options->stops, err));
}

void constraints_free(struct constraints *c) {
    gpt2_history_free(c->history);
    gpt2_stop_stream_free(c->stream);
    gpt2_heal_free(c->heal);
    *c = (struct constraints){0};
}

bool constraints_begin(struct constraints *c, const int32_t *ids, int n_ids, int *n_kept,
                       struct gpt2_error *err) {
    const struct gpt2_healer *healer = c->options.healer;
    c->place = 0;
    *n_kept = n_ids;
    gpt2_heal_free(c->heal);
    c->heal = healer ? gpt2_heal_begin(healer, ids, n_ids, 1, err) : NULL;
    if (healer && !c->heal)
        return false;
    if (c->heal)
        *n_kept = gpt2_heal_kept(c->heal);
    if (c->stream)
        gpt2_stop_stream_clear(c->stream);
    if (!c->history)
        return true;
    gpt2_history_clear(c->history);
    int n_prompt = n_ids > c->options.n_generated ? n_ids - c->options.n_generated : 0;
    n_prompt = n_prompt < *n_kept ? n_prompt : *n_kept;
    return gpt2_history_push(c->history, ids, n_prompt, false, err) &&
           gpt2_history_push(c->history, ids + n_prompt, *n_kept - n_prompt, true, err);
}

bool constraints_copy(struct constraints *c, const struct constraints *source,
                      struct gpt2_error *err) {
    c->place = source->place;
    return (!c->heal || gpt2_heal_copy(c->heal, source->heal, err)) &&
           (!c->stream || gpt2_stop_stream_copy(c->stream, source->stream, err)) &&
           (!c->history || gpt2_history_copy(c->history, source->history, err));
}

/* How many bytes of the prompt are still to be generated again. */
static size_t n_unhealed(const struct constraints *c) {
    size_t n = 0;
    if (c->heal)
        gpt2_heal_rest(c->heal, &n);
    return n;
}

const int32_t *constraints_allowed(const struct constraints *c, int *n) {
    const struct gpt2_choices *choices = c->options.choices;
    if (n_unhealed(c) > 0)
        return gpt2_heal_allowed(c->heal, n);
    return choices ? gpt2_choices_allowed(choices, c->place, n) : NULL;
}

/* Gives `stream` the bytes of a token but the first n_again, which are the prompt's. */
static bool push(const struct constraints *c, struct gpt2_stop_stream *stream, int32_t id,
                 size_t n_again, struct gpt2_shown *shown, struct gpt2_error *err) {
    size_t n;
    const char *bytes = gpt2_tokenizer_token(c->options.tokenizer, id, &n);
    n_again = n_again < n ? n_again : n;
    return gpt2_stop_stream_push(stream, bytes + n_again, n - n_again, shown, err);
}

static bool is_chosen(const struct gpt2_choices *choices, int place) {
    int n;
    return !gpt2_choices_allowed(choices, place, &n);
}

bool constraints_take(struct constraints *c, int32_t id, struct constraints_step *step,
                      struct gpt2_error *err) {
    const struct gpt2_choices *choices = c->options.choices;
    size_t n_again = n_unhealed(c), n_new;
    *step = (struct constraints_step){.shown = nothing};
    if (n_again > 0 && !gpt2_heal_step(c->heal, id, &n_new, err))
        return false;
    if (n_again == 0 && choices) {
        c->place = gpt2_choices_step(choices, c->place, id);
        step->chosen = is_chosen(choices, c->place);
    }
    return (!c->history || gpt2_history_push(c->history, &id, 1, true, err)) &&
           (!c->stream || push(c, c->stream, id, n_again, &step->shown, err));
}

bool constraints_would_end(const struct constraints *c, int32_t id, struct constraints *probe,
                           bool *ends, struct gpt2_error *err) {
    const struct gpt2_choices *choices = c->options.choices;
    size_t n_again = n_unhealed(c);
    *ends = choices && n_again == 0 && is_chosen(choices, gpt2_choices_step(choices, c->place, id));
    if (*ends || !c->stream)
        return true;
    struct gpt2_shown shown;
    if (!gpt2_stop_stream_copy(probe->stream, c->stream, err) ||
        !push(c, probe->stream, id, n_again, &shown, err))
        return false;
    *ends = shown.stop != GPT2_STOP_NONE;
    return true;
}

void constraints_finish(struct constraints *c, struct gpt2_shown *shown) {
    *shown = nothing;
    if (c->stream)
        gpt2_stop_stream_end(c->stream, shown);
}
