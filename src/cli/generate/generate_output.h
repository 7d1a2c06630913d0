/* generate_output.h - tokens as they are chosen, in the form that the options ask for: text, with
 * colours where they are wanted, ids, or objects of JSON. */
#ifndef CLI_GENERATE_GENERATE_OUTPUT_H
#define CLI_GENERATE_GENERATE_OUTPUT_H

#include "cli/generate/generate_run.h"

/* Makes run->completion from a prompt of ids, by run->decoding. Each pass's logits time the prompt,
 * are hashed for --stats, and after a signal the texts end; with `shows` pieces are written. */
bool create_completion(struct generate_run *run, const struct gpt2_ids *ids,
                       struct gpt2_session *session, bool shows, struct gpt2_error *err);
void free_completion(struct generate_run *run); /* leaves NULL; none is allowed */

/* The prompt's tokens, for --echo. */
bool show_prompt(struct generate_run *run, struct gpt2_error *err);

/* What is held back of a character that no token has completed. */
bool show_end(struct generate_run *run, struct gpt2_error *err);

/* Standard output is a terminal that gets colours. */
bool wants_colors(const struct generate_arguments *args);

/* Writes text from the model or the prompt: on a terminal with its control characters escaped, and
 * exactly elsewhere. show_end writes what is held of a character. */
bool show_text(struct generate_run *run, const char *bytes, size_t n, struct gpt2_error *err);

#endif
