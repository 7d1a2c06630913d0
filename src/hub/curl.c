#include "hub/curl.h"
#include "base/error_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <gpt2/version.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define MARK "gpt2-status " /* in front of what --write-out says, behind what curl says */

/* Appends name = "value" as curl's configuration has it. What would end the quotes is escaped. */
static void option(FILE *config, const char *name, const char *prefix, const char *value) {
    fprintf(config, "%s = \"%s", name, prefix);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            fputc('\\', config);
        fputc(*value, config);
    }
    fputs("\"\n", config);
}

/* The token is a header of our own: curl shows such a header to the host it asks, not to those it
 * is redirected to (since 7.58, 2018). From https nothing leads back to http. */
static void write_config(FILE *config, const struct curl_request *request) {
    bool secure = strncmp(request->url, "https:", 6) == 0;
    option(config, "url", "", request->url);
    option(config, "output", "", request->path);
    if (request->token)
        option(config, "header", "Authorization: Bearer ", request->token);
    option(config, "user-agent", "gpt2/", GPT2_VERSION);
    option(config, "proto", "", secure ? "=https" : "=http,https");
    option(config, "proto-redir", "", secure ? "=https" : "=http,https");
    if (request->offset)
        fprintf(config, "continue-at = %" PRIu64 "\n", request->offset);
    fprintf(config,
            "location\nfail\nsilent\nshow-error\ngloboff\nmax-redirs = 10\n"
            "max-filesize = %" PRIu64 "\nconnect-timeout = %u\nspeed-limit = 1\nspeed-time = %u\n"
            "write-out = \"\\n" MARK "%%{http_code}\\n\"\n",
            request->max_bytes, request->stall, request->stall);
}

/* A pipe that already holds the configuration: it is far smaller than a pipe's buffer, so nobody
 * waits, and there is no writing to a program that may have died. Returns the end to read, -1. */
static int config_pipe(const struct curl_request *request) {
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    char *text = NULL;
    size_t n = 0;
    FILE *config = open_memstream(&text, &n);
    if (config)
        write_config(config, request);
    bool ok = config && fclose(config) == 0 && write(ends[1], text, n) == (ssize_t)n;
    if (text)
        memset(text, 0, n); // the token
    free(text);
    close(ends[1]);
    if (ok)
        return ends[0];
    close(ends[0]);
    return -1;
}

/* Starts curl with `in` as its input and *out as what it says. Returns 0 or an errno. */
static int start(pid_t *child, int in, int *out) {
    // --disable: a ~/.curlrc made for interactive use must not change what is written where.
    char *argv[] = {"curl", "--disable", "--config", "-", NULL};
    int ends[2];
    if (pipe(ends) != 0)
        return errno;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);
    if (!failed) {
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
        failed = posix_spawnp(child, "curl", &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (failed)
        close(ends[0]);
    *out = ends[0];
    return failed;
}

/* Reads what curl says until it ends; what does not fit is dropped. False: `watch` ended it. */
static bool listen(const struct curl_request *request, int out, char *said, size_t cap) {
    size_t n = 0;
    for (;;) {
        char piece[512];
        struct pollfd ready = {.fd = out, .events = POLLIN};
        if (poll(&ready, 1, 100) > 0) {
            ssize_t got = read(out, piece, sizeof piece);
            if (got == 0 || (got < 0 && errno != EINTR))
                break;
            for (ssize_t i = 0; i < got && n + 1 < cap; i++)
                said[n++] = piece[i];
        }
        if (request->watch && !request->watch(request->user))
            return false;
    }
    said[n] = 0;
    return true;
}

static void understand(struct curl_result *result, char *said, int status) {
    result->exit = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    char *mark = strstr(said, MARK);
    if (mark) {
        result->http = atoi(mark + strlen(MARK));
        *mark = 0;
    }
    // "curl: (6) Could not resolve host: huggingface.co"
    char *text =
        strncmp(said, "curl: (", 7) == 0 && strstr(said, ") ") ? strstr(said, ") ") + 2 : said;
    snprintf(result->message, sizeof result->message, "%.*s", (int)strcspn(text, "\r\n"), text);
}

bool curl_run(const struct curl_request *request, struct curl_result *result,
              struct gpt2_error *err) {
    *result = (struct curl_result){0};
    char said[2048] = "";
    int in = config_pipe(request), out = -1, status = 0;
    if (in < 0)
        return error_set(err, GPT2_ERR_RUNTIME, "cannot prepare a transfer: %s", strerror(errno));
    pid_t child;
    int failed = start(&child, in, &out);
    close(in);
    if (failed) {
        error_set(err, GPT2_ERR_RUNTIME, "cannot start the program curl: %s", strerror(failed));
        return error_hint(err, "install curl, for example with: apt-get install curl");
    }
    result->stopped = !listen(request, out, said, sizeof said);
    if (result->stopped)
        kill(child, SIGTERM);
    close(out);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    understand(result, said, status);
    // Programs that cannot be executed end with 127, as posix_spawnp may find out too late.
    if (result->exit == 127)
        return error_set(err, GPT2_ERR_RUNTIME, "cannot start the program curl");
    return true;
}
