/* bulk_output.c - writes the lines of a bulk job, and resumes a file of them. */
#include "cli/generate/bulk_output.h"
#include "base/fnv.h"
#include "base/os.h"
#include "base/outfile.h"
#include "base/path.h"
#include "cli/generate/bulk_record.h"
#include "cli/io/report.h"

#include <errno.h>
#include <fcntl.h>
#include <gpt2/lora.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void mix(uint64_t *hash, const void *bytes, size_t n) {
    *hash = fnv_bytes(*hash, bytes, n);
}

/* What the model computes for some tokens stands for its weights: every machine gets the same bits,
 * from any file format. */
static bool mix_model(uint64_t *hash, const struct bulk_job *job, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(job->model);
    int32_t ids[16];
    int n = config->n_ctx < 16 ? config->n_ctx : 16;
    for (int i = 0; i < n; i++)
        ids[i] = (int32_t)((int64_t)i * 7919 % config->n_vocab);
    struct gpt2_session *session = gpt2_session_create(
        job->model, &(struct gpt2_session_options){.n_ctx = n, .kv = job->kv}, err);
    struct gpt2_batch *batch =
        session ? gpt2_batch_create(job->model, job->runtime, NULL, err) : NULL;
    struct gpt2_span span = {.session = session, .ids = ids, .n_ids = n, .n_logits = 1};
    bool ok = batch && gpt2_batch_run(batch, &span, 1, err);
    if (ok)
        mix(hash, gpt2_batch_logits(batch, 0, 0), (size_t)config->n_vocab * sizeof(float));
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    for (int32_t id = 0; ok && id < gpt2_tokenizer_size(job->tokenizer); id++) {
        size_t n_bytes;
        const char *bytes = gpt2_tokenizer_token(job->tokenizer, id, &n_bytes);
        mix(hash, bytes, n_bytes);
        mix(hash, &id, sizeof id);
    }
    return ok;
}

static bool make_fingerprint(struct bulk_output *out, const struct bulk_job *job,
                             const struct settings *s, struct gpt2_error *err) {
    uint64_t hash = FNV_START;
    if (!mix_model(&hash, job, err))
        return false;
    // every option that a record could set, so that a new one counts by itself
    struct settings settings = *s;
    struct option table[SETTINGS_MAX];
    settings_table(table, &settings);
    struct buffer text = {0};
    options_print(table, &text);
    buffer_format(&text, "input-format=%d\nmodel=", (int)job->options->format);
    buffer_json(&text, job->model_name, strlen(job->model_name));
    struct gpt2_adapter_info adapter;
    for (size_t i = 0; gpt2_model_adapter(job->model, i, &adapter); i++) {
        buffer_format(&text, "\nadapter=%.17g*", adapter.scale);
        buffer_json(&text, adapter.path, strlen(adapter.path));
    }
    if (text.failed) {
        buffer_free(&text);
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the fingerprint");
    }
    mix(&hash, text.data, text.len);
    buffer_free(&text);
    snprintf(out->fingerprint, sizeof out->fingerprint, "gpt2_%016" PRIx64, hash);
    return true;
}

/* The place of the line that ends before `end`. */
static size_t line_start(const char *data, size_t end) {
    size_t at = end - 1;
    while (at > 0 && data[at - 1] != '\n')
        at--;
    return at;
}

/* How far the file is good: to the end of the last line that is a JSON object. A machine that lost
 * power may have left other bytes after it. False: out of memory, and nothing is known. */
static bool find_good_end(struct bulk_output *out, size_t *good, const char *data, size_t n,
                          struct gpt2_error *err) {
    while (n > 0 && data[n - 1] != '\n')
        n--;
    for (*good = n; n > 0; *good = n) {
        size_t start = line_start(data, n);
        struct gpt2_error fault = {0};
        struct gpt2_record *record = gpt2_record_parse(data + start, n - 1 - start, &fault);
        gpt2_record_free(record);
        if (record)
            buffer_bytes(&out->last, data + start, n - 1 - start);
        if (out->last.failed || (!record && fault.status == GPT2_ERR_MEMORY))
            return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the last line");
        if (record)
            return true;
        n = start;
    }
    return true;
}

/* True where a file without a whole line can be one that a job began: the beginning of its first
 * line, or nothing but zeros, as some file systems leave them where power is lost. */
static bool is_begun(const char *data, size_t n) {
    static const char *const starts[] = {"{\"id\":", "{\"custom_id\":"};
    size_t n_zeros = 0;
    while (n_zeros < n && data[n_zeros] == 0)
        n_zeros++;
    if (n_zeros == n)
        return true;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t len = strlen(starts[i]);
        if (!memcmp(data, starts[i], len < n ? len : n) && !memchr(data, '\n', n))
            return true;
    }
    return false;
}

static bool resume(struct bulk_output *out, const char *path, uint64_t *n_done,
                   struct gpt2_error *err) {
    struct stat info;
    if (fstat(out->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return usage_error(err, "--resume: %s is no regular file", path);
    struct os_file file;
    if (!os_map_open(&file, out->fd, path, GPT2_ERR_RUNTIME, err))
        return false;
    const char *data = (const char *)file.data;
    const size_t size = file.size;
    size_t good;
    if (size == 0 || !find_good_end(out, &good, data, size, err)) {
        os_unmap(&file);
        return size == 0;
    }
    bool foreign = good == 0 && !is_begun(data, size);
    static const char error[] = "\"error\":{"; // quotes in a string would have backslashes
    for (size_t i = 0; i < good; i++) {
        *n_done += data[i] == '\n';
        if (data[i] == '"' && good - i >= sizeof error &&
            !memcmp(data + i, error, sizeof error - 1))
            out->had_errors = true;
    }
    os_unmap(&file);
    if (foreign || (good > 0 && !strstr(out->last.data, "\"system_fingerprint\":\"gpt2_")))
        return command_error(err, GPT2_ERR_USAGE, "name another --output; nothing was changed",
                             "--resume: %s: expected the output of such a job, found another file",
                             path);
    char mark[64];
    snprintf(mark, sizeof mark, "\"system_fingerprint\":\"%s\"", out->fingerprint);
    if (good > 0 && !strstr(out->last.data, mark))
        return command_error(err, GPT2_ERR_USAGE,
                             "give the same model and options, or another --output",
                             "--resume: %s was made with another model or other options", path);
    if (ftruncate(out->fd, (off_t)good) != 0 || lseek(out->fd, 0, SEEK_END) < 0)
        return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot cut %s: %s", path,
                             strerror(errno));
    return true;
}

bool bulk_output_open(struct bulk_output *out, const struct bulk_job *job,
                      const struct settings *settings, int input_fd, uint64_t *n_done,
                      struct gpt2_error *err) {
    const struct bulk_options *o = job->options;
    if (!make_fingerprint(out, job, settings, err))
        return false;
    if (!strcmp(o->output, "-")) {
        if (o->resume)
            return usage_error(err, "--resume needs an --output file");
        out->fd = STDOUT_FILENO;
        return true;
    }
    struct stat in, there;
    int stream = outfile_stream(o->output);
    if (stream >= 0 && o->resume)
        return usage_error(err, "--resume: %s is no file of its own", o->output);
    if (stream >= 0) {
        out->fd = fcntl(stream, F_DUPFD_CLOEXEC, 3);
        if (out->fd < 0) {
            out->fd = 0;
            return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot open %s: %s", o->output,
                                 strerror(errno));
        }
        return true;
    }
    bool exists = stat(o->output, &there) == 0;
    if (exists && fstat(input_fd, &in) == 0 && in.st_ino == there.st_ino &&
        in.st_dev == there.st_dev)
        return usage_error(err, "--output: %s is the input", o->output);
    // a FIFO that is opened for reading, too, does not wait for its reader
    int access = exists && !S_ISREG(there.st_mode) && !o->resume ? O_WRONLY : O_RDWR;
    int fd = open(o->output, access | O_CREAT | O_CLOEXEC | (o->resume ? 0 : O_TRUNC), 0666);
    if (fd < 0)
        return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot open %s: %s", o->output,
                             strerror(errno));
    out->fd = fd;
    if (!exists && !(out->folder = path_directory(o->output, err)))
        return false;
    return !o->resume || resume(out, o->output, n_done, err);
}

bool bulk_output_check(const struct bulk_output *out, const char *line, size_t n, bool is_json,
                       uint64_t number, const struct bulk_job *job, struct gpt2_error *err) {
    struct bulk_record record;
    struct gpt2_error ignored; // a bad record has its error line
    bulk_record_read(&record, line, n, is_json, number, job->settings, job->tokenizer, &ignored);
    const char *start = strchr(out->last.data, ':');
    size_t len = record.id.len;
    bool same = start && !strncmp(start + 1, record.id.data, len) && start[1 + len] == ',';
    if (!same)
        command_error(err, GPT2_ERR_USAGE, "give the same --input and --shard",
                      "--resume: the last line of the output is not of record %.100s of the input",
                      record.id.data);
    bulk_record_free(&record);
    return same;
}

bool bulk_output_line(struct bulk_output *out, const char *line, size_t n, struct gpt2_error *err) {
    while (n > 0) {
        ssize_t wrote = write(out->fd, line, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            out->broken_pipe = errno == EPIPE;
            return command_error(err, GPT2_ERR_RUNTIME, NULL, "cannot write the output: %s",
                                 strerror(errno));
        }
        line += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

bool bulk_output_close(struct bulk_output *out, struct gpt2_error *err) {
    buffer_free(&out->last);
    int fd = out->fd;
    out->fd = 0;
    if (fd <= STDOUT_FILENO)
        return true;
    bool ok = fsync(fd) == 0 || errno == EINVAL || errno == EROFS; // a pipe, a device
    ok = ok && (!out->folder || os_sync_folder(out->folder));
    free(out->folder);
    out->folder = NULL;
    return close(fd) == 0 && ok ? true
                                : command_error(err, GPT2_ERR_RUNTIME, NULL,
                                                "cannot write the output: %s", strerror(errno));
}
