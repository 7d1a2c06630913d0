/* program_help.c - prints help on the program and on topics, and makes their man pages. */
#include "cli/command/program_help.h"
#include "cli/command/commands.h"
#include "cli/command/man_page.h"
#include "cli/command/topics.h"
#include "cli/io/wrap.h"

#include <stdio.h>
#include <string.h>

/* The commands that a topic concerns are found by showing their tables. */
struct topic_users {
    const struct topic *topic;
    struct man_related related;
};

static void put_user(const struct command *command, const struct option *table, void *user) {
    struct topic_users *users = user;
    if (concerns(users->topic->users, command, table))
        man_related(&users->related, command->name, strlen(command->name), 1);
}

static void manual_topic(struct buffer *page, const struct topic *topic) {
    char made_by[100];
    snprintf(made_by, sizeof made_by, "gpt2 help %s man", topic->name);
    man_begin(page, made_by, topic->name, topic->section, topic->summary);
    buffer_text(page, ".SH DESCRIPTION\n");
    man_prose(page, topic->text);
    if (topic->more)
        man_prose(page, topic->more);
    if (topic->variables)
        man_facts(page, "Environment", topic->variables, NULL, NULL);
    if (topic->files)
        man_facts(page, "Files", topic->files, NULL, NULL);
    man_heading(page, "See also");
    struct topic_users users = {topic, {page, false}};
    man_related(&users.related, "", 0, 1);
    for (size_t i = 0; command_at(i); i++)
        command_visit(command_at(i), put_user, &users);
    buffer_byte(page, '\n');
}

static void manual_program(struct buffer *page) {
    man_begin(page, "gpt2 --help=man", NULL, 1,
              "run GPT-2 models on the CPU, exactly and reproducibly");
    buffer_text(page,
                ".SH SYNOPSIS\n\\fBgpt2\\fR \\fICOMMAND\\fR [OPTIONS]\n"
                ".SH DESCRIPTION\nEach command has a page of its own, and so has each topic.\n"
                "\\fBgpt2\\fR \\fICOMMAND\\fR \\fB\\-\\-help\\fR and "
                "\\fBgpt2 help\\fR \\fITOPIC\\fR print them without man.\n");
    man_heading(page, "Commands");
    for (size_t i = 0; command_at(i); i++) {
        buffer_text(page, ".TP\n.BR gpt2\\-");
        man_words(page, command_at(i)->name, strlen(command_at(i)->name));
        buffer_text(page, " (1)\n");
        man_text(page, command_at(i)->summary);
    }
    man_heading(page, "Topics");
    for (size_t i = 0; topic_at(i); i++) {
        buffer_text(page, ".TP\n.BR gpt2\\-");
        man_words(page, topic_at(i)->name, strlen(topic_at(i)->name));
        buffer_format(page, " (%d)\n", topic_at(i)->section);
        man_text(page, topic_at(i)->summary);
    }
    man_examples(page, program_examples);
    man_facts(page, "Environment", environment_facts, NULL, NULL);
    man_exit_codes(page);
    man_facts(page, "Files", file_facts, NULL, NULL);
    man_heading(page, "See also");
    struct man_related related = {page, false};
    for (size_t i = 0; topic_at(i); i++)
        man_related(&related, topic_at(i)->name, strlen(topic_at(i)->name), topic_at(i)->section);
    buffer_byte(page, '\n');
}

static void put_facts(struct buffer *page, const char *heading, const struct program_fact *facts,
                      int width) {
    if (!facts)
        return;
    buffer_format(page, "\n%s\n", heading);
    for (; facts->name; facts++) {
        buffer_text(page, "  ");
        wrap_text(page, facts->name, 2, 2, width);
        buffer_text(page, "      ");
        wrap_text(page, facts->meaning, 6, 6, width);
    }
}

int help_topic(const struct topic *topic, enum help_kind kind) {
    struct buffer page = {0};
    if (kind == HELP_MANUAL) {
        manual_topic(&page, topic);
    } else {
        buffer_format(&page, "gpt2 help %s - ", topic->name);
        wrap_text(&page, topic->summary, (int)page.len, 2, wrap_width());
        buffer_byte(&page, '\n');
        help_prose(&page, topic->text, wrap_width());
        if (topic->more)
            help_prose(&page, topic->more, wrap_width());
        put_facts(&page, "variables", topic->variables, wrap_width());
        put_facts(&page, "files", topic->files, wrap_width());
    }
    return wrap_print(&page);
}

/* "  NAME   text" with the text in column 15. */
static void put_name(struct buffer *page, const char *name, const char *text, int width) {
    buffer_format(page, "  %-12s ", name);
    wrap_text(page, text, 15, 15, width);
}

static void put_program(struct buffer *page, int width) {
    wrap_text(page,
              "gpt2 - run GPT-2 models on the CPU, exactly and reproducibly\n\n"
              "usage: gpt2 COMMAND [OPTIONS]\n",
              0, 0, width);
    buffer_byte(page, '\n');
    help_examples(page, program_examples, 3, width);
    buffer_text(page, "\ncommands\n");
    for (size_t i = 0; command_at(i); i++)
        put_name(page, command_at(i)->name, command_at(i)->summary, width);
    buffer_text(page, "\ntopics\n");
    for (size_t i = 0; topic_at(i); i++)
        put_name(page, topic_at(i)->name, topic_at(i)->summary, width);
    wrap_text(page,
              "\n`gpt2 COMMAND --help` has the options that people use first, `gpt2 COMMAND\n"
              "--help all` all of them, `gpt2 help TOPIC` a page about a subject, and `gpt2 help\n"
              "COMMAND examples` lines to try.\n",
              0, 0, width);
    buffer_text(page, "\nexit codes\n");
    for (const struct exit_code *e = exit_codes; e->meaning; e++) {
        buffer_format(page, "  %-4d ", e->code);
        wrap_text(page, e->meaning, 7, 7, width);
    }
}

int help_program(enum help_kind kind) {
    struct buffer page = {0};
    if (kind == HELP_MANUAL)
        manual_program(&page);
    else if (kind == HELP_EXAMPLES)
        help_script(&page, program_examples);
    else
        put_program(&page, wrap_width());
    return wrap_print(&page);
}
