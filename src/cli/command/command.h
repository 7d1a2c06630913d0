/* command.h - the command line of a command: its options, its plain words, its help. */
#ifndef CLI_COMMAND_COMMAND_H
#define CLI_COMMAND_COMMAND_H

#include "cli/command/help.h"
#include "cli/command/options.h"

/* Calls `visit` with the command's table, which is local to its run function. The table is valid
 * during the call. The command does nothing else. Returns 0, or the exit code of a command that has
 * reported that memory is out; `visit` was not called then. */
typedef void (*command_visitor)(const struct command *command, const struct option *table,
                                void *user);
int command_visit(const struct command *command, command_visitor visit, void *user);

/* Reads argv[1..argc) into the table's destinations, and checks that each option has an effect.
 * *help: HELP_NONE, or what --help or -h asks for: the word after it, or =, says which, and the
 * rest was not read. Plain words are moved to argv[0..*n_words) in order. */
bool command_read(const struct command *command, const struct option *table, int argc, char **argv,
                  int *n_words, enum help_kind *help, struct gpt2_error *err);

/* Every command calls this first. Parses argv[1..argc), prints what --help asks for, and
 * reports errors. Words that are not options, at most `max_words` without that
 * of OPTION_FIRST_WORD, are moved to argv[0..*n_words) in order. Returns true if the command goes
 * on, else sets *code to the exit code. */
bool command_begin(const struct command *command, const struct option *table, int argc, char **argv,
                   int max_words, int *n_words, int *code);

#endif
