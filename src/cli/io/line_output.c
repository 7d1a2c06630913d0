/* line_output.c - writes a line at a time, and finds where a file of them ends. */
#include "cli/io/line_output.h"
#include "base/error_internal.h"
#include "base/fnv.h"
#include "base/look.h"
#include "base/outfile.h"
#include "base/path.h"
#include "cli/io/record_id.h"
#include "cli/io/report.h"

#include <errno.h>
#include <fcntl.h>
#include <gpt2/record.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MARK_BYTES = 40 };

/* "system_fingerprint":", which ends with the quote, or the same of another member. */
static size_t spell(char mark[MARK_BYTES], const struct line_form *form, const char *name,
                    char value) {
    return (size_t)snprintf(mark, MARK_BYTES, "\"%s\":%s%c", name, form->space, value);
}

uint64_t line_output_hash(const char *bytes, size_t n) {
    return fnv_bytes(FNV_START, bytes, n);
}

void line_output_mark(struct buffer *text, const struct line_form *form, const char *fingerprint,
                      uint64_t hash) {
    char mark[MARK_BYTES];
    spell(mark, form, "system_fingerprint", '"');
    buffer_format(text, "%s%s\",%s", mark, fingerprint, form->space);
    spell(mark, form, "input", '"');
    buffer_format(text, "%s%016" PRIx64 "\"", mark, hash);
}

/* A part of a line; NULL: it is not there. */
struct span {
    const char *bytes;
    size_t n;
};

/* What stands between the mark and the quote after it. Within a string a quote has a backslash, so
 * a mark is only ever a member. */
static struct span find_value(struct span line, const char *mark, size_t n_mark) {
    const char *end = line.bytes + line.n, *quote = line.bytes;
    for (; (quote = memchr(quote, '"', (size_t)(end - quote))); quote++) {
        if ((size_t)(end - quote) < n_mark || memcmp(quote, mark, n_mark) != 0)
            continue;
        const char *value = quote + n_mark;
        const char *close = memchr(value, '"', (size_t)(end - value));
        return close ? (struct span){value, (size_t)(close - value)} : (struct span){0};
    }
    return (struct span){0};
}

static struct span find_fingerprint(const struct line_form *form, struct span line) {
    char mark[MARK_BYTES];
    return find_value(line, mark, spell(mark, form, "system_fingerprint", '"'));
}

/* The hash stands right after the fingerprint. */
static struct span find_hash(const struct line_form *form, struct span line) {
    struct span fingerprint = find_fingerprint(form, line);
    if (!fingerprint.bytes)
        return fingerprint;
    char mark[MARK_BYTES];
    const size_t n = spell(mark, form, "input", '"');
    const char *at = fingerprint.bytes + fingerprint.n + 2 + strlen(form->space); // after ",
    const char *end = line.bytes + line.n;
    if (at >= end || (size_t)(end - at) < n || memcmp(at, mark, n) != 0)
        return (struct span){0};
    return find_value((struct span){at, (size_t)(end - at)}, mark, n);
}

/* The id, as JSON, which stands first in the line. */
static struct span find_id(const struct line_form *form, struct span line) {
    for (int i = 0; form->starts[i]; i++) {
        const size_t n_start = strlen(form->starts[i]);
        if (line.n < n_start || memcmp(line.bytes, form->starts[i], n_start) != 0)
            continue;
        const char *id = line.bytes + n_start, *end = line.bytes + line.n, *at = id;
        for (bool quoted = false; at < end && (quoted || *at != ','); at++) {
            quoted ^= *at == '"';
            at += quoted && *at == '\\' && at + 1 < end;
        }
        return (struct span){id, (size_t)(at - id)};
    }
    return (struct span){"nothing", 7};
}

/* The place of the line that ends before `end`. */
static size_t line_start(const char *data, size_t end) {
    size_t at = end - 1;
    while (at > 0 && data[at - 1] != '\n')
        at--;
    return at;
}

/* How far the file is good: to the end of the last line that is a JSON object, which is *last. A
 * machine that lost power may have left other bytes after it. False: out of memory, and nothing is
 * known. */
static bool find_good_end(struct span *last, size_t *good, const char *data, size_t n,
                          struct gpt2_error *err) {
    while (n > 0 && data[n - 1] != '\n')
        n--;
    for (*good = n; n > 0; *good = n) {
        size_t start = line_start(data, n);
        struct gpt2_error fault = {0};
        struct gpt2_record *record = gpt2_record_parse(data + start, n - 1 - start, &fault);
        gpt2_record_free(record);
        if (record) {
            *last = (struct span){data + start, n - 1 - start};
            return true;
        }
        if (fault.status == GPT2_ERR_MEMORY)
            return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the last line");
        n = start;
    }
    return true;
}

/* True where a file without a whole line can be one that a job began: the beginning of its first
 * line, or nothing but zeros, as some file systems leave them where power is lost. */
static bool is_begun(const struct line_form *form, const char *data, size_t n) {
    size_t n_zeros = 0;
    while (n_zeros < n && data[n_zeros] == 0)
        n_zeros++;
    if (n_zeros == n)
        return true;
    for (int i = 0; form->starts[i]; i++) {
        size_t len = strlen(form->starts[i]);
        if (!memcmp(data, form->starts[i], len < n ? len : n) && !memchr(data, '\n', n))
            return true;
    }
    return false;
}

/* Memory does not grow with the file: what was read up to `at` is given back, a stretch at a time.
 */
static void forget(const struct line_output *out, size_t before, size_t at) {
    const size_t stretch = (size_t)8 << 20, from = before / stretch * stretch;
    if (at / stretch != before / stretch)
        os_forget(&out->found, out->found.data + from, at / stretch * stretch - from);
}

/* Compares the last whole line with this run. */
static bool check_last(const struct line_request *request, struct span last,
                       struct gpt2_error *err) {
    const struct span found = find_fingerprint(request->form, last);
    if (!found.bytes)
        return command_error(err, GPT2_ERR_USAGE, "name another --output; nothing was changed",
                             "--resume: %s: expected the output of such a job, found another file",
                             request->path);
    if (!find_hash(request->form, last).bytes)
        return command_error(err, GPT2_ERR_USAGE, "name another --output; nothing was changed",
                             "--resume: %s: expected \"input\" in its lines, to compare them with "
                             "the input, found none, as versions up to 0.1.0 wrote them",
                             request->path);
    if (found.n != strlen(request->fingerprint) ||
        memcmp(found.bytes, request->fingerprint, found.n) != 0)
        return command_error(
            err, GPT2_ERR_USAGE, "give the same model and options, or another --output",
            "--resume: %s was made with another model or other options: expected "
            "system_fingerprint %s, found %.*s",
            request->path, request->fingerprint, (int)(found.n < 40 ? found.n : 40), found.bytes);
    return true;
}

static bool resume(struct line_output *out, const struct line_request *request,
                   struct gpt2_error *err) {
    const char *path = request->path;
    const struct line_form *form = request->form;
    struct stat info;
    if (fstat(out->fd, &info) != 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot look at %s", path);
    if (!S_ISREG(info.st_mode))
        return usage_error(err, "--resume: %s is no regular file", path);
    if (!os_map_open(&out->found, out->fd, path, GPT2_ERR_RUNTIME, err))
        return false;
    const char *data = (const char *)out->found.data;
    const size_t size = out->found.size;
    struct span last = {0};
    size_t good;
    if (size == 0 || !find_good_end(&last, &good, data, size, err))
        return size == 0;
    if (good == 0 && !is_begun(form, data, size))
        last = (struct span){"", 0};
    if (last.bytes && !check_last(request, last, err))
        return false;
    char error[MARK_BYTES];
    const size_t n_error = spell(error, form, "error", '{');
    bool is_error = false;
    for (size_t i = 0; i < good; i++) {
        forget(out, i ? i - 1 : 0, i);
        if (data[i] == '"' && good - i > n_error && !memcmp(data + i, error, n_error))
            is_error = true;
        if (data[i] == '\n') {
            out->n_found++;
            out->n_errors += is_error;
            is_error = false;
        }
    }
    out->n_kept = good;
    return true;
}

/* Where the first line of this run is to stand. */
static bool cut(struct line_output *out, struct gpt2_error *err) {
    if (!out->is_to_cut)
        return true;
    out->is_to_cut = false;
    os_unmap(&out->found);
    return (ftruncate(out->fd, (off_t)out->n_kept) == 0 && lseek(out->fd, 0, SEEK_END) >= 0) ||
           error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot cut %s", out->path);
}

/* Two jobs on one file would mix their lines. False: another process has it. Where the file system
 * has no locks there is none. */
static bool take_lock(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &lock) == 0 || (errno != EACCES && errno != EAGAIN);
}

bool line_output_open(struct line_output *out, const struct line_request *request,
                      struct gpt2_error *err) {
    const char *path = request->path;
    out->form = request->form;
    out->path = !path || !strcmp(path, "-") ? "standard output" : path;
    if (!path || !strcmp(path, "-")) {
        if (request->resume)
            return usage_error(err, "--resume needs an --output file");
        out->fd = STDOUT_FILENO;
        return true;
    }
    struct stat there;
    int stream;
    if (!outfile_stream(&stream, path, err) ||
        !look_at(&there, path, LOOK_THROUGH, GPT2_ERR_RUNTIME, err))
        return false;
    if (stream >= 0 && request->resume)
        return usage_error(err, "--resume: %s is no file of its own", path);
    if (stream >= 0) {
        out->fd = fcntl(stream, F_DUPFD_CLOEXEC, 3);
        if (out->fd < 0) {
            out->fd = 0;
            return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot open %s", path);
        }
        return true;
    }
    const bool exists = there.st_mode != 0;
    // a FIFO that is opened for reading, too, does not wait for its reader
    const bool special = exists && !S_ISREG(there.st_mode);
    const int access = special && !request->resume ? O_WRONLY : O_RDWR;
    int fd = open(path, access | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot open %s", path);
    out->fd = fd;
    if (!special && !take_lock(fd))
        return command_error(err, GPT2_ERR_RUNTIME, "name another --output",
                             "--output: another process writes to %s", path);
    out->is_to_cut = !special;
    if (!exists && !(out->folder = path_directory(path, err)))
        return false;
    return !request->resume || resume(out, request, err);
}

/* The id of a line of the input, as JSON: for the message alone. */
static void read_input_id(const struct record_line *line, struct buffer *id) {
    struct gpt2_error ignored; // a bad line has its number
    struct gpt2_record *record =
        line->is_json ? gpt2_record_parse(line->bytes, line->n, &ignored) : NULL;
    record_id_find(id, record, line->number);
    gpt2_record_free(record);
}

static bool refuse_line(const struct line_output *out, const struct record_line *line,
                        struct span found, struct gpt2_error *err) {
    struct buffer id = {0};
    read_input_id(line, &id);
    const struct span old = find_id(out->form, found), hash = find_hash(out->form, found);
    command_error(
        err, GPT2_ERR_USAGE, "give the same --input and --shard, or another --output",
        "--resume: %s, line %" PRIu64 ", does not answer %s, line %" PRIu64
        ": expected id %.60s and input %016" PRIx64 ", found id %.*s and input %.*s",
        out->path, out->n_passed + 1, line->input, line->number + 1, id.data ? id.data : "",
        line_output_hash(line->bytes, line->n), (int)(old.n < 60 ? old.n : 60), old.bytes,
        hash.bytes ? (int)(hash.n < 16 ? hash.n : 16) : 4, hash.bytes ? hash.bytes : "none");
    buffer_free(&id);
    return false;
}

bool line_output_pass(struct line_output *out, const struct record_line *line, bool *is_done,
                      struct gpt2_error *err) {
    *is_done = out->n_passed < out->n_found;
    if (!*is_done)
        return true;
    const char *start = (const char *)out->found.data + out->found_at;
    const char *feed = memchr(start, '\n', out->n_kept - out->found_at);
    struct span found = {start, feed ? (size_t)(feed - start) : out->n_kept - out->found_at};
    const struct span hash = find_hash(out->form, found);
    char expected[17];
    snprintf(expected, sizeof expected, "%016" PRIx64, line_output_hash(line->bytes, line->n));
    if (hash.n != strlen(expected) || memcmp(hash.bytes, expected, hash.n) != 0)
        return refuse_line(out, line, found, err);
    forget(out, out->found_at, out->found_at + found.n + 1);
    out->found_at += found.n + 1;
    out->n_passed++;
    return true;
}

bool line_output_passed(const struct line_output *out, struct gpt2_error *err) {
    return out->n_passed == out->n_found ||
           usage_error(err,
                       "--resume: the output has more lines than the input has records: %s has "
                       "%" PRIu64 ", the input %" PRIu64,
                       out->path, out->n_found, out->n_passed);
}

bool line_output_line(struct line_output *out, const char *line, size_t n, struct gpt2_error *err) {
    if (!cut(out, err))
        return false;
    while (n > 0) {
        ssize_t wrote = write(out->fd, line, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            out->broken_pipe = errno == EPIPE;
            return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot write to %s", out->path);
        }
        line += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

bool line_output_close(struct line_output *out, bool ended, struct gpt2_error *err) {
    bool is_cut = !ended || cut(out, err);
    os_unmap(&out->found);
    int fd = out->fd;
    out->fd = 0;
    if (fd <= STDOUT_FILENO)
        return true;
    bool ok = fsync(fd) == 0 || errno == EINVAL || errno == EROFS; // a pipe, a device
    ok = ok && (!out->folder || os_sync_folder(out->folder));
    free(out->folder);
    out->folder = NULL;
    ok = close(fd) == 0 && ok;
    return !is_cut ? false
           : ok    ? true
                   : error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot write to %s", out->path);
}
