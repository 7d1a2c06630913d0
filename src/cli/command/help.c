/* help.c - prints the help of a command from its tables. */
#include "cli/command/help.h"
#include "cli/command/manual.h"
#include "cli/io/wrap.h"

#include <stdio.h>
#include <string.h>

enum help_kind help_kind(const char *word) {
    return !*word                      ? HELP_SHORT
           : !strcmp(word, "all")      ? HELP_ALL
           : !strcmp(word, "examples") ? HELP_EXAMPLES
           : !strcmp(word, "man")      ? HELP_MANUAL
                                       : HELP_NONE;
}

/* Below it help has one column. */
#define TWO_COLUMNS 60

/* The text of an option: its help, and its other names. */
static void put_help(struct buffer *page, const struct option *o, int column, int width) {
    struct buffer text = {0};
    buffer_text(&text, o->help);
    buffer_text(&text, options_escapes(o));
    for (const char *alias = o->aliases; alias && *alias;) {
        const size_t n = strcspn(alias, " ");
        buffer_format(&text, "%s--%.*s", alias == o->aliases ? "\n(also " : ", ", (int)n, alias);
        alias += n + (alias[n] == ' ');
    }
    buffer_text(&text, o->aliases ? ")" : "");
    buffer_byte(&text, 0);
    if (!text.failed)
        wrap_text(page, text.data, column, column, width);
    page->failed |= text.failed;
    buffer_free(&text);
}

/* The help of an option, in the column for it, or below where the terminal is narrow. */
static void put_option(struct buffer *page, const struct option *o, int width) {
    const int column = width < TWO_COLUMNS ? 8 : 28;
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
    put_help(page, o, column, width);
}

/* `more`: there are options that the text does not have. */
static void put_own_option(struct buffer *page, bool more, int width) {
    const struct option help = {.name = "help",
                                .letter = 'h',
                                .help =
                                    more ? "this text; --help all has every option" : "this text"};
    put_option(page, &help, width);
}

/* The end of the reference to a man page, gpt2-NAME(N), that text begins with; NULL: it is none. */
static const char *end_of_reference(const char *text) {
    const size_t prefix = strlen("gpt2-");
    if (strncmp(text, "gpt2-", prefix) != 0)
        return NULL;
    const size_t n = prefix + strspn(text + prefix, "abcdefghijklmnopqrstuvwxyz");
    return n > prefix && text[n] == '(' && text[n + 1] >= '1' && text[n + 1] <= '7' &&
                   text[n + 2] == ')'
               ? text + n + 3
               : NULL;
}

void help_prose(struct buffer *page, const char *text, int width) {
    struct buffer prose = {0};
    while (*text) {
        const char *end = end_of_reference(text);
        const int name = (int)strlen("gpt2-"), rest = (int)strlen("(5)");
        if (end)
            buffer_format(&prose, "`gpt2 help %.*s`", (int)(end - text) - name - rest, text + name);
        else
            buffer_byte(&prose, *text);
        text = end ? end : text + 1;
    }
    page->failed |= prose.failed;
    if (!prose.failed)
        wrap_text(page, prose.data ? prose.data : "", 0, 0, width);
    buffer_free(&prose);
}

/* At most `n` of them. */
void help_examples(struct buffer *page, const struct example *examples, int n, int width) {
    for (; examples->line && n > 0; examples++, n--) {
        buffer_text(page, "  ");
        wrap_text(page, examples->line, 2, 6, width);
    }
}

/* The first paragraph of the details, if it is a table: what the first word may be. */
static void put_first_words(struct buffer *page, const char *details, int width) {
    const char *end = details ? strstr(details, "\n\n") : NULL;
    if (!end || details[0] != ' ')
        return;
    struct buffer table = {0};
    buffer_byte(&table, '\n');
    buffer_bytes(&table, details, (size_t)(end + 1 - details));
    buffer_byte(&table, 0);
    if (!table.failed)
        wrap_text(page, table.data, 0, 0, width);
    page->failed |= table.failed;
    buffer_free(&table);
}

static int count_shown(const struct option *table) {
    int n = 0;
    for (const struct option *o = table; o->name; o++)
        n += option_is_shown(o);
    return n;
}

static int count_words(const char *list) {
    int n = 0;
    for (const char *at = list; *at; at += strcspn(at, " "), at += *at == ' ')
        n++;
    return n;
}

/* Whether --help all has an option with an effect, or words, that --help leaves out. */
static bool leaves_out(const struct command *command, const struct option *table) {
    int n = 0;
    for (const struct option *o = table; o->name; o++)
        n += option_is_shown(o) && !(o->flags & OPTION_IGNORED);
    return command->common && (command->details || n > count_words(command->common));
}

/* What there is beside a short page. */
static void put_more(struct buffer *page, const struct command *command, const struct option *table,
                     int width) {
    char note[200], options[80] = "";
    if (leaves_out(command, table))
        snprintf(options, sizeof options, "`gpt2 %s --help all` lists all %d options; ",
                 command->name, count_shown(table) + 1);
    snprintf(note, sizeof note, "\n%s`gpt2 help %s examples` shows more examples.\n", options,
             command->name);
    wrap_text(page, note, 0, 0, width);
}

/* The options of command->common in its order, or all but those without an effect. */
static void put_common(struct buffer *page, const struct command *command,
                       const struct option *table, int width) {
    buffer_byte(page, '\n');
    for (const char *at = command->common; at && *at;) {
        const size_t n = strcspn(at, " ");
        const struct option *o = options_find_name(table, at, n);
        if (o)
            put_option(page, o, width);
        at += n + (at[n] == ' ');
    }
    for (const struct option *o = table; !command->common && o->name; o++)
        if (option_is_shown(o) && !(o->flags & OPTION_IGNORED))
            put_option(page, o, width);
}

static void put_all(struct buffer *page, const struct option *table, int width) {
    if (!table->name || table->type != OPTION_SECTION)
        buffer_byte(page, '\n');
    for (const struct option *o = table; o->name; o++) {
        if (o->type == OPTION_SECTION) {
            buffer_byte(page, '\n');
            wrap_text(page, o->name, 0, 2, width);
        } else if (option_is_shown(o)) {
            put_option(page, o, width);
        }
    }
}

static void put_details(struct buffer *page, const struct command *command, int width) {
    if (command->details) {
        buffer_byte(page, '\n');
        help_prose(page, command->details, width);
    }
}

static void put_command(struct buffer *page, const struct command *command,
                        const struct option *table, bool all, int width) {
    const size_t title = page->len;
    buffer_format(page, "gpt2 %s - ", command->name);
    wrap_text(page, command->summary, (int)(page->len - title), 2, width);
    buffer_byte(page, '\n');
    help_examples(page, command->examples, 2, width);
    const size_t line = page->len + 1;
    buffer_format(page, "\nusage: gpt2 %s ", command->name);
    wrap_text(page, command->usage, (int)(page->len - line), 7, width);
    if (!all && command->common)
        put_first_words(page, command->details, width);
    if (all)
        put_all(page, table, width);
    else
        put_common(page, command, table, width);
    put_own_option(page, leaves_out(command, table), width);
    if (all || !command->common)
        put_details(page, command, width);
    if (all)
        buffer_text(page, "\nExamples\n");
    else
        put_more(page, command, table, width);
    for (const struct example *e = command->examples; all && e->line; e++) {
        buffer_text(page, "  ");
        wrap_text(page, e->says, 2, 2, width);
        buffer_text(page, "      ");
        wrap_text(page, e->line, 6, 10, width);
    }
}

/* A script: what an example does as a comment, and its line. */
void help_script(struct buffer *page, const struct example *examples) {
    for (; examples->line; examples++)
        buffer_format(page, "# %s\n%s\n", examples->says, examples->line);
}

int help_command(const struct command *command, const struct option *table, enum help_kind kind) {
    struct buffer page = {0};
    if (kind == HELP_MANUAL)
        manual_command(&page, command, table);
    else if (kind == HELP_EXAMPLES)
        help_script(&page, command->examples);
    else
        put_command(&page, command, table, kind == HELP_ALL, wrap_width());
    return wrap_print(&page);
}
