/* generate_once.h - one prompt: its text, ids or objects of JSON as they come. */
#ifndef CLI_GENERATE_GENERATE_ONCE_H
#define CLI_GENERATE_GENERATE_ONCE_H

#include "cli/generate/generate_run.h"

/* Reads the prompt, makes and shows its texts; the exit code. */
int generate_once(struct generate_run *run);
void generate_run_free(struct generate_run *run);

#endif
