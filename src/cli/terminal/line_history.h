/* line_history.h - the file of lines that were typed: plain text, the newest last.
 *
 * Each line is appended as it is typed, so that sessions side by side keep each other's and none is
 * lost with a terminal that is closed. Loading cuts a file that has grown long. */
#ifndef CLI_TERMINAL_LINE_HISTORY_H
#define CLI_TERMINAL_LINE_HISTORY_H

#include <gpt2/error.h>
#include <stdbool.h>

#define LINE_HISTORY_KEPT                                                  \
    1000 /* lines that are loaded; the file has at most twice as many then \
          */

/* $GPT2_HISTORY (empty: none), else gpt2/history in $XDG_STATE_HOME or ~/.local/state. To be freed;
 * NULL: no history is wanted, or there is no home. */
char *line_history_path(void);

/* Calls `each` for the last lines, the oldest first. A file that is not there has none.
 * GPT2_ERR_RUNTIME where it cannot be read, or cut. */
bool line_history_load(const char *path, void (*each)(void *user, const char *line), void *user,
                       struct gpt2_error *err);

/* Adds a line, which has no line end in it. A new file is its owner's alone, and so are folders
 * that have to be made. */
bool line_history_add(const char *path, const char *line, struct gpt2_error *err);

#endif
