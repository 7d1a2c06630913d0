/* tint.c - see tint.h. */
#include "cli/terminal/tint.h"

#include <gpt2/tokenizer.h>
#include <string.h>

static bool begin(struct output *out, const char *style, bool *begun, struct gpt2_error *err) {
    bool ok = *begun || !style || output_string(out, style, err);
    *begun = true;
    return ok;
}

static bool end(struct output *out, const char *style, bool *begun, struct gpt2_error *err) {
    bool ok = !*begun || !style || output_string(out, "\033[0m", err);
    *begun = false;
    return ok;
}

/* Writes bytes[0..n), all of whose characters are whole as far as they are valid. */
static bool write_text(struct output *out, const char *style, const char *bytes, size_t n,
                       struct gpt2_error *err) {
    bool ok = true, begun = false;
    for (size_t i = 0; ok && i < n;) {
        const unsigned char *s = (const unsigned char *)bytes + i;
        size_t len = output_character(s, n - i);
        if (*s == '\n')
            ok = end(out, style, &begun, err) && output_bytes(out, "\n", 1, err);
        else if (!begin(out, style, &begun, err))
            ok = false;
        else if (len == 0 || (*s < 0x20 && *s != '\t') || *s == 0x7F)
            ok = output_format(out, err, "\\x%02X", *s);
        else
            ok = output_bytes(out, bytes + i, len, err);
        i += len ? len : 1;
    }
    return ok && end(out, style, &begun, err);
}

bool tint_bytes(struct tint *tint, struct output *out, const char *style, const char *bytes,
                size_t n, struct gpt2_error *err) {
    // First complete what is held, then all but an unfinished end.
    while (tint->n_held > 0 && n > 0) {
        tint->held[tint->n_held++] = *bytes++;
        n--;
        if (gpt2_utf8_whole(tint->held, tint->n_held) > 0) {
            if (!write_text(out, style, tint->held, tint->n_held, err))
                return false;
            tint->n_held = 0;
        }
    }
    size_t whole = n ? gpt2_utf8_whole(bytes, n) : 0;
    if (n > whole) {
        tint->n_held = n - whole;
        memcpy(tint->held, bytes + whole, n - whole);
    }
    return write_text(out, style, bytes, whole, err);
}

bool tint_end(struct tint *tint, struct output *out, struct gpt2_error *err) {
    size_t n = tint->n_held;
    tint->n_held = 0;
    return write_text(out, NULL, tint->held, n, err);
}
