/* input.c - reads text from files and pipes: byte order marks, line ends, waiting. */
#include "cli/io/input.h"
#include "base/encoding.h"
#include "base/error_internal.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

bool input_open(struct input *input, const char *path, enum input_form form,
                struct gpt2_error *err) {
    bool is_file = strcmp(path, "-") != 0;
    *input = (struct input){.name = is_file ? path : "standard input", .form = form};
    input->fd = is_file ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    return input->fd >= 0 || error_errno(err, GPT2_ERR_INPUT, errno, "cannot open %s", path);
}

void input_close(struct input *input) {
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    input->fd = -1;
}

bool input_would_block(const struct input *input) {
    struct pollfd file = {.fd = input->fd, .events = POLLIN};
    return poll(&file, 1, 0) == 0;
}

/* One read of the file, at least a byte unless it is at its end. */
static bool read_some(struct input *input, char *bytes, size_t cap, size_t *n,
                      struct gpt2_error *err) {
    if (input->idle && input_would_block(input) && !input->idle(input->idle_user, err))
        return false;
    ssize_t got;
    do
        got = read(input->fd, bytes, cap);
    while (got < 0 && errno == EINTR && !signals_caught());
    if (got < 0 && !signals_caught())
        return error_errno(err, GPT2_ERR_INPUT, errno, "cannot read %s", input->name);
    *n = got > 0 ? (size_t)got : 0;
    return true;
}

/* Reads the first bytes, as many as tell the encoding, and takes the mark off. */
static bool begin(struct input *input, char *bytes, size_t cap, size_t *n, struct gpt2_error *err) {
    const unsigned char *s = (const unsigned char *)bytes;
    size_t got = 1;
    *n = 0;
    while (got > 0 && *n < encoding_needs(s, *n)) {
        if (!read_some(input, bytes + *n, cap - *n, &got, err))
            return false;
        *n += got;
    }
    const char *foreign = encoding_foreign(s, *n, &input->n_skipped);
    if (foreign) {
        command_error(err, GPT2_ERR_INPUT, NULL, "%s: expected UTF-8, found %s", input->name,
                      foreign);
        return error_hint(err, "iconv -f %s -t UTF-8 makes UTF-8 of it", foreign);
    }
    *n -= input->n_skipped;
    memmove(bytes, bytes + input->n_skipped, *n);
    return *n > 0 || got == 0 || read_some(input, bytes, cap, n, err);
}

/* Makes each "\r\n" of bytes[0..n) one "\n"; a "\r" at the end is kept back. The new length. */
static size_t join_line_ends(struct input *input, char *bytes, size_t n) {
    size_t to = 0;
    input->has_cr = bytes[n - 1] == '\r';
    for (size_t from = 0; from < n; from++)
        if (bytes[from] != '\r' || (from + 1 < n && bytes[from + 1] != '\n'))
            bytes[to++] = bytes[from];
    return to;
}

bool input_read(struct input *input, char *bytes, size_t cap, size_t *n, struct gpt2_error *err) {
    bool begins = !input->begun && input->form != INPUT_AS_BYTES;
    input->begun = true;
    do {
        size_t held = input->has_cr; // a "\r" that was kept back goes first
        bytes[0] = '\r';
        if (!(begins ? begin(input, bytes, cap, n, err)
                     : read_some(input, bytes + held, cap - held, n, err)))
            return false;
        begins = false;
        input->has_cr = false;
        bool at_end = *n == 0;
        *n += held;
        if (at_end || input->form != INPUT_AS_TEXT)
            return true;
        *n = join_line_ends(input, bytes, *n);
    } while (*n == 0);
    return true;
}

size_t input_line_end(const char *bytes, size_t n) {
    return n > 0 && bytes[n - 1] == '\r' ? n - 1 : n;
}

bool input_too_long(const struct input *input, const char *what, struct gpt2_error *err) {
    return command_error(err, GPT2_ERR_INPUT, NULL, "%s: expected %s of at most %d MiB, found more",
                         input->name, what, INPUT_MAX_MIB);
}
