/* score_row.c - prints the fields of one row of results. */
#include "cli/score/score_row.h"
#include "base/escape.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void score_row_name(struct score_row *row, const char *name) {
    const char *before = row->json ? (row->n ? ", " : "{") : (row->n ? "\t" : "");
    row->ok = row->ok && output_string(row->out, before, row->err);
    if (row->json)
        row->ok = row->ok && output_format(row->out, row->err, "\"%s\": ", name);
    row->n++;
}

void score_row_count(struct score_row *row, const char *name, uint64_t value) {
    score_row_name(row, name);
    row->ok = row->ok && output_format(row->out, row->err, "%" PRIu64, value);
}

/* NaN is printed as null in JSON and as NA in TSV, which R and pandas understand. -0.0 is printed
 * as 0. */
void score_row_number(struct score_row *row, const char *name, double value) {
    score_row_name(row, name);
    if (isfinite(value))
        row->ok = row->ok && output_format(row->out, row->err, "%.6f", value + 0.0);
    else
        row->ok = row->ok && output_string(row->out, row->json ? "null" : "NA", row->err);
}

bool score_escaped(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    char form[ESCAPE_BYTES];
    bool ok = true;
    for (size_t used; ok && n > 0; bytes += used, n -= used) {
        used = escape_field(form, (const unsigned char *)bytes, n);
        ok = output_string(out, form, err);
    }
    return ok;
}

void score_row_text(struct score_row *row, const char *name, const char *bytes, size_t n) {
    struct output *out = row->out;
    score_row_name(row, name);
    row->ok = row->ok && (row->json ? output_json_string(out, bytes, n, row->err)
                                    : score_escaped(out, bytes, n, row->err));
}
