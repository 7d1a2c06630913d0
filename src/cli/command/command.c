/* command.c - reads the command line of a command by its table of options. */
#include "cli/command/command.h"
#include "base/error_internal.h"
#include "cli/command/option_paths.h"
#include "cli/command/option_rules.h"
#include "cli/io/report.h"
#include "cli/io/unescape.h"

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
            options_refuse(table, "--", word + 2, len, err);
        if (word[2 + len] == '=')
            *value = word + 2 + len + 1;
    } else {
        const size_t len = strcspn(word + 1, "=");
        option = options_find_letter(table, word[1]);
        if (len > 1 && options_find_name(table, word + 1, len)) // -prompt is not -p rompt
            option = NULL;
        if (!option && strcspn(word + 1, " \t\n") < len)
            usage_error(err, "unknown option \"%.100s\"", word);
        else if (!option)
            options_refuse(table, "-", word + 1, len, err);
        if (word[2])
            *value = word + 2;
    }
    return option;
}

/* Moves text[0..), up to a comma or the end, to `to` and reads its escapes. *at is moved past it
 * and the comma, or becomes NULL at the end. *len is what it has then. */
static bool take_text(char *to, char **at, size_t *len, const char *name, struct gpt2_error *err) {
    char *from = *at, *out = to;
    for (; *from && *from != ','; *out++ = *from++) {
        if (*from == '\\' && from[1] == ',')
            from++;
        else if (*from == '\\' && from[1])
            *out++ = *from++;
    }
    *at = *from ? from + 1 : NULL;
    *len = (size_t)(out - to);
    if (!unescape(to, len, name, err))
        return false;
    return !memchr(to, 0, *len) || usage_error(err, "%s: \\x00 cannot be part of it", name);
}

/* Adds the texts of an OPTION_LIST: each that has a comma by itself, those between as they are. In
 * place: nothing becomes longer. */
static bool assign_texts(const struct option *option, char *value, const char *name,
                         struct gpt2_error *err) {
    char *item = value, *to = value; // those between: [item, to), each with a comma after it
    for (char *at = value; at;) {
        size_t len;
        if (!take_text(to, &at, &len, name, err))
            return false;
        const bool has_comma = memchr(to, ',', len) != NULL;
        to[len] = has_comma || !at ? 0 : ',';
        if (has_comma && to > item) {
            to[-1] = 0;
            if (!options_assign(NULL, option, item, err))
                return false;
        }
        if (has_comma && !options_add_text(option, to, err))
            return false;
        to += len + 1;
        item = has_comma ? to : item;
    }
    return to == item || options_assign(NULL, option, item, err);
}

/* Reads the option at argv[*i], its value included, and sets it. */
static bool read_option(const struct option *table, int argc, char **argv, int *i,
                        struct given_options *given, struct gpt2_error *err) {
    char *value;
    const struct option *option = read_name(table, argv[*i], &value, err);
    if (!option)
        return false;
    if (option->type == OPTION_RENAMED)
        return options_assign(table, option, NULL, err);
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
    if (option->flags & OPTION_LIST)
        return given_note(given, table, option, err) && assign_texts(option, value, name, err);
    if ((option->flags & OPTION_ESCAPES) && !unescape_string(value, name, err))
        return false;
    return given_note(given, table, option, err) && options_assign(table, option, value, err);
}

/* Takes the first plain word as the value of an OPTION_FIRST_WORD that is not given. */
static bool take_first_word(const struct option *table, char **argv, int *n_words,
                            struct given_options *given, struct gpt2_error *err) {
    for (const struct option *o = table; o->name && *n_words; o++) {
        if (!(o->flags & OPTION_FIRST_WORD) || given->entry[o - table])
            continue;
        if (!given_note(given, table, o, err) || !options_assign(table, o, argv[0], err))
            return false;
        memmove(argv, argv + 1, (size_t)-- * n_words * sizeof *argv);
    }
    given->word = *n_words ? argv[0] : NULL;
    return true;
}

static bool is_help(const char *word) {
    return !strcmp(word, "--help") || !strcmp(word, "-h") || !strncmp(word, "--help=", 7);
}

/* What follows --help need not be about it; what follows "=" does. */
static bool read_help(const char *word, const char *next, enum help_kind *help,
                      struct gpt2_error *err) {
    const char *value = strchr(word, '=');
    *help = help_kind(value ? value + 1 : next);
    if (value && *help == HELP_NONE)
        return usage_error(err, "--help: expected all, examples or man, got \"%s\"", value + 1);
    if (*help == HELP_NONE)
        *help = HELP_SHORT;
    return true;
}

/* Whether a word that begins with a hyphen was rather meant as a text: "- item one", "---". */
static bool is_like_text(const char *word) {
    const size_t n = word[1] == '-' ? strcspn(word, "=") : strlen(word);
    return strcspn(word, " \t\n") < n || !strncmp(word, "---", 3);
}

bool command_read(const struct command *command, const struct option *table, int argc, char **argv,
                  int *n_words, enum help_kind *help, struct gpt2_error *err) {
    struct given_options given = {0};
    *n_words = 0;
    *help = HELP_NONE;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (ended || word[0] != '-' || word[1] == 0) { // "-" alone is a word
            argv[(*n_words)++] = word;
        } else if (!strcmp(word, "--")) {
            ended = true;
        } else if (is_help(word)) {
            return read_help(word, i + 1 < argc ? argv[i + 1] : "", help, err);
        } else if (!read_option(table, argc, argv, &i, &given, err)) {
            if (!err->hint[0] && is_like_text(word))
                error_hint(err, "a text that begins with - goes %safter --",
                           options_find_letter(table, 'p') ? "in -p or " : "");
            return false;
        }
    }
    return take_first_word(table, argv, n_words, &given, err) &&
           given_check(&given, command, table, err);
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
                   "accepted in every command; this one has no colours", .aliases = "colour",
                   .flags = OPTION_IGNORED),
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
    enum help_kind help;
    add_common(table, own);
    if (visitor.visit) {
        visitor.visit(command, table, visitor.user);
        *code = GPT2_OK;
        return false;
    }
    bool ok = command_read(command, table, argc, argv, n_words, &help, &err);
    if (ok && help != HELP_NONE) {
        *code = help_command(command, table, help);
        return false;
    }
    if (ok && *n_words > max_words)
        ok = command_error(&err, GPT2_ERR_USAGE,
                           strstr(command->usage, "TEXT") || strstr(command->usage, "PROMPT")
                               ? "put a text with spaces in quotes"
                               : NULL,
                           "unexpected argument \"%s\"", argv[max_words]);
    if (ok && option_paths_check(table, &err))
        return true;
    if (!err.hint[0] && err.status == GPT2_ERR_USAGE)
        error_hint(&err, "`gpt2 %s --help` lists the options", command->name);
    *code = report(&err);
    return false;
}
