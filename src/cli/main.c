/* main.c - the program: finds the command and runs it, or prints the help. */
#include "base/error_internal.h"
#include "cli/command/commands.h"
#include "cli/command/program_help.h"
#include "cli/command/topics.h"
#include "cli/io/fatal.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/suggest.h"

#include <assert.h>
#include <gpt2/version.h>
#include <stdio.h>
#include <string.h>

/* Commands by the names that other programs of this kind have for them. */
static const struct {
    const char *name, *command;
} synonyms[] = {
    {"run", "generate"},      {"chat", "generate"}, {"complete", "generate"},
    {"list", "models"},       {"ls", "models"},     {"download", "pull"},
    {"fetch", "pull"},        {"install", "pull"},  {"remove", "rm"},
    {"delete", "rm"},         {"show", "info"},     {"encode", "tokenize"},
    {"decode", "detokenize"}, {"server", "serve"},  {"perplexity", "score"},
    {"benchmark", "bench"},
};

static const char *command_meant(const char *name) {
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (!strcmp(name, synonyms[i].name)) {
            assert(command_find(synonyms[i].command));
            return synonyms[i].command;
        }
    return NULL;
}

/* `is_topic`: it may have been meant as one. */
static int refuse(const char *name, bool is_topic) {
    struct gpt2_error err;
    struct suggestion nearest = {.distance = 3};
    for (size_t i = 0; name[0] != '-' && command_at(i); i++)
        suggest(&nearest, name, strlen(name), command_at(i)->name);
    if (name[0] != '-')
        suggest(&nearest, name, strlen(name), "help"); // which is in no table
    for (size_t i = 0; is_topic && topic_at(i); i++)
        suggest(&nearest, name, strlen(name), topic_at(i)->name);
    command_error(&err, GPT2_ERR_USAGE,
                  is_topic ? "`gpt2 --help` lists commands and topics"
                           : "`gpt2 --help` lists the commands",
                  name[0] == '-' ? "expected a command before options, got \"%s\""
                  : is_topic     ? "unknown command or topic \"%s\""
                                 : "unknown command \"%s\"",
                  name);
    const char *meant = command_meant(name);
    if (meant)
        nearest.name = meant;
    if (!is_topic && topic_find(name))
        error_hint(&err, "it is a topic of help: gpt2 help %s", name);
    else if (nearest.name)
        error_hint(&err, "did you mean %s?", nearest.name);
    else if (strchr(name, ' '))
        error_hint(&err, "gpt2 generate \"...\" continues a text");
    return report(&err);
}

static bool is_help(const char *word) {
    return !strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* `gpt2 help [NAME [KIND]]`: of a topic, else of a command, or of the program, whose name may be
 * "help". */
static int help(int n, char **words) {
    struct gpt2_error err;
    if (n && is_help(words[0])) {
        words++;
        n--;
    }
    const char *name = n ? words[0] : "", *kind_word = n > 1 ? words[1] : "";
    const struct command *command = command_find(name);
    const struct topic *topic = topic_find(name);
    if (n == 1 && !command && !topic && help_kind(name) != HELP_NONE)
        return help_program(help_kind(name));
    const enum help_kind kind = help_kind(kind_word);
    if (kind == HELP_EXAMPLES && command) // a topic of the same name has none
        topic = NULL;
    if (n && !command && !topic)
        return refuse(name, true);
    if (kind == HELP_NONE || n > 2) {
        command_error(&err, GPT2_ERR_USAGE, "`gpt2 --help` lists commands and topics",
                      "help %s: expected all, examples or man, got \"%s\"", name,
                      n > 2 ? words[2] : kind_word);
        return report(&err);
    }
    if (topic)
        return help_topic(topic, kind);
    if (!command)
        return help_program(kind);
    char copy[64], option[64];
    snprintf(copy, sizeof copy, "%s", name);
    snprintf(option, sizeof option, "--help%s%s", *kind_word ? "=" : "", kind_word);
    return command->run(2, (char *[]){copy, option, NULL});
}

int main(int argc, char **argv) {
    struct gpt2_error err;
    fatal_catch();
    if (!fatal_stack(&err))
        return report(&err);
    const char *name = argc > 1 ? argv[1] : "--help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        static struct output out; // it has a buffer, too large for a small stack
        const bool ok =
            output_format(&out, &err, "gpt2 %s\n", gpt2_version()) && output_flush(&out, &err);
        return ok ? 0 : output_failed(&out, &err);
    }
    if (!strcmp(name, "help"))
        return help(argc - 2, argv + 2);
    if (is_help(name))
        return help(argc > 2, argv + 2);
    if (!strncmp(name, "--help=", 7))
        return help(1, (char *[]){argv[1] + 7, NULL});
    const struct command *command = command_find(name);
    return command ? command->run(argc - 1, argv + 1) : refuse(name, false);
}
