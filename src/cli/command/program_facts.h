/* program_facts.h - what help and man pages say of the whole program: exit codes, environment,
 * files. */
#ifndef CLI_COMMAND_PROGRAM_FACTS_H
#define CLI_COMMAND_PROGRAM_FACTS_H

#include "cli/command/options.h"

struct exit_code {
    int code;
    const char *meaning;
};
extern const struct exit_code exit_codes[]; /* ends with a meaning of NULL */

/* A variable of the environment, or a file. `users` are the commands that it concerns, separated by
 * spaces: NAME is a command, --NAME all commands with that option; NULL: every command. */
struct program_fact {
    const char *name, *meaning, *users;
};
extern const struct program_fact environment_facts[]; /* ends with a name of NULL */
extern const struct program_fact file_facts[];

/* Whether the command, which has the options of `table`, is among `users`. */
bool concerns(const char *users, const struct command *command, const struct option *table);

/* What `gpt2 --help` and gpt2(1) show; the list ends with a line of NULL. */
extern const struct example program_examples[];

#endif
