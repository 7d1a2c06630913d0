/* option_rules.c - refuses options that are given twice or have no effect. */
#include "cli/command/option_rules.h"
#include "base/buffer.h"
#include "cli/io/report.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The choice that an OPTION_VALUE sets; any other option is its own. */
static const struct option *owner(const struct option *table, const struct option *option) {
    if (option->type != OPTION_VALUE)
        return option;
    for (const struct option *o = table; o->name; o++)
        if (o->type == OPTION_CHOICE && o->dest.number == option->dest.number)
            return o;
    return option;
}

bool given_note(struct given_options *given, const struct option *table,
                const struct option *option, struct gpt2_error *err) {
    const struct option *whole = owner(table, option);
    size_t i = (size_t)(whole - table);
    assert(i < MAX_OPTIONS && option - table < MAX_OPTIONS);
    const struct option *before = given->as[i];
    bool repeatable = option->type == OPTION_FLAG || option->type == OPTION_STRINGS ||
                      (option->type == OPTION_VALUE && before == option);
    if (before && before != option)
        return usage_error(err, "--%s and --%s both say the %s: expected one of them", before->name,
                           option->name, whole->name);
    if (given->entry[i] && !repeatable)
        return usage_error(err, "--%s is given twice: expected one value", option->name);
    given->entry[i] = given->entry[option - table] = true;
    given->as[i] = option;
    return true;
}

/* An atom of a term: [!]NAME, [!]NAME=VALUE, [!]@, [!]@WORD. */
struct atom {
    bool is_not;
    bool is_elsewhere;           /* it names an option that is not in the table */
    const struct option *option; /* NULL: the first plain word */
    const char *value;           /* [n_value]; NULL: any */
    size_t n_value;
};

/* Reads the atom at *at and moves past it. *ends: the term ends with it. */
static struct atom next_atom(const struct option *table, const char **at, bool *ends) {
    struct atom atom = {.is_not = **at == '!'};
    const char *text = *at + atom.is_not;
    size_t n = strcspn(text, " +"), n_name = strcspn(text, " +=");
    if (*text == '@') {
        atom.value = n > 1 ? text + 1 : NULL;
        atom.n_value = n - 1;
    } else {
        for (const struct option *o = table; o->name; o++)
            if (option_is_shown(o) && strlen(o->name) == n_name && !memcmp(o->name, text, n_name))
                atom.option = o;
        atom.is_elsewhere = !atom.option;
        atom.value = n > n_name ? text + n_name + 1 : NULL;
        atom.n_value = n > n_name ? n - n_name - 1 : 0;
    }
    *ends = text[n] != '+';
    *at = text + n + (text[n] != 0);
    return atom;
}

/* *failed is set where memory is out, and then the answer means nothing; so below. */
static bool has_value(const struct option *option, const char *value, size_t n, bool *failed) {
    struct buffer now = {0};
    options_value(option, &now);
    bool same = now.len == n && !memcmp(now.data, value, n);
    *failed |= now.failed;
    buffer_free(&now);
    return same;
}

static bool atom_holds(const struct given_options *given, const struct option *table,
                       const struct atom *atom, bool *failed) {
    bool holds;
    if (!atom->option)
        holds =
            given->word && (!atom->value ? strcmp(given->word, "-") != 0
                                         : strlen(given->word) == atom->n_value &&
                                               !memcmp(given->word, atom->value, atom->n_value));
    else
        holds = atom->value ? has_value(atom->option, atom->value, atom->n_value, failed)
                            : given->entry[atom->option - table];
    return holds != atom->is_not;
}

/* The first term that holds; NULL: none does. elsewhere: whether one does that names options which
 * are not in the table of a record. */
static const char *term_that_holds(const struct given_options *given, const struct option *table,
                                   const char *terms, bool elsewhere, bool *failed) {
    for (const char *at = terms; at && *at;) {
        const char *term = at;
        bool all = true, ends = false;
        while (!ends) {
            struct atom atom = next_atom(table, &at, &ends);
            assert(!atom.is_elsewhere || given->is_record); // else the table has all
            all = all && (atom.is_elsewhere ? elsewhere : atom_holds(given, table, &atom, failed));
        }
        if (all)
            return term;
    }
    return NULL;
}

/* "--by pmi"; "--json", which stands for --format json, or was given for --format; "`gpt2 inspect
 * lens`". */
static void print_atom(struct buffer *out, const struct given_options *given,
                       const struct command *command, const struct option *table,
                       const struct atom *atom) {
    int n = (int)atom->n_value;
    if (!atom->option && atom->value) {
        buffer_format(out, "`gpt2 %s %.*s`", command->name, n, atom->value);
        return;
    }
    if (!atom->option) {
        buffer_format(out, "a plain argument");
        return;
    }
    for (const struct option *o = table; atom->value && o->name; o++)
        if (o->type == OPTION_VALUE && o->dest.number == atom->option->dest.number &&
            !strncmp(o->value, atom->value, (size_t)n) && !o->value[n]) {
            buffer_format(out, "--%s", o->name);
            return;
        }
    const struct option *as = atom->value ? NULL : given->as[atom->option - table];
    buffer_format(out, "--%s%s%.*s", as ? as->name : atom->option->name, n ? " " : "", n,
                  atom->value ? atom->value : "");
}

static void print_term(struct buffer *out, const struct given_options *given,
                       const struct command *command, const struct option *table,
                       const char **term) {
    bool ends = false;
    for (int n = 0; !ends;) {
        struct atom atom = next_atom(table, term, &ends);
        if (atom.is_not)
            continue;
        buffer_format(out, "%s", n++ ? " and " : "");
        print_atom(out, given, command, table, &atom);
    }
}

/* Whether the term is one thing that the command line has: what both say is then the same whichever
 * of the two has it in its entry. */
static bool is_given(const struct given_options *given, const struct option *table,
                     const char *term) {
    bool ends;
    const struct atom atom = next_atom(table, &term, &ends);
    return ends && !atom.is_not &&
           (atom.option ? given->entry[atom.option - table] : atom.value == NULL);
}

/* Goes past a term. Whether there are words for it: it is not only of what is not to be given. */
static bool pass_term(const struct option *table, const char **term) {
    bool has_words = false;
    for (bool ends = false; !ends;)
        has_words |= !next_atom(table, term, &ends).is_not;
    return has_words;
}

/* "--json, --jsonl or --input" */
static void print_needs(struct buffer *out, const struct given_options *given,
                        const struct command *command, const struct option *table,
                        const struct option *o) {
    const char *lists[] = {o->needs, o->free_with};
    size_t n = 0, i = 0;
    for (int l = 0; l < 2; l++)
        for (const char *at = lists[l]; at && *at;)
            n += pass_term(table, &at);
    for (int l = 0; l < 2; l++)
        for (const char *at = lists[l]; at && *at;) {
            const char *term = at;
            if (!pass_term(table, &at))
                continue;
            buffer_format(out, "%s", i == 0 ? "" : i + 1 < n ? ", " : " or ");
            print_term(out, given, command, table, &term);
            i++;
        }
}

bool given_check(const struct given_options *given, const struct command *command,
                 const struct option *table, struct gpt2_error *err) {
    bool failed = false;
    for (const struct option *o = table; o->name; o++) {
        if (!given->entry[o - table] || given->passed[o - table] ||
            term_that_holds(given, table, o->free_with, false, &failed))
            continue;
        struct buffer text = {0};
        const char *against = term_that_holds(given, table, o->not_with, false, &failed);
        const bool excludes = against && is_given(given, table, against);
        bool lacks = o->needs && !term_that_holds(given, table, o->needs, true, &failed);
        const char *name = given->as[o - table] ? given->as[o - table]->name : o->name;
        if (against)
            print_term(&text, given, command, table, &against);
        else if (lacks)
            print_needs(&text, given, command, table, o);
        if (failed || text.failed) {
            buffer_free(&text);
            return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the options");
        }
        if (excludes)
            usage_error(err, "--%s and %s exclude each other", name, text.data);
        else if (against)
            usage_error(err, "--%s has no effect with %s", name, text.data);
        else if (lacks)
            usage_error(err, "--%s has an effect only with %s", name, text.data);
        buffer_free(&text);
        if (against || lacks)
            return false;
    }
    return !failed || command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the options");
}
