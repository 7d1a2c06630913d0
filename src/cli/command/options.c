/* options.c - parses a command line by a table of options, and prints help and values. */
#include "cli/command/options.h"
#include "base/buffer.h"
#include "cli/command/shell_completion.h"
#include "cli/io/report.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gpt2/runtime.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const kv_types[] = {"auto", "f32", "f16", "q8", NULL};

const char *options_cpu_help(void) {
    static char help[512];
    snprintf(help, sizeof help,
             "kernels: %s (default:\nthe fastest the CPU has); the result is the same for any",
             gpt2_cpu_variant_names());
    return help;
}

/* Whether word[0..len) is name[0..name_len), with `_` read as `-`. */
static bool same_name(const char *word, size_t len, const char *name, size_t name_len) {
    if (len != name_len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((word[i] == '_' ? '-' : word[i]) != name[i])
            return false;
    return true;
}

static bool answers_to(const struct option *option, const char *word, size_t len) {
    if (same_name(word, len, option->name, strlen(option->name)))
        return true;
    for (const char *alias = option->aliases; alias && *alias;) {
        size_t n = strcspn(alias, " ");
        if (same_name(word, len, alias, n))
            return true;
        alias += n + (alias[n] == ' ');
    }
    return false;
}

static const struct option *find_name(const struct option *table, const char *word, size_t len) {
    for (const struct option *o = table; o->name; o++)
        if (o->type != OPTION_SECTION && answers_to(o, word, len))
            return o;
    return NULL;
}

static const struct option *find_letter(const struct option *table, char letter) {
    for (const struct option *o = table; o->name; o++)
        if (o->type != OPTION_SECTION && o->letter == letter)
            return o;
    return NULL;
}

#define MAX_WORD 31 /* longest word for which a name is suggested */

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Edit distance, with a swap of neighbours as one edit (optimal string alignment). */
static int distance(const char *a, size_t n, const char *b) {
    size_t m = strlen(b);
    int d[MAX_WORD + 1][MAX_WORD + 1];
    if (n > MAX_WORD || m > MAX_WORD)
        return 99;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                            least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

static bool unknown(const struct option *table, const char *word, size_t len,
                    struct gpt2_error *err) {
    usage_error(err, "unknown option --%.*s", (int)(len < 100 ? len : 100), word);
    const char *nearest = NULL;
    int nearest_distance = 3;
    for (const struct option *o = table; o->name; o++) {
        int d = o->type == OPTION_SECTION ? 99 : distance(word, len, o->name);
        if (d < nearest_distance) {
            nearest_distance = d;
            nearest = o->name;
        }
    }
    if (nearest)
        snprintf(err->hint, sizeof err->hint, "did you mean --%s?", nearest);
    return false;
}

static bool set_int(const struct option *o, const char *value, struct gpt2_error *err) {
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end || errno || (double)number < o->min || (double)number > o->max)
        return usage_error(err, "--%s: expected a whole number from %.0f to %.0f, got \"%s\"",
                           o->name, o->min, o->max, value);
    *o->dest.number = (int)number;
    return true;
}

static bool set_ints(const struct option *o, const char *value, struct gpt2_error *err) {
    struct int_list list = {0};
    const int cap = (int)(sizeof list.values / sizeof *list.values);
    for (const char *p = value;; p++) {
        char *end;
        errno = 0;
        long long number = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || errno || (double)number < o->min ||
            (double)number > o->max)
            return usage_error(
                err,
                "--%s: expected whole numbers from %.0f to %.0f, separated by commas, got \"%s\"",
                o->name, o->min, o->max, value);
        if (list.n == cap)
            return usage_error(err, "--%s: expected at most %d numbers, got \"%s\"", o->name, cap,
                               value);
        list.values[list.n++] = (int)number;
        p = end;
        if (!*p)
            break;
    }
    *o->dest.numbers = list;
    return true;
}

static bool set_float(const struct option *o, const char *value, struct gpt2_error *err) {
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= o->min && number <= o->max))
        return usage_error(err, "--%s: expected a number from %g to %g, got \"%s\"", o->name,
                           o->min, o->max, value);
    *o->dest.real = (float)number;
    return true;
}

static bool add_string(const struct option *o, const char *value, struct gpt2_error *err) {
    struct string_list *list = o->dest.strings;
    const int cap = (int)(sizeof list->items / sizeof *list->items);
    if (list->n == cap)
        return usage_error(err, "--%s: expected at most %d of them", o->name, cap);
    list->items[list->n++] = value;
    return true;
}

static bool set_seed(const struct option *o, const char *value, struct gpt2_error *err) {
    struct seed *seed = o->dest.seed;
    seed->is_set = true;
    if (!strcmp(value, "random")) {
        int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, &seed->value, sizeof seed->value);
        if (fd >= 0)
            close(fd);
        if (n != (ssize_t)sizeof seed->value)
            return usage_error(err, "--%s random: cannot read /dev/urandom", o->name);
        return true;
    }
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno)
        return usage_error(
            err, "--%s: expected a whole number from 0 to %" PRIu64 ", or \"random\", got \"%s\"",
            o->name, UINT64_MAX, value);
    seed->value = number;
    return true;
}

static bool set_choice(const struct option *o, const char *value, struct gpt2_error *err) {
    char known[200] = "";
    size_t n = 0;
    for (int i = 0; o->choices[i]; i++) {
        if (!strcmp(o->choices[i], value)) {
            *o->dest.number = i;
            return true;
        }
        if (n < sizeof known)
            n +=
                (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", o->choices[i]);
    }
    return usage_error(err, "--%s: expected one of %s, got \"%s\"", o->name, known, value);
}

static bool set(const struct option *o, const char *value, struct gpt2_error *err) {
    switch (o->type) {
    case OPTION_FLAG:
        *o->dest.flag = true;
        return true;
    case OPTION_STRING:
        *o->dest.string = value;
        return true;
    case OPTION_INT:
        return set_int(o, value, err);
    case OPTION_INTS:
        return set_ints(o, value, err);
    case OPTION_FLOAT:
        return set_float(o, value, err);
    case OPTION_STRINGS:
        return add_string(o, value, err);
    case OPTION_SEED:
        return set_seed(o, value, err);
    case OPTION_CHOICE:
        return set_choice(o, value, err);
    case OPTION_SECTION:
        break;
    }
    return false;
}

const struct option *options_find(const struct option *table, const char *name) {
    return find_name(table, name, strlen(name));
}

bool options_set(const struct option *table, const char *name, const char *value,
                 struct gpt2_error *err) {
    const struct option *option = options_find(table, name);
    if (!option)
        return usage_error(err, "unknown option \"%.100s\"", name);
    if (option->type != OPTION_FLAG)
        return set(option, value, err);
    bool yes = !strcmp(value, "true");
    if (!yes && strcmp(value, "false"))
        return usage_error(err, "\"%s\": expected true or false, got \"%.100s\"", name, value);
    *option->dest.flag = yes;
    return true;
}

void options_copy(const struct option *to, const struct option *from) {
    assert(to->type == from->type);
    switch (to->type) {
    case OPTION_FLAG:
        *to->dest.flag = *from->dest.flag;
        break;
    case OPTION_STRING:
        *to->dest.string = *from->dest.string;
        break;
    case OPTION_INT:
    case OPTION_CHOICE:
        *to->dest.number = *from->dest.number;
        break;
    case OPTION_INTS:
        *to->dest.numbers = *from->dest.numbers;
        break;
    case OPTION_STRINGS:
        *to->dest.strings = *from->dest.strings;
        break;
    case OPTION_FLOAT:
        *to->dest.real = *from->dest.real;
        break;
    case OPTION_SEED:
        *to->dest.seed = *from->dest.seed;
        break;
    case OPTION_SECTION:
        break;
    }
}

/* Appends the option's value; `float_format` prints that of an OPTION_FLOAT. */
static void print_value(const struct option *o, const char *float_format, struct buffer *out) {
    switch (o->type) {
    case OPTION_FLAG:
        buffer_format(out, "%s", *o->dest.flag ? "true" : "false");
        break;
    case OPTION_STRING: {
        const char *text = *o->dest.string;
        buffer_bytes(out, text, text ? strlen(text) : 0);
        break;
    }
    case OPTION_INT:
        buffer_format(out, "%d", *o->dest.number);
        break;
    case OPTION_INTS: {
        const struct int_list *list = o->dest.numbers;
        for (int i = 0; i < list->n; i++)
            buffer_format(out, "%s%d", i ? "," : "", list->values[i]);
        break;
    }
    case OPTION_STRINGS: {
        const struct string_list *list = o->dest.strings;
        for (int i = 0; i < list->n; i++) {
            buffer_format(out, "%s", i ? ", " : "");
            buffer_json(out, list->items[i], strlen(list->items[i]));
        }
        break;
    }
    case OPTION_FLOAT:
        buffer_format(out, float_format, (double)*o->dest.real);
        break;
    case OPTION_SEED:
        buffer_format(out, "%" PRIu64, o->dest.seed->value);
        break;
    case OPTION_CHOICE:
        if (o->choices[*o->dest.number]) // NULL: none chosen
            buffer_format(out, "%s", o->choices[*o->dest.number]);
        break;
    case OPTION_SECTION:
        break;
    }
}

void options_value(const struct option *option, struct buffer *out) {
    print_value(option, "%g", out);
}

void options_print(const struct option *table, struct buffer *out) {
    for (const struct option *o = table; o->name; o++) {
        if (o->type == OPTION_SECTION)
            continue;
        buffer_format(out, "%s=", o->name);
        if (o->type == OPTION_STRING && *o->dest.string) { // NULL prints as nothing
            buffer_json(out, *o->dest.string, strlen(*o->dest.string));
        } else {
            print_value(o, "%.9g", out);
        }
        buffer_format(out, "\n");
    }
}

/* The entries of a table that the command line gives, by index. */
struct given {
    bool entry[256];
};

static bool any_given(const struct option *table, const char *names, const struct given *given) {
    for (const char *name = names; *name;) {
        size_t n = strcspn(name, " ");
        const struct option *option = find_name(table, name, n);
        assert(option); // `needs` names options of this table
        if (given->entry[option - table])
            return true;
        name += n + (name[n] == ' ');
    }
    return false;
}

/* Every option that is given has one of those it needs. */
static bool check_needs(const struct option *table, const struct given *given,
                        struct gpt2_error *err) {
    for (const struct option *o = table; o->name; o++) {
        if (!o->needs || !given->entry[o - table] || any_given(table, o->needs, given))
            continue;
        char list[200] = "";
        int at = 0;
        for (const char *name = o->needs; *name && at < (int)sizeof list;) {
            size_t n = strcspn(name, " ");
            const char *between = at == 0 ? "" : strchr(name, ' ') ? ", " : " or ";
            at += snprintf(list + at, sizeof list - (size_t)at, "%s--%.*s", between, (int)n, name);
            name += n + (name[n] == ' ');
        }
        return usage_error(err, "--%s has an effect only with %s", o->name, list);
    }
    return true;
}

/* Sets what the command line gives and moves its words to argv[0..*n_words). *help: --help or -h
 * was found, and the rest was not read. */
static bool parse(const struct option *table, int argc, char **argv, int *n_words, bool *help,
                  struct gpt2_error *err) {
    struct given given = {0};
    *n_words = 0;
    *help = false;
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        if (ended || word[0] != '-' || word[1] == 0) { // "-" alone is a word
            argv[(*n_words)++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            ended = true;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            *help = true;
            return true;
        }
        const struct option *option;
        const char *value = NULL;
        if (word[1] == '-') {
            size_t len = strcspn(word + 2, "=");
            option = find_name(table, word + 2, len);
            if (!option)
                return unknown(table, word + 2, len, err);
            if (word[2 + len] == '=')
                value = word + 2 + len + 1;
        } else {
            option = find_letter(table, word[1]);
            if (!option)
                return usage_error(err, "unknown option -%c", word[1]);
            if (word[2])
                value = word + 2;
        }
        if (option->type == OPTION_FLAG && value)
            return usage_error(err, "--%s takes no value, got \"%s\"", option->name, value);
        if (option->type != OPTION_FLAG && !value) {
            if (i + 1 == argc)
                return usage_error(err, "--%s: expected %s, got nothing", option->name,
                                   option->argument);
            value = argv[++i];
        }
        if (!set(option, value, err))
            return false;
        assert((size_t)(option - table) < sizeof given.entry);
        given.entry[option - table] = true;
    }
    return check_needs(table, &given, err);
}

/* Prints text, each line of it from `column` on; the cursor is at column `at`. */
static void print_indented(const char *text, int at, int column) {
    if (at + 2 > column) {
        printf("\n");
        at = 0;
    }
    printf("%*s", column - at, "");
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", column, "");
    }
    putchar('\n');
}

static void print_help(const struct command *command, const struct option *table) {
    printf("gpt2 %s - %s\n\nusage: gpt2 %s %s\n", command->name, command->summary, command->name,
           command->usage);
    for (const struct option *o = table; o->name; o++) {
        if (o->type == OPTION_SECTION) {
            printf("\n%s\n", o->name);
            continue;
        }
        int at =
            o->letter ? printf("  -%c, --%s", o->letter, o->name) : printf("      --%s", o->name);
        if (o->argument)
            at += printf(" %s", o->argument);
        print_indented(o->help, at, 28);
    }
    printf("  -h, --help                this text\n");
    if (command->details)
        printf("\n%s", command->details);
}

/* Set during options_visit, which no other thread calls: options_begin shows it the table. */
static struct {
    option_visit visit;
    void *user;
} visitor;

void options_visit(const struct command *command, option_visit visit, void *user) {
    char name[64];
    snprintf(name, sizeof name, "%s", command->name);
    char *argv[] = {name, NULL};
    visitor.visit = visit;
    visitor.user = user;
    command->run(1, argv);
    visitor.visit = NULL;
}

bool options_begin(const struct command *command, const struct option *table, int argc, char **argv,
                   int max_words, int *n_words, int *code) {
    struct gpt2_error err = {0};
    bool help;
    if (visitor.visit || (argc == 2 && !strcmp(argv[1], "--help=man"))) {
        if (visitor.visit)
            visitor.visit(command, table, visitor.user);
        else
            manual_print(command, table);
        *code = fflush(stdout) == 0 ? 0 : GPT2_ERR_RUNTIME;
        return false;
    }
    if (!parse(table, argc, argv, n_words, &help, &err)) {
        if (!err.hint[0])
            snprintf(err.hint, sizeof err.hint, "`gpt2 %s --help` lists the options",
                     command->name);
    } else if (help) {
        print_help(command, table);
        *code = fflush(stdout) == 0 ? 0 : GPT2_ERR_RUNTIME;
        return false;
    } else if (*n_words > max_words) {
        command_error(&err, GPT2_ERR_USAGE, "put a text with spaces in quotes",
                      "unexpected argument \"%s\"", argv[max_words]);
    } else {
        return true;
    }
    *code = report(&err);
    return false;
}
