/* score_filter.h - `--filter`: a condition on the totals of a line. */
#ifndef CLI_SCORE_SCORE_FILTER_H
#define CLI_SCORE_SCORE_FILTER_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stdint.h>

/* Totals of a text, or of a word. */
struct score_totals {
    uint64_t bytes, tokens;
    uint64_t scored;       /* tokens that have a probability    */
    uint64_t scored_bytes; /* bytes of these tokens             */
    double logprob;        /* sum of their log-probabilities  */
};

/* Bits per byte, and perplexity per token; NaN if no token was scored. */
double score_bits(const struct score_totals *totals);
double score_bits_per_byte(const struct score_totals *totals);
double score_perplexity(const struct score_totals *totals);

struct score_term {
    int field, op; /* indices of the tables of score_filter.c */
    double number;
};

/* Terms FIELD OPERATOR NUMBER, joined by &&: "bits_per_byte<1.5 && tokens>=10". */
struct score_filter {
    struct score_term terms[8];
    int n_terms;
};

/* Returns false with GPT2_ERR_USAGE if the text is not a condition. */
bool score_filter_parse(struct score_filter *filter, const char *text, struct gpt2_error *err);

/* True if all terms hold. No term holds for a figure that is NaN. */
bool score_filter_passes(const struct score_filter *filter, const struct score_totals *totals);

#endif
