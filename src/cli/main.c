/* main.c - the program: finds the command and runs it, or prints the help. */
#include "cli/command/commands.h"
#include "cli/command/suggest.h"
#include "cli/io/fatal.h"
#include "cli/io/report.h"
#include "cli/io/wrap.h"

#include <gpt2/version.h>
#include <stdio.h>
#include <string.h>

static int help(void) {
    const int width = wrap_width();
    struct buffer page = {0};
    wrap_text(&page,
              "gpt2 - run GPT-2 models on the CPU, exactly and reproducibly\n\n"
              "usage: gpt2 COMMAND [OPTIONS]\n\n"
              "  gpt2 generate --prompt \"Once upon a time\"\n"
              "  echo \"Once upon a time\" | gpt2 generate -n 40\n"
              "  gpt2 tokenize \"Hello, world\"\n\n"
              "commands",
              0, 0, width);
    for (size_t i = 0; command_at(i); i++) {
        buffer_format(&page, "  %-12s ", command_at(i)->name);
        wrap_text(&page, command_at(i)->summary, 15, 15, width);
    }
    wrap_text(&page,
              "\n`gpt2 COMMAND --help` or `gpt2 help COMMAND` lists a command's options.\n\n"
              "exit codes\n"
              "  0    ok\n"
              "  1    runtime error\n"
              "  2    wrong usage\n"
              "  3    finished, some records of a job failed\n"
              "  4    model or tokenizer missing or invalid\n"
              "  5    input unreadable or too long\n"
              "  6    out of memory\n"
              "  130  interrupted\n"
              "  141  the reader of a pipe went away\n"
              "  143  terminated\n",
              0, 0, width);
    return wrap_print(&page);
}

static int refuse(const char *name) {
    struct gpt2_error err;
    struct suggestion nearest = {.distance = 3};
    for (size_t i = 0; command_at(i); i++)
        suggest(&nearest, name, strlen(name), command_at(i)->name);
    command_error(&err, GPT2_ERR_USAGE, "`gpt2 --help` lists the commands",
                  name[0] == '-' ? "expected a command before options, got \"%s\""
                                 : "unknown command \"%s\"",
                  name);
    if (nearest.name)
        snprintf(err.hint, sizeof err.hint, "did you mean %s?", nearest.name);
    return report(&err);
}

/* `gpt2 help [COMMAND]` */
static int help_on(const char *name) {
    const struct command *command = command_find(name);
    char word[64], option[] = "--help";
    if (!command)
        return refuse(name);
    snprintf(word, sizeof word, "%s", name);
    return command->run(2, (char *[]){word, option, NULL});
}

int main(int argc, char **argv) {
    struct gpt2_error err;
    fatal_catch();
    if (!fatal_stack(&err))
        return report(&err);
    const char *name = argc > 1 ? argv[1] : "--help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("gpt2 %s\n", gpt2_version());
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (!strcmp(name, "help") && argc > 2)
        return help_on(argv[2]);
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))
        return help();
    const struct command *command = command_find(name);
    return command ? command->run(argc - 1, argv + 1) : refuse(name);
}
