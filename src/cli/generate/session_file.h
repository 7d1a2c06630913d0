/* session_file.h - --load-session, --save-session and --prompt-cache: a run that goes on from a
 * file and leaves one (gpt2/saved_session.h). */
#ifndef CLI_GENERATE_SESSION_FILE_H
#define CLI_GENERATE_SESSION_FILE_H

#include "cli/generate/generate_run.h"

#include <gpt2/saved_session.h>

/* Whether the options name such a file. */
bool session_file_wanted(const struct generate_arguments *args);

/* Whether the saved text is the prompt, as no other is given. */
bool session_file_is_prompt(const struct generate_arguments *args);

/* Makes run->session, with what a file has, and puts the saved tokens into run->ids where they are
 * the prompt; else the file's tokens have to be a beginning of run->ids, unless it is a cache, of
 * which the common beginning is used. */
bool session_file_load(struct generate_run *run, struct gpt2_error *err);

/* Once run->completion is there: the session forgets what is no beginning of its prompt. */
bool session_file_fit(struct generate_run *run, struct gpt2_error *err);

/* Writes the file that is asked for: prompt and generated tokens, or of a cache the prompt, unless
 * the file had it. With --stats its size is said first. */
bool session_file_save(struct generate_run *run, struct gpt2_error *err);

#endif
