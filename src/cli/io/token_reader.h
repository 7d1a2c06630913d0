/* token_reader.h - a text of any size as token ids, or line by line, in bounded memory.
 *
 * Text is cut where the tokenizer says that both sides give the ids of the whole. So memory grows
 * with the longest word, or the longest line where lines are read, not with the text. */
#ifndef CLI_IO_TOKEN_READER_H
#define CLI_IO_TOKEN_READER_H

#include "cli/io/prompt_source.h"

#include <gpt2/tokenizer.h>
#include <stdint.h>

struct token_reader {
    const struct gpt2_tokenizer *tokenizer; /* may be NULL where the text is ids */
    bool is_ids;                            /* the text is numbers, as text_parse_ids reads them */
    bool keep_newline;                      /* else one newline at the end of a file is dropped */
    unsigned flags;                         /* of gpt2_tokenizer_encode */

    int fd; /* -1: all is in data */
    const char *name;
    char *data; /* [len] read, not used; data[0..used) is */
    size_t used, len, cap;
    uint64_t offset; /* of data[used] in the text */
    bool at_end;     /* nothing comes behind data */
};

/* Opens what the source says (files.h), after the fields above `fd` are set. */
bool token_reader_open(struct token_reader *reader, const struct text_source *source,
                       struct gpt2_error *err);
void token_reader_close(struct token_reader *reader); /* a zeroed struct is allowed */

/* Appends the ids of the next stretch of text. *more: there is more to come. */
bool token_reader_next(struct token_reader *reader, struct gpt2_ids *ids, bool *more,
                       struct gpt2_error *err);

/* The next line, without its newline, valid until the next call; data NULL: there is none.
 * *ended: it had a newline. */
bool token_reader_line(struct token_reader *reader, const char **line, size_t *len, bool *ended,
                       struct gpt2_error *err);

/* Appends the ids of a line. */
bool token_reader_encode(const struct token_reader *reader, const char *line, size_t len,
                         struct gpt2_ids *ids, struct gpt2_error *err);

#endif
