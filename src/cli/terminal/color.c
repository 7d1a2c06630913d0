/* color.c - writes text with colours and escaped control characters. */
#include "cli/terminal/color.h"
#include "base/utf8.h"

#include <gpt2/tokenizer.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
        uint32_t cp = 0;
        size_t len = (size_t)utf8_decode(&cp, s, n - i);
        bool is_control = (cp < 0x20 && cp != '\t') || (cp >= 0x7F && cp < 0xA0); // C0, DEL, C1
        if (*s == '\n')
            ok = end(out, style, &begun, err) && output_bytes(out, "\n", 1, err);
        else if (!begin(out, style, &begun, err))
            ok = false;
        else if (len == 2 && is_control) // both bytes of a C1
            ok = output_format(out, err, "\\x%02X\\x%02X", s[0], s[1]);
        else if (len == 0 || is_control)
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

bool color_part(struct color_text *color_text, struct output *out, const char *bytes, size_t n,
                struct gpt2_error *err) {
    return isatty(out->file.path ? out->file.fd : STDOUT_FILENO)
               ? color_bytes(color_text, out, NULL, bytes, n, err)
               : output_bytes(out, bytes, n, err);
}

bool color_whole(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    struct color_text text = {0};
    return color_part(&text, out, bytes, n, err) && color_end(&text, out, err);
}

/* Colours of the terminal's 256, from so many bits on. */
static const struct {
    double bits;
    int color;
} shades[] = {{1, 229}, {2.2, 222}, {4.4, 215}, {6.6, 209}, {8.8, 203}};
enum { N_SHADES = sizeof shades / sizeof *shades };

bool color_of_surprisal(double bits, char style[32]) {
    int i = 0;
    while (i < N_SHADES && bits >= shades[i].bits)
        i++;
    if (i > 0)
        snprintf(style, 32, "\033[30;48;5;%dm", shades[i - 1].color);
    return i > 0;
}

bool color_surprisal_legend(struct output *out, struct gpt2_error *err) {
    bool ok = output_string(out, "bits, from: ", err);
    for (int i = 0; ok && i < N_SHADES; i++)
        ok =
            output_format(out, err, "\033[30;48;5;%dm %g \033[0m", shades[i].color, shades[i].bits);
    return ok && output_string(out, "\n", err);
}

bool color_rank_legend(struct output *out, struct gpt2_error *err) {
    return output_string(out,
                         "among the likeliest: " COLOR_GREEN " 10 " COLOR_YELLOW " 100 " COLOR_RED
                         " 1000 " COLOR_VIOLET " none of these \033[0m\n",
                         err);
}

bool color_end(struct color_text *color_text, struct output *out, struct gpt2_error *err) {
    size_t n = color_text->n_held;
    color_text->n_held = 0;
    return write_text(out, NULL, color_text->held, n, err);
}
