/* draft.c - see draft.h. */
#include "cli/generate/draft.h"
#include "cli/generate/single_output.h"
#include "cli/io/fnv.h"
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

bool draft_create(struct draft *draft, struct run *run, struct gpt2_error *err) {
    *draft = (struct draft){.run = run};
    buffer_bytes(&draft->text, "", 0);
    draft->session = gpt2_session_create(
        run->model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)run->args.kv}, err);
    return draft->session && make_generator(run, err);
}

void draft_free(struct draft *draft) {
    if (draft->run) { // it borrows the session
        gpt2_generator_free(draft->run->generator);
        draft->run->generator = NULL;
    }
    gpt2_session_free(draft->session);
    gpt2_ids_free(&draft->read);
    buffer_free(&draft->text);
    free(draft->turns);
    *draft = (struct draft){0};
}

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the text");
}

/* Appends; on failure the text is as it was. */
static bool append(struct draft *draft, const char *bytes, size_t n, struct gpt2_error *err) {
    size_t len = draft->text.len;
    buffer_bytes(&draft->text, bytes, n);
    if (!draft->text.failed)
        return true;
    draft->text.len = len;
    draft->text.failed = false;
    return no_memory(err);
}

bool draft_type(struct draft *draft, const char *bytes, size_t n, struct gpt2_error *err) {
    if (draft->n_turns == draft->cap_turns) {
        int cap = 2 * draft->cap_turns + 16;
        struct draft_turn *grown = realloc(draft->turns, (size_t)cap * sizeof *grown);
        if (!grown)
            return no_memory(err);
        draft->turns = grown;
        draft->cap_turns = cap;
    }
    size_t begin = draft->text.len;
    if (!append(draft, bytes, n, err))
        return false;
    draft->turns[draft->n_turns++] = (struct draft_turn){begin, draft->text.len};
    return true;
}

static bool encode(const struct draft *draft, struct gpt2_ids *ids, struct gpt2_error *err) {
    const struct run *run = draft->run;
    return gpt2_tokenizer_encode(
        run->tokenizer, draft->text.data, draft->text.len,
        run->decoding.settings.special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT, ids, err);
}

/* Makes the session forget what is no beginning of the prompt, or would leave nothing to read. */
static bool rewind_session(struct draft *draft, struct gpt2_error *err) {
    const struct completion *c = &draft->run->completion;
    size_t n = 0;
    while (n < draft->read.len && n + 1 < (size_t)c->n_prompt &&
           draft->read.data[n] == c->prompt.data[n])
        n++;
    draft->read.len = n;
    draft->n_reused = (int)n;
    return gpt2_session_rewind(draft->session, (int)n, err);
}

/* Notes what the session has read, as the next text will begin with much of it. */
static bool note_read(struct draft *draft, struct gpt2_error *err) {
    const struct completion *c = &draft->run->completion;
    const struct gpt2_ids *made = &c->samples[0].ids;
    size_t position = (size_t)gpt2_session_position(draft->session);
    size_t n = (size_t)c->n_prompt + made->len;
    draft->read.len = 0;
    if (made->len > 0 && position + 1 < n) // it slid, and holds no beginning of the text
        return gpt2_session_rewind(draft->session, 0, err);
    for (size_t i = 0; i < position && i < n; i++) {
        size_t k = i - (size_t)c->n_prompt;
        int32_t id = i < (size_t)c->n_prompt ? c->prompt.data[i] : made->data[k];
        if (!gpt2_ids_push(&draft->read, id, err))
            return false;
    }
    return true;
}

/* Runs the completion to its end. */
static bool generate(struct draft *draft, struct gpt2_error *err) {
    struct run *run = draft->run;
    struct completion *c = &run->completion;
    run->seen = false;
    run->hash = FNV_START;
    run->start_ns = clock_ns();
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
    run->decode_ns = clock_ns() - run->start_ns - run->prompt_ns;
    if (completion_failed(c))
        *err = c->err;
    return !completion_failed(c);
}

/* Makes what was generated part of the text, and ends its line on the output. */
static bool keep(struct draft *draft, struct gpt2_error *err) {
    struct output *out = &draft->run->out;
    const struct buffer *made = &draft->run->completion.samples[0].text;
    if (made->failed)
        return no_memory(err);
    return append(draft, made->data, made->len, err) && note_read(draft, err) &&
           show_end(draft->run, err) && output_string(out, "\n", err) && output_flush(out, err);
}

bool draft_continue(struct draft *draft, struct gpt2_error *err) {
    struct run *run = draft->run;
    struct completion *c = &run->completion;
    completion_free(c);
    struct gpt2_ids ids = {0};
    bool ok = encode(draft, &ids, err) &&
              completion_create(c, &run->decoding, run->model, run->tokenizer, &ids, 0, err);
    gpt2_ids_free(&ids);
    if (!ok)
        return false;
    c->wants_logprobs |= run->colors;
    c->user = run;
    c->see = see_logits;
    c->show = show_token;
    c->session = draft->session;
    if (!rewind_session(draft, err))
        return false;
    struct gpt2_error later; // the first one counts
    ok = generate(draft, err);
    return keep(draft, ok ? err : &later) && ok;
}

void draft_erase(struct draft *draft) {
    draft->text.len = draft->turns[draft->n_turns - 1].typed;
}

void draft_undo(struct draft *draft) {
    draft->text.len = draft->turns[--draft->n_turns].begin;
}

void draft_clear(struct draft *draft) {
    draft->text.len = 0;
    draft->n_turns = 0;
}

bool draft_save(const struct draft *draft, const char *path, struct gpt2_error *err) {
    struct output out = {.fd = 0};
    struct out_file file = {0};
    bool ok = out_file_open(&file, path, &out, err) &&
              output_bytes(&out, draft->text.data, draft->text.len, err) &&
              out_file_keep(&file, &out, err);
    out_file_drop(&file, &out);
    return ok;
}
