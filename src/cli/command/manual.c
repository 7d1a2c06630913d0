/* manual.c - prints a command's man page from its table of options and its texts. */
#include "cli/command/manual.h"

#include <gpt2/version.h>
#include <stdio.h>
#include <string.h>

/* Prints text for man(7): nothing in it is read as a request, and hyphens stay ASCII. `joined`:
 * line breaks become spaces. */
static void print_text(const char *text, bool joined) {
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        line_start = *text == '\n' && !joined;
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);

        else if (*text == '\n' && joined)
            putchar(' ');
        else if (*text == '\n' && text[1] == '\n')
            fputs("\n.PP\n", stdout), text++;
        else
            putchar(*text);
    }
}

/* Alternatives have spaces between them, where a line may be broken. */
static void print_usage(const char *text) {
    for (size_t n; *text; text += n) {
        char part[100];
        n = strcspn(text, "|");
        snprintf(part, sizeof part, "%.*s", (int)n, text);
        print_text(part, true);
        if (text[n]) {
            printf(" | ");
            n++;
        }
    }
}

static void print_option(const struct option *o) {
    printf(".TP\n\\fB");
    if (o->letter)
        printf("\\-%c\\fR, \\fB", o->letter);
    printf("\\-\\-");
    print_text(o->name, true);
    printf("\\fR");
    if (o->argument) {
        printf(" \\fI");
        print_text(o->argument, true);
        printf("\\fR");
    }
    putchar('\n');
    print_text(o->help, true);
    if (o->aliases) {
        printf(" (also:");
        for (const char *alias = o->aliases; *alias;) {
            char name[64];
            size_t n = strcspn(alias, " ");
            snprintf(name, sizeof name, "%.*s", (int)n, alias);
            printf(" \\-\\-");
            print_text(name, true);
            alias += n + (alias[n] == ' ');
        }
        putchar(')');
    }
    putchar('\n');
}

void manual_print(const struct command *command, const struct option *table) {
    printf(".\\\" made by `gpt2 %s --help=man`\n.TH GPT2\\-", command->name);
    for (const char *c = command->name; *c; c++)
        putchar(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    printf(" 1 \"\" \"gpt2 %s\" \"User Commands\"\n.SH NAME\ngpt2\\-%s \\- ", GPT2_VERSION,
           command->name);
    print_text(command->summary, true);
    printf("\n.SH SYNOPSIS\n\\fBgpt2 %s\\fR ", command->name);
    print_usage(command->usage);
    printf("\n.SH DESCRIPTION\n");
    if (command->details)
        print_text(command->details, false);
    else
        printf("See the options below.\n");
    const char *heading = "Options";
    for (const struct option *o = table; o->name; o++) {
        if (o->type == OPTION_SECTION) {
            heading = o->name;
            printf(".SH \"");
            for (const char *c = heading; *c; c++)
                putchar(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
            printf("\"\n");
        } else if (option_is_shown(o)) {
            print_option(o);
        }
    }
    if (!table->name)
        printf(".SH OPTIONS\n");
    printf(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nprint a short form of this page\n"
           ".SH \"SEE ALSO\"\n.BR gpt2 (1),\n.BR gpt2\\-models (5),\n.BR gpt2\\-packed (5)\n");
}
