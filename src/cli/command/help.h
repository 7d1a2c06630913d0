/* help.h - what --help and `gpt2 help` print. */
#ifndef CLI_COMMAND_HELP_H
#define CLI_COMMAND_HELP_H

#include "cli/command/options.h"

enum help_kind {
    HELP_NONE,
    HELP_SHORT,    /* two examples, and the options of command->common, ten at most */
    HELP_ALL,      /* every option, the details, every example                      */
    HELP_EXAMPLES, /* the examples alone, as a script                               */
    HELP_MANUAL    /* the man page (manual.h)                                       */
};

/* The kind of the word after --help or = ("all", "examples", "man"; "" is short). HELP_NONE:
 * another word. */
enum help_kind help_kind(const char *word);

/* Prints to standard output; returns the exit code. */
int help_command(const struct command *command, const struct option *table, enum help_kind kind);

/* Appends prose as a terminal of that width has it: a man page, gpt2-bulk(5), is what shows it
 * without man, `gpt2 help bulk`. */
struct buffer;
void help_prose(struct buffer *page, const char *text, int width);

/* Appends at most n examples, one a line; or all of them as a script with comments. */
void help_examples(struct buffer *page, const struct example *examples, int n, int width);
void help_script(struct buffer *page, const struct example *examples);

#endif
