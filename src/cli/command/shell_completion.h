/* shell_completion.h - what is made of all option tables: completions for shells, man pages. */
#ifndef CLI_COMMAND_SHELL_COMPLETION_H
#define CLI_COMMAND_SHELL_COMPLETION_H

#include "cli/command/options.h"

/* Prints the completion script of a shell for all commands: "bash", "zsh" or "fish". False: no such
 * shell. */
bool shell_completion_print(const char *shell);

/* Prints one command's man page for man(1), in the language of man(7). */
void manual_print(const struct command *command, const struct option *table);

#endif
