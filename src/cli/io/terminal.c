/* terminal.c - measures the terminal, and writes its progress line again and again. */
#include "cli/io/terminal.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int n_shown; /* characters of the status line */

int terminal_columns(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

bool terminal_is_dumb(void) {
    const char *term = getenv("TERM");
    return !term || !*term || !strcmp(term, "dumb");
}

static bool terminal_has_colors(void) {
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !terminal_is_dumb() && !(no && *no);
}

const char *const color_modes[] = {"auto", "always", "never", NULL};

bool terminal_wants_color(int mode) {
    return mode == COLOR_AUTO ? terminal_has_colors() : mode == COLOR_ALWAYS;
}

bool terminal_has_status(void) {
    return isatty(STDERR_FILENO);
}

void terminal_status(const char *text) {
    if (!terminal_has_status())
        return;
    char line[512]; // in one write, or it flickers
    size_t room = sizeof line - 8, n = 0;
    int columns = terminal_columns(STDERR_FILENO) - 1; // in the last one some terminals wrap
    int count = 0;
    line[n++] = '\r';
    for (; *text && n < room; text++) {
        if (!utf8_is_continuation(*text) && count++ == columns)
            break;
        line[n++] = *text;
    }
    count = count > columns ? columns : count;
    if (terminal_is_dumb()) // cannot clear the rest
        for (int i = count; i < n_shown && i < columns && n < room; i++)
            line[n++] = ' ';
    else
        n += (size_t)snprintf(line + n, sizeof line - n, "\033[K");
    fwrite(line, 1, n, stderr);
    fflush(stderr);
    n_shown = count;
}

void terminal_clear_status(void) {
    if (!n_shown)
        return;
    terminal_status("");
    fputc('\r', stderr);
    n_shown = 0;
}
