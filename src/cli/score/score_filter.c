/* score_filter.c - parses and evaluates the condition of --filter. */
#include "cli/score/score_filter.h"
#include "cli/io/report.h"

#include <gpt2/score.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LN2 0x1.62e42fefa39efp-1

double score_bits(const struct score_totals *totals) {
    return totals->scored ? -totals->logprob / LN2 + 0.0 : NAN;
}

double score_bits_per_byte(const struct score_totals *totals) {
    return totals->scored_bytes ? score_bits(totals) / (double)totals->scored_bytes : NAN;
}

double score_perplexity(const struct score_totals *totals) {
    return totals->scored ? gpt2_exp(-totals->logprob / (double)totals->scored) : NAN;
}

static const char *const fields[] = {"bytes", "tokens",        "scored", "logprob",
                                     "bits",  "bits_per_byte", "ppl",    NULL};
/* An operator comes before its own prefix: "<=" before "<". */
static const char *const operators[] = {"<=", ">=", "==", "!=", "<", ">", NULL};

static double value_of(const struct score_totals *totals, int field) {
    switch (field) {
    case 0:
        return (double)totals->bytes;
    case 1:
        return (double)totals->tokens;
    case 2:
        return (double)totals->scored;
    case 3:
        return totals->scored ? totals->logprob : NAN;
    case 4:
        return score_bits(totals);
    case 5:
        return score_bits_per_byte(totals);
    default:
        return score_perplexity(totals);
    }
}

static bool holds(double a, int op, double b) {
    switch (op) {
    case 0:
        return a <= b;
    case 1:
        return a >= b;
    case 2:
        return a == b;
    case 3:
        return !isnan(a) && a != b;
    case 4:
        return a < b;
    default:
        return a > b;
    }
}

/* The index of the word at the beginning of text, or -1. */
static int find_word(const char *const words[], const char *text, size_t len) {
    for (int i = 0; words[i]; i++)
        if (strlen(words[i]) == len && !strncmp(text, words[i], len))
            return i;
    return -1;
}

static bool bad_field(const char *text, size_t len, struct gpt2_error *err) {
    char known[200] = "";
    for (int i = 0, n = 0; fields[i]; i++)
        n += snprintf(known + n, sizeof known - (size_t)n, "%s%s", i ? ", " : "", fields[i]);
    if (!len)
        return usage_error(err, "--filter: expected a field (%s), got \"%.60s\"", known, text);
    return usage_error(err, "--filter: unknown field \"%.*s\", expected one of %s",
                       (int)(len < 60 ? len : 60), text, known);
}

static bool bad_operator(const char *text, const char *field, struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_USAGE, *text == '=' ? "equal is ==" : NULL,
                         "--filter: expected < <= > >= == or != after %s, got %s%.60s%s", field,
                         *text ? "\"" : "nothing", text, *text ? "\"" : "");
}

/* text: what follows a term and is no &&. */
static bool bad_join(const char *text, struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_USAGE, "only && joins terms",
                         "--filter: expected && or the end after a term, got \"%.60s\"", text);
}

/* Reads one term at *p and moves past it and the spaces after it. */
static bool read_term(struct score_term *term, const char **p, struct gpt2_error *err) {
    const char *at = *p + strspn(*p, " ");
    const size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    const size_t shown = strcspn(at, " <>=!&|");
    term->field = shown == len ? find_word(fields, at, len) : -1;
    if (term->field < 0)
        return bad_field(at, shown, err);
    at += len + strspn(at + len, " ");
    term->op = -1;
    for (int i = 0; operators[i] && term->op < 0; i++)
        if (!strncmp(at, operators[i], strlen(operators[i])))
            term->op = i;
    if (term->op < 0)
        return bad_operator(at, fields[term->field], err);
    at += strlen(operators[term->op]);
    char *end;
    term->number = strtod(at, &end);
    if (end == at || isnan(term->number))
        return usage_error(err, "--filter: expected a number after %s%s, got %s%.60s%s",
                           fields[term->field], operators[term->op], *at ? "\"" : "nothing", at,
                           *at ? "\"" : "");
    *p = end + strspn(end, " ");
    return true;
}

bool score_filter_parse(struct score_filter *filter, const char *text, struct gpt2_error *err) {
    const int cap = (int)(sizeof filter->terms / sizeof *filter->terms);
    const char *other = strstr(text, "||");
    if (other)
        return bad_join(other, err);
    filter->n_terms = 0;
    for (const char *p = text;; p += 2) {
        if (filter->n_terms == cap)
            return usage_error(err, "--filter: expected at most %d terms", cap);
        if (!read_term(&filter->terms[filter->n_terms], &p, err))
            return false;
        filter->n_terms++;
        if (!*p)
            return true;
        if (strncmp(p, "&&", 2) != 0)
            return bad_join(p, err);
    }
}

bool score_filter_passes(const struct score_filter *filter, const struct score_totals *totals) {
    for (int i = 0; i < filter->n_terms; i++)
        if (!holds(value_of(totals, filter->terms[i].field), filter->terms[i].op,
                   filter->terms[i].number))
            return false;
    return true;
}
