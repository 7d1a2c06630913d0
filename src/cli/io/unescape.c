/* unescape.c - replaces backslash escapes in place. */
#include "cli/io/unescape.h"
#include "cli/io/report.h"

#include <string.h>

static int hex_digit(char c) {
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Reads the escape at text[0..n), n > 0, into *byte; returns how many bytes it has, 0 if it is
 * none. */
static size_t read_escape(const char *text, size_t n, char *byte) {
    static const char names[] = "nrt\\", bytes[] = "\n\r\t\\";
    const char *at = n > 1 && text[1] ? strchr(names, text[1]) : NULL;
    if (at) {
        *byte = bytes[at - names];
        return 2;
    }
    if (n < 4 || text[1] != 'x' || hex_digit(text[2]) < 0 || hex_digit(text[3]) < 0)
        return 0;
    *byte = (char)(hex_digit(text[2]) * 16 + hex_digit(text[3]));
    return 4;
}

bool unescape(char *text, size_t *n, const char *what, struct gpt2_error *err) {
    size_t to = 0;
    for (size_t at = 0; at < *n; to++) {
        if (text[at] != '\\') {
            text[to] = text[at++];
            continue;
        }
        size_t used = read_escape(text + at, *n - at, &text[to]);
        if (!used) {
            size_t shown = *n - at < 4 ? *n - at : 4;
            return command_error(err, GPT2_ERR_USAGE, "a backslash itself is \\\\",
                                 "%s: expected \\n, \\r, \\t, \\\\ or \\xHH, got \"%.*s\"", what,
                                 (int)shown, text + at);
        }
        at += used;
    }
    *n = to;
    return true;
}

bool unescape_string(char *text, const char *what, struct gpt2_error *err) {
    size_t n = strlen(text);
    if (!unescape(text, &n, what, err))
        return false;
    text[n] = 0;
    return strlen(text) == n || usage_error(err, "%s: \\x00 cannot be part of it", what);
}
