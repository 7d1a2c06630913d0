/* commands.h - the commands that commands.def lists. */
#ifndef CLI_COMMAND_COMMANDS_H
#define CLI_COMMAND_COMMANDS_H

#include "cli/command/command.h"

#define COMMAND(name) extern const struct command command_##name;
#include "cli/command/commands.def"

/* The i-th command in the order of the list, NULL after the last one. */
const struct command *command_at(size_t i);

/* The command of that name, NULL where there is none. */
const struct command *command_find(const char *name);

#endif
