/* transcript.h - a text that a user and the model write in turns.
 *
 * A turn is what the user typed, added to the text as it is, and what the model continued it with.
 * The continuation is the one that `gpt2 generate -p` gives for the whole text up to there: the
 * text is tokenized as a whole for each turn, and of its tokens only those are evaluated that
 * differ from what the session has read.
 *
 * One exception: where settings say truncate left and on-overflow is not slide, the model reads a
 * text without its first k * (n_ctx / 2) tokens, with the least k that leaves room for max_tokens,
 * or for n_ctx / 4 if that is less. Without it each turn of a long text would fill the context and
 * have room for one token; cut at such steps, the text begins alike for many turns, and what was
 * read of it is used again. */
#ifndef CLI_GENERATE_TRANSCRIPT_H
#define CLI_GENERATE_TRANSCRIPT_H

#include "base/buffer.h"
#include "cli/generate/generate_run.h"

struct transcript {
    struct generate_run *run; /* borrowed: model, decoding, completion, output, figures */
    struct gpt2_generator *generator;
    struct buffer text;
    struct transcript_turn {
        size_t begin, typed; /* bytes of the text before the turn, and with what was typed */
    } * turns;
    int n_turns, cap_turns;
    struct gpt2_session *session;
    struct gpt2_ids read; /* what the session has read             */
    int n_reused;         /* of them, for the last continuation     */
    bool full;            /* the last continuation needed more tokens than the context holds */
};

/* An empty one. `run` has model, runtime and tokenizer. */
bool transcript_create(struct transcript *transcript, struct generate_run *run,
                       struct gpt2_error *err);
void transcript_free(struct transcript *transcript); /* a zeroed struct is allowed */

/* Begins a turn with what the user typed. GPT2_ERR_MEMORY: nothing has changed. */
bool transcript_type(struct transcript *transcript, const char *bytes, size_t n,
                     struct gpt2_error *err);

/* Continues the text as run->decoding says, shows it on run->out, and makes it part of the last
 * turn. With SIGINT it ends early, without an error. GPT2_ERR_INPUT where the text does not fit the
 * context: nothing was generated. After an error the text is whole, and has what was shown. */
bool transcript_continue(struct transcript *transcript, struct gpt2_error *err);

/* Takes back the continuation of the last turn; there is one. */
void transcript_erase(struct transcript *transcript);

/* Takes back the last turn; there is one. */
void transcript_undo(struct transcript *transcript);

/* Takes back everything. */
void transcript_clear(struct transcript *transcript);

/* Writes the text to a file, which is then there whole or as it was before. */
bool transcript_save(const struct transcript *transcript, const char *path, struct gpt2_error *err);

/* The same with what the session has read of it (session_file.h); *n_ids tokens, *n_bytes of file.
 * GPT2_ERR_INPUT: the text is empty, or does not fit the context. */
bool transcript_save_session(struct transcript *transcript, const char *path, int *n_ids,
                             size_t *n_bytes, struct gpt2_error *err);

/* Puts a saved text in the place of this one, as one turn. On failure nothing has changed, but that
 * the text will be read again. */
bool transcript_load_session(struct transcript *transcript, const char *path,
                             struct gpt2_error *err);

#endif
