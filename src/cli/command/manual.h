/* manual.h - the man page of a command. */
#ifndef CLI_COMMAND_MANUAL_H
#define CLI_COMMAND_MANUAL_H

#include "base/buffer.h"
#include "cli/command/options.h"

/* Appends gpt2-NAME(1) in man(7) format, made from the command's tables. */
void manual_command(struct buffer *page, const struct command *command, const struct option *table);

#endif
