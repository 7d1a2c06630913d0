/* color.c - see color.h. */
#include "cli/terminal/color.h"
#include "base/utf8.h"

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
        size_t len = utf8_length(s, n - i);
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

bool color_bytes(struct color_text *color_text, struct output *out, const char *style,
                 const char *bytes, size_t n, struct gpt2_error *err) {
    // First complete what is held, then all but an unfinished end.
    while (color_text->n_held > 0 && n > 0) {
        color_text->held[color_text->n_held++] = *bytes++;
        n--;
        if (gpt2_utf8_whole(color_text->held, color_text->n_held) > 0) {
            if (!write_text(out, style, color_text->held, color_text->n_held, err))
                return false;
            color_text->n_held = 0;
        }
    }
    size_t whole = n ? gpt2_utf8_whole(bytes, n) : 0;
    if (n > whole) {
        color_text->n_held = n - whole;
        memcpy(color_text->held, bytes + whole, n - whole);
    }
    return write_text(out, style, bytes, whole, err);
}

bool color_end(struct color_text *color_text, struct output *out, struct gpt2_error *err) {
    size_t n = color_text->n_held;
    color_text->n_held = 0;
    return write_text(out, NULL, color_text->held, n, err);
}
