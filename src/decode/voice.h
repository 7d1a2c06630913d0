/* voice.h - what a beam carries along beside its ids: what it has said, and may say next. */
#ifndef DECODE_VOICE_H
#define DECODE_VOICE_H

#include <gpt2/beam.h>

struct voice {
    const struct gpt2_beam_options *options; /* borrowed */
    struct gpt2_history *history;            /* NULL: no rule looks back   */
    struct gpt2_stop_stream *stream;         /* NULL: no stops             */
    struct gpt2_heal *heal;                  /* NULL: nothing was to heal  */
    int place;                               /* among the choices          */
};

bool voice_create(struct voice *voice, const struct gpt2_beam_options *options,
                  struct gpt2_error *err);
void voice_free(struct voice *voice); /* a zeroed struct is allowed */

/* A new text, behind a prompt. *n_kept: how many of its ids are to be read, the others being said
 * again. */
bool voice_begin(struct voice *voice, const int32_t *ids, int n_ids, int *n_kept,
                 struct gpt2_error *err);

/* As far as `source`, which began with the same prompt. */
bool voice_copy(struct voice *voice, const struct voice *source, struct gpt2_error *err);

/* The ids that may come next, ascending; NULL: any. */
const int32_t *voice_allowed(const struct voice *voice, int *n);

/* True in *stops where the text would end with `id`, at a stop or as a choice. `probe` is another
 * voice, whose text is lost. */
bool voice_stops(const struct voice *voice, int32_t id, struct voice *probe, bool *stops,
                 struct gpt2_error *err);

/* Goes on with `id`. */
bool voice_say(struct voice *voice, int32_t id, struct gpt2_error *err);

#endif
