/* topic_environment.c - gpt2-environment(7): variables and files, from the tables of all man pages.
 */
#include "cli/command/program_facts.h"
#include "cli/command/topics.h"

const struct topic topic_environment = {
    .name = "environment",
    .section = 7,
    .summary = "which variables and files the program looks at",
    .text = "What an option says goes before its variable. The man page of each command has those "
            "that\nit looks at.\n",
    .variables = environment_facts,
    .files = file_facts,
};
