/* score_report.h - prints the results of `gpt2 score`, as TSV or JSON lines.
 *
 * Word mode corrects for leading spaces. GPT-2's tokens carry the space before a word, so the
 * tokens' probability counts that the word *begins* there, and not that it *ends*: "like" is scored
 * the same whether "likely" was ruled out or not. Where B are the tokens that begin with white
 * space, and the end of the text,
 *
 *     p(word | before) = p(its tokens | before) * p(B | before, word) / p(B | before)
 *
 * and for a first word that has no space before it the divisor is p(not B | before). (Pimentel and
 * Meister 2024, "How to Compute the Probability of a Word", arXiv:2406.14561; Oh and Schuler 2024,
 * "Leading Whitespaces of Language Models' Subword Vocabulary Pose a Confound for Calculating Word
 * Probabilities", arXiv:2406.10851.) */
#ifndef CLI_SCORE_SCORE_REPORT_H
#define CLI_SCORE_SCORE_REPORT_H

#include "cli/score/score_filter.h"
#include "cli/score/score_record.h"
#include "cli/score/scoring.h"
#include "cli/terminal/color.h"

#include <gpt2/tokenizer.h>

enum score_unit { SCORE_TOKEN, SCORE_WORD, SCORE_LINE, SCORE_DOC };

enum score_format { SCORE_TSV, SCORE_JSON, SCORE_JSONL, SCORE_UNSET };
enum score_tint { SCORE_PLAIN, SCORE_SURPRISAL, SCORE_RANK };

struct score_report {
    enum score_unit by;
    enum score_format format;
    enum score_tint tint; /* not SCORE_PLAIN: print the text itself, coloured */
    bool header;
    uint64_t n_printed; /* printed */
    bool lines;         /* each line is a text; its number is a column     */
    bool plain;         /* no escape codes                                 */
    int n_top;
    const struct score_filter *filter;      /* NULL: none; else only lines that pass are printed */
    const struct gpt2_tokenizer *tokenizer; /* NULL: ids only                       */
    const unsigned char *marked;  /* [n_vocab] word mode: ids that begin a word or end a text */
    const char *protocol, *model; /* names for the header */
    int n_ctx;
    bool bos;
    struct output out;
    struct color_text color_text;
};

/* A text that is being scored. */
struct score_text;

/* `line` counts from 1. `offset` is the position of the text in the input, in bytes. bytes[0..n)
 * is copied if there is a filter. NULL: out of memory. */
struct score_text *score_text_create(const struct score_report *report, uint64_t line,
                                     uint64_t offset, const char *bytes, size_t n,
                                     struct gpt2_error *err);

/* Says that so many tokens of a context are read before it. */
void score_text_context(struct score_text *text, size_t n_tokens);

/* Makes it the text of a record, whose result has the id (JSON, copied) and "greedy", whether each
 * token is the likeliest at its place. False: out of memory. */
bool score_text_record(struct score_text *text, const char *id, struct gpt2_error *err);

void score_text_free(void *text);

/* What comes before all results, and after them. */
bool score_report_header(struct score_report *report, struct gpt2_error *err);
bool score_report_footer(struct score_report *report, struct gpt2_error *err);

/* The callbacks of a scoring_sink (scoring.h); `user` is the report. */
bool score_report_token(void *user, void *text, const struct scored_token *token,
                        struct gpt2_error *err);
bool score_report_end(void *user, void *text, const struct gpt2_plan *plan, struct gpt2_error *err);

/* False with GPT2_ERR_INPUT where a text of so many tokens is too short for the protocol. */
bool score_report_length(const struct gpt2_plan *plan, uint64_t n_tokens, struct gpt2_error *err);

/* The answer to a line, or to that record (else NULL), that cannot be scored: a line
 * without numbers (--by line and doc), an object with "error" (JSON), the line as it is (tints),
 * nothing (--filter, and words and tokens in TSV).
 */
bool score_report_error(struct score_report *report, uint64_t line,
                        const struct score_record *record, const char *bytes, size_t n,
                        const struct gpt2_error *fault, struct gpt2_error *err);

#endif
