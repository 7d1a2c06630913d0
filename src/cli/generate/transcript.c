/* transcript.c - see transcript.h. */
#include "cli/generate/transcript.h"
#include "base/fnv.h"
#include "cli/generate/generate_output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <stdlib.h>

#define MAX_ROWS 128 /* of a pass: how long Ctrl-C may have to wait while a long text is read */

static bool make_generator(struct run *run, struct gpt2_error *err) {
    run->generator = gpt2_generator_create(
        run->model, run->runtime,
        &(struct gpt2_generator_options){
            .max_samples = 1, .max_rows = MAX_ROWS, .kv = (enum gpt2_kv)run->args.kv},
        err);
    return run->generator != NULL;
}

bool transcript_create(struct transcript *transcript, struct run *run, struct gpt2_error *err) {
    *transcript = (struct transcript){.run = run};
    buffer_bytes(&transcript->text, "", 0);
    transcript->session = gpt2_session_create(
        run->model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)run->args.kv}, err);
    return transcript->session && make_generator(run, err);
}

void transcript_free(struct transcript *transcript) {
    if (transcript->run) { // it borrows the session
        gpt2_generator_free(transcript->run->generator);
        transcript->run->generator = NULL;
    }
    gpt2_session_free(transcript->session);
    gpt2_ids_free(&transcript->read);
    buffer_free(&transcript->text);
    free(transcript->turns);
    *transcript = (struct transcript){0};
}

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the text");
}

/* Appends; on failure the text is as it was. */
static bool append(struct transcript *transcript, const char *bytes, size_t n,
                   struct gpt2_error *err) {
    size_t len = transcript->text.len;
    buffer_bytes(&transcript->text, bytes, n);
    if (!transcript->text.failed)
        return true;
    transcript->text.len = len;
    transcript->text.failed = false;
    return no_memory(err);
}

bool transcript_type(struct transcript *transcript, const char *bytes, size_t n,
                     struct gpt2_error *err) {
    if (transcript->n_turns == transcript->cap_turns) {
        int cap = 2 * transcript->cap_turns + 16;
        struct transcript_turn *grown = realloc(transcript->turns, (size_t)cap * sizeof *grown);
        if (!grown)
            return no_memory(err);
        transcript->turns = grown;
        transcript->cap_turns = cap;
    }
    size_t begin = transcript->text.len;
    if (!append(transcript, bytes, n, err))
        return false;
    transcript->turns[transcript->n_turns++] =
        (struct transcript_turn){begin, transcript->text.len};
    return true;
}

static bool encode(const struct transcript *transcript, struct gpt2_ids *ids,
                   struct gpt2_error *err) {
    const struct run *run = transcript->run;
    return gpt2_tokenizer_encode(
        run->tokenizer, transcript->text.data, transcript->text.len,
        run->decoding.settings.special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT, ids, err);
}

/* Makes the session forget what is no beginning of the prompt, or would leave nothing to read. */
static bool rewind_session(struct transcript *transcript, struct gpt2_error *err) {
    const struct completion *c = &transcript->run->completion;
    size_t n = 0;
    while (n < transcript->read.len && n + 1 < (size_t)c->n_prompt &&
           transcript->read.data[n] == c->prompt.data[n])
        n++;
    transcript->read.len = n;
    transcript->n_reused = (int)n;
    return gpt2_session_rewind(transcript->session, (int)n, err);
}

/* Notes what the session has read, as the next text will begin with much of it. */
static bool note_read(struct transcript *transcript, struct gpt2_error *err) {
    const struct completion *c = &transcript->run->completion;
    const struct gpt2_ids *made = &c->samples[0].ids;
    size_t position = (size_t)gpt2_session_position(transcript->session);
    size_t n = (size_t)c->n_prompt + made->len;
    transcript->read.len = 0;
    if (made->len > 0 && position + 1 < n) // it slid, and holds no beginning of the text
        return gpt2_session_rewind(transcript->session, 0, err);
    for (size_t i = 0; i < position && i < n; i++) {
        size_t k = i - (size_t)c->n_prompt;
        int32_t id = i < (size_t)c->n_prompt ? c->prompt.data[i] : made->data[k];
        if (!gpt2_ids_push(&transcript->read, id, err))
            return false;
    }
    return true;
}

/* Runs the completion to its end. */
static bool generate(struct transcript *transcript, struct gpt2_error *err) {
    struct run *run = transcript->run;
    struct completion *c = &run->completion;
    run->seen = false;
    run->hash = FNV_START;
    run->start_ns = os_now_ns();
    if (!completion_start(c, run->generator, err))
        return false;
    while (!completion_done(c)) {
        if (signals_caught() && !run->seen) { // it is still reading: nobody asks for a token
            c->samples[0].finish = FINISH_INTERRUPTED;
            gpt2_generator_free(run->generator);
            return make_generator(run, err);
        }
        if (!gpt2_generator_step(run->generator, err))
            return false;
    }
    run->decode_ns = os_now_ns() - run->start_ns - run->prompt_ns;
    if (completion_failed(c))
        *err = c->err;
    return !completion_failed(c);
}

/* Makes what was generated part of the text, and ends its line on the output. */
static bool keep(struct transcript *transcript, struct gpt2_error *err) {
    struct output *out = &transcript->run->out;
    const struct buffer *made = &transcript->run->completion.samples[0].text;
    if (made->failed)
        return no_memory(err);
    return append(transcript, made->data, made->len, err) && note_read(transcript, err) &&
           show_end(transcript->run, err) && output_string(out, "\n", err) &&
           output_flush(out, err);
}

bool transcript_continue(struct transcript *transcript, struct gpt2_error *err) {
    struct run *run = transcript->run;
    struct completion *c = &run->completion;
    completion_free(c);
    struct gpt2_ids ids = {0};
    bool ok = encode(transcript, &ids, err) &&
              completion_create(c, &run->decoding, run->model, run->tokenizer, &ids, 0, err);
    gpt2_ids_free(&ids);
    if (!ok)
        return false;
    c->wants_logprobs |= run->colors;
    c->user = run;
    c->see = see_logits;
    c->show = show_token;
    c->session = transcript->session;
    if (!rewind_session(transcript, err))
        return false;
    struct gpt2_error later; // the first one counts
    ok = generate(transcript, err);
    return keep(transcript, ok ? err : &later) && ok;
}

void transcript_erase(struct transcript *transcript) {
    transcript->text.len = transcript->turns[transcript->n_turns - 1].typed;
}

void transcript_undo(struct transcript *transcript) {
    transcript->text.len = transcript->turns[--transcript->n_turns].begin;
}

void transcript_clear(struct transcript *transcript) {
    transcript->text.len = 0;
    transcript->n_turns = 0;
}

bool transcript_save(const struct transcript *transcript, const char *path,
                     struct gpt2_error *err) {
    struct output out = {0};
    bool ok = output_open(&out, path, err) &&
              output_bytes(&out, transcript->text.data, transcript->text.len, err) &&
              output_commit(&out, err);
    output_discard(&out);
    return ok;
}
