/* score_row.h - one row of results: fields by name, as TSV or as a JSON object. */
#ifndef CLI_SCORE_SCORE_ROW_H
#define CLI_SCORE_SCORE_ROW_H

#include "cli/io/output.h"

#include <stdint.h>

/* Start with n 0 and ok true; after a failed write, ok is false and the rest does nothing. */
struct score_row {
    struct output *out;
    bool json;
    struct gpt2_error *err;
    int n; /* fields so far */
    bool ok;
};

/* What stands before a field's value; the caller writes that. */
void score_row_name(struct score_row *row, const char *name);

void score_row_count(struct score_row *row, const char *name, uint64_t value);
void score_row_number(struct score_row *row, const char *name, double value);
void score_row_text(struct score_row *row, const char *name, const char *bytes, size_t n);

/* Text as a field of a TSV has it: \t, \n, \r, \\, and \xNN for other control bytes and for bytes
 * that are no character of their own. */
bool score_escaped(struct output *out, const char *bytes, size_t n, struct gpt2_error *err);

#endif
