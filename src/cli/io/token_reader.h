/* token_reader.h - a text of any size as token ids, or line by line, in bounded memory.
 *
 * Text is cut where the tokenizer says that both sides give the ids of the whole. So memory grows
 * with the longest word, or the longest line where lines are read, not with the text; either has at
 * most INPUT_MAX bytes. */
#ifndef CLI_IO_TOKEN_READER_H
#define CLI_IO_TOKEN_READER_H

#include "cli/io/input.h"
#include "cli/io/prompt_source.h"

#include <gpt2/tokenizer.h>
#include <stdint.h>

struct token_reader {
    const struct gpt2_tokenizer *tokenizer; /* may be NULL where the text is ids */
    bool is_ids;                            /* the text is numbers, as text_parse_ids reads them */
    bool lines;                             /* token_reader_line is called, not _next */
    unsigned flags;                         /* of gpt2_tokenizer_encode */

    bool keep_newline;  /* as the source says */
    struct input input; /* fd -1: all is in data. `idle` may be set once it is open */
    char *data;         /* [len] read, not used; data[0..used) is */
    size_t used, len, cap;
    uint64_t offset; /* of data[used] in the text */
    uint64_t from;   /* of the stretch or line that was given last */
    bool at_end;     /* nothing comes after data */
};

/* Opens what the source says (prompt_source.h), after the fields above `input` are set. */
bool token_reader_open(struct token_reader *reader, const struct text_source *source,
                       struct gpt2_error *err);
void token_reader_close(struct token_reader *reader); /* a zeroed struct is allowed */

/* The next line, valid until the next call. `bytes` NULL: there is none. */
struct text_line {
    const char *bytes;
    size_t n;       /* without its line end, "\n" or "\r\n" */
    size_t n_whole; /* with it */
};
bool token_reader_line(struct token_reader *reader, struct text_line *line, struct gpt2_error *err);

/* The same for a stretch of text whose ids do not depend on what comes after it. `bytes` NULL: it
 * is empty. *more: there is more to come. */
bool token_reader_text(struct token_reader *reader, struct text_line *text, bool *more,
                       struct gpt2_error *err);

/* Hands on the ids of a line or a stretch, some thousand at a time (gpt2_tokenizer_encode_parts);
 * where the text is ids, all at once, without extents. A text that is none fails with
 * GPT2_ERR_USAGE, a line that is none with GPT2_ERR_INPUT, as the others are read on. */
bool token_reader_encode(const struct token_reader *reader, const char *line, size_t len,
                         const struct gpt2_encode_sink *sink, struct gpt2_error *err);

/* The two in one. */
bool token_reader_next(struct token_reader *reader, const struct gpt2_encode_sink *sink, bool *more,
                       struct gpt2_error *err);

#endif
