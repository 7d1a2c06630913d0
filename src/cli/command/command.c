/* command.c - reads the command line of a command by its table of options, and prints its help. */
#include "cli/command/command.h"
#include "cli/command/manual.h"
#include "cli/command/option_rules.h"
#include "cli/io/report.h"
#include "cli/io/unescape.h"
#include "cli/io/wrap.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The option that argv[*i] names. *value is what follows its name in the same word, or NULL.
 * NULL: there is none. */
static const struct option *read_name(const struct option *table, char *word, char **value,
                                      struct gpt2_error *err) {
    const struct option *option;
    *value = NULL;
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        option = options_find_name(table, word + 2, len);
        if (!option)
            options_refuse(table, word + 2, len, err);
        if (word[2 + len] == '=')
            *value = word + 2 + len + 1;
    } else {
        option = options_find_letter(table, word[1]);
        if (!option)
            usage_error(err, "unknown option -%c", word[1]);
        if (word[2])
            *value = word + 2;
    }
    return option;
}

/* Reads the option at argv[*i], its value included, and sets it. */
static bool read_option(const struct option *table, int argc, char **argv, int *i,
                        struct given_options *given, struct gpt2_error *err) {
    char *value;
    const struct option *option = read_name(table, argv[*i], &value, err);
    if (!option)
        return false;
    if (option->type == OPTION_RENAMED)
        return options_assign(option, NULL, err);
    if (!option_has_value(option) && value)
        return usage_error(err, "--%s takes no value, got \"%s\"", option->name, value);
    if (option_has_value(option) && !value) {
        if (*i + 1 == argc)
            return usage_error(err, "--%s: expected %s, got nothing", option->name,
                               option->argument);
        value = argv[++*i];
    }
    char name[64];
    snprintf(name, sizeof name, "--%s", option->name);
    if ((option->flags & OPTION_ESCAPES) && !unescape_string(value, name, err))
        return false;
    return given_note(given, table, option, err) && options_assign(option, value, err);
}

/* Takes the first plain word as the value of an OPTION_FIRST_WORD that is not given. */
static bool take_first_word(const struct option *table, char **argv, int *n_words,
                            struct given_options *given, struct gpt2_error *err) {
    for (const struct option *o = table; o->name && *n_words; o++) {
        if (!(o->flags & OPTION_FIRST_WORD) || given->entry[o - table])
            continue;
        if (!given_note(given, table, o, err) || !options_assign(o, argv[0], err))
            return false;
        memmove(argv, argv + 1, (size_t)-- * n_words * sizeof *argv);
    }
    given->word = *n_words ? argv[0] : NULL;
    return true;
}

bool command_read(const struct command *command, const struct option *table, int argc, char **argv,
                  int *n_words, bool *help, struct gpt2_error *err) {
    struct given_options given = {0};
    *n_words = 0;
    *help = false;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (ended || word[0] != '-' || word[1] == 0) { // "-" alone is a word
            argv[(*n_words)++] = word;
        } else if (!strcmp(word, "--")) {
            ended = true;
        } else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            *help = true;
            return true;
        } else if (!read_option(table, argc, argv, &i, &given, err)) {
            return false;
        }
    }
    return take_first_word(table, argv, n_words, &given, err) &&
           given_check(&given, command, table, err);
}

/* The help of an option, in the column for it, or below where the terminal is narrow. */
static void put_option(struct buffer *page, const struct option *o, int width) {
    const int column = width < 60 ? 8 : 28;
    size_t line = page->len; // where the line at hand begins
    if (o->letter)
        buffer_format(page, "  -%c, --%s", o->letter, o->name);
    else
        buffer_format(page, "      --%s", o->name);
    if (o->argument) {
        if ((int)(page->len - line) + 1 + (int)strlen(o->argument) > width) {
            line = page->len + 1;
            buffer_format(page, "\n%*s", column - 1, "");
        }
        buffer_format(page, " %s", o->argument);
    }
    if ((int)(page->len - line) + 2 > column || column < 28) {
        buffer_byte(page, '\n');
        line = page->len;
    }
    buffer_format(page, "%*s", column - (int)(page->len - line), "");
    wrap_text(page, o->help, column, column, width);
}

static int print_help(const struct command *command, const struct option *table) {
    const int width = wrap_width();
    struct buffer page = {0};
    buffer_format(&page, "gpt2 %s - ", command->name);
    wrap_text(&page, command->summary, (int)page.len, 2, width);
    const size_t line = page.len + 1;
    buffer_format(&page, "\nusage: gpt2 %s ", command->name);
    wrap_text(&page, command->usage, (int)(page.len - line), 7, width);
    for (const struct option *o = table; o->name; o++) {
        if (o->type == OPTION_SECTION) {
            buffer_byte(&page, '\n');
            wrap_text(&page, o->name, 0, 2, width);
        } else if (option_is_shown(o)) {
            put_option(&page, o, width);
        }
    }
    buffer_text(&page, width < 60 ? "  -h, --help\n        this text\n"
                                  : "  -h, --help                this text\n");
    if (command->details) {
        buffer_byte(&page, '\n');
        wrap_text(&page, command->details, 0, 0, width);
    }
    return wrap_print(&page);
}

/* Set during command_visit, which no other thread calls: command_begin shows it the table. */
static struct {
    command_visitor visit;
    void *user;
} visitor;

int command_visit(const struct command *command, command_visitor visit, void *user) {
    char name[64];
    snprintf(name, sizeof name, "%s", command->name);
    char *argv[] = {name, NULL};
    visitor.visit = visit;
    visitor.user = user;
    const int code = command->run(1, argv);
    visitor.visit = NULL;
    return code;
}

/* Fills whole[MAX_OPTIONS] with the command's options and those that each command has, whether they
 * have an effect there or not. */
static void add_common(struct option *whole, const struct option *table) {
    static int ignored;
    const struct option common[] = {
        OPT_CHOICE("color", 0, &ignored, color_modes, "auto|always|never",
                   "accepted in every command; this one has no colours", .aliases = "colour"),
        OPT_END,
    };
    size_t n = 0;
    while (table[n].name)
        n++;
    assert(n + sizeof common / sizeof *common <= MAX_OPTIONS);
    memcpy(whole, table, n * sizeof *table);
    for (const struct option *o = common; o->name; o++)
        if (!options_find(table, o->name))
            whole[n++] = *o;
    whole[n] = (struct option)OPT_END;
}

bool command_begin(const struct command *command, const struct option *own, int argc, char **argv,
                   int max_words, int *n_words, int *code) {
    struct gpt2_error err = {0};
    struct option table[MAX_OPTIONS];
    bool help;
    add_common(table, own);
    if (visitor.visit || (argc == 2 && !strcmp(argv[1], "--help=man"))) {
        if (visitor.visit)
            visitor.visit(command, table, visitor.user);
        else
            manual_print(command, table);
        *code = fflush(stdout) == 0 ? 0 : GPT2_ERR_RUNTIME;
        return false;
    }
    bool ok = command_read(command, table, argc, argv, n_words, &help, &err);
    if (ok && help) {
        *code = print_help(command, table);
        return false;
    }
    if (ok && *n_words > max_words)
        ok = command_error(&err, GPT2_ERR_USAGE,
                           strstr(command->usage, "TEXT") || strstr(command->usage, "PROMPT")
                               ? "put a text with spaces in quotes"
                               : NULL,
                           "unexpected argument \"%s\"", argv[max_words]);
    if (ok)
        return true;
    if (!err.hint[0])
        snprintf(err.hint, sizeof err.hint, "`gpt2 %s --help` lists the options", command->name);
    *code = report(&err);
    return false;
}
