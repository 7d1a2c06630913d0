/* session_io.h - --load-session and --save-session of every command: a file's tokens in a session,
 * and back (gpt2/saved_session.h). */
#ifndef CLI_COMMAND_SESSION_IO_H
#define CLI_COMMAND_SESSION_IO_H

#include <gpt2/runtime.h>
#include <gpt2/saved_session.h>
#include <gpt2/tokenizer.h>

/* Puts what a file has into a session and its tokens into ids, of which the first *n_prompt were a
 * prompt. */
bool session_io_read(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                     struct gpt2_session *session, const char *path, struct gpt2_ids *ids,
                     int *n_prompt, struct gpt2_error *err);

/* Writes a session that has read a beginning of ids, of which the first n_prompt are a prompt. */
bool session_io_write(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                      struct gpt2_session *session, const struct gpt2_ids *ids, int n_prompt,
                      const char *path, struct gpt2_error *err);

/* The number of ids that both begin with. */
size_t session_io_common(const struct gpt2_ids *saved, const int32_t *ids, size_t n);

/* True where ids [n], which messages call `what`, begin with all that was saved; else
 * GPT2_ERR_INPUT says where they part. The tokenizer may be NULL. */
bool session_io_begins(const struct gpt2_tokenizer *tokenizer, const struct gpt2_ids *saved,
                       const int32_t *ids, size_t n, const char *path, const char *what,
                       const char *hint, struct gpt2_error *err);

#endif
