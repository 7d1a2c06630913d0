/* view_show.c - a view to the terminal, a pipe or a file, in the form that was asked for. */
#include "cli/output.h"
#include "cli/report.h"
#include "cli/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for what was found");
}

static int terminal_width(void) {
    struct winsize size;
    int width = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
        width = size.ws_col;
    return width < 40 ? 40 : width > 240 ? 240 : width;
}

/* https://no-color.org: any value that is not empty says no. */
static bool wants_color(int color) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (color != COLOR_AUTO)
        return color == COLOR_ALWAYS;
    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* The picture in memory, to be freed by the caller; NULL: out of memory. */
static char *draw(const struct view *view, size_t *n, bool svg, const struct view_form *form) {
    char *data = NULL;
    FILE *stream = open_memstream(&data, n);
    if (!stream)
        return NULL;
    if (svg)
        view_write_svg(stream, view);
    else if (form->tsv)
        view_write_tsv(stream, view);
    else if (form->json)
        view_write_json(stream, view);
    else
        view_write_text(stream, view, terminal_width(), wants_color(form->color));
    bool failed = ferror(stream);
    if (fclose(stream) != 0 || failed) {
        free(data);
        return NULL;
    }
    return data;
}

/* Puts a file in its place whole or not at all. */
static bool write_file(const char *path, const char *data, size_t n, struct gpt2_error *err) {
    size_t size = strlen(path) + sizeof ".XXXXXX";
    char *temporary = malloc(size);
    if (!temporary)
        return no_memory(err);
    snprintf(temporary, size, "%s.XXXXXX", path);
    int fd = mkstemp(temporary);
    mode_t mask = umask(0);
    umask(mask);
    bool ok = fd >= 0 && fchmod(fd, 0666 & ~mask) == 0;
    for (size_t done = 0; ok && done < n;) {
        ssize_t wrote = write(fd, data + done, n - done);
        ok = wrote >= 0 || errno == EINTR;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    ok = ok && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0 && close(fd) != 0 && ok) {
        reason = errno;
        ok = false;
    }
    if (ok && rename(temporary, path) != 0) {
        reason = errno;
        ok = false;
    }
    if (!ok && fd >= 0)
        unlink(temporary);
    free(temporary);
    return ok || command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot write %.300s: %s", path,
                               strerror(reason));
}

int view_show(const struct view *view, const struct view_form *form) {
    struct output out = {0};
    struct gpt2_error err;
    bool picture = form->svg && strcmp(form->svg, "-") == 0, ok = true;
    size_t n = 0;
    if (form->svg && !picture) {
        char *data = draw(view, &n, true, form);
        ok = data ? write_file(form->svg, data, n, &err) : no_memory(&err);
        free(data);
    }
    if (!ok)
        return report(&err);
    char *data = draw(view, &n, picture, form);
    if (!data) {
        no_memory(&err);
        return report(&err);
    }
    ok = output_bytes(&out, data, n, &err) && output_flush(&out, &err);
    free(data);
    return ok ? 0 : output_failed(&out, &err);
}
