/* wrap.c - prose for the terminal, broken at its width. */
#include "cli/io/wrap.h"
#include "base/error_internal.h"
#include "base/utf8.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/terminal.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int width_of(int fd) {
    if (!isatty(fd))
        return 80;
    const int columns = terminal_columns(fd);
    return columns < 40 ? 40 : columns > 100 ? 100 : columns;
}

int wrap_width(void) {
    return width_of(STDOUT_FILENO);
}

/* Where a line is. */
struct wrap_cursor {
    int at;      /* columns that are written */
    bool begins; /* no word of the line is   */
};

/* How much of a word that is wider than a line is written on one: up to a "|", or what fits. */
static size_t part_of_word(const char *text, size_t n, int room) {
    size_t part = 0, i = 0;
    for (int columns = 0; i < n && columns < room; columns++) {
        for (i++; i < n && utf8_is_continuation(text[i]); i++) {
        }
        if (text[i - 1] == '|')
            part = i;
    }
    return part ? part : i;
}

/* Begins a new line. */
static void put_indent(struct wrap_cursor *c, struct buffer *out, int indent) {
    buffer_format(out, "\n%*s", indent, "");
    *c = (struct wrap_cursor){indent, true};
}

/* Writes the word text[0..n), on a new line with that indent where this one has no room. */
static void put_word(struct wrap_cursor *c, struct buffer *out, const char *text, size_t n,
                     int indent, int width) {
    while ((int)utf8_count(text, n) > width - indent && width > indent) {
        const bool full = c->at + !c->begins >= width;
        const size_t part = full ? 0 : part_of_word(text, n, width - c->at - !c->begins);
        if (part && !c->begins)
            buffer_byte(out, ' ');
        buffer_bytes(out, text, part);
        put_indent(c, out, indent);
        text += part;
        n -= part;
    }
    if (n == 0)
        return;
    const int columns = (int)utf8_count(text, n);
    if (!c->begins && c->at + 1 + columns > width)
        put_indent(c, out, indent);
    if (!c->begins)
        buffer_byte(out, ' ');
    buffer_bytes(out, text, n);
    c->at += columns + !c->begins;
    c->begins = false;
}

/* Where the second column of a line "  name   text" begins; where there is none, its text. */
static size_t second_column(const char *line, size_t n) {
    const size_t first = strspn(line, " ");
    for (size_t i = first; i + 1 < n; i++)
        if (line[i] == ' ' && line[i + 1] == ' ')
            return i + strspn(line + i, " ");
    return first;
}

/* True where text, at a newline, goes on in the second column of a table. */
static bool goes_on(const char *text, size_t column) {
    return *text == '\n' && strspn(text + 1, " ") == column && text[1 + column] > ' ';
}

/* Writes a line that begins with a space: as it is where it fits, and else broken under its second
 * column, if it has one, together with the lines that go on there. Returns what comes after. */
static const char *put_kept(struct buffer *out, const char *text, int width) {
    const size_t n = strcspn(text, "\n");
    const size_t column = second_column(text, n);
    const bool is_table = column > strspn(text, " ");
    if (!is_table && (int)utf8_count(text, n) <= width) {
        buffer_bytes(out, text, n);
        buffer_byte(out, '\n');
        return text + n + (text[n] == '\n');
    }
    const int indent = is_table && (int)column < width / 2 ? (int)column : 4;
    struct wrap_cursor c = {(int)column, true};
    buffer_bytes(out, text, column);
    for (text += column; *text && (*text != '\n' || (is_table && goes_on(text, column)));) {
        if (*text == '\n' || *text == ' ') {
            text += 1 + (*text == '\n' ? column : 0);
            continue;
        }
        const size_t word = strcspn(text, " \n");
        put_word(&c, out, text, word, indent, width);
        text += word;
    }
    buffer_byte(out, '\n');
    return text + (*text == '\n');
}

void wrap_text(struct buffer *out, const char *text, int at, int indent, int width) {
    struct wrap_cursor c = {at, true};
    while (*text) {
        if (*text == ' ' && c.begins) {
            text = put_kept(out, text, width);
            c.at = *text && *text != '\n' ? indent : 0;
            buffer_format(out, "%*s", c.at, "");
            continue;
        }
        if (*text == '\n' && c.begins) {
            buffer_byte(out, '\n');
            text++;
            continue;
        }
        const size_t n = strcspn(text, " \n");
        put_word(&c, out, text, n, indent, width);
        text += n;
        if (*text == '\n' && (text[1] == ' ' || text[1] == '\n' || !text[1])) {
            for (; *text == '\n' && text[1] == '\n'; text++)
                buffer_byte(out, '\n');
            if (text[1])
                put_indent(&c, out, indent);
            c.begins = true;
        }
        text += *text != 0;
    }
    if (c.at > 0)
        buffer_byte(out, '\n');
}

int wrap_print(struct buffer *page) {
    struct gpt2_error err;
    struct output out = {0};
    int code = GPT2_OK;
    if (page->failed) {
        error_memory(&err, "the page", 0);
        code = report(&err);
    } else if (!output_bytes(&out, page->data, page->len, &err) || !output_flush(&out, &err)) {
        code = output_failed(&out, &err);
    }
    buffer_free(page);
    return code;
}

void wrap_tell(const char *text) {
    struct buffer lines = {0};
    wrap_text(&lines, text, 0, 0, width_of(STDERR_FILENO));
    if (lines.data)
        fwrite(lines.data, 1, lines.len, stderr);
    buffer_free(&lines);
}
