/* record_lines.c - finds out what a bulk job's input is, and gives its lines. */
#include "cli/generate/record_lines.h"
#include "cli/io/report.h"

#include <string.h>

bool record_lines_open(struct record_lines *lines, const char *path, enum input_format format,
                       size_t max, struct gpt2_error *err) {
    *lines = (struct record_lines){.format = format};
    return line_reader_open(&lines->reader, path, max, err);
}

void record_lines_close(struct record_lines *lines) {
    line_reader_close(&lines->reader);
    buffer_free(&lines->blanks);
}

static void set_line(struct record_lines *lines, const char *bytes, size_t n, size_t n_bytes) {
    lines->bytes = bytes;
    lines->n = n;
    lines->n_bytes = n_bytes;
    size_t n_blank = 0;
    while (n_blank < n && (bytes[n_blank] == ' ' || bytes[n_blank] == '\t'))
        n_blank++;
    lines->is_blank = n_blank == n;
    if (lines->format == INPUT_AUTO && !lines->is_blank)
        lines->format = bytes[n_blank] == '{' ? INPUT_JSONL : INPUT_LINES;
}

static enum line_state give(struct record_lines *lines, enum line_state state) {
    const struct line_reader *reader = &lines->reader;
    if (state == LINE_READ || state == LINE_TOO_LONG)
        set_line(lines, reader->line.data, reader->line.len, reader->n_bytes);
    return state;
}

static bool hold(struct record_lines *lines, struct gpt2_error *err) {
    buffer_bytes(&lines->blanks, lines->bytes, lines->n);
    buffer_byte(&lines->blanks, '\n');
    lines->n_blank_bytes += lines->n_bytes;
    if (lines->blanks.failed)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for blank lines");
    return lines->blanks.len <= lines->reader.max ||
           command_error(err, GPT2_ERR_INPUT, "--input-format says what the lines are",
                         "%s: expected a line that is not blank in the first %zu MiB, found none",
                         lines->reader.input.name, lines->reader.max >> 20);
}

/* Reads up to the line that decides, which is held where blank ones come before it. */
static enum line_state decide(struct record_lines *lines, bool wait, struct gpt2_error *err) {
    for (;;) {
        enum line_state state = give(lines, line_reader_next(&lines->reader, wait, err));
        if (state == LINE_LATER || state == LINE_FAILED)
            return state;
        if (state == LINE_READ && lines->format == INPUT_AUTO) {
            if (!hold(lines, err))
                return LINE_FAILED;
            continue;
        }
        if (lines->format == INPUT_AUTO) // the end, or 16 MiB of spaces
            lines->format = INPUT_LINES;
        lines->is_held = lines->blanks.len > 0;
        lines->held = state;
        return state;
    }
}

enum line_state record_lines_next(struct record_lines *lines, bool wait, struct gpt2_error *err) {
    if (lines->format == INPUT_AUTO) {
        enum line_state state = decide(lines, wait, err);
        if (!lines->is_held)
            return state;
    }
    if (lines->blanks_at < lines->blanks.len) {
        const char *bytes = lines->blanks.data + lines->blanks_at;
        const size_t n = strcspn(bytes, "\n");
        set_line(lines, bytes, n, lines->blanks_at ? 0 : lines->n_blank_bytes);
        lines->blanks_at += n + 1;
        return LINE_READ;
    }
    if (!lines->is_held)
        return give(lines, line_reader_next(&lines->reader, wait, err));
    lines->is_held = false;
    return give(lines, lines->held);
}
