/* score_row.c - see score_row.h. */
#include "cli/score/score_row.h"

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

/* A figure that is not there is NA, which R and pandas read as such, or null. Nothing is negative
 * zero. */
void score_row_number(struct score_row *row, const char *name, double value) {
    score_row_name(row, name);
    if (isfinite(value))
        row->ok = row->ok && output_format(row->out, row->err, "%.6f", value + 0.0);
    else
        row->ok = row->ok && output_string(row->out, row->json ? "null" : "NA", row->err);
}

/* The length of the well-formed character above ASCII that s[0..n) begins with, or 0. */
static size_t wide_character(const unsigned char *s, size_t n) {
    size_t len = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool no_scalar = (s[0] == 0xED && s[1] >= 0xA0) || (s[0] == 0xF4 && s[1] >= 0x90);
    return overlong || no_scalar ? 0 : len;
}

bool score_escaped(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < n;) {
        const unsigned char *s = (const unsigned char *)bytes + i;
        size_t len = 1;
        if (*s >= 0x80)
            len = wide_character(s, n - i);
        bool c1 = len == 2 && s[0] == 0xC2 && s[1] < 0xA0;
        if (len == 0 || c1 || *s < 0x20 || *s == 0x7F) {
            const char *known = strchr("\tt\nn\rr", *s);
            if (*s && known && !c1)
                ok = output_format(out, err, "\\%c", known[1]);
            else
                ok = output_format(out, err, "\\x%02X", *s);
            len = 1;
        } else if (*s == '\\') {
            ok = output_string(out, "\\\\", err);
        } else {
            ok = output_bytes(out, bytes + i, len, err);
        }
        i += len;
    }
    return ok;
}

void score_row_text(struct score_row *row, const char *name, const char *bytes, size_t n) {
    struct output *out = row->out;
    score_row_name(row, name);
    row->ok = row->ok && (row->json ? output_json_string(out, bytes, n, row->err)
                                    : score_escaped(out, bytes, n, row->err));
}
