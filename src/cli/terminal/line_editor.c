/* line_editor.c - edits a line with libedit; the only file that knows it. */
#include "cli/terminal/line_editor.h"
#include "base/utf8.h"

#ifdef HAVE_LIBEDIT

#include "base/library.h"
#include "cli/io/output.h"
#include "cli/io/signals.h"
#include "cli/io/terminal.h"
#include "cli/terminal/line_history.h"
#include "cli/terminal/names_in_columns.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is used of the library. */
static struct {
    __typeof__(el_init) *init;
    __typeof__(el_end) *end;
    __typeof__(el_set) *set;
    __typeof__(el_get) *get;
    __typeof__(el_gets) *gets;
    __typeof__(el_line) *line;
    __typeof__(el_insertstr) *insertstr;
    __typeof__(el_resize) *resize;
    __typeof__(el_source) *source;
    __typeof__(history_init) *history_init;
    __typeof__(history_end) *history_end;
    __typeof__(history) *history;
} lib;

struct line_editor {
    EditLine *edit;
    History *history;
    const char *prompt; /* of the current read */
    line_completer complete;
    bool interrupted;
};

static bool load(void) {
    static const char *const names[] = {"libedit.so.2", "libedit.so.0", "libedit.3.dylib",
                                        "libedit.dylib"};
    const struct library_symbol symbols[] = {
        {"el_init", &lib.init},
        {"el_end", &lib.end},
        {"el_set", &lib.set},
        {"el_get", &lib.get},
        {"el_gets", &lib.gets},
        {"el_line", &lib.line},
        {"el_insertstr", &lib.insertstr},
        {"el_resize", &lib.resize},
        {"el_source", &lib.source},
        {"history_init", &lib.history_init},
        {"history_end", &lib.history_end},
        {"history", &lib.history},
    };
    const char *why; // without an editor lines are read as they come
    return library_load(names, sizeof names / sizeof *names, symbols,
                        sizeof symbols / sizeof *symbols, &why);
}

static char *get_prompt(EditLine *edit) {
    struct line_editor *editor;
    lib.get(edit, EL_CLIENTDATA, &editor);
    return (char *)editor->prompt; // libedit does not write to it
}

/* Characters of more than one byte are put together here: libedit's own reading would neither see
 * Ctrl-C at once nor get over bytes that are no character. */
static int get_character(EditLine *edit, wchar_t *character) {
    struct line_editor *editor;
    lib.get(edit, EL_CLIENTDATA, &editor);
    unsigned char bytes[4];
    size_t n = 0;
    for (;;) {
        enum input_event event = signals_wait(STDIN_FILENO, -1);
        if (event == INPUT_INTERRUPTED) {
            editor->interrupted = true;
            return -1;
        }
        if (event == INPUT_REDRAW) {
            lib.set(edit, EL_PREP_TERM, 0); // a shell may have changed the terminal's modes
            lib.set(edit, EL_PREP_TERM, 1);
            lib.resize(edit);
            fputc('\r', stderr); // it believes the cursor to be there
            lib.set(edit, EL_REFRESH);
            continue;
        }
        ssize_t got = read(STDIN_FILENO, &bytes[n], 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        n++;
        if (n > 1 && !utf8_is_continuation((char)bytes[n - 1])) { // no character was before it
            bytes[0] = bytes[n - 1];
            n = 1;
        }
        uint32_t cp;
        if (utf8_decode(&cp, bytes, n) > 0) {
            *character = (wchar_t)cp;
            return 1;
        }
        if (!utf8_is_unfinished(bytes, n))
            n = 0;
    }
}

/* What is offered for the word before the cursor. */
struct offers {
    const char *typed; /* [n_typed] of the word */
    size_t n_typed;
    struct buffer common; /* what all of them begin with */
    struct buffer list;   /* what is shown of each, NUL-ended */
    size_t n_folder;      /* bytes in front of each that are not shown */
    size_t n;
};

static void take_offer(void *to, const char *text) {
    struct offers *offers = to;
    if (strncmp(text, offers->typed, offers->n_typed) != 0)
        return;
    buffer_bytes(&offers->list, text + offers->n_folder, strlen(text + offers->n_folder) + 1);
    size_t same = 0;
    while (offers->n && same < offers->common.len && text[same] == offers->common.data[same])
        same++;
    if (offers->n++)
        offers->common.len = same;
    else
        buffer_text(&offers->common, text);
}

/* The folder of a path, which may follow a command; a command's own slash is part of its name. */
static size_t length_of_folder(const char *typed, size_t from) {
    const char *slash = from > 0 ? strrchr(typed, '/') : NULL;
    return slash ? (size_t)(slash + 1 - typed) : 0;
}

static bool show_offers(const struct offers *offers) {
    struct buffer lines = {0};
    bool ok =
        names_in_columns(&lines, offers->list.data, offers->n, terminal_columns(STDERR_FILENO));
    if (ok)
        fprintf(stderr, "\n%.*s", (int)lines.len, lines.data);
    buffer_free(&lines);
    return ok;
}

/* Inserts what all offers have in common, or else shows them below the line. */
static unsigned char complete_word(EditLine *edit, int key) {
    struct line_editor *editor;
    lib.get(edit, EL_CLIENTDATA, &editor);
    const LineInfo *info = lib.line(edit);
    const size_t n = (size_t)(info->cursor - info->buffer);
    struct buffer line = {0};
    buffer_bytes(&line, info->buffer, n);
    buffer_byte(&line, 0);
    struct offers offers = {.typed = ""};
    unsigned char code = CC_ERROR;
    // the first call says where the word begins: nothing is offered as that is not known yet
    const size_t from =
        line.failed || !editor->complete ? n + 1 : editor->complete(line.data, n, NULL, NULL);
    if (from <= n) {
        offers.typed = line.data + from;
        offers.n_typed = n - from;
        offers.n_folder = length_of_folder(offers.typed, from);
        editor->complete(line.data, n, take_offer, &offers);
    }
    const bool whole = !offers.common.failed && !offers.list.failed;
    buffer_byte(&offers.common, 0);
    if (from > n) {
        code = lib.insertstr(edit, "\t") == 0 ? CC_REFRESH : CC_ERROR;
    } else if (whole && offers.n && strlen(offers.common.data) > offers.n_typed) {
        code =
            lib.insertstr(edit, offers.common.data + offers.n_typed) == 0 ? CC_REFRESH : CC_ERROR;
    } else if (whole && offers.n > 1 && show_offers(&offers)) {
        code = CC_REDISPLAY;
    }
    buffer_free(&line);
    buffer_free(&offers.common);
    buffer_free(&offers.list);
    return code;
}

/* libedit converts lines by the locale, whose other categories stay as C has them. */
static void use_utf8(void) {
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0 && !setlocale(LC_CTYPE, "C.UTF-8"))
        setlocale(LC_CTYPE, "en_US.UTF-8");
}

struct line_editor *line_editor_open(line_completer complete) {
    struct line_editor *editor = calloc(1, sizeof *editor);
    if (!editor || !load()) {
        free(editor);
        return NULL;
    }
    use_utf8();
    editor->complete = complete;
    editor->edit = lib.init("gpt2", stdin, stderr, stderr);
    editor->history = lib.history_init();
    if (!editor->edit || !editor->history) {
        line_editor_close(editor);
        return NULL;
    }
    HistEvent event;
    lib.history(editor->history, &event, H_SETSIZE, LINE_HISTORY_KEPT);
    lib.history(editor->history, &event, H_SETUNIQUE, 1); // no line twice running
    EditLine *edit = editor->edit;
    lib.set(edit, EL_CLIENTDATA, editor);
    lib.set(edit, EL_PROMPT, get_prompt);
    lib.set(edit, EL_GETCFN, get_character);
    lib.set(edit, EL_HIST, lib.history, editor->history);
    // while no line is read: keys are not echoed into what is printed, and the terminal does not
    // edit them, as it would lose a Ctrl-D; Ctrl-C and Ctrl-Z stay what they are
    lib.set(edit, EL_SETTY, "-x", "-echo", "-icanon", "-iexten", NULL);
    lib.set(edit, EL_EDITOR, "emacs");
    lib.set(edit, EL_ADDFN, "gpt2-complete", "Complete a command", complete_word);
    lib.set(edit, EL_BIND, "^I", "gpt2-complete", NULL);
    lib.set(edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    lib.set(edit, EL_BIND, "^W", "ed-delete-prev-word", NULL);
    lib.source(edit, NULL); // ~/.editrc, which may say otherwise
    return editor;
}

void line_editor_close(struct line_editor *editor) {
    if (!editor)
        return;
    if (editor->edit)
        lib.end(editor->edit);
    if (editor->history)
        lib.history_end(editor->history);
    free(editor);
}

enum line_kind line_editor_read(struct line_editor *editor, const char *prompt,
                                struct buffer *line) {
    editor->prompt = prompt;
    editor->interrupted = false;
    int n = 0;
    lib.set(editor->edit, EL_PREP_TERM, 1); // before the prompt, or keys are echoed twice
    const char *typed = lib.gets(editor->edit, &n);
    if (editor->interrupted) {
        const LineInfo *info = lib.line(editor->edit);
        buffer_bytes(line, info->buffer, (size_t)(info->lastchar - info->buffer));
        fputs("^C\n", stderr); // as the terminal itself would
        return LINE_INTERRUPTED;
    }
    if (!typed || n <= 0) {
        fputc('\n', stderr);
        return LINE_END;
    }
    buffer_bytes(line, typed, (size_t)n - (typed[n - 1] == '\n'));
    return LINE_TEXT;
}

void line_editor_remember(struct line_editor *editor, const char *line) {
    HistEvent event;
    lib.history(editor->history, &event, H_ENTER, line);
}

bool line_editor_is_built(void) {
    return true;
}

#else // the terminal's own line editing does

bool line_editor_is_built(void) {
    return false;
}

struct line_editor *line_editor_open(line_completer complete) {
    return NULL;
}

void line_editor_close(struct line_editor *editor) {}

enum line_kind line_editor_read(struct line_editor *editor, const char *prompt,
                                struct buffer *line) {
    return LINE_END;
}

void line_editor_remember(struct line_editor *editor, const char *line) {}

#endif
