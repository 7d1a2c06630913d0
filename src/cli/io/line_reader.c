/* line_reader.c - see line_reader.h. */
#include "cli/io/line_reader.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)64 << 10)

bool line_reader_open(struct line_reader *reader, const char *path, size_t max,
                      struct gpt2_error *err) {
    *reader = (struct line_reader){.path = path, .max = max};
    reader->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (reader->fd < 0)
        return command_error(err, GPT2_ERR_INPUT, NULL, "cannot open %s: %s", path,
                             strerror(errno));
    reader->block = malloc(BLOCK);
    return reader->block ||
           command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for reading %s", path);
}

void line_reader_close(struct line_reader *reader) {
    if (reader->fd > STDIN_FILENO)
        close(reader->fd);
    free(reader->block);
    buffer_free(&reader->line);
    *reader = (struct line_reader){.fd = -1};
}

/* The next block: how many bytes, 0 at the end, -1 on failure. */
static ssize_t refill(struct line_reader *reader) {
    ssize_t n;
    do
        n = read(reader->fd, reader->block, BLOCK);
    while (n < 0 && errno == EINTR && !signals_caught());
    if (n < 0 && signals_caught())
        n = 0;
    reader->used = 0;
    reader->n_block = n > 0 ? (size_t)n : 0;
    return n;
}

enum line_state line_reader_next(struct line_reader *reader, struct gpt2_error *err) {
    struct buffer *line = &reader->line;
    bool ended = false;
    line->len = 0;
    reader->n_bytes = 0;
    while (!ended) {
        if (reader->used == reader->n_block) {
            ssize_t n = refill(reader);
            if (n < 0) {
                command_error(err, GPT2_ERR_INPUT, NULL, "cannot read %s: %s", reader->path,
                              strerror(errno));
                return LINE_FAILED;
            }
            if (n == 0)
                break;
        }
        const char *from = reader->block + reader->used;
        size_t n = reader->n_block - reader->used;
        const char *feed = memchr(from, '\n', n);
        ended = feed != NULL;
        n = feed ? (size_t)(feed - from) : n;
        size_t room = reader->max + 1 - line->len; // one more, so that too long is seen
        buffer_bytes(line, from, n < room ? n : room);
        reader->used += n + ended;
        reader->n_bytes += n + ended;
    }
    if (reader->n_bytes == 0 || signals_caught())
        return LINE_NONE;
    bool too_long = line->len > reader->max;
    while (!too_long && line->len > 0 && line->data[line->len - 1] == '\r')
        line->len--;
    if (too_long)
        line->len = reader->max;
    if (line->failed) {
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a line of %s", reader->path);
        return LINE_FAILED;
    }
    line->data[line->len] = 0;
    return too_long ? LINE_TOO_LONG : LINE_READ;
}
