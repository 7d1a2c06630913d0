/* main.c - finds the command and runs it. A new command is one file and one row of the table. */
#include "cli/command/commands.h"
#include "cli/io/report.h"

#include <gpt2/version.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_generate,    &command_tokenize, &command_detokenize, &command_score,
    &command_choose,      &command_eval,     &command_inspect,    &command_info,
    &command_quantize,    &command_convert,  &command_verify,     &command_compare,
    &command_bench,       &command_pull,     &command_models,     &command_rm,
    &command_completions,
};

const struct command *command_at(size_t i) {
    return i < sizeof commands / sizeof *commands ? commands[i] : NULL;
}

static int help(void) {
    printf("gpt2 - run GPT-2 models on the CPU, exactly and reproducibly\n\n"
           "usage: gpt2 COMMAND [OPTIONS]\n\n"
           "  gpt2 generate --prompt \"Once upon a time\"\n"
           "  echo \"Once upon a time\" | gpt2 generate -n 40\n"
           "  gpt2 tokenize \"Hello, world\"\n\n"
           "commands\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("  %-12s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n`gpt2 COMMAND --help` lists a command's options.\n\n"
           "exit codes\n"
           "  0 ok  1 runtime error  2 wrong usage  3 finished, some records of a job failed\n"
           "  4 model or tokenizer missing or invalid  5 input unreadable or too long\n"
           "  6 out of memory\n"
           "  130 interrupted  141 the reader of a pipe went away  143 terminated\n");
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "--help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("gpt2 %s\n", gpt2_version());
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
        return help();
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(name, commands[i]->name))
            return commands[i]->run(argc - 1, argv + 1);
    struct gpt2_error err;
    command_error(&err, GPT2_ERR_USAGE, "`gpt2 --help` lists the commands",
                  name[0] == '-' ? "expected a command before options, got \"%s\""
                                 : "unknown command \"%s\"",
                  name);
    return report(&err);
}
