/* score_filter.c - parses and evaluates the condition of --filter. */
#include "cli/score/score_filter.h"
#include "cli/io/report.h"

#include <gpt2/score.h>
#include <math.h>
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

static bool bad(const char *text, struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_USAGE,
                         "fields: bytes, tokens, scored, logprob, bits, bits_per_byte, ppl; "
                         "operators: < <= > >= == !=; terms are joined by &&",
                         "--filter: expected a field, an operator and a number, as in "
                         "'bits_per_byte<1.5', got \"%s\"",
                         text);
}

bool score_filter_parse(struct score_filter *filter, const char *text, struct gpt2_error *err) {
    const char *p = text;
    filter->n_terms = 0;
    for (;;) {
        if (filter->n_terms == (int)(sizeof filter->terms / sizeof *filter->terms))
            return bad(text, err);
        p += strspn(p, " ");
        size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
        int field = find_word(fields, p, len);
        p += len + strspn(p + len, " ");
        int op = -1;
        for (int i = 0; operators[i] && op < 0; i++)
            if (!strncmp(p, operators[i], strlen(operators[i])))
                op = i;
        if (field < 0 || op < 0)
            return bad(text, err);
        p += strlen(operators[op]);
        char *end;
        double number = strtod(p, &end);
        if (end == p || isnan(number))
            return bad(text, err);
        filter->terms[filter->n_terms].field = field;
        filter->terms[filter->n_terms].op = op;
        filter->terms[filter->n_terms].number = number;
        filter->n_terms++;
        p = end + strspn(end, " ");
        if (!*p)
            return true;
        if (strncmp(p, "&&", 2))
            return bad(text, err);
        p += 2;
    }
}

bool score_filter_passes(const struct score_filter *filter, const struct score_totals *totals) {
    for (int i = 0; i < filter->n_terms; i++)
        if (!holds(value_of(totals, filter->terms[i].field), filter->terms[i].op,
                   filter->terms[i].number))
            return false;
    return true;
}
