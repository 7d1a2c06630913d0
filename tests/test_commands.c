/* test_commands.c - every command and every option, as the tables have them.
 *
 * No option is listed here: a new one is tested because it is in its command's table. Each must be
 * in --help, the man page and the three completions, must refuse a wrong value by its name, and
 * must accept its default, its bounds, its choices and its aliases. A command runs in this process,
 * what it prints goes to files. `OPTION VALUE --help` accepts the value and ends before anything is
 * done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "cli/command/commands.h"
#include "cli/command/shell_completion.h"
#include "cli/generate/settings.h"
#include "model/generation_config.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ENTRIES 100 /* of one command */

/* An option after the visit of its table, whose destinations are gone. */
struct entry {
    const struct command *command;
    struct option option;
    char value[64]; /* what it is set to before the command line is read */
};

static struct entry *entries;
static size_t n_entries;

static void fill_entry(struct entry *entry, const struct command *command, const struct option *o) {
    struct buffer value = {0};
    options_value(o, &value);
    *entry = (struct entry){.command = command, .option = *o};
    if (value.data)
        snprintf(entry->value, sizeof entry->value, "%s", value.data);
    buffer_free(&value);
}

static void collect(const struct command *command, const struct option *table, void *user) {
    for (const struct option *o = table; o->name; o++) {
        if (!option_is_shown(o))
            continue;
        entries = realloc(entries, (n_entries + 1) * sizeof *entries);
        assert_non_null(entries);
        fill_entry(&entries[n_entries++], command, o);
    }
}

static int setup(void **state) {
    for (size_t i = 0; command_at(i); i++)
        command_visit(command_at(i), collect, NULL);
    return n_entries == 0;
}

static int teardown(void **state) {
    free(entries);
    return 0;
}

/* ---- what a command prints ---- */

struct printed {
    int code;
    char *out, *err;
};

static char *read_all(FILE *file) {
    long n = (fseek(file, 0, SEEK_END), ftell(file));
    char *text = calloc(1, (size_t)n + 1);
    assert_non_null(text);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)n, file), n);
    fclose(file);
    return text;
}

/* Sends standard output and standard error into files while `act` runs. */
static struct printed capture(int (*act)(void *), void *user) {
    FILE *files[2] = {tmpfile(), tmpfile()};
    int before[2];
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        assert_non_null(files[i]);
        before[i] = dup(1 + i);
        assert_int_equal(dup2(fileno(files[i]), 1 + i), 1 + i);
    }
    struct printed printed = {.code = act(user)};
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        dup2(before[i], 1 + i);
        close(before[i]);
    }
    printed.out = read_all(files[0]);
    printed.err = read_all(files[1]);
    return printed;
}

static void printed_free(struct printed *printed) {
    free(printed->out);
    free(printed->err);
}

struct line {
    const struct command *command;
    const char *words[4]; /* ends with NULL */
};

static int run_line(void *user) {
    const struct line *line = user;
    char words[5][300];
    char *argv[6];
    int argc = 0;
    snprintf(words[argc++], sizeof *words, "%s", line->command->name);
    for (int i = 0; i < 4 && line->words[i]; i++)
        snprintf(words[argc++], sizeof *words, "%s", line->words[i]);
    for (int i = 0; i < argc; i++)
        argv[i] = words[i];
    argv[argc] = NULL;
    return line->command->run(argc, argv);
}

static struct printed run(const struct command *command, const char *a, const char *b,
                          const char *c) {
    struct line line = {command, {a, b, c}};
    return capture(run_line, &line);
}

static int complete(void *user) {
    struct buffer script = {0};
    int code;
    if (!shell_completion_write(&script, user, &code) || script.failed)
        code = 1;
    else if (!code)
        fputs(script.data, stdout);
    buffer_free(&script);
    return code;
}

static bool starts(const char *text, const char *start) {
    return !strncmp(text, start, strlen(start));
}

static void refuses(const struct entry *e, const char *a, const char *b, const char *why) {
    struct printed p = run(e->command, a, b, NULL);
    char begin[300];
    snprintf(begin, sizeof begin, "gpt2: error: --%s", e->option.name);
    if (p.code != 2 || p.out[0] || !starts(p.err, begin))
        fail_msg("gpt2 %s %s %s (%s): expected 2 and \"%s...\", got %d and \"%s\"",
                 e->command->name, a, b ? b : "", why, begin, p.code, p.err);
    printed_free(&p);
}

/* `b` may be NULL. */
static void accepts(const struct entry *e, const char *a, const char *b, const char *why) {
    struct printed p = b ? run(e->command, a, b, "--help") : run(e->command, a, "--help", NULL);
    if (p.code != 0 || p.err[0] || !starts(p.out, "gpt2 "))
        fail_msg("gpt2 %s %s %s (%s): expected it to be accepted, got %d and \"%s\"",
                 e->command->name, a, b ? b : "", why, p.code, p.err);
    printed_free(&p);
}

static bool is_number(const struct option *o) {
    return o->type == OPTION_INT || o->type == OPTION_INTS || o->type == OPTION_FLOAT;
}

/* ---- the tables themselves ---- */

static void check_name(const struct entry *e, const char *name, size_t n) {
    bool good = n > 0 && name[0] != '-' && name[n - 1] != '-';
    for (size_t i = 0; i < n; i++)
        good = good && (islower((unsigned char)name[i]) || isdigit((unsigned char)name[i]) ||
                        name[i] == '-');
    if (!good || (n == 4 && !strncmp(name, "help", 4)))
        fail_msg("gpt2 %s: \"%.*s\" is no name of an option", e->command->name, (int)n, name);
}

/* Calls `each` with the option's name and its aliases. */
static void each_name(const struct entry *e,
                      void (*each)(const struct entry *e, const char *name, size_t n)) {
    each(e, e->option.name, strlen(e->option.name));
    for (const char *alias = e->option.aliases; alias && *alias;) {
        size_t n = strcspn(alias, " ");
        each(e, alias, n);
        alias += n + (alias[n] == ' ');
    }
}

static bool same_table(const struct entry *a, const struct entry *b) {
    return a->command == b->command;
}

/* The name means this option, not one before it in the table. */
static void check_unique(const struct entry *e, const char *name, size_t n) {
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)n, name);
    for (const struct entry *other = entries; other < entries + n_entries; other++) {
        struct option table[] = {other->option, OPT_END};
        if (other != e && same_table(e, other) && options_find(table, word))
            fail_msg("gpt2 %s: --%s is --%s and --%s", e->command->name, word, e->option.name,
                     other->option.name);
    }
}

static bool is_among(const char *word, const char *const *choices) {
    for (int i = 0; choices[i]; i++)
        if (!strcmp(choices[i], word))
            return true;
    return false;
}

/* The options and choices that terms name are in the table. */
static bool terms_are_known(const struct entry *e, const char *terms) {
    for (const char *at = terms; at && *at; at += at[0] != 0) {
        at += *at == '!';
        size_t n = strcspn(at, " +"), n_name = strcspn(at, " +=");
        char name[64], value[64];
        bool known = *at == '@';
        snprintf(name, sizeof name, "%.*s", (int)n_name, at);
        snprintf(value, sizeof value, "%.*s", (int)(n - n_name), at + n_name);
        for (const struct entry *other = entries; other < entries + n_entries; other++)
            if (same_table(e, other) && !strcmp(other->option.name, name))
                known = (!value[0] || other->option.type != OPTION_CHOICE ||
                         is_among(value + 1, other->option.choices));
        if (!known)
            return false;
        at += n;
    }
    return true;
}

/* Help names each choice, in the argument or the text. */
static bool choices_are_named(const struct option *o) {
    for (int i = 0; o->choices[i]; i++) {
        const size_t n = strlen(o->choices[i]);
        bool found = false;
        for (int of = 0; of < 2; of++)
            for (const char *at = of ? o->argument : o->help; (at = strstr(at, o->choices[i]));
                 at++)
                found |= !isalnum((unsigned char)at[n]);
        if (!found)
            return false;
    }
    return true;
}

static void tables_are_well_formed(void **state) {
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        each_name(e, check_name);
        each_name(e, check_unique);
        for (const struct entry *other = entries; other < e; other++)
            if (same_table(e, other) && o->letter && o->letter == other->option.letter)
                fail_msg("gpt2 %s: -%c is --%s and --%s", e->command->name, o->letter, o->name,
                         other->option.name);
        bool good =
            o->help && *o->help && o->letter != 'h' && (o->argument != NULL) == option_has_value(o);
        if (is_number(o))
            good = good && o->min < o->max &&
                   (o->type == OPTION_FLOAT || (o->min >= INT_MIN && o->max <= INT_MAX));
        if (o->type == OPTION_CHOICE)
            good = good && o->choices && o->choices[0] && choices_are_named(o);
        if (o->type == OPTION_VALUE)
            good = good && o->choices && o->value && is_among(o->value, o->choices) && !o->needs &&
                   !o->not_with; // those of its choice hold
        good = good && terms_are_known(e, o->needs) && terms_are_known(e, o->not_with) &&
               terms_are_known(e, o->free_with);
        if (!good)
            fail_msg("gpt2 %s: the entry of --%s is not whole", e->command->name, o->name);
    }
}

static void commands_are_well_formed(void **state) {
    for (size_t i = 0; command_at(i); i++) {
        const struct command *c = command_at(i);
        assert_ptr_equal(command_find(c->name), c);
        assert_true(c->summary && *c->summary && !strchr(c->summary, '\n'));
        assert_true(c->usage && !strchr(c->usage, '\n'));
        assert_true(!c->details || c->details[strlen(c->details) - 1] == '\n');
    }
    assert_null(command_find("no-such-command"));
}

/* ---- where an option is shown ---- */

/* The first line of `text` that begins so, up to its end; NULL: there is none. */
static char *line_of(const char *text, const char *begin) {
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (starts(line, begin))
            return strndup(line, strcspn(line, "\n"));
    return NULL;
}

static void has_line(const char *text, const char *begin, const char *what, const struct entry *e) {
    char *line = line_of(text, begin);
    if (!line)
        fail_msg("gpt2 %s --%s: %s has no line \"%s\"", e->command->name, e->option.name, what,
                 begin);
    free(line);
}

static void has(const char *text, const char *part, const char *what, const struct entry *e) {
    if (!text || !strstr(text, part))
        fail_msg("gpt2 %s --%s: %s does not have \"%s\"", e->command->name, e->option.name, what,
                 part);
}

/* The help's words are next in text, however lines are broken. */
static void has_words(const char *text, const char *help, const struct entry *e) {
    while (*(help += strspn(help, " \n"))) {
        const size_t n = strcspn(help, " \n");
        text += strspn(text, " \n");
        if (strncmp(text, help, n) != 0)
            fail_msg("gpt2 %s --%s: --help does not have \"%s\"", e->command->name, e->option.name,
                     help);
        text += n;
        help += n;
    }
}

static const char *help_text; /* of the option that is looked at */

static void check_alias_in_help(const struct entry *e, const char *name, size_t n) {
    char word[100];
    snprintf(word, sizeof word, "--%.*s", (int)n, name);
    if (name != e->option.name)
        has(help_text, word, "--help", e);
}

static void options_are_in_help(void **state) {
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        struct printed p = run(e->command, "--help", "all", NULL);
        char begin[200], letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(begin, sizeof begin, "\n  %s--%s%s%s%s", letter, o->name, o->argument ? " " : "",
                 o->argument ? o->argument : "", "");
        has(p.out, begin, "--help", e);
        const char *at = strstr(p.out, begin) + strlen(begin);
        assert_true(*at == ' ' || *at == '\n');
        char help[1000]; // what is in backslashes is said
        snprintf(help, sizeof help, "%s%s", o->help,
                 o->flags & OPTION_ESCAPES ? "; \\n, \\t," : "");
        has_words(at, help, e);
        help_text = at;
        each_name(e, check_alias_in_help);
        printed_free(&p);
    }
}

/* Hyphens as a man page has them. */
static const char *manual_name(const char *name, size_t n, char form[200]) {
    char *to = form;
    for (size_t i = 0; i < n; i++) {
        if (name[i] == '-')
            *to++ = '\\';
        *to++ = name[i];
    }
    *to = 0;
    return form;
}

static const char *manual; /* of the command of the entry that is looked at */

static void check_manual(const struct entry *e, const char *name, size_t n) {
    char form[200], text[300];
    bool alias = name != e->option.name;
    snprintf(text, sizeof text, alias ? "\\-\\-%s" : "\\fB\\-\\-%s\\fR",
             manual_name(name, n, form));
    if (e->option.letter && !alias)
        snprintf(text, sizeof text, "\\fB\\-%c\\fR, \\fB\\-\\-%s\\fR", e->option.letter, form);
    has(manual, text, "the man page", e);
}

/* A command that opens a model says how much memory that may take. */
static void what_opens_a_model_has_a_limit(void **state) {
    for (size_t i = 0; command_at(i); i++) {
        bool opens = false, limits = false;
        for (const struct entry *e = entries; e < entries + n_entries; e++) {
            opens |= e->command == command_at(i) && !strcmp(e->option.name, "lora");
            limits |= e->command == command_at(i) && !strcmp(e->option.name, "max-memory");
        }
        if (opens != limits)
            fail_msg("%s: expected --lora and --max-memory, or neither", command_at(i)->name);
    }
}

static void options_are_in_the_man_page(void **state) {
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        struct printed p = run(e->command, "--help=man", NULL, NULL);
        assert_int_equal(p.code, 0);
        manual = p.out;
        each_name(e, check_manual);
        if (e->option.flags & OPTION_ESCAPES)
            has(manual, "; \\en, \\et,", "the man page", e);
        printed_free(&p);
    }
}

/* Each choice stands in the line. */
static void has_choices(const char *line, const char *what, const struct entry *e) {
    for (int i = 0; e->option.type == OPTION_CHOICE && e->option.choices[i]; i++)
        has(line, e->option.choices[i], what, e);
}

static void options_are_in_bash(void **state) {
    struct printed p = capture(complete, "bash");
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        char begin[200], name[100];
        snprintf(begin, sizeof begin, "    %s) options='--help ", e->command->name);
        char *line = line_of(p.out, begin);
        assert_non_null(line);
        *strchr(strchr(line, '\'') + 1, '\'') = ' ';
        snprintf(name, sizeof name, " --%s ", o->name);
        has(line, name, "bash's completion", e);
        free(line);
        if (!option_has_value(o))
            continue;
        int n = snprintf(begin, sizeof begin, "    %s:--%s", e->command->name, o->name);
        if (o->letter)
            n += snprintf(begin + n, sizeof begin - (size_t)n, " | %s:-%c", e->command->name,
                          o->letter);
        snprintf(begin + n, sizeof begin - (size_t)n, ") kind=");
        line = line_of(p.out, begin);
        has(line, begin, "bash's completion", e);
        has_choices(line, "bash's completion", e);
        free(line);
    }
    printed_free(&p);
}

static void options_are_in_zsh(void **state) {
    struct printed p = capture(complete, "zsh");
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        char begin[200];
        snprintf(begin, sizeof begin, "\n    %s) _arguments ", e->command->name);
        char *section = strdup(strstr(p.out, begin));
        strstr(section, ";;")[0] = 0;
        bool flag = !option_has_value(o);
        snprintf(begin, sizeof begin, "      '--%s%s", o->name, flag ? "[" : "=[");
        char *line = line_of(section, begin);
        has(line, begin, "zsh's completion", e);
        has_choices(line, "zsh's completion", e);
        free(line);
        if (o->letter) {
            snprintf(begin, sizeof begin, "      '-%c%s", o->letter, flag ? "[" : "+[");
            has_line(section, begin, "zsh's completion", e);
        }
        free(section);
    }
    printed_free(&p);
}

static void options_are_in_fish(void **state) {
    struct printed p = capture(complete, "fish");
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        char begin[200];
        int n = snprintf(begin, sizeof begin, "complete -c gpt2 -n '__gpt2_is %s' -l %s ",
                         e->command->name, o->name);
        if (o->letter)
            n += snprintf(begin + n, sizeof begin - (size_t)n, "-s %c ", o->letter);
        snprintf(begin + n, sizeof begin - (size_t)n,
                 !option_has_value(o)                                   ? "-d '"
                 : o->type == OPTION_CHOICE || o->type != OPTION_STRING ? "-x "
                                                                        : "-");
        char *line = line_of(p.out, begin);
        has(line, begin, "fish's completion", e);
        has_choices(line, "fish's completion", e);
        free(line);
    }
    printed_free(&p);
}

/* ---- what an option takes ---- */

static const char *with_dashes(const char *name, char word[100]) {
    snprintf(word, 100, "--%s", name);
    return word;
}

/* Just outside of the bound. Empty: every number that can be written there is inside. */
static const char *beyond(const struct option *o, bool above, char word[100]) {
    double bound = above ? o->max : o->min;
    snprintf(word, 100, "%.10g", above ? bound + 1 : bound - 1);
    return word;
}

/* So that option_paths.h knows of all of them: that one is written which another reads, and so on.
 */
static void an_option_of_a_file_is_read_or_written(void **state) {
    const unsigned says = OPTION_READS | OPTION_WRITES | OPTION_RESULT;
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        char name[100];
        if (e->option.type != OPTION_STRING || strcmp(e->option.argument, "FILE") != 0)
            continue;
        if (!(e->option.flags & says))
            fail_msg("%s --%s: expected one of OPTION_READS, OPTION_WRITES and OPTION_RESULT",
                     e->command->name, e->option.name);
        with_dashes(e->option.name, name);
        refuses(e, name, "", "a file without a name");
    }
}

static void wrong_values_are_refused_by_name(void **state) {
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        char name[100], word[100], joined[210];
        with_dashes(o->name, name);
        if (!option_has_value(o)) {
            snprintf(joined, sizeof joined, "%s=yes", name);
            refuses(e, joined, NULL, "a value for a flag");
            continue;
        }
        refuses(e, name, NULL, "no value");
        if (o->letter) {
            snprintf(word, sizeof word, "-%c", o->letter);
            refuses(e, word, NULL, "no value");
        }
        if (o->type == OPTION_STRING || o->type == OPTION_STRINGS)
            continue; // any text is one; the command looks at it later
        static const char *const wrong[] = {"", "no-such-value", "nan", "1x", "-", "--help", "\n"};
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            refuses(e, name, wrong[i], "a wrong value");
            snprintf(joined, sizeof joined, "%s=%s", name, wrong[i]);
            refuses(e, joined, NULL, "a wrong value");
        }
        if (is_number(o)) {
            refuses(e, name, beyond(o, false, word), "below the least");
            refuses(e, name, beyond(o, true, word), "above the most");
            refuses(e, name, "99999999999999999999999", "far above the most");
        }
        if (o->type != OPTION_FLOAT && o->type != OPTION_CHOICE)
            refuses(e, name, "1.5", "a fraction");
        static const char *const sizes[] = {
            "K", "1KK", "1k", "-1", "+1", " 1", "1 ", "1.5G", "18446744073709551616", "16777216T"};
        for (size_t i = 0; o->type == OPTION_SIZE && i < sizeof sizes / sizeof *sizes; i++)
            refuses(e, name, sizes[i], "a wrong size");
    }
}

static void accepts_name(const struct entry *e, const char *name, size_t n) {
    const struct option *o = &e->option;
    char word[200], value[40] = "x";
    snprintf(word, sizeof word, "--%.*s", (int)n, name);
    if (is_number(o))
        snprintf(value, sizeof value, "%.9g", o->min);
    else if (o->type == OPTION_SEED)
        snprintf(value, sizeof value, "random");
    else if (o->type == OPTION_SIZE)
        snprintf(value, sizeof value, "64M");
    else if (o->type == OPTION_CHOICE)
        snprintf(value, sizeof value, "%s", o->choices[0]);
    const char *given = option_has_value(o) ? value : NULL;
    accepts(e, word, given, "name or alias");
    for (char *c = word + 2; *c; c++)
        *c = *c == '-' ? '_' : *c;
    accepts(e, word, given, "_ in place of -");
    if (given) {
        snprintf(word, sizeof word, "--%.*s=%s", (int)n, name, value);
        accepts(e, word, NULL, "name=value");
    }
    if (o->letter) {
        snprintf(word, sizeof word, "-%c", o->letter);
        accepts(e, word, given, "letter");
        snprintf(word, sizeof word, "-%c%s", o->letter, given ? given : "");
        accepts(e, word, NULL, "letter and value in one word");
    }
}

/* ---- what options may be given together ---- */

static struct {
    const char *words[12];
    int n;
    bool accepted;
    struct gpt2_error err;
} line_read;

static void read_line(const struct command *command, const struct option *table, void *user) {
    static char copies[12][100];
    char *argv[13];
    int n_words;
    enum help_kind help;
    for (int i = 0; i < line_read.n; i++) {
        snprintf(copies[i], sizeof copies[i], "%s", line_read.words[i]);
        argv[i] = copies[i];
    }
    argv[line_read.n] = NULL;
    line_read.err = (struct gpt2_error){0};
    line_read.accepted =
        command_read(command, table, line_read.n, argv, &n_words, &help, &line_read.err);
}

static char values[12][100];

/* Adds `--NAME VALUE`; `value` NULL: any that the option takes. */
static void add_option(const struct entry *e, const char *value) {
    const struct option *o = &e->option;
    char *name = values[line_read.n];
    snprintf(name, sizeof *values, "--%s", o->name);
    line_read.words[line_read.n++] = name;
    if (!option_has_value(o))
        return;
    char *text = values[line_read.n];
    if (value)
        snprintf(text, sizeof *values, "%s", value);
    else if (is_number(o))
        snprintf(text, sizeof *values, "%.9g", o->min < 1 && o->max > 1 ? 1 : o->min);
    else
        snprintf(text, sizeof *values, "%s",
                 o->type == OPTION_SEED     ? "1"
                 : o->type == OPTION_SIZE   ? "1M"
                 : o->type == OPTION_CHOICE ? o->choices[0]
                                            : "x");
    line_read.words[line_read.n++] = text;
}

static const struct entry *entry_of(const struct entry *e, const char *name, size_t n) {
    for (const struct entry *other = entries; other < entries + n_entries; other++)
        if (same_table(e, other) && strlen(other->option.name) == n &&
            !memcmp(other->option.name, name, n))
            return other;
    return NULL;
}

/* Adds what makes the term at `at` hold, and returns its end. *by_default: it holds without. */
static const char *add_term(const struct entry *e, const char *at, bool *by_default) {
    *by_default = true;
    for (bool more = true; more; at += more) {
        bool is_not = *at == '!';
        at += is_not;
        size_t n = strcspn(at, " +"), n_name = strcspn(at, " +=");
        char value[64];
        snprintf(value, sizeof value, "%.*s", n > n_name ? (int)(n - n_name - 1) : 0,
                 at + n_name + 1);
        if (*at == '@' && !is_not) {
            snprintf(values[line_read.n], sizeof *values, "%.*s", (int)n - 1, at + 1);
            line_read.words[line_read.n] = n > 1 ? values[line_read.n] : "word";
            line_read.n++;
            *by_default = false;
        } else if (*at != '@' && !is_not) {
            const struct entry *other = entry_of(e, at, n_name);
            add_option(other, value[0] ? value : NULL);
            *by_default = *by_default && value[0] && !strcmp(value, other->value);
        }
        at += n;
        more = *at == '+';
    }
    return at;
}

/* Whether the option that the term at `at` begins with needs the same as this one. */
static bool needs_the_same(const struct entry *e, const char *at) {
    const struct entry *other =
        *at != '@' && *at != '!' ? entry_of(e, at, strcspn(at, " +=")) : NULL;
    return other && other->option.needs && e->option.needs &&
           !strcmp(other->option.needs, e->option.needs);
}

static void begin_line(const struct entry *e) {
    line_read.words[0] = e->command->name;
    line_read.n = 1;
    add_option(e, NULL);
}

/* Whether a term of not_with is one option, or any plain word: neither is the one without effect.
 */
static bool is_one_thing(const char *term) {
    const size_t n = strcspn(term, " ");
    return !memchr(term, '+', n) && *term != '!' && (*term != '@' || n == 1);
}

static void expect_line(const struct entry *e, bool accepted, const char *error) {
    char line[400] = "", begin[200];
    command_visit(e->command, read_line, NULL);
    for (int i = 0; i < line_read.n; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), " %s", line_read.words[i]);
    snprintf(begin, sizeof begin, "--%s %s", e->option.name, error ? error : "");
    if (line_read.accepted != accepted || (error && !starts(line_read.err.message, begin)))
        fail_msg("gpt2%s: expected %s%s, got \"%s\"", line, accepted ? "it to be accepted" : begin,
                 error ? "..." : "", line_read.accepted ? "" : line_read.err.message);
}

static void an_option_without_effect_is_refused(void **state) {
    size_t n_needs = 0, n_not_with = 0;
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        bool by_default = false, any_default = false;
        for (const char *at = o->needs; at && *at; at += *at == ' ') {
            begin_line(e);
            at = add_term(e, at, &by_default);
            any_default = any_default || by_default;
            expect_line(e, true, NULL);
        }
        if (o->needs && !any_default) {
            begin_line(e);
            expect_line(e, false, "has an effect only with ");
            n_needs++;
        }
        for (const char *at = o->not_with; at && *at; at += *at == ' ') {
            begin_line(e);
            if (needs_the_same(e, at)) // else that is said first
                add_term(e, o->needs, &by_default);
            const bool one = is_one_thing(at);
            at = add_term(e, at, &by_default);
            expect_line(e, false, one ? "and " : "has no effect with ");
            if (one && !strstr(line_read.err.message, " exclude each other"))
                fail_msg("gpt2 %s --%s: got \"%s\"", e->command->name, o->name,
                         line_read.err.message);
            n_not_with++;
            if (!o->free_with)
                continue;
            add_term(e, o->free_with, &by_default);
            command_visit(e->command, read_line, NULL);
            char begin[100];
            snprintf(begin, sizeof begin, "--%s has", o->name);
            if (!line_read.accepted && starts(line_read.err.message, begin))
                fail_msg("gpt2 %s --%s: refused in spite of %s", e->command->name, o->name,
                         o->free_with);
        }
        if (o->needs && o->free_with) {
            begin_line(e);
            add_term(e, o->free_with, &by_default);
            expect_line(e, true, NULL);
        }
    }
    assert_true(n_needs > 20 && n_not_with > 60);
}

/* What has one value is given once, whatever it is called; what collects may be repeated. */
static void one_value_is_given_once(void **state) {
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        if (e->option.needs)
            continue;
        begin_line(e);
        add_option(e, NULL);
        bool once = option_has_value(&e->option) && e->option.type != OPTION_STRINGS;
        char given[200];
        snprintf(given, sizeof given, "--%s is given twice", e->option.name);
        command_visit(e->command, read_line, NULL);
        if (line_read.accepted == once || (once && !starts(line_read.err.message, given)))
            fail_msg("gpt2 %s --%s twice: expected %s, got \"%s\"", e->command->name,
                     e->option.name, once ? given : "it to be accepted",
                     line_read.accepted ? "" : line_read.err.message);
    }
}

/* -prompt is no -p with the text "rompt". */
static void a_long_name_after_one_dash_is_refused(void **state) {
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        char word[100], refused[140], meant[100];
        snprintf(word, sizeof word, "-%s", e->option.name);
        snprintf(refused, sizeof refused, "unknown option %s", word);
        snprintf(meant, sizeof meant, "did you mean --%s?", e->option.name);
        line_read.words[0] = e->command->name;
        line_read.words[1] = word;
        line_read.n = 2;
        command_visit(e->command, read_line, NULL);
        if (line_read.accepted || strcmp(line_read.err.message, refused) != 0 ||
            strcmp(line_read.err.hint, meant) != 0)
            fail_msg("gpt2 %s %s: expected \"%s\", \"%s\", got \"%s\", \"%s\"", e->command->name,
                     word, refused, meant, line_read.err.message, line_read.err.hint);
    }
}

/* Two short forms of a choice contradict each other. */
static void short_forms_exclude_each_other(void **state) {
    size_t n = 0;
    for (const struct entry *a = entries; a < entries + n_entries; a++)
        for (const struct entry *b = entries; b < a; b++) {
            bool both = same_table(a, b) && a->option.type == OPTION_VALUE &&
                        b->option.type == OPTION_VALUE &&
                        a->option.dest.number == b->option.dest.number;
            if (!both)
                continue;
            begin_line(a);
            add_option(b, NULL);
            command_visit(a->command, read_line, NULL);
            if (line_read.accepted || !strstr(line_read.err.message, "both say the "))
                fail_msg("gpt2 %s --%s --%s: expected an error", a->command->name, a->option.name,
                         b->option.name);
            n++;
        }
    assert_true(n >= 5);
}

static bool wide, tall, flat;

static int run_needs(int argc, char **argv);

static const struct command command_needs = {.name = "needs",
                                             .summary = "no command",
                                             .usage = "",
                                             .examples = EXAMPLES({"gpt2 needs", "nothing"}),
                                             .run = run_needs};

static int run_needs(int argc, char **argv) {
    const struct option table[] = {
        OPT_FLAG("wide", 'w', &wide, "alone", .aliases = "broad"),
        OPT_FLAG("flat", 0, &flat, "with one", .needs = "wide"),
        OPT_FLAG("tall", 0, &tall, "with one of three", .needs = "wide deep flat"),
        OPT_FLAG("deep", 0, &tall, "alone"),
        OPT_END,
    };
    int n_words, code;
    return command_begin(&command_needs, table, argc, argv, 0, &n_words, &code) ? 0 : code;
}

static void an_option_needs_what_it_belongs_to(void **state) {
    static const struct {
        const char *words[3], *error;
    } cases[] = {
        {{"--wide"}, NULL},
        {{"--flat", "--wide"}, NULL},
        {{"-w", "--flat"}, NULL},
        {{"--flat", "--broad"}, NULL},
        {{"--tall", "--deep"}, NULL},
        {{"--flat", "--help"}, NULL},
        {{"--flat"}, "--flat has an effect only with --wide\n"},
        {{"--flat", "--deep"}, "--flat has an effect only with --wide\n"},
        {{"--tall"}, "--tall has an effect only with --wide, --deep or --flat\n"},
        {{"--flat", "--tall"}, "--flat has an effect only with --wide\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *words = cases[i].words;
        struct printed p = run(&command_needs, words[0], words[1], words[2]);
        bool good = cases[i].error ? p.code == 2 && strstr(p.err, cases[i].error) : p.code == 0;
        if (!good)
            fail_msg("%s %s: got %d, \"%s\"", words[0], words[1] ? words[1] : "", p.code, p.err);
        printed_free(&p);
    }
}

/* The default that help names, "(default 0.8)", "(default: q8 with ..." or "stop (default)"; false:
 * none that this type could have. */
static bool documented(const struct option *o, char value[64]) {
    const char *at = strstr(o->help, "(default");
    if (!at || (!is_number(o) && o->type != OPTION_CHOICE && o->type != OPTION_SIZE))
        return false;
    const char *after = at + strlen("(default");
    after += *after == ':';
    if (*after == ')') {
        const char *end = at;
        while (end > o->help && (end[-1] == ' ' || end[-1] == '\n'))
            end--;
        for (at = end; at > o->help && !strchr(" \n,", at[-1]);)
            at--;
        snprintf(value, 64, "%.*s", (int)(end - at), at);
    } else {
        after += strspn(after, " \n");
        snprintf(value, 64, "%.*s", (int)strcspn(after, " \n;:,)"), after);
    }
    char *end;
    strtod(value, &end);
    if (is_number(o))
        return end != value && !*end;
    if (o->type == OPTION_SIZE)
        return end != value;
    for (int i = 0; o->choices[i]; i++)
        if (!strcmp(value, o->choices[i]))
            return true;
    return false;
}

/* Whether one of the terms of a list is this word. */
static bool has_term(const char *terms, const char *word) {
    const size_t n = strlen(word);
    for (const char *at = terms; at && *at; at += strcspn(at, " "), at += *at == ' ')
        if (strcspn(at, " ") == n && !memcmp(at, word, n))
            return true;
    return false;
}

/* Whether the first plain argument of the command says what it does: rules name it, "@dump". */
static bool has_kinds(const struct command *command) {
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const char *at =
            e->command == command && e->option.needs ? strchr(e->option.needs, '@') : NULL;
        if (at && at[1] >= 'a' && at[1] <= 'z')
            return true;
    }
    return false;
}

/* What goes without --prompt goes without the text as a plain argument, too. */
static void a_plain_argument_is_refused_where_prompt_is(void **state) {
    size_t n = 0;
    for (const struct entry *p = entries; p < entries + n_entries; p++)
        for (const struct entry *e = entries; e < entries + n_entries; e++) {
            if (strcmp(p->option.name, "prompt") || e->command != p->command || e == p ||
                has_kinds(e->command))
                continue;
            const bool goes_without = has_term(p->option.not_with, e->option.name) ||
                                      has_term(e->option.not_with, "prompt");
            n += goes_without;
            if (goes_without && !has_term(e->option.not_with, "@") &&
                !has_term(p->option.not_with, "@"))
                fail_msg("gpt2 %s --%s: not with --prompt, and yet with a plain argument",
                         e->command->name, e->option.name);
        }
    assert_true(n > 2);
}

static void good_values_are_accepted(void **state) {
    size_t n_documented = 0;
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = &e->option;
        char name[100], value[64];
        with_dashes(o->name, name);
        each_name(e, accepts_name);
        if (documented(o, value)) {
            accepts(e, name, value, "the default that help names");
            n_documented++;
        }
        double number = strtod(e->value, NULL);
        bool one_of_them = !is_number(o) || (number >= o->min && number <= o->max);
        if (e->value[0] && one_of_them && option_has_value(o))
            accepts(e, name, e->value, "the default");
        if (is_number(o)) {
            snprintf(value, sizeof value, "%.10g", o->min);
            accepts(e, name, value, "the least");
            snprintf(value, sizeof value, "%.10g", o->max);
            accepts(e, name, value, "the most");
        }
        for (int i = 0; o->type == OPTION_CHOICE && o->choices[i]; i++)
            accepts(e, name, o->choices[i], "a choice");
        if ((o->type == OPTION_STRING || o->type == OPTION_STRINGS) &&
            strcmp(o->argument, "FILE") != 0 && !(o->flags & OPTION_RESULT))
            accepts(e, name, "", "an empty text");
        static const char *const sizes[] = {"0", "4096", "64K", "512M", "2G", "1T"};
        for (size_t i = 0; o->type == OPTION_SIZE && i < sizeof sizes / sizeof *sizes; i++)
            accepts(e, name, sizes[i], "a size");
    }
    assert_true(n_documented > 0);
}

/* What help calls the default is the default. */
static void check_documented(const struct entry *e) {
    const struct option *o = &e->option;
    char value[64];
    if (!documented(o, value) || !e->value[0])
        return; // not known yet: it depends on the model, or on other options
    bool same = o->type == OPTION_CHOICE || o->type == OPTION_SIZE
                    ? !strcmp(value, e->value)
                    : (float)strtod(value, NULL) == strtof(e->value, NULL);
    if (!same)
        fail_msg("gpt2 %s --%s: the default is %s, help says %s", e->command->name, o->name,
                 e->value, value);
}

static void help_names_the_defaults(void **state) {
    struct settings settings = settings_unset();
    struct option table[SETTINGS_MAX];
    settings_resolve(
        &settings, &(struct gpt2_config){.n_ctx = 1024, .generation = generation_config_unsaid()});
    settings_table(table, &settings);
    for (const struct entry *e = entries; e < entries + n_entries; e++) {
        const struct option *o = options_find(table, e->option.name);
        struct entry resolved = *e;
        if (o && !strcmp(e->command->name, "generate"))
            fill_entry(&resolved, e->command, o); // there compat decides
        check_documented(&resolved);
    }
}

static bool has_option_named(const char *command, const char *name, size_t n) {
    for (const struct entry *e = entries; e < entries + n_entries; e++)
        if (!strcmp(e->command->name, command) && strlen(e->option.name) == n &&
            !memcmp(e->option.name, name, n))
            return true;
    return false;
}

/* What takes one of several values has one without being given. */
static void help_states_every_default(void **state) {
    for (const struct entry *e = entries; e < entries + n_entries; e++)
        if ((is_number(&e->option) || e->option.type == OPTION_CHOICE ||
             e->option.type == OPTION_SIZE || e->option.type == OPTION_SEED) &&
            !strstr(e->option.help, "default") && !(e->option.flags & OPTION_IGNORED))
            fail_msg("gpt2 %s --%s: help does not say what the default is", e->command->name,
                     e->option.name);
}

/* Short help: two examples, and ten options at most. */
static void help_begins_with_what_people_use(void **state) {
    for (size_t i = 0; command_at(i); i++) {
        const struct command *c = command_at(i);
        struct printed p = run(c, "--help", NULL, NULL);
        struct printed man = run(c, "--help=man", NULL, NULL);
        struct printed script = run(c, "--help=examples", NULL, NULL);
        int n = 0, n_options = 0;
        for (const struct example *e = c->examples; e->line; e++, n++) {
            assert_true(*e->says && !strchr(e->line, '\n') && !strchr(e->says, '\n'));
            assert_non_null(strstr(script.out, e->line));
            const bool shown = strlen(e->line) > 74 || strstr(p.out, e->line);
            if (shown != (n < 2) && strlen(e->line) <= 74)
                fail_msg("gpt2 %s --help: expected two examples, found or missing: %s", c->name,
                         e->line);
        }
        if (n < 3 || n > 6)
            fail_msg("gpt2 %s: expected three to six examples, got %d", c->name, n);
        for (const char *line = p.out; (line = strchr(line, '\n')); line++)
            n_options += starts(line, "\n  -") || starts(line, "\n      --");
        if (n_options > 11) // with --help
            fail_msg("gpt2 %s --help: expected ten options at most, got %d", c->name, n_options);
        for (const char *at = c->common; at && *at; at += *at == ' ') {
            const size_t len = strcspn(at, " ");
            char begin[80];
            snprintf(begin, sizeof begin, "--%.*s", (int)len, at);
            if (!strstr(p.out, begin) || !has_option_named(c->name, at, len))
                fail_msg("gpt2 %s: common names %s, which is no option", c->name, begin);
            at += len;
        }
        static const char *const headings[] = {"EXAMPLES", "EXIT STATUS", "SEE ALSO"};
        for (size_t k = 0; k < sizeof headings / sizeof *headings; k++) {
            char heading[40];
            snprintf(heading, sizeof heading, "\n.SH \"%s\"\n", headings[k]);
            if (!strstr(man.out, heading))
                fail_msg("gpt2-%s(1): expected %s", c->name, headings[k]);
        }
        for (const char *at = c->related; at && *at; at += *at == ' ') {
            char name[40];
            const size_t len = strcspn(at, " ");
            snprintf(name, sizeof name, "%.*s", (int)len, at);
            if (!command_find(name))
                fail_msg("gpt2 %s: related names %s, which is no command", c->name, name);
            at += len;
        }
        printed_free(&p);
        printed_free(&man);
        printed_free(&script);
    }
}

static bool has_option(const char *command, const char *name) {
    for (const struct entry *e = entries; e < entries + n_entries; e++)
        if (!strcmp(e->command->name, command) && !strcmp(e->option.name, name))
            return true;
    return false;
}

/* Adapters are for every command that opens the weights of a model. */
static void commands_of_a_model_take_adapters(void **state) {
    static const char *const tokenizer_alone[] = {"tokenize", "detokenize"};
    for (size_t i = 0; command_at(i); i++) {
        const char *name = command_at(i)->name;
        bool weights = has_option(name, "model");
        for (size_t k = 0; k < sizeof tokenizer_alone / sizeof *tokenizer_alone; k++)
            weights = weights && strcmp(name, tokenizer_alone[k]) != 0;
        if (weights != has_option(name, "lora"))
            fail_msg("gpt2 %s: it has %s, %s", name, weights ? "a model" : "--lora",
                     weights ? "but no --lora" : "but no model");
    }
}

/* --expand is for every command that runs a model, or writes it as it is; what is about the numbers
 * of weights, or does not open them for more than a look, has the same either way. */
static void commands_that_run_or_keep_a_model_can_expand_it(void **state) {
    static const char *const numbers[] = {"verify"};
    for (size_t i = 0; command_at(i); i++) {
        const char *name = command_at(i)->name;
        bool runs = has_option(name, "lora");
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            runs = runs && strcmp(name, numbers[k]) != 0;
        if (runs != has_option(name, "expand"))
            fail_msg("gpt2 %s: it %s a model and %s --expand", name, runs ? "runs" : "does not run",
                     runs ? "has no" : "has");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_well_formed),
        cmocka_unit_test(tables_are_well_formed),
        cmocka_unit_test(options_are_in_help),
        cmocka_unit_test(what_opens_a_model_has_a_limit),
        cmocka_unit_test(options_are_in_the_man_page),
        cmocka_unit_test(options_are_in_bash),
        cmocka_unit_test(options_are_in_zsh),
        cmocka_unit_test(options_are_in_fish),
        cmocka_unit_test(an_option_of_a_file_is_read_or_written),
        cmocka_unit_test(wrong_values_are_refused_by_name),
        cmocka_unit_test(an_option_needs_what_it_belongs_to),
        cmocka_unit_test(an_option_without_effect_is_refused),
        cmocka_unit_test(one_value_is_given_once),
        cmocka_unit_test(a_long_name_after_one_dash_is_refused),
        cmocka_unit_test(short_forms_exclude_each_other),
        cmocka_unit_test(a_plain_argument_is_refused_where_prompt_is),
        cmocka_unit_test(good_values_are_accepted),
        cmocka_unit_test(help_names_the_defaults),
        cmocka_unit_test(help_states_every_default),
        cmocka_unit_test(help_begins_with_what_people_use),
        cmocka_unit_test(commands_of_a_model_take_adapters),
        cmocka_unit_test(commands_that_run_or_keep_a_model_can_expand_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
