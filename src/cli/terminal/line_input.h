/* line_input.h - lines that a user types, or that a pipe brings.
 *
 * On a terminal they are edited with libedit, and a history file remembers them. Without libedit,
 * or on a terminal that can do nothing (TERM=dumb), it is the terminal's own line. Prompts go to
 * standard error, and only to a terminal. Signals are those of signals_keep. */
#ifndef CLI_TERMINAL_LINE_INPUT_H
#define CLI_TERMINAL_LINE_INPUT_H

#include "cli/terminal/line_editor.h"
#include <gpt2/error.h>

struct line_input;

/* Reads standard input; `complete` says what Tab offers, and may be NULL. While no line is read, an
 * edited terminal does not echo keys: they are there when the next one is. NULL: out of memory. */
struct line_input *line_input_open(line_completer complete);
void line_input_close(struct line_input *input); /* NULL is allowed */

/* Reads a line into `line`, replacing what was in it, without its line end. What is no terminal is
 * a text as every command reads it (io/input.h): no byte order mark, "\n" or "\r\n", UTF-8, and
 * lines of at most INPUT_MAX bytes, else LINE_FAILED with GPT2_ERR_INPUT. */
enum line_kind line_input_read(struct line_input *input, const char *prompt, struct buffer *line,
                               struct gpt2_error *err);

/* True where a terminal has more input before anybody could have typed it: a text was pasted, and
 * the line that was read is its beginning. */
bool line_input_pasted(const struct line_input *input);

/* Standard input is a terminal. */
bool line_input_is_terminal(const struct line_input *input);

#endif
