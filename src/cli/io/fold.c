/* fold.c - breaks lines of tables at a terminal's width. */
#include "cli/io/fold.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* The bytes of the character, or of the escape sequence, at text[0..n); *columns that it takes. */
static size_t step(const char *text, size_t n, int *columns) {
    size_t i = 1;
    *columns = *text != '\033';
    if (*columns)
        while (i < n && utf8_is_continuation(text[i]))
            i++;
    else
        while (i < n && text[i++] != 'm') {
        }
    return i;
}

static int columns_of(const char *text, size_t n) {
    int total = 0, columns;
    for (size_t i = 0; i < n; i += step(text + i, n - i, &columns), total += columns) {
    }
    return total;
}

/* Columns before the second column of a line "  name   text"; 0 where it has none. */
static int second_column(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && text[i] == ' ')
        i++;
    for (; i + 1 < n; i++) {
        if (text[i] != ' ' || text[i + 1] != ' ')
            continue;
        while (i < n && text[i] == ' ')
            i++;
        return columns_of(text, i);
    }
    return 0;
}

static size_t spaces_at(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && text[i] == ' ')
        i++;
    return i;
}

/* How many bytes of text[0..n), which is wider than `width`, stay on this line. */
static size_t place_to_break(const char *text, size_t n, int width) {
    size_t gap = 0, word = 0, any = 0;
    int at = 0, columns;
    for (size_t i = spaces_at(text, n); i < n; i += step(text + i, n - i, &columns)) {
        at = columns_of(text, i);
        if (at > width)
            break;
        any = i;
        if (text[i] == ' ' && text[i - 1] != ' ') {
            word = i;
            if (i + 1 < n && text[i + 1] == ' ')
                gap = i;
        }
    }
    const size_t found = gap && columns_of(text, gap) > width / 2 ? gap : word;
    return found ? found : any ? any : n;
}

void fold_line(struct buffer *out, const char *text, size_t n, int width) {
    const int second = second_column(text, n);
    const int leading = (int)spaces_at(text, n), hang = second ? second : leading;
    const int indent = hang && hang <= width / 2 ? hang : 4;
    bool first = true;
    while (columns_of(text, n) > width - (first ? 0 : indent)) {
        const size_t stay = place_to_break(text, n, width - (first ? 0 : indent));
        buffer_format(out, "%*s", first ? 0 : indent, "");
        buffer_bytes(out, text, stay);
        first = false;
        const size_t used = stay + spaces_at(text + stay, n - stay);
        text += used;
        n -= used;
        if (n == 0)
            return;
        buffer_byte(out, '\n');
    }
    buffer_format(out, "%*s", first ? 0 : indent, "");
    buffer_bytes(out, text, n);
}
