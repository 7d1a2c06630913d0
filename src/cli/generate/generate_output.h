/* generate_output.h - tokens as they are chosen, in the form that the options ask for: text, with
 * colours where they are wanted, ids, or objects of JSON. */
#ifndef CLI_GENERATE_GENERATE_OUTPUT_H
#define CLI_GENERATE_GENERATE_OUTPUT_H

#include "cli/generate/generate_once.h"

/* For completion's `show` and `see`, with the run as `user`. */
bool show_token(void *user, const struct shown_token *token, struct gpt2_error *err);
void see_logits(void *user, const float *logits); /* times the prompt; for --stats hashes them */

/* The prompt's tokens, for --echo. */
bool show_prompt(struct run *run, struct gpt2_error *err);

/* What is held back of a character that no token has completed. */
bool show_end(struct run *run, struct gpt2_error *err);

/* Standard output is a terminal that shall have colours. */
bool wants_colors(const struct arguments *args);

#endif
