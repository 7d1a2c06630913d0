/* input.h - the bytes of a text from outside: a file, a pipe, a terminal. Every command that reads
 * text reads it here.
 *
 * A text is UTF-8. A byte order mark at its beginning is skipped; UTF-16 and UTF-32 are refused by
 * name. Windows' line ends become "\n". What is not valid UTF-8 passes as it is. */
#ifndef CLI_IO_INPUT_H
#define CLI_IO_INPUT_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How long a text may be that is read whole, or a line or word of one that is read piece by piece;
 * more is GPT2_ERR_INPUT. It bounds memory and gives /dev/zero an end. */
#define INPUT_MAX_MIB 64
#define INPUT_MAX     ((size_t)INPUT_MAX_MIB << 20)

enum input_form {
    INPUT_AS_TEXT,  /* no mark, "\r\n" is "\n"                                              */
    INPUT_AS_LINES, /* no mark, "\r\n" as it is: the caller takes lines apart (input_line_end) */
    INPUT_AS_BYTES  /* every byte as it is, UTF-16 too                                      */
};

struct input {
    const char *name; /* for messages, borrowed: the path, or "standard input" */
    int fd;           /* -1: not open */
    enum input_form form;
    bool begun;       /* the first bytes have been looked at */
    bool has_cr;      /* a "\r" was read that may belong to a line end */
    size_t n_skipped; /* bytes of the mark */

    /* Called before a read that would block, so that what is known is answered first. NULL: not.
     * False with *err set ends the reading. */
    bool (*idle)(void *user, struct gpt2_error *err);
    void *idle_user;
};

/* Opens a file; "-" is standard input. `idle` is NULL afterwards. GPT2_ERR_INPUT where it cannot be
 * opened. */
bool input_open(struct input *input, const char *path, enum input_form form,
                struct gpt2_error *err);
void input_close(struct input *input); /* one with fd -1 is allowed */

/* Reads up to `cap` bytes (cap >= ENCODING_BYTES), at least one; *n is 0 at the end and after a
 * signal of signals_catch. GPT2_ERR_INPUT. */
bool input_read(struct input *input, char *bytes, size_t cap, size_t *n, struct gpt2_error *err);

/* Whether input_read would wait for data. */
bool input_would_block(const struct input *input);

/* The length of the line bytes[0..n) without the "\r" of a "\r\n" whose "\n" was taken off. */
size_t input_line_end(const char *bytes, size_t n);

/* "NAME: expected WHAT of at most 64 MiB, found more", GPT2_ERR_INPUT; returns false. */
bool input_too_long(const struct input *input, const char *what, struct gpt2_error *err);

#endif
