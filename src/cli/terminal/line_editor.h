/* line_editor.h - libedit, for lines typed on a terminal that can move its cursor.
 *
 * The library is loaded when the first editor is opened, as every start of the program would pay
 * for it otherwise (0.3 ms). It is optional when building and when running. */
#ifndef CLI_TERMINAL_LINE_EDITOR_H
#define CLI_TERMINAL_LINE_EDITOR_H

#include "base/buffer.h"

struct line_editor;

/* Whether this build knows the library. */
bool line_editor_is_built(void);

enum line_kind {
    LINE_TEXT,
    LINE_INTERRUPTED, /* Ctrl-C: what was typed of the line is dropped, and is in the buffer; or
                         SIGTERM: see signals_caught                                        */
    LINE_END,         /* Ctrl-D, or the end of the input                                      */
    LINE_FAILED       /* *err says why                                                        */
};

/* What Tab offers: looks at line[0..n), which is in front of the cursor, and calls `offer` with
 * each text that may stand there from line[K] on; the editor drops those that do not begin as what
 * is typed. Returns K; n + 1: a tab is text there. */
typedef void (*line_offer)(void *to, const char *text);
typedef size_t (*line_completer)(const char *line, size_t n, line_offer offer, void *to);

/* On standard input and standard error. Until it is closed, keys that are typed while no line is
 * read are kept for the next one, and not shown. `complete` NULL: a tab is text. NULL: there is no
 * libedit, or no memory. */
struct line_editor *line_editor_open(line_completer complete);
void line_editor_close(struct line_editor *editor); /* NULL is allowed */

/* As line_input_read; `line` is empty before. Text is UTF-8; bytes that are not are dropped. */
enum line_kind line_editor_read(struct line_editor *editor, const char *prompt,
                                struct buffer *line);

/* Adds a line to those that the arrow keys bring back. */
void line_editor_remember(struct line_editor *editor, const char *line);

#endif
