/* view_show.c - prints a view in the form that is asked for, and writes its picture. */
#include "cli/inspect/view.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool no_memory(struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the results");
}

static int terminal_width(void) {
    int width = terminal_columns(STDOUT_FILENO);
    return width < 40 ? 40 : width > 240 ? 240 : width;
}

/* Writes the view to memory, which the caller frees; NULL: out of memory. */
static char *draw(const struct view *view, size_t *n, bool svg, const struct view_form *form) {
    struct buffer out = {0};
    if (svg)
        view_write_svg(&out, view);
    else if (form->format == VIEW_TSV)
        view_write_tsv(&out, view);
    else if (form->format == VIEW_JSON)
        view_write_json(&out, view);
    else
        (form->format == VIEW_WORDS ? view_write_words : view_write_text)(
            &out, view, terminal_width(),
            terminal_wants_color(output_is_file(form->output) && !form->color ? COLOR_NEVER
                                                                              : form->color));
    return buffer_take(&out, n);
}

static bool write_file(const char *path, const char *data, size_t n, struct gpt2_error *err) {
    struct output out = {0};
    bool ok = output_open(&out, path, err) && output_bytes(&out, data, n, err) &&
              output_commit(&out, err);
    output_discard(&out);
    return ok;
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
    ok = output_begin(&out, form->output, &err);
    if ((form->format == VIEW_TEXT || form->format == VIEW_WORDS) && !picture)
        output_fit(&out);
    ok = ok && output_bytes(&out, data, n, &err) && output_end(&out, &err);
    output_discard(&out);
    free(data);
    return ok ? 0 : output_failed(&out, &err);
}
