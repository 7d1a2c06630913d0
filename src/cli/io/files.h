/* files.h - where text comes from: an option, a file, a pipe. And where models are. */
#ifndef CLI_IO_FILES_H
#define CLI_IO_FILES_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes, NUL-ended for convenience; the length counts. */
struct text {
    char *data; /* owned */
    size_t len;
};

void text_free(struct text *text); /* a zeroed struct is allowed */

/* The ways in which a command can be given its text. At most one of them may be used. */
struct text_source {
    const char *option; /* -p TEXT; NULL: not given                 */
    const char *word;   /* a word of the command line; "-" is stdin */
    const char *file;   /* -f FILE; "-" is stdin                    */
    bool keep_newline;  /* else one trailing newline of a file or of stdin is dropped */
};

/* Reads the text. With no source given it comes from standard input, unless that is a terminal:
 * then GPT2_ERR_USAGE. GPT2_ERR_INPUT where a file cannot be read. */
bool text_read(struct text *text, const struct text_source *source, struct gpt2_error *err);

/* Parses "1,2,3" or "1 2 3" or both: token ids as plain numbers. `what` names it in messages.
 * Appends to `ids`. */
struct gpt2_ids;
bool text_parse_ids(const char *data, size_t len, const char *what, struct gpt2_ids *ids,
                    struct gpt2_error *err);

/* Turns what the user gave for -m (NULL: nothing) into a path. In this order: a path that exists,
 * and then nothing else is tried, whether it can be opened or not;
 * a name in ./models, in the folders of $GPT2_MODELS (separated by ':'), in models/ beside the
 * program's folder, in the user's and the installation's data directory; a name in the cache of
 * Hugging Face's programs (gpt2/hub.h says what names are). With NULL: $GPT2_MODEL, where that is
 * set and not empty, else the shipped model "tales". The result is owned by the caller: free().
 * NULL: GPT2_ERR_MODEL. */
char *find_model(const char *name, struct gpt2_error *err);

/* The path without links and dots, to be freed; NULL where there is no such file. */
char *canonical_path(const char *path);

/* Calls visit for each folder that find_model looks for names in, in its order, whether it exists
 * or not. False where `visit` ended it, or memory is out. */
bool list_model_folders(bool (*visit)(void *user, const char *folder), void *user);

#endif
