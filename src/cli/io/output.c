/* output.c - buffered writes to standard output or a file. */
#include "cli/io/output.h"
#include "base/error_internal.h"
#include "base/escape.h"
#include "cli/io/fold.h"
#include "cli/io/report.h"
#include "cli/io/terminal.h"

#include <errno.h>
#include <gpt2/tokenizer.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Writes the first n held bytes and moves the rest to the front. */
static bool write_held(struct output *out, size_t n, struct gpt2_error *err) {
    const bool to_file = out->file.path != NULL;
    size_t done = 0;
    while (done < n) {
        ssize_t wrote = write(to_file ? out->file.fd : STDOUT_FILENO, out->held + done, n - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            out->broken_pipe = errno == EPIPE;
            return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot write to %s",
                               to_file ? out->file.path : "standard output");
        }
        done += (size_t)wrote;
    }
    memmove(out->held, out->held + n, out->n_held - n);
    out->n_held -= n;
    return true;
}

static bool hold(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    while (n > 0) {
        if (out->n_held == sizeof out->held && !write_held(out, out->n_held, err))
            return false;
        size_t room = sizeof out->held - out->n_held;
        size_t part = n < room ? n : room;
        memcpy(out->held + out->n_held, bytes, part);
        out->n_held += part;
        bytes += part;
        n -= part;
    }
    return true;
}

void output_fit(struct output *out) {
    const int columns = terminal_columns(STDOUT_FILENO);
    if (!out->file.path && isatty(STDOUT_FILENO))
        out->width = columns < 40 ? 40 : columns;
}

void output_table(struct output *out) {
    output_fit(out);
    out->is_table = out->width > 0;
}

/* Writes lines that were made for the terminal, and frees them. */
static bool write_lines(struct output *out, struct buffer *lines, struct gpt2_error *err) {
    const bool ok = lines->failed
                        ? command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for a line")
                        : hold(out, lines->data, lines->len, err);
    buffer_free(lines);
    return ok;
}

/* Writes the rows that are kept. */
static bool end_rows(struct output *out, struct gpt2_error *err) {
    struct buffer lines = {0};
    columns_end(&out->columns, &lines, out->width);
    return write_lines(out, &lines, err);
}

/* Writes the line that is kept, or keeps it as a row of a table, and forgets it. */
static bool end_line(struct output *out, const char *end, struct gpt2_error *err) {
    struct buffer lines = {0};
    if (out->is_table && columns_is_row(out->line.data, out->line.len)) {
        const bool due = columns_add(&out->columns, out->line.data, out->line.len);
        out->line.len = 0;
        return !due || end_rows(out, err);
    }
    columns_end(&out->columns, &lines, out->width);
    fold_line(&lines, out->line.data, out->line.len, out->width);
    buffer_text(&lines, end);
    lines.failed |= out->line.failed;
    out->line.len = 0;
    return write_lines(out, &lines, err);
}

static bool hold_lines(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    for (const char *newline; n > 0 && (newline = memchr(bytes, '\n', n)) != NULL;) {
        const size_t part = (size_t)(newline - bytes);
        buffer_bytes(&out->line, bytes, part);
        if (!end_line(out, "\n", err))
            return false;
        bytes += part + 1;
        n -= part + 1;
    }
    buffer_bytes(&out->line, bytes, n);
    return true;
}

bool output_flush(struct output *out, struct gpt2_error *err) {
    return (!out->line.len || end_line(out, "", err)) && end_rows(out, err) &&
           write_held(out, out->n_held, err);
}

void output_forget(struct output *out) {
    out->n_held = 0;
    out->line.len = 0;
    columns_forget(&out->columns);
}

bool output_flush_text(struct output *out, struct gpt2_error *err) {
    return write_held(out, gpt2_utf8_whole(out->held, out->n_held), err);
}

bool output_open(struct output *out, const char *path, struct gpt2_error *err) {
    return outfile_open(&out->file, path, OUTFILE_IN_PLACE, err);
}

bool output_commit(struct output *out, struct gpt2_error *err) {
    bool ok = output_flush(out, err) && outfile_commit(&out->file, err);
    output_discard(out);
    return ok;
}

bool output_is_file(const char *path) {
    return path && strcmp(path, "-") != 0;
}

bool output_begin(struct output *out, const char *path, struct gpt2_error *err) {
    return !output_is_file(path) || output_open(out, path, err);
}

bool output_end(struct output *out, struct gpt2_error *err) {
    return out->file.path ? output_commit(out, err) : output_flush(out, err);
}

void output_discard(struct output *out) {
    buffer_free(&out->line);
    buffer_free(&out->columns.kept);
    outfile_discard(&out->file);
}

bool output_bytes(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    return (out->width ? hold_lines : hold)(out, bytes, n, err);
}

bool output_string(struct output *out, const char *string, struct gpt2_error *err) {
    return output_bytes(out, string, strlen(string), err);
}

bool output_format(struct output *out, struct gpt2_error *err, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return output_bytes(out, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1, err);
}

bool output_shown(struct output *out, const char *name, struct gpt2_error *err) {
    char form[ESCAPE_BYTES];
    bool ok = true;
    for (size_t n = strlen(name), used; ok && n > 0; name += used, n -= used) {
        used = escape_message(form, (const unsigned char *)name, n);
        ok = output_string(out, form, err);
    }
    return ok;
}

bool output_json_string(struct output *out, const char *bytes, size_t n, struct gpt2_error *err) {
    char form[ESCAPE_BYTES];
    bool ok = output_string(out, "\"", err);
    for (size_t used; ok && n > 0; bytes += used, n -= used) {
        used = escape_json(form, (const unsigned char *)bytes, n);
        ok = output_string(out, form, err);
    }
    return ok && output_string(out, "\"", err);
}

int output_failed(const struct output *out, const struct gpt2_error *err) {
    return out->broken_pipe ? 128 + SIGPIPE : report(err);
}
