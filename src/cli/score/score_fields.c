/* score_fields.c - prints the fields of one result. */
#include "cli/score/score_fields.h"
#include "base/escape.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void score_fields_name(struct score_fields *fields, const char *name) {
    const char *before = fields->json ? (fields->n ? ", " : "{") : (fields->n ? "\t" : "");
    fields->ok = fields->ok && output_string(fields->out, before, fields->err);
    if (fields->json)
        fields->ok = fields->ok && output_format(fields->out, fields->err, "\"%s\": ", name);
    fields->n++;
}

void score_fields_count(struct score_fields *fields, const char *name, uint64_t value) {
    score_fields_name(fields, name);
    fields->ok = fields->ok && output_format(fields->out, fields->err, "%" PRIu64, value);
}

/* NaN is printed as null in JSON and as NA in TSV, which R and pandas understand. -0.0 is printed
 * as 0. */
void score_fields_number(struct score_fields *fields, const char *name, double value) {
    score_fields_name(fields, name);
    if (isfinite(value))
        fields->ok = fields->ok && output_format(fields->out, fields->err, "%.6f", value + 0.0);
    else
        fields->ok =
            fields->ok && output_string(fields->out, fields->json ? "null" : "NA", fields->err);
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

void score_fields_text(struct score_fields *fields, const char *name, const char *bytes, size_t n) {
    struct output *out = fields->out;
    score_fields_name(fields, name);
    fields->ok = fields->ok && (fields->json ? output_json_string(out, bytes, n, fields->err)
                                             : score_escaped(out, bytes, n, fields->err));
}
