/* line_input.c - reads lines from an editor, a plain terminal or a pipe. */
#include "cli/terminal/line_input.h"
#include "cli/io/input.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/io/terminal.h"
#include "cli/terminal/line_editor.h"
#include "cli/terminal/line_history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASTE_MS \
    30 /* longer than a terminal takes between two lines of a paste, shorter than hands */

struct line_input {
    bool is_terminal, shows_prompt;
    struct line_editor *editor; /* NULL: plain lines                      */
    char *history;              /* path of its file; NULL: none           */
    struct input input;         /* of what is no terminal                 */
    char held[4096];            /* [from..to) is read and not taken yet   */
    size_t from, to;
};

static void remember(void *user, const char *line) {
    line_editor_remember(user, line);
}

/* The history is a convenience: a failure is told once, and the session goes on. */
static void give_up_history(struct line_input *in, const struct gpt2_error *err) {
    report_note("%s", err->message);
    free(in->history);
    in->history = NULL;
}

struct line_input *line_input_open(line_completer complete) {
    struct line_input *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->is_terminal = isatty(STDIN_FILENO);
    in->shows_prompt = in->is_terminal && isatty(STDERR_FILENO);
    in->editor = in->shows_prompt && !terminal_is_dumb() ? line_editor_open(complete) : NULL;
    in->history = in->editor ? line_history_path() : NULL;
    struct gpt2_error err;
    in->input.fd = -1;
    if (!in->is_terminal && !input_open(&in->input, "-", INPUT_AS_LINES, &err)) {
        free(in); // never: there is nothing to open
        return NULL;
    }
    if (in->history && !line_history_load(in->history, remember, in->editor, &err))
        give_up_history(in, &err);
    return in;
}

void line_input_close(struct line_input *in) {
    if (!in)
        return;
    line_editor_close(in->editor);
    input_close(&in->input);
    free(in->history);
    free(in);
}

/* Moves what is held of the line over; true where it is whole. */
static bool take_held(struct line_input *in, struct buffer *line) {
    const char *start = in->held + in->from;
    size_t n = in->to - in->from;
    const char *end = n ? memchr(start, '\n', n) : NULL;
    size_t part = end ? (size_t)(end - start) : n;
    buffer_bytes(line, start, part);
    in->from += part + (end != NULL);
    return end != NULL;
}

/* Reads more into `held`; in->to is 0 at the end. */
static bool fill(struct line_input *in, struct gpt2_error *err) {
    size_t n = 0;
    ssize_t got = 0;
    if (!in->is_terminal && !input_read(&in->input, in->held, sizeof in->held, &n, err))
        return false;
    while (in->is_terminal && (got = read(STDIN_FILENO, in->held, sizeof in->held)) < 0 &&
           errno == EINTR) {
    }
    in->from = 0;
    in->to = in->is_terminal && got > 0 ? (size_t)got : n;
    return true;
}

static enum line_kind read_plain(struct line_input *in, const char *prompt, struct buffer *line,
                                 struct gpt2_error *err) {
    bool is_there = in->from < in->to || signals_wait(STDIN_FILENO, 0) == INPUT_READY;
    if (in->shows_prompt && !is_there) // what is there the terminal has echoed already
        fputs(prompt, stderr);
    while (!take_held(in, line)) {
        enum input_event event = signals_wait(STDIN_FILENO, -1);
        if (event == INPUT_INTERRUPTED) {
            if (in->shows_prompt)
                fputc('\n', stderr);
            return LINE_INTERRUPTED;
        }
        if (event == INPUT_REDRAW)
            continue;
        if (line->len > INPUT_MAX)
            return input_too_long(&in->input, "lines", err) ? LINE_TEXT : LINE_FAILED;
        if (!fill(in, err))
            return LINE_FAILED;
        if (in->to == 0 && line->len == 0 && in->shows_prompt)
            fputc('\n', stderr);
        if (in->to == 0) // a last line may have no line end
            return line->len > 0 ? LINE_TEXT : LINE_END;
    }
    if (!in->is_terminal && line->len > 0)
        line->data[line->len = input_line_end(line->data, line->len)] = 0;
    return LINE_TEXT;
}

enum line_kind line_input_read(struct line_input *in, const char *prompt, struct buffer *line,
                               struct gpt2_error *err) {
    line->len = 0;
    buffer_bytes(line, "", 0);
    if (!in->editor)
        return read_plain(in, prompt, line, err);
    enum line_kind kind = line_editor_read(in->editor, prompt, line);
    if (kind != LINE_TEXT || line->len == 0 || line->failed)
        return kind;
    line_editor_remember(in->editor, line->data);
    struct gpt2_error fault;
    if (in->history && !line_history_add(in->history, line->data, &fault))
        give_up_history(in, &fault);
    return kind;
}

bool line_input_pasted(const struct line_input *in) {
    return in->is_terminal &&
           (in->from < in->to || signals_wait(STDIN_FILENO, PASTE_MS) == INPUT_READY);
}

bool line_input_is_terminal(const struct line_input *in) {
    return in->is_terminal;
}
