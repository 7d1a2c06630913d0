/* unescape.h - backslash escapes in what a user types: \n, \r, \t, \\ and \xHH. */
#ifndef CLI_IO_UNESCAPE_H
#define CLI_IO_UNESCAPE_H

#include <gpt2/error.h>
#include <stdbool.h>
#include <stddef.h>

/* Replaces the escapes in text[0..*n), which becomes shorter or stays as it is. False with
 * GPT2_ERR_USAGE: a backslash is followed by something else. `what` names the text in messages. */
bool unescape(char *text, size_t *n, const char *what, struct gpt2_error *err);

/* The same for a string that ends with NUL, which must not come to hold another one. */
bool unescape_string(char *text, const char *what, struct gpt2_error *err);

#endif
