/* line_reader.h - a file or a pipe, line by line, in bounded memory: of a line no more than its
 * first `max` bytes are kept. A line that has not ended after LINE_READER_MAX bytes ends the
 * reading. */
#ifndef CLI_IO_LINE_READER_H
#define CLI_IO_LINE_READER_H

#include "base/buffer.h"
#include "cli/io/input.h"

#include <gpt2/error.h>

#define LINE_READER_MAX ((uint64_t)2 << 30)

struct line_reader {
    struct input input; /* fd -1: not open */
    size_t max;
    char *block;          /* what was read last        */
    size_t used, n_block; /* ... how far it is used up */
    struct buffer line;   /* without its line end, "\n" or "\r\n"; NUL-ended */
    size_t n_bytes;       /* of the line in the file, line end and all       */
    bool is_partial;      /* `line` is the beginning of a line               */
};

enum line_state {
    LINE_READ,
    LINE_TOO_LONG, /* only the first max bytes are in `line` */
    LINE_NONE,     /* the end, or a signal was caught        */
    LINE_LATER,    /* the line is not there yet              */
    LINE_FAILED    /* *err says why                          */
};

/* GPT2_ERR_INPUT where it cannot be opened, GPT2_ERR_MEMORY. */
bool line_reader_open(struct line_reader *reader, const char *path, size_t max,
                      struct gpt2_error *err);

/* `wait`: until a whole line is there; without it LINE_LATER says that reading would block, and the
 * next call goes on with the same line. */
enum line_state line_reader_next(struct line_reader *reader, bool wait, struct gpt2_error *err);

/* A struct that was never opened must have fd -1. */
void line_reader_close(struct line_reader *reader);

#endif
