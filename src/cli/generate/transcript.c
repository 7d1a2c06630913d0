/* transcript.c - a text in turns, and which of its tokens the session has read. */
#include "cli/generate/transcript.h"
#include "base/fnv.h"
#include "cli/command/session_io.h"
#include "cli/generate/generate_output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 128 /* of a pass: how long Ctrl-C may have to wait while a long text is read */

static bool make_generator(struct transcript *transcript, struct gpt2_error *err) {
    const struct generate_run *run = transcript->run;
    const struct gpt2_speculation *speculation = run->speculate.speculation;
    transcript->generator = gpt2_generator_create(
        run->model, run->runtime,
        &(struct gpt2_generator_options){
            .max_samples = 1,
            .max_rows = MAX_ROWS,
            .max_draft = speculation ? gpt2_speculation_max_draft(speculation) : 0,
            .kv = (enum gpt2_kv)run->args.kv},
        err);
    return transcript->generator != NULL;
}

bool transcript_create(struct transcript *transcript, struct generate_run *run,
                       struct gpt2_error *err) {
    *transcript = (struct transcript){.run = run};
    buffer_bytes(&transcript->text, "", 0);
    transcript->session = gpt2_session_create(
        run->model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)run->args.kv}, err);
    return transcript->session && make_generator(transcript, err);
}

void transcript_free(struct transcript *transcript) {
    gpt2_generator_free(transcript->generator); // it borrows the session
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
    const struct generate_run *run = transcript->run;
    return gpt2_tokenizer_encode(run->tokenizer, transcript->text.data, transcript->text.len,
                                 settings_encode_flags(&run->decoding.settings), ids, err);
}

/* Makes the session forget what is no beginning of the prompt, or would leave nothing to read. */
static bool rewind_session(struct transcript *transcript, struct gpt2_error *err) {
    int n_ids, n_read;
    const int32_t *ids = gpt2_completion_prompt(transcript->run->completion, &n_ids, &n_read);
    size_t n = 0;
    while (n < transcript->read.len && n + 1 < (size_t)n_read && transcript->read.data[n] == ids[n])
        n++;
    transcript->read.len = n;
    transcript->n_reused = (int)n;
    return gpt2_session_rewind(transcript->session, (int)n, err);
}

/* Notes what the session has read, as the next text will begin with much of it. */
static bool note_read(struct transcript *transcript, struct gpt2_error *err) {
    const struct gpt2_completion *c = transcript->run->completion;
    struct gpt2_sample made = gpt2_completion_get(c, 0);
    int n_ids, n_read, position = gpt2_session_position(transcript->session);
    const int32_t *ids = gpt2_completion_prompt(c, &n_ids, &n_read);
    transcript->read.len = 0;
    if (made.n_ids > 0 && position + 1 < n_read + made.n_ids) // it slid: no beginning of the text
        return gpt2_session_rewind(transcript->session, 0, err);
    for (int i = 0; i < position && i < n_read + made.n_ids; i++)
        if (!gpt2_ids_push(&transcript->read, i < n_read ? ids[i] : made.ids[i - n_read], err))
            return false;
    return true;
}

/* Runs the completion to its end. */
static bool generate(struct transcript *transcript, struct gpt2_error *err) {
    struct generate_run *run = transcript->run;
    struct gpt2_completion *c = run->completion;
    run->seen = false;
    run->hash = FNV_START;
    run->start_ns = os_now_ns();
    if (!gpt2_completion_start(c, transcript->generator, err))
        return false;
    while (!gpt2_completion_done(c)) {
        if (signals_caught() && !run->seen) { // it is still reading: go_on is not asked
            gpt2_generator_free(transcript->generator);
            return make_generator(transcript, err);
        }
        if (!gpt2_generator_step(transcript->generator, err))
            return false;
    }
    run->decode_ns = os_now_ns() - run->start_ns - run->prompt_ns;
    const struct gpt2_error *failure = gpt2_completion_error(c);
    if (failure)
        *err = *failure;
    return !failure;
}

/* Makes what was generated part of the text, and ends its line on the output. */
static bool keep(struct transcript *transcript, struct gpt2_error *err) {
    struct output *out = &transcript->run->out;
    struct gpt2_sample made = gpt2_completion_get(transcript->run->completion, 0);
    return append(transcript, made.bytes, made.n_bytes, err) && note_read(transcript, err) &&
           show_end(transcript->run, err) && output_string(out, "\n", err) &&
           output_flush(out, err);
}

/* Cuts the beginning as transcript.h says. The last of the tokens to come is not read, so that one
 * more than the context has can be there. */
static void leave_room(const struct generate_run *run, struct gpt2_ids *ids) {
    const struct settings *s = &run->decoding.settings;
    if (s->truncate != GPT2_TRUNCATE_LEFT || s->overflow == GPT2_OVERFLOW_SLIDE)
        return;
    const size_t n_ctx = (size_t)gpt2_model_config(run->model)->n_ctx;
    const size_t wanted = s->max_tokens < 0 ? n_ctx : (size_t)s->max_tokens;
    const size_t room = wanted < n_ctx / 4 ? wanted : n_ctx / 4;
    const size_t step = n_ctx > 1 ? n_ctx / 2 : 1;
    size_t cut = 0;
    while (ids->len - cut > n_ctx || ids->len - cut + room > n_ctx + 1)
        cut += step;
    if (cut == 0)
        return;
    memmove(ids->data, ids->data + cut, (ids->len - cut) * sizeof *ids->data);
    ids->len -= cut;
}

bool transcript_continue(struct transcript *transcript, struct gpt2_error *err) {
    struct generate_run *run = transcript->run;
    const size_t n_ctx = (size_t)gpt2_model_config(run->model)->n_ctx;
    free_completion(run);
    struct gpt2_ids ids = {0};
    bool ok = encode(transcript, &ids, err);
    if (ok)
        leave_room(run, &ids);
    transcript->full = ids.len > n_ctx;
    ok = ok && create_completion(run, &ids, transcript->session, true, err) &&
         rewind_session(transcript, err);
    gpt2_ids_free(&ids);
    if (!ok)
        return false;
    struct gpt2_error later; // the first one counts
    ok = generate(transcript, err);
    transcript->full |= gpt2_completion_get(run->completion, 0).finish == GPT2_FINISH_CONTEXT ||
                        (!ok && err->status == GPT2_ERR_INPUT); // on-overflow error
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

/* Makes the session one that has read no more than a beginning of ids. */
static bool keep_beginning(struct transcript *transcript, const struct gpt2_ids *ids,
                           struct gpt2_error *err) {
    size_t n = 0;
    while (n < transcript->read.len && n < ids->len && transcript->read.data[n] == ids->data[n])
        n++;
    transcript->read.len = n;
    return gpt2_session_rewind(transcript->session, (int)n, err);
}

bool transcript_save_session(struct transcript *transcript, const char *path, int *n_ids,
                             size_t *n_bytes, struct gpt2_error *err) {
    const struct generate_run *run = transcript->run;
    struct gpt2_ids ids = {0};
    int room = gpt2_session_capacity(transcript->session);
    bool ok = encode(transcript, &ids, err);
    *n_ids = (int)ids.len;
    *n_bytes = gpt2_session_file_bytes(transcript->session, *n_ids);
    if (ok && (*n_ids == 0 || *n_ids > room))
        ok = command_error(err, GPT2_ERR_INPUT, NULL,
                           "the text has %d tokens: expected 1 to %d, the context", *n_ids, room);
    ok = ok && keep_beginning(transcript, &ids, err);
    transcript->read.len = 0; // until it is known
    ok = ok && session_io_write(run->model, run->runtime, transcript->session, &ids,
                                (int)ids.len - run->n_generated, path, err);
    if (ok) { // now it has read everything
        gpt2_ids_free(&transcript->read);
        transcript->read = ids;
        return true;
    }
    struct gpt2_error ignored;
    gpt2_ids_free(&ids);
    gpt2_session_rewind(transcript->session, 0, &ignored);
    return false;
}

bool transcript_load_session(struct transcript *transcript, const char *path,
                             struct gpt2_error *err) {
    const struct generate_run *run = transcript->run;
    struct gpt2_ids ids = {0};
    struct buffer text = {0};
    int n_prompt;
    free_completion(transcript->run); // it borrows the session
    transcript->read.len = 0;
    bool ok =
        session_io_read(run->model, run->runtime, transcript->session, path, &ids, &n_prompt, err);
    for (size_t i = 0; ok && i < ids.len; i++) {
        size_t n = 0;
        const char *bytes = gpt2_tokenizer_token(run->tokenizer, ids.data[i], &n);
        buffer_bytes(&text, bytes ? bytes : "", bytes ? n : 0);
    }
    ok = ok && (!text.failed || no_memory(err));
    if (ok) {
        transcript_clear(transcript);
        ok = transcript_type(transcript, text.data, text.len, err);
    }
    if (ok) {
        ids.len = (size_t)gpt2_session_position(transcript->session);
        gpt2_ids_free(&transcript->read);
        transcript->read = ids;
    } else {
        struct gpt2_error ignored;
        gpt2_session_rewind(transcript->session, 0, &ignored);
        gpt2_ids_free(&ids);
    }
    buffer_free(&text);
    return ok;
}
