/* manual.h - the man page of a command. */
#ifndef CLI_COMMAND_MANUAL_H
#define CLI_COMMAND_MANUAL_H

#include "cli/command/options.h"

/* Prints the man page of one command in man(7) format. */
void manual_print(const struct command *command, const struct option *table);

#endif
