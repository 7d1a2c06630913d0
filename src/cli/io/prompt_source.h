/* prompt_source.h - where the text of a command comes from: an option, a word, a file or a pipe. */
#ifndef CLI_IO_PROMPT_SOURCE_H
#define CLI_IO_PROMPT_SOURCE_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes, NUL-ended for convenience; the length counts. */
struct text {
    char *data; /* owned */
    size_t len;
};

void text_free(struct text *text); /* a zeroed struct is allowed */

/* The ways in which a command can be given its text: literally, by -p or as a plain word, from a
 * file, or both, and then the file's comes first. */
struct text_source {
    const char *option; /* -p TEXT; NULL: not given                 */
    const char *word;   /* a word of the command line; "-" is stdin */
    const char *file;   /* -f FILE; "-" is stdin                    */
    bool keep_newline;  /* else one trailing newline of a file or of stdin is dropped */
    bool exact;         /* a file or stdin is read as INPUT_AS_BYTES, its last newline kept; else as
                           INPUT_AS_TEXT (input.h) */
    bool escape;        /* escapes of the literal text are read (unescape.h) */
};

/* The literal text, NULL if there is none. */
const char *text_literal(const struct text_source *source);

/* The file, "-" for standard input; NULL if neither is named. */
const char *text_file(const struct text_source *source);

/* Reads the text. Standard input is read only where "-" names it, or where nothing is given.
 * With no source given it comes from standard input, unless that is a terminal:
 * then GPT2_ERR_USAGE. GPT2_ERR_INPUT where a file cannot be read or is longer than INPUT_MAX. */
bool text_read(struct text *text, const struct text_source *source, struct gpt2_error *err);

/* Parses "1,2,3" or "1 2 3" or both: token ids as plain numbers. `what` names it in messages;
 * NULL: they have no name. Appends to `ids`. GPT2_ERR_USAGE where the text is something else. */
struct gpt2_ids;
bool text_parse_ids(const char *data, size_t len, const char *what, struct gpt2_ids *ids,
                    struct gpt2_error *err);

#endif
