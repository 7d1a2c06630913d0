/* options.c - finds, sets and prints the options of a table. */
#include "cli/command/options.h"
#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "cli/io/report.h"
#include "cli/io/suggest.h"

#include <assert.h>
#include <errno.h>
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

const char *options_escapes(const struct option *o) {
    return !(o->flags & OPTION_ESCAPES) ? ""
           : o->flags & OPTION_LIST     ? "; \\n, \\t, \\\\, \\xHH and \\, for a comma are read"
                                        : "; \\n, \\t, \\\\ and \\xHH are read";
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

const struct option *options_find_name(const struct option *table, const char *word, size_t len) {
    for (const struct option *o = table; o->name; o++)
        if (o->type != OPTION_SECTION && answers_to(o, word, len))
            return o;
    return NULL;
}

const struct option *options_find_letter(const struct option *table, char letter) {
    for (const struct option *o = table; o->name; o++)
        if (o->type != OPTION_SECTION && o->letter == letter)
            return o;
    return NULL;
}

bool options_refuse(const struct option *table, const char *dashes, const char *word, size_t len,
                    struct gpt2_error *err) {
    usage_error(err, "unknown option %s%.*s", dashes, (int)(len < 100 ? len : 100), word);
    struct suggestion nearest = {.distance = 3};
    for (const struct option *o = table; o->name; o++) {
        if (!option_is_shown(o))
            continue;
        suggest(&nearest, word, len, o->name);
        for (const char *next = o->aliases; next && *next; next += strspn(next, " ")) {
            char alias[32];
            const size_t n = strcspn(next, " ");
            snprintf(alias, sizeof alias, "%.*s", (int)n, next);
            struct suggestion other = nearest;
            suggest(&other, word, len, alias);
            if (other.distance < nearest.distance)
                nearest = (struct suggestion){o->name, other.distance};
            next += n;
        }
    }
    suggest(&nearest, word, len, "help"); // which is in no table
    if (nearest.name)
        error_hint(err, "did you mean --%s?", nearest.name);
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

static const char size_units[] = " KMGT"; // powers of 1024

static bool set_size(const struct option *o, const char *value, struct gpt2_error *err) {
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    const char *unit = !*end ? size_units : *end == ' ' ? NULL : strchr(size_units, *end);
    int shift = unit ? 10 * (int)(unit - size_units) : 0;
    end += *end != 0;
    if (*value < '0' || *value > '9' || !unit || *end || errno || number > SIZE_MAX >> shift)
        return usage_error(err,
                           "--%s: expected bytes, as a whole number with or without K, M, G or T "
                           "after it, got \"%s\"",
                           o->name, value);
    *o->dest.size = (size_t)number << shift;
    return true;
}

static void print_size(size_t size, struct buffer *out) {
    int unit = 0;
    for (; size && size % 1024 == 0 && size_units[unit + 1]; unit++)
        size /= 1024;
    buffer_format(out, "%zu%.*s", size, unit ? 1 : 0, &size_units[unit]);
}

static bool add_string(const struct option *o, const char *value, struct gpt2_error *err) {
    struct string_list *list = o->dest.strings;
    const int cap = (int)(sizeof list->items / sizeof *list->items);
    _Static_assert(sizeof list->items / sizeof *list->items <= 64, "`whole` has a bit for each");
    if (list->n == cap)
        return usage_error(err, "--%s: expected at most %d of them", o->name, cap);
    list->items[list->n++] = value;
    return true;
}

bool options_add_text(const struct option *list, const char *text, struct gpt2_error *err) {
    struct string_list *to = list->dest.strings;
    assert(list->flags & OPTION_LIST);
    if (!add_string(list, text, err))
        return false;
    if (strchr(text, ','))
        to->whole |= UINT64_C(1) << (to->n - 1);
    return true;
}

size_t options_text_len(const struct string_list *list, int i, const char *text) {
    return list->whole >> i & 1 ? strlen(text) : strcspn(text, ",");
}

static bool set_seed(const struct option *o, const char *value, struct gpt2_error *err) {
    struct seed *seed = o->dest.seed;
    seed->is_set = true;
    seed->is_random = !strcmp(value, "random");
    if (seed->is_random) {
        if (!os_random(&seed->value, sizeof seed->value))
            return usage_error(err, "--%s random: the system gives no random numbers", o->name);
        seed->value %= SEED_MAX_NUMBER;
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
    return command_error(err, GPT2_ERR_USAGE, o->hint, "--%s: expected one of %s, got \"%s\"",
                         o->name, known, value);
}

/* Whether the table has --format with this value. */
static bool has_format(const struct option *table, const char *value) {
    const struct option *format = options_find(table, "format");
    for (int i = 0; format && format->type == OPTION_CHOICE && format->choices[i]; i++)
        if (!strcmp(format->choices[i], value))
            return true;
    return false;
}

/* The result goes to a file: a name that says how it is written is a mistake. */
static bool set_string(const struct option *table, const struct option *o, const char *value,
                       struct gpt2_error *err) {
    static const char *const formats[] = {"text", "ids", "json", "jsonl", "md", "csv", "tsv"};
    for (size_t i = 0; (o->flags & OPTION_RESULT) && i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(value, formats[i])) {
            usage_error(err, "--%s: expected a file, got \"%s\", the name of a format", o->name,
                        value);
            const char *known = has_format(table, value) ? value : NULL;
            error_hint(err, "%s%s%s./%s is a file of that name", known ? "--format " : "",
                       known ? known : "", known ? " says how the result is written; " : "", value);
            return false;
        }
    const unsigned files = OPTION_RESULT | OPTION_WRITES | OPTION_READS;
    if ((o->flags & files) && !*value && strcmp(o->argument, "MODEL") != 0) // which has a hint
        return usage_error(err, "--%s: expected a file, got nothing", o->name);
    *o->dest.string = value;
    return true;
}

static bool set_value(const struct option *o) {
    int i = 0;
    while (strcmp(o->choices[i], o->value) != 0)
        i++;
    *o->dest.number = i;
    return true;
}

bool options_assign(const struct option *table, const struct option *o, const char *value,
                    struct gpt2_error *err) {
    switch (o->type) {
    case OPTION_FLAG:
        *o->dest.flag = true;
        return true;
    case OPTION_STRING:
        return set_string(table, o, value, err);
    case OPTION_INT:
        return set_int(o, value, err);
    case OPTION_INTS:
        return set_ints(o, value, err);
    case OPTION_FLOAT:
        return set_float(o, value, err);
    case OPTION_SIZE:
        return set_size(o, value, err);
    case OPTION_STRINGS:
        return add_string(o, value, err);
    case OPTION_SEED:
        return set_seed(o, value, err);
    case OPTION_CHOICE:
        return set_choice(o, value, err);
    case OPTION_VALUE:
        return set_value(o);
    case OPTION_RENAMED:
        return usage_error(err, "--%s is now %s", o->name, o->help);
    case OPTION_SECTION:
        break;
    }
    return false;
}

const struct option *options_find(const struct option *table, const char *name) {
    return options_find_name(table, name, strlen(name));
}

bool options_set(const struct option *table, const char *name, const char *value,
                 struct gpt2_error *err) {
    const struct option *option = options_find(table, name);
    if (!option)
        return usage_error(err, "unknown option \"%.100s\"", name);
    if (option_has_value(option))
        return options_assign(table, option, value, err);
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
    case OPTION_VALUE:
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
    case OPTION_SIZE:
        *to->dest.size = *from->dest.size;
        break;
    case OPTION_SEED:
        *to->dest.seed = *from->dest.seed;
        break;
    case OPTION_RENAMED:
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
            const bool is_whole = list->whole >> i & 1; // other than the same with separators
            buffer_format(out, "%s%s", i ? ", " : "", is_whole ? "[" : "");
            buffer_json(out, list->items[i], strlen(list->items[i]));
            buffer_text(out, is_whole ? "]" : "");
        }
        break;
    }
    case OPTION_FLOAT:
        buffer_format(out, float_format, (double)*o->dest.real);
        break;
    case OPTION_SIZE:
        print_size(*o->dest.size, out);
        break;
    case OPTION_SEED:
        buffer_format(out, "%" PRIu64, o->dest.seed->value);
        break;
    case OPTION_VALUE:
    case OPTION_CHOICE:
        if (*o->dest.number >= 0 && o->choices[*o->dest.number]) // else none is chosen
            buffer_format(out, "%s", o->choices[*o->dest.number]);
        break;
    case OPTION_RENAMED:
    case OPTION_SECTION:
        break;
    }
}

void options_value(const struct option *option, struct buffer *out) {
    print_value(option, "%g", out);
}

void options_print(const struct option *table, struct buffer *out) {
    for (const struct option *o = table; o->name; o++) {
        if (!option_is_shown(o))
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
