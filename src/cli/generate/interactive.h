/* interactive.h - `gpt2 generate -i`: a user and the model write a text in turns.
 *
 * Each line that is typed is added to the text as it is, and continued (transcript.h). Lines that
 * begin with a slash are commands. Standard output gets what the model writes, and nothing else;
 * all that is for the user alone goes to standard error. */
#ifndef CLI_GENERATE_INTERACTIVE_H
#define CLI_GENERATE_INTERACTIVE_H

#include "cli/generate/generate_run.h"

/* True with --interactive, and where no prompt is given, the output can be shown on a terminal, and
 * standard input and output are both one. */
bool interactive_wanted(const struct generate_arguments *args);

/* Runs a session; `run` has everything but the prompt. Returns the exit code, errors are reported.
 */
int interactive_run(struct generate_run *run);

#endif
