/* score_fields.h - prints one result, field by field, as TSV or as a JSON object. */
#ifndef CLI_SCORE_SCORE_FIELDS_H
#define CLI_SCORE_SCORE_FIELDS_H

#include "cli/io/output.h"

#include <stdint.h>

/* Starts with n 0 and ok true. A failed write sets err and clears ok; later calls do nothing. */
struct score_fields {
    struct output *out;
    bool json;
    struct gpt2_error *err;
    int n; /* fields printed */
    bool ok;
};

/* Prints what comes before a field's value; the caller prints the value. */
void score_fields_name(struct score_fields *fields, const char *name);

void score_fields_count(struct score_fields *fields, const char *name, uint64_t value);
void score_fields_number(struct score_fields *fields, const char *name, double value);
void score_fields_text(struct score_fields *fields, const char *name, const char *bytes, size_t n);

/* Prints bytes as a field of TSV: \t, \n, \r, \\, and \xNN for other control bytes and for bytes
 * that are not UTF-8. */
bool score_escaped(struct output *out, const char *bytes, size_t n, struct gpt2_error *err);

#endif
