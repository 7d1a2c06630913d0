/* shell_completion.h - completion scripts, made from the tables of options. */
#ifndef CLI_COMMAND_SHELL_COMPLETION_H
#define CLI_COMMAND_SHELL_COMPLETION_H

#include "base/buffer.h"

#include <stdbool.h>

/* Appends the script for "bash", "zsh" or "fish"; false for any other shell. *code is 0, or the
 * exit code of a command that could not show its options (out of memory, which it has reported). */
bool shell_completion_write(struct buffer *script, const char *shell, int *code);

#endif
