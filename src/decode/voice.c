/* voice.c - see voice.h. */
#include "decode/voice.h"

bool voice_create(struct voice *voice, const struct gpt2_beam_options *options,
                  struct gpt2_error *err) {
    *voice = (struct voice){.options = options};
    if (options->rules && gpt2_sampler_needs_history(options->rules) &&
        !(voice->history = gpt2_history_create(options->rules, err)))
        return false;
    return !options->stops || (voice->stream = gpt2_stop_stream_create(options->stops, err));
}

void voice_free(struct voice *voice) {
    gpt2_history_free(voice->history);
    gpt2_stop_stream_free(voice->stream);
    gpt2_heal_free(voice->heal);
    *voice = (struct voice){0};
}

bool voice_begin(struct voice *voice, const int32_t *ids, int n_ids, int *n_kept,
                 struct gpt2_error *err) {
    const struct gpt2_healer *healer = voice->options->healer;
    voice->place = 0;
    *n_kept = n_ids;
    gpt2_heal_free(voice->heal);
    voice->heal = healer ? gpt2_heal_begin(healer, ids, n_ids, 1, err) : NULL;
    if (healer && !voice->heal)
        return false;
    if (voice->heal)
        *n_kept = gpt2_heal_kept(voice->heal);
    if (voice->stream)
        gpt2_stop_stream_clear(voice->stream);
    if (!voice->history)
        return true;
    gpt2_history_clear(voice->history);
    return gpt2_history_push(voice->history, ids, *n_kept, false, err);
}

bool voice_copy(struct voice *voice, const struct voice *source, struct gpt2_error *err) {
    voice->place = source->place;
    return (!voice->heal || gpt2_heal_copy(voice->heal, source->heal, err)) &&
           (!voice->stream || gpt2_stop_stream_copy(voice->stream, source->stream, err)) &&
           (!voice->history || gpt2_history_copy(voice->history, source->history, err));
}

/* How many bytes of the prompt are still to be said again. */
static size_t n_unsaid(const struct voice *voice) {
    size_t n = 0;
    if (voice->heal)
        gpt2_heal_rest(voice->heal, &n);
    return n;
}

const int32_t *voice_allowed(const struct voice *voice, int *n) {
    const struct gpt2_choices *choices = voice->options->choices;
    if (n_unsaid(voice) > 0)
        return gpt2_heal_allowed(voice->heal, n);
    return choices ? gpt2_choices_allowed(choices, voice->place, n) : NULL;
}

/* Gives the stream what is new of a token's bytes. */
static bool show(struct gpt2_stop_stream *stream, const struct voice *voice, int32_t id,
                 bool *stops, struct gpt2_error *err) {
    size_t n, n_again = n_unsaid(voice);
    const char *bytes = gpt2_tokenizer_token(voice->options->tokenizer, id, &n);
    struct gpt2_shown shown;
    n_again = n_again < n ? n_again : n;
    if (!gpt2_stop_stream_push(stream, bytes + n_again, n - n_again, &shown, err))
        return false;
    *stops = shown.stop != GPT2_STOP_NONE;
    return true;
}

bool voice_stops(const struct voice *voice, int32_t id, struct voice *probe, bool *stops,
                 struct gpt2_error *err) {
    const struct gpt2_choices *choices = voice->options->choices;
    int n;
    *stops = choices && n_unsaid(voice) == 0 &&
             !gpt2_choices_allowed(choices, gpt2_choices_step(choices, voice->place, id), &n);
    if (*stops || !voice->stream)
        return true;
    return gpt2_stop_stream_copy(probe->stream, voice->stream, err) &&
           show(probe->stream, voice, id, stops, err);
}

bool voice_say(struct voice *voice, int32_t id, struct gpt2_error *err) {
    const struct gpt2_choices *choices = voice->options->choices;
    bool healing = n_unsaid(voice) > 0, stops;
    size_t n_new;
    if (voice->stream && !show(voice->stream, voice, id, &stops, err))
        return false;
    if (healing && !gpt2_heal_step(voice->heal, id, &n_new, err))
        return false;
    if (!healing && choices)
        voice->place = gpt2_choices_step(choices, voice->place, id);
    return !voice->history || gpt2_history_push(voice->history, &id, 1, true, err);
}
