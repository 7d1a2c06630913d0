/* interactive.h - `gpt2 generate -i`: a user and the model write a text in turns.
 *
 * Each line that is typed is added to the text as it is, and continued (transcript.h). Lines that
 * begin with a slash are commands. Standard output gets what the model writes, and nothing else;
 * all that is for the user alone goes to standard error. */
#ifndef CLI_GENERATE_INTERACTIVE_H
#define CLI_GENERATE_INTERACTIVE_H

#include "cli/generate/transcript.h"
#include "cli/terminal/line_input.h"

struct interactive {
    struct run *run;
    struct transcript transcript;
    struct line_input *lines;
    struct settings
        settings;      /* as given, not resolved; run->decoding has what they are made into */
    struct kept *kept; /* values that settings borrow */
    bool hinted_space, hinted_join;
    bool ended;
    int code; /* of the program, then */
};

/* No prompt is given, what is asked for can be shown on a terminal, and both ends are one. */
bool interactive_wanted(const struct arguments *args);

/* Runs a session; `run` has everything but the prompt. Returns the exit code, errors are reported.
 */
int interactive_run(struct run *run);

/* Continues the text, and says what there is to say about it, errors too. Then the last turn is
 * taken back if nothing came of it, or the session has ended. */
void interactive_continue(struct interactive *session);

/* Makes `wanted` the settings. GPT2_ERR_USAGE: they stay as they were. */
bool interactive_set(struct interactive *session, const struct settings *wanted,
                     struct gpt2_error *err);

/* Does what a line says that begins with a slash (interactive_commands.c). */
void interactive_command(struct interactive *session, char *line);
void interactive_free_kept(struct interactive *session);

#endif
