/* line_reader.c - cuts a text from outside into lines. */
#include "cli/io/line_reader.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)64 << 10)

bool line_reader_open(struct line_reader *reader, const char *path, size_t max,
                      struct gpt2_error *err) {
    *reader = (struct line_reader){.max = max};
    if (!input_open(&reader->input, path, INPUT_AS_LINES, err))
        return false;
    reader->block = malloc(BLOCK);
    return reader->block ||
           command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for reading %s", path);
}

void line_reader_close(struct line_reader *reader) {
    input_close(&reader->input);
    free(reader->block);
    buffer_free(&reader->line);
    *reader = (struct line_reader){.input = {.fd = -1}};
}

/* Takes what is read of the line, up to its end; true where it has ended. */
static bool take(struct line_reader *reader) {
    const char *from = reader->block + reader->used;
    size_t n = reader->n_block - reader->used;
    const char *feed = n ? memchr(from, '\n', n) : NULL;
    n = feed ? (size_t)(feed - from) : n;
    size_t room = reader->max + 1 - reader->line.len; // one more, so that too long is seen
    buffer_bytes(&reader->line, from, n < room ? n : room);
    reader->used += n + (feed != NULL);
    reader->n_bytes += n + (feed != NULL);
    return feed != NULL;
}

enum line_state line_reader_next(struct line_reader *reader, bool wait, struct gpt2_error *err) {
    struct buffer *line = &reader->line;
    struct input *input = &reader->input;
    if (!reader->is_partial)
        line->len = reader->n_bytes = 0;
    reader->is_partial = false;
    while (!take(reader)) {
        if (reader->n_bytes > LINE_READER_MAX) {
            command_error(err, GPT2_ERR_INPUT, NULL,
                          "%s: expected lines of at most %zu bytes, found none that ends after "
                          "%" PRIu64,
                          input->name, reader->max, LINE_READER_MAX);
            return LINE_FAILED;
        }
        if (!wait && input_would_block(input)) {
            reader->is_partial = true;
            return LINE_LATER;
        }
        reader->used = 0;
        if (!input_read(input, reader->block, BLOCK, &reader->n_block, err)) {
            reader->n_block = 0;
            return LINE_FAILED;
        }
        if (reader->n_block == 0)
            break;
    }
    if (reader->n_bytes == 0 || signals_caught())
        return LINE_NONE;
    reader->n_bytes += input->n_skipped; // of the first line
    input->n_skipped = 0;
    bool too_long = line->len > reader->max;
    while (!too_long && line->len > 0 && line->data[line->len - 1] == '\r')
        line->len--;
    if (too_long)
        line->len = reader->max;
    if (line->failed) {
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a line of %s", input->name);
        return LINE_FAILED;
    }
    line->data[line->len] = 0;
    return too_long ? LINE_TOO_LONG : LINE_READ;
}
