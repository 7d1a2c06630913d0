/* interactive_session.h - the state of `gpt2 generate -i`, and what changes it. */
#ifndef CLI_GENERATE_INTERACTIVE_SESSION_H
#define CLI_GENERATE_INTERACTIVE_SESSION_H

#include "cli/generate/transcript.h"
#include "cli/terminal/line_input.h"

struct interactive {
    struct generate_run *run; /* borrowed */
    struct transcript transcript;
    struct line_input *lines;
    struct settings settings; /* as given, not resolved: run->decoding has the resolved ones */
    struct kept *kept;        /* strings that settings borrow */
    bool hinted_space, hinted_join, hinted_special; /* hints that were given */
    bool ended;
    int code; /* the exit code, once it has ended */
};

/* Makes `wanted` the settings. GPT2_ERR_USAGE or GPT2_ERR_MEMORY: they stay as they were. */
bool interactive_set(struct interactive *session, const struct settings *wanted,
                     struct gpt2_error *err);

/* A copy of `text` that lives until interactive_free_kept. NULL: GPT2_ERR_MEMORY. */
const char *interactive_keep(struct interactive *session, const char *text, struct gpt2_error *err);
void interactive_free_kept(struct interactive *session);

/* Continues the text and reports what there is to report, errors included. If nothing came of it
 * the last turn is taken back, or the session has ended. */
void interactive_continue(struct interactive *session);

/* Handles a signal that was caught. Ctrl-C ends the continuation and not the session, unless its
 * lines come from a pipe, where there is no user to ask for another one. `empty`: it was typed at
 * an empty line. */
void interactive_interrupted(struct interactive *session, bool empty);

#endif
