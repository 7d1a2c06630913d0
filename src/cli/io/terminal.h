/* terminal.h - what the terminal can show, and its one line that is written over and over. */
#ifndef CLI_IO_TERMINAL_H
#define CLI_IO_TERMINAL_H

#include <stdbool.h>

/* Columns of the terminal that a file descriptor is; 80 where it is none, or does not say. */
int terminal_columns(int fd);

/* TERM is missing, empty or "dumb": nothing on the screen can be moved, cleared or coloured. */
bool terminal_is_dumb(void);

/* Values of --color. */
enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
extern const char *const color_modes[]; /* their names; ends with NULL */

/* Whether standard output gets colours, by `mode`, enum color_mode. Auto: it is a terminal that has
 * them (TERM is not dumb or missing), and the user wants them (https://no-color.org: NO_COLOR is
 * missing or empty). */
bool terminal_wants_color(int mode);

/* Standard error is a terminal, so that work in progress can be shown in a status line. */
bool terminal_has_status(void);

/* Writes text over the status line: as much of it as fits, since a line that wraps could not be
 * written over. Nothing elsewhere than on a terminal. */
void terminal_status(const char *text);

/* Takes the status line away, if there is one. Errors and notes do so before they are printed. */
void terminal_clear_status(void);

#endif
