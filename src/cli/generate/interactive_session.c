/* interactive_session.c - the state of a session and what changes it: settings, continuing,
 * signals. */
#include "cli/generate/interactive_session.h"
#include "base/error_internal.h"
#include "base/plural.h"
#include "cli/generate/generate_output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    struct kept *next;
    char text[];
};

void interactive_free_kept(struct interactive *it) {
    while (it->kept) {
        struct kept *next = it->kept->next;
        free(it->kept);
        it->kept = next;
    }
}

const char *interactive_keep(struct interactive *it, const char *text, struct gpt2_error *err) {
    size_t n = strlen(text) + 1;
    struct kept *kept = malloc(sizeof *kept + n);
    if (!kept) {
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a value");
        return NULL;
    }
    memcpy(kept->text, text, n);
    kept->next = it->kept;
    it->kept = kept;
    return kept->text;
}

bool interactive_set(struct interactive *it, const struct settings *wanted,
                     struct gpt2_error *err) {
    struct generate_run *run = it->run;
    struct settings resolved = *wanted;
    settings_resolve(&resolved, gpt2_model_config(run->model));
    if (resolved.overflow == GPT2_OVERFLOW_SLIDE && resolved.truncate == GPT2_TRUNCATE_ERROR)
        resolved.truncate = GPT2_TRUNCATE_LEFT; // a text that slid goes on sliding
    struct decoding decoding;
    if (!decoding_create(&decoding, &resolved, run->model, run->tokenizer, err))
        return false;
    free_completion(run); // it borrows the old one
    decoding_free(&run->decoding);
    run->decoding = decoding;
    it->settings = *wanted;
    return true;
}

void interactive_interrupted(struct interactive *it, bool empty) {
    if (signals_caught() == SIGTERM || !line_input_is_terminal(it->lines)) {
        it->code = 128 + signals_caught();
        it->ended = true;
        return;
    }
    signals_forget();
    if (empty)
        report_note("Ctrl-D or /quit leaves");
}

/* What goes on after a context is full, under the settings as they are. */
static const char *full_hint(const struct settings *settings) {
#define OTHERWISE ", /undo takes the last turn back, /new starts afresh"
    if (settings->truncate == GPT2_TRUNCATE_LEFT)
        return "the next line goes on without the beginning" OTHERWISE;
    if (settings->truncate == GPT2_TRUNCATE_RIGHT)
        return "/set truncate left goes on without the beginning" OTHERWISE;
    return "/set on-overflow slide goes on without the beginning" OTHERWISE;
#undef OTHERWISE
}

static void print_figures(const struct interactive *it) {
    const struct generate_run *run = it->run;
    int n_ids, n_read;
    gpt2_completion_prompt(run->completion, &n_ids, &n_read);
    fprintf(stderr,
            "gpt2: read %d of %d token%s in %.3f s, wrote %d in %.3f s, seed %" PRIu64
            ", logits %016" PRIx64 "\n",
            n_read - it->transcript.n_reused, n_read, plural(n_read), (double)run->prompt_ns * 1e-9,
            gpt2_completion_get(run->completion, 0).n_ids, (double)run->decode_ns * 1e-9,
            run->decoding.settings.seed.value, run->hash);
}

void interactive_continue(struct interactive *it) {
    struct transcript *transcript = &it->transcript;
    struct generate_run *run = it->run;
    struct gpt2_error err;
    bool ok = transcript_continue(transcript, &err);
    if (signals_caught())
        interactive_interrupted(it, false);
    if (!ok && err.status != GPT2_ERR_INPUT && err.status != GPT2_ERR_USAGE) {
        it->code = output_failed(&run->out, &err);
        it->ended = true;
        return;
    }
    if (!ok) {
        if (transcript->text.len == transcript->turns[transcript->n_turns - 1].typed)
            transcript_undo(transcript);
        if (transcript->full)
            error_hint(&err, "%s", full_hint(&run->decoding.settings));
        report(&err);
        return;
    }
    if (run->args.stats)
        print_figures(it);
    if (gpt2_completion_get(run->completion, 0).finish == GPT2_FINISH_CONTEXT)
        report_note("the context of %d tokens is full; %s", gpt2_model_config(run->model)->n_ctx,
                    full_hint(&run->decoding.settings));
}
