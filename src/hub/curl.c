/* curl.c - runs the curl program, and reads what it writes. */
#include "hub/curl.h"
#include "base/buffer.h"
#include "base/confine.h"
#include "base/error_internal.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <gpt2/version.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_NS 100000000u /* between two calls of `watch` */

/* Appends name = "value" as curl's configuration has it. What would end the quotes is escaped. */
static void option(struct buffer *config, const char *name, const char *prefix, const char *value) {
    buffer_format(config, "%s = \"%s", name, prefix);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buffer_byte(config, '\\');
        buffer_byte(config, (char)*value);
    }
    buffer_text(config, "\"\n");
}

/* The token is a header of our own: curl shows such a header to the host it asks, not to those it
 * is redirected to (since 7.58, 2018). From https nothing leads back to http. */
static void write_config(struct buffer *config, const struct curl_request *request) {
    bool secure = strncmp(request->url, "https:", 6) == 0;
    option(config, "url", "", request->url);
    if (request->token)
        option(config, "header", "Authorization: Bearer ", request->token);
    option(config, "user-agent", "gpt2/", GPT2_VERSION);
    option(config, "proto", "", secure ? "=https" : "=http,https");
    option(config, "proto-redir", "", secure ? "=https" : "=http,https");
    if (request->offset)
        buffer_format(config, "continue-at = %" PRIu64 "\n", request->offset);
    buffer_format(config,
                  "location\nfail\nsilent\nshow-error\ngloboff\nmax-redirs = 10\n"
                  "max-filesize = %" PRIu64
                  "\nconnect-timeout = %u\nspeed-limit = 1\nspeed-time = %u\n"
                  "write-out = \"\\n" CURL_WORD "%%{http_code}\\n\"\n",
                  request->max_bytes, request->stall, request->stall);
}

static void close_pipe(int ends[2]) {
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
        ends[i] = -1;
    }
}

/* Both ends are above the standard three, which may be closed in this process: they are put in the
 * place of those in curl. On failure both are -1. */
static bool make_pipe(int ends[2]) {
    int made[2];
    ends[0] = ends[1] = -1;
    if (pipe(made) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        ends[i] = fcntl(made[i], F_DUPFD_CLOEXEC, 3);
    int reason = errno;
    close_pipe(made);
    if (ends[0] >= 0 && ends[1] >= 0)
        return true;
    close_pipe(ends);
    errno = reason;
    return false;
}

/* A pipe that already holds the configuration: it is far smaller than a pipe's buffer, so the
 * write does not wait, and no program that may have died is written to. Returns the end to read,
 * -1. */
static int config_pipe(const struct curl_request *request) {
    int ends[2];
    if (!make_pipe(ends))
        return -1;
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    struct buffer config = {0};
    write_config(&config, request);
    ssize_t put = -1;
    do
        put = config.failed ? -1 : write(ends[1], config.data, config.len);
    while (!config.failed && put < 0 && errno == EINTR);
    const int reason = config.failed ? ENOMEM : errno;
    const bool ok = put == (ssize_t)config.len;
    if (config.data)
        memset(config.data, 0, config.len); // the token
    buffer_free(&config);
    close(ends[1]);
    if (ok)
        return ends[0];
    close(ends[0]);
    errno = reason;
    return -1;
}

/* What curl is, seen from here. */
struct child {
    pid_t pid;
    int body; /* the pipe of its standard output: the file, then the trailer; -1: closed */
    int said; /* of its standard error; -1: closed                                       */
};

/* In the child, between fork and exec: only what may be called there. */
static void become_curl(pid_t parent, int in, int body, int said, int failure) {
    // --disable: a ~/.curlrc made for interactive use must not change what is written where.
    static char *const argv[] = {"curl", "--disable", "--config", "-", NULL};
    os_end_with_parent();
    confine_child();         // what it reads from the network goes to its standard output
    if (getppid() != parent) // it died before this call, and sends no signal any more
        _exit(127);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(body, STDOUT_FILENO) >= 0 &&
        dup2(said, STDERR_FILENO) >= 0)
        execvp(argv[0], argv);
    int reason = errno;
    _exit(write(failure, &reason, sizeof reason) > 0 ? 127 : 126);
}

/* Starts curl with `in` as its input. Returns 0 or an errno. */
static int start(struct child *child, int in) {
    int body[2] = {-1, -1}, said[2] = {-1, -1}, failure[2] = {-1, -1}, reason = 0;
    pid_t self = getpid();
    if (!make_pipe(body) || !make_pipe(said) || !make_pipe(failure) || (child->pid = fork()) < 0) {
        reason = errno;
    } else if (child->pid == 0) {
        become_curl(self, in, body[1], said[1], failure[1]);
    } else { // the pipe closes without a word when curl is there
        close(failure[1]);
        failure[1] = -1;
        ssize_t got;
        do
            got = read(failure[0], &reason, sizeof reason);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            reason = errno;
        else if (got != (ssize_t)sizeof reason)
            reason = 0;
        if (got < 0) // it still has our handlers, or a SIGTERM that is ignored
            kill(child->pid, SIGKILL);
        if (reason)
            waitpid(child->pid, NULL, 0);
    }
    child->body = reason ? -1 : body[0];
    child->said = reason ? -1 : said[0];
    if (!reason)
        body[0] = said[0] = -1;
    close_pipe(body);
    close_pipe(said);
    close_pipe(failure);
    return reason;
}

/* ---- while it runs ---- */

struct curl_stream {
    const struct curl_request *request;
    struct curl_result *result;
    struct curl_output output;
    int failed; /* errno of a read that failed */
};

/* One read of a pipe that waits: "not ready" is a failure, too. -1: interrupted, or it failed,
 * which is noted; 0: the end. */
static ssize_t read_some(struct curl_stream *s, int fd, void *data, size_t cap) {
    ssize_t got = read(fd, data, cap);
    if (got < 0 && errno != EINTR)
        s->failed = errno;
    return got;
}

/* Until curl has closed both pipes. False: it is to be ended. */
static bool attend(struct curl_stream *s, struct child *child) {
    uint64_t last = os_now_ns();
    while (child->body >= 0 || child->said >= 0) {
        struct pollfd ready[2] = {{.fd = child->body, .events = POLLIN},
                                  {.fd = child->said, .events = POLLIN}};
        int n = poll(ready, 2, 100);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            s->failed = errno;
        if (n > 0 && ready[0].revents) {
            size_t cap;
            void *room = curl_output_room(&s->output, &cap);
            ssize_t got = read_some(s, child->body, room, cap);
            if (got > 0 && !curl_output_take(&s->output, (size_t)got, s->result))
                return false;
            if (got == 0) {
                close(child->body);
                child->body = -1;
            }
        }
        if (n > 0 && ready[1].revents) {
            char piece[512];
            ssize_t got = read_some(s, child->said, piece, sizeof piece);
            if (got > 0)
                curl_output_say(&s->output, piece, (size_t)got);
            if (got == 0) {
                close(child->said);
                child->said = -1;
            }
        }
        if (s->failed)
            return false;
        if (s->request->watch && os_now_ns() - last >= TICK_NS) {
            last = os_now_ns();
            s->result->stopped = !s->request->watch(s->request->user);
            if (s->result->stopped)
                return false;
        }
    }
    return true;
}

bool curl_run(const struct curl_request *request, struct curl_result *result,
              struct gpt2_error *err) {
    *result = (struct curl_result){0};
    struct curl_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return error_memory(err, "a transfer", sizeof *stream);
    stream->request = request;
    stream->result = result;
    stream->output.room = request->max_bytes - request->offset;
    stream->output.take = request->take;
    stream->output.user = request->user;
    struct child child = {.pid = -1, .body = -1, .said = -1};
    int in = config_pipe(request), failed = in < 0 ? errno : start(&child, in), status = 0;
    if (in < 0) {
        error_errno(err, GPT2_ERR_RUNTIME, failed, "cannot prepare a transfer");
    } else if (failed) {
        error_errno(err, GPT2_ERR_RUNTIME, failed, "cannot start the program curl");
        if (failed == ENOENT)
            error_hint(err, "install curl, for example with: apt-get install curl");
    } else {
        if (!attend(stream, &child))
            kill(child.pid, SIGKILL); // it has no file of its own to put in order
        close_pipe((int[2]){child.body, child.said});
        while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
            ;
        curl_output_end(&stream->output, status, result);
        failed = stream->failed;
        if (failed)
            error_errno(err, GPT2_ERR_RUNTIME, failed, "cannot read from the program curl");
    }
    if (in >= 0)
        close(in);
    free(stream);
    return in >= 0 && !failed;
}
