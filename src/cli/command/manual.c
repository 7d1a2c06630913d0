/* manual.c - makes the man page of a command. */
#include "cli/command/manual.h"
#include "cli/command/man_page.h"
#include "cli/command/topics.h"

#include <stdio.h>
#include <string.h>

static void put_option(struct buffer *page, const struct option *o) {
    buffer_text(page, ".TP\n\\fB");
    if (o->letter)
        buffer_format(page, "\\-%c\\fR, \\fB", o->letter);
    buffer_text(page, "\\-\\-");
    man_words(page, o->name, strlen(o->name));
    buffer_text(page, "\\fR");
    if (o->argument) {
        buffer_text(page, " \\fI");
        man_words(page, o->argument, strlen(o->argument));
        buffer_text(page, "\\fR");
    }
    buffer_byte(page, '\n');
    struct buffer text = {0};
    buffer_format(&text, "%s%s", o->help, options_escapes(o));
    for (const char *alias = o->aliases; alias && *alias;) {
        const size_t n = strcspn(alias, " ");
        buffer_format(&text, "%s--%.*s", alias == o->aliases ? "\n(also " : ", ", (int)n, alias);
        alias += n + (alias[n] == ' ');
    }
    buffer_text(&text, o->aliases ? ")" : "");
    if (!text.failed)
        man_text(page, text.data);
    page->failed |= text.failed;
    buffer_free(&text);
}

void manual_command(struct buffer *page, const struct command *command,
                    const struct option *table) {
    char made_by[100];
    snprintf(made_by, sizeof made_by, "gpt2 %s --help=man", command->name);
    man_begin(page, made_by, command->name, 1, command->summary);
    buffer_format(page, ".SH SYNOPSIS\n\\fBgpt2 %s\\fR ", command->name);
    man_usage(page, command->usage);
    buffer_text(page, ".SH DESCRIPTION\n");
    if (command->details)
        man_prose(page, command->details);
    else
        buffer_text(page, "See the options below.\n");
    if (!table->name || table->type != OPTION_SECTION)
        man_heading(page, "Options");
    for (const struct option *o = table; o->name; o++) {
        if (o->type == OPTION_SECTION)
            man_heading(page, o->name);
        else if (option_is_shown(o))
            put_option(page, o);
    }
    buffer_text(page, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint the options that people use "
                      "first; \\fB\\-\\-help all\\fR prints all of them\n");
    man_examples(page, command->examples);
    man_facts(page, "Environment", environment_facts, command, table);
    man_exit_codes(page);
    man_facts(page, "Files", file_facts, command, table);
    man_heading(page, "See also");
    struct man_related related = {page, false};
    man_related(&related, "", 0, 1);
    for (const char *at = command->related; at && *at;) {
        const size_t n = strcspn(at, " ");
        man_related(&related, at, n, 1);
        at += n + (at[n] == ' ');
    }
    for (size_t i = 0; topic_at(i); i++)
        if (concerns(topic_at(i)->users, command, table))
            man_related(&related, topic_at(i)->name, strlen(topic_at(i)->name),
                        topic_at(i)->section);
    buffer_byte(page, '\n');
}
