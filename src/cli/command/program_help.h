/* program_help.h - help on the program as a whole and on topics. */
#ifndef CLI_COMMAND_PROGRAM_HELP_H
#define CLI_COMMAND_PROGRAM_HELP_H

#include "cli/command/help.h"

struct topic;

/* Each prints to standard output, and returns the exit code. */
int help_topic(const struct topic *topic, enum help_kind kind);
int help_program(enum help_kind kind);

#endif
