/* progress.c - shows how far a bulk job is. */
#include "cli/terminal/progress.h"
#include "base/os.h"
#include "base/plural.h"
#include "cli/io/terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAR 20 /* columns */

struct progress progress_begin(int input_fd, uint64_t n_resumed, uint64_t n_failed, bool json,
                               bool quiet) {
    struct progress p = {
        .json = json, .quiet = quiet, .n_resumed = n_resumed, .n_failed = n_failed, .begun = true};
    p.bar = !json && !quiet && terminal_has_status();
    struct stat info;
    if (fstat(input_fd, &info) == 0 && S_ISREG(info.st_mode))
        p.size = (uint64_t)info.st_size;
    p.start_ns = os_now_ns();
    p.shown_ns = p.bar ? 0 : p.start_ns; // a bar is there from the start
    return p;
}

void progress_read(struct progress *p, size_t n_bytes, bool resumed) {
    p->n_bytes += n_bytes;
    p->n_passed += resumed ? n_bytes : 0;
}

void progress_done(struct progress *p, bool failed, uint64_t n_tokens) {
    p->n_done++;
    p->n_failed += failed;
    p->n_tokens += n_tokens;
}

static void print(const struct progress *p, bool at_end) {
    double seconds = (double)(os_now_ns() - p->start_ns) * 1e-9;
    double rate = seconds > 0 ? (double)p->n_tokens / seconds : 0;
    double part = p->size ? (double)p->n_bytes / (double)p->size : 0;
    uint64_t made = p->n_bytes - p->n_passed;
    double left = made ? seconds * (1 - part) * (double)p->size / (double)made : 0;
    uint64_t n = p->n_resumed + p->n_done;
    if (p->json) {
        fprintf(stderr,
                "{\"records\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"tokens\":%" PRIu64
                ",\"seconds\":%.1f,\"tokens_per_second\":%.1f,\"percent\":%.1f}\n",
                n, p->n_failed, p->n_tokens, seconds, rate, 100 * part);
        return;
    }
    const int columns = terminal_columns(STDERR_FILENO) - 1;
    const bool is_narrow = p->bar && columns < 60; // the time that is left gives way
    char share[64] = "", text[256];
    if (p->size && made && !at_end && !is_narrow)
        snprintf(share, sizeof share, "%3.0f %%, %02d:%02d:%02d left, ", 100 * part,
                 (int)(left / 3600), (int)(left / 60) % 60, (int)left % 60);
    else if (p->size && !at_end)
        snprintf(share, sizeof share, "%3.0f %%, ", 100 * part);
    char failed[40] = "";
    if (p->n_failed || !p->bar || at_end)
        snprintf(failed, sizeof failed, ", %" PRIu64 " with errors", p->n_failed);
    snprintf(text, sizeof text, "%s%" PRIu64 " record%s%s, %.0f tok/s", share, n,
             plural((int64_t)n), failed, rate);
    if (!p->bar || at_end) {
        terminal_clear_status();
        fprintf(stderr, "gpt2: %s\n", text);
        return;
    }
    char bar[BAR + 1], line[BAR + sizeof text + 8];
    const int room = columns - (int)strlen(text) - 3;
    const int width = room < BAR ? room : BAR; // the bar gives way to the words
    for (int i = 0; i < width; i++)
        bar[i] = i < width * part ? '#' : ' ';
    bar[width > 0 ? width : 0] = 0;
    snprintf(line, sizeof line, width > 2 ? "[%s] %s" : "%s%s", width > 2 ? bar : "", text);
    terminal_status(line);
}

void progress_show(struct progress *p) {
    uint64_t now = os_now_ns(), wait = p->bar ? 200000000u : p->json ? 1000000000u : 10000000000u;
    if (p->quiet || now - p->shown_ns < wait)
        return;
    p->shown_ns = now;
    print(p, false);
}

void progress_end(struct progress *p) {
    if (!p->quiet)
        print(p, true);
}
