/* commands.c - the table of all commands. */
#include "cli/command/commands.h"

#include <string.h>

static const struct command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "cli/command/commands.def"
};

const struct command *command_at(size_t i) {
    return i < sizeof commands / sizeof *commands ? commands[i] : NULL;
}

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(name, commands[i]->name))
            return commands[i];
    return NULL;
}
