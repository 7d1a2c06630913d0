#include "hub/fetch.h"
#include "base/error_internal.h"
#include "hub/curl.h"
#include "hub/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ANSWER ((uint64_t)16 << 20) /* about gpt2 the hub answers 10 KB             */
#define MAX_TRIES  4                    /* of one file in a row that bring nothing new   */

/* A file on its way. Its digest follows what curl appends, so nothing is left to do at the end. */
struct transfer {
    struct fetch *fetch;
    const struct manifest_file *file;
    const char *part; /* its path          */
    int fd;           /* of it, to read    */
    uint64_t n_read;  /* into the digest   */
    struct digest digest;
};

static bool go_on(const struct transfer *t) {
    const struct gpt2_hub_options *o = t->fetch->options;
    return !o || !o->progress ||
           o->progress(o->user, t->file->name, t->fetch->done + t->n_read, t->fetch->total);
}

static bool stopped(struct gpt2_error *err) {
    error_set(err, GPT2_ERR_RUNTIME, "interrupted");
    return error_hint(err, "the same command goes on from here");
}

/* ---- the digest ---- */

static void begin_digest(struct transfer *t) {
    char blob[32];
    digest_start(&t->digest, t->file->kind);
    if (t->file->kind == DIGEST_SHA1) // git's name of a file, not of its bytes alone
        digest_add(&t->digest, blob,
                   (size_t)snprintf(blob, sizeof blob, "blob %" PRIu64, t->file->size) + 1);
    t->n_read = 0;
}

/* Reads what the file has grown by: in portions, so that a call stays short. */
static bool follow(void *user) {
    struct transfer *t = user;
    unsigned char buffer[1 << 15];
    for (int i = 0; i < 1000; i++) {
        ssize_t got = pread(t->fd, buffer, sizeof buffer, (off_t)t->n_read);
        if (got <= 0)
            break;
        digest_add(&t->digest, buffer, (size_t)got);
        t->n_read += (uint64_t)got;
    }
    return go_on(t);
}

static uint64_t size_of(const struct transfer *t) {
    struct stat info;
    return fstat(t->fd, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* Until all of the file is in the digest. False: interrupted. */
static bool catch_up(struct transfer *t) {
    while (t->n_read < size_of(t))
        if (!follow(t))
            return false;
    return true;
}

static bool start_over(struct transfer *t, struct gpt2_error *err) {
    begin_digest(t);
    return ftruncate(t->fd, 0) == 0 ||
           error_set(err, GPT2_ERR_RUNTIME, "cannot write %s: %s", t->part, strerror(errno));
}

/* ---- what went wrong ---- */

static bool explain(const struct transfer *t, const struct curl_result *r, struct gpt2_error *err) {
    const struct fetch *f = t->fetch;
    const char *repo = f->name->repo, *file = t->file->name;
    if (r->http == 401 || r->http == 403) {
        error_set(err, GPT2_ERR_MODEL, "%s: the hub answers %d: no such model, or not for %s", repo,
                  r->http, f->token ? "this token" : "everybody");
        return error_hint(err, "see %s/%s; if it asks for an account, set $HF_TOKEN to a token",
                          f->endpoint, repo);
    }
    if (r->http == 404) {
        error_set(err, GPT2_ERR_MODEL, "%s: the hub answers 404: no such model or revision (%s)",
                  repo, f->name->revision);
        return error_hint(err, "names are OWNER/NAME[@REVISION], as on %s", f->endpoint);
    }
    if (r->exit == 5 || r->exit == 6 || r->exit == 7) {
        error_set(err, GPT2_ERR_RUNTIME, "cannot reach %s: %s", f->endpoint, r->message);
        return error_hint(err, "`gpt2 models` lists what is here; $HF_ENDPOINT names another hub, "
                               "$https_proxy a proxy");
    }
    if (r->exit == 23 || r->exit == -25) { // 25 is SIGXFSZ
        error_set(err, GPT2_ERR_RUNTIME, "cannot write %s: %s", t->part,
                  r->exit == 23 ? r->message : "the limit on file sizes is reached");
        return error_hint(err, "after making room, the same command goes on from here");
    }
    if (r->http >= 400)
        return error_set(err, GPT2_ERR_RUNTIME, "%s: %s: the hub answers %d", repo, file, r->http);
    error_set(err, GPT2_ERR_RUNTIME, "%s: %s: the transfer failed: %s (curl %d)", repo, file,
              r->message[0] ? r->message : "no reason given", r->exit);
    return error_hint(err, "the same command goes on from here");
}

/* Cut off, stalled, reset, or the server is busy: worth another try. */
static bool is_passing(const struct curl_result *r) {
    static const int exits[] = {16, 18, 28, 35, 52, 55, 56, 92};
    for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
        if (r->exit == exits[i])
            return true;
    return r->exit == 22 && (r->http == 408 || r->http == 429 || r->http >= 500);
}

/* Half a second before the second try, then 1, 2, 4. False: interrupted. */
static bool wait_before(const struct transfer *t, int tries) {
    for (int i = 0; i < 5 << (tries - 1); i++) {
        poll(NULL, 0, 100);
        if (!go_on(t))
            return false;
    }
    return true;
}

/* ---- one file ---- */

/* One run of curl. *passing: it failed, and may be tried again. */
static bool run_once(struct transfer *t, const char *url, uint64_t max_bytes, bool *passing,
                     struct gpt2_error *err) {
    uint64_t before = size_of(t);
    const struct curl_request request = {
        .url = url,
        .token = t->fetch->token,
        .path = t->part,
        .offset = before,
        .max_bytes = max_bytes,
        .stall = t->fetch->stall,
        .watch = follow,
        .user = t,
    };
    struct curl_result result;
    *passing = false;
    if (!curl_run(&request, &result, err))
        return false;
    uint64_t after = size_of(t);
    t->fetch->fetched += after > before ? after - before : 0;
    if (result.stopped || !catch_up(t))
        return stopped(err);
    if (result.exit == 0)
        return true;
    if (result.exit == 33 || (result.exit == 22 && result.http == 416)) {
        *passing = true; // the server does not continue files
        return start_over(t, err) && explain(t, &result, err);
    }
    *passing = is_passing(&result);
    return explain(t, &result, err);
}

/* Tries until the part has its size, or as long as tries bring something. */
static bool run(struct transfer *t, const char *url, struct gpt2_error *err) {
    const uint64_t size = t->file->size;
    uint64_t most = size_of(t);
    for (int tries = 0; size_of(t) < size;) {
        if (tries > 0 && !wait_before(t, tries))
            return stopped(err);
        bool passing;
        if (!run_once(t, url, size, &passing, err)) {
            if (!passing)
                return false;
        } else if (size_of(t) < size) { // an answer that ends early without saying so
            error_set(err, GPT2_ERR_RUNTIME, "%s: %s: expected %" PRIu64 " bytes, got %" PRIu64,
                      t->fetch->name->repo, t->file->name, size, size_of(t));
        }
        tries = size_of(t) > most ? 1 : tries + 1;
        most = size_of(t) > most ? size_of(t) : most;
        if (size_of(t) < size && tries >= MAX_TRIES)
            return false;
    }
    return true;
}

/* All bytes are there: are they the right ones? Else the part is emptied. */
static bool check(struct transfer *t, struct gpt2_error *err) {
    char found[DIGEST_HEX];
    digest_end(&t->digest, found);
    uint64_t size = size_of(t);
    if (size == t->file->size && (!t->file->digest[0] || !strcmp(found, t->file->digest)))
        return true;
    if (!start_over(t, err))
        return false;
    if (size != t->file->size)
        return error_set(err, GPT2_ERR_RUNTIME, "%s: %s: expected %" PRIu64 " bytes, got %" PRIu64,
                         t->fetch->name->repo, t->file->name, t->file->size, size);
    error_set(err, GPT2_ERR_RUNTIME, "%s: %s: expected %s %s, got %s: it came damaged, twice",
              t->fetch->name->repo, t->file->name,
              t->file->kind == DIGEST_SHA256 ? "SHA-256" : "git SHA-1", t->file->digest, found);
    return error_hint(err, "a proxy or mirror on the way may have changed it");
}

/* A part that was continued may have been begun by something else, so a wrong one is fetched anew
 * once. */
static bool complete(struct transfer *t, const char *url, struct gpt2_error *err) {
    begin_digest(t);
    if (size_of(t) > t->file->size && !start_over(t, err))
        return false;
    if (!catch_up(t))
        return stopped(err);
    if (!run(t, url, err))
        return false;
    if (check(t, NULL))
        return true;
    return run(t, url, err) && check(t, err);
}

static bool keep(const struct transfer *t, const char *path, struct gpt2_error *err) {
    if (fsync(t->fd) == 0 && rename(t->part, path) == 0)
        return true;
    return error_set(err, GPT2_ERR_RUNTIME, "cannot write %s: %s", path, strerror(errno));
}

/* Opens the part; one that is complete may stand under its final name already. */
static bool open_part(struct transfer *t, const char *path, struct gpt2_error *err) {
    if (access(t->part, F_OK) != 0)
        rename(path, t->part); // else there is nothing yet
    t->fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    return t->fd >= 0 ||
           error_set(err, GPT2_ERR_RUNTIME, "cannot write %s: %s", t->part, strerror(errno));
}

static bool fetch_with(struct transfer *t, const char *url,
                       bool (*work)(struct transfer *, const char *, struct gpt2_error *),
                       struct gpt2_error *err) {
    char *path = environment_format(err, "%s/%s", t->fetch->staging, t->file->name);
    char *part = path ? environment_format(err, "%s.part", path) : NULL;
    t->part = part;
    bool ok = part && open_part(t, path, err);
    if (ok) {
        ok = work(t, url, err) && keep(t, path, err);
        if (!ok && size_of(t) == 0)
            unlink(part);
        close(t->fd);
    }
    free(part);
    free(path);
    return ok;
}

bool fetch_file(struct fetch *fetch, const struct manifest_file *file, const char *url,
                struct gpt2_error *err) {
    struct transfer t = {.fetch = fetch, .file = file};
    if (!fetch_with(&t, url, complete, err))
        return false;
    fetch->done += file->size;
    return true;
}

static bool ask(struct transfer *t, const char *url, struct gpt2_error *err) {
    for (int tries = 1;; tries++) {
        bool passing;
        if (!start_over(t, err))
            return false;
        if (run_once(t, url, MAX_ANSWER, &passing, err))
            return true;
        if (!passing || tries == MAX_TRIES)
            return false;
        if (!wait_before(t, tries))
            return stopped(err);
    }
}

bool fetch_answer(struct fetch *fetch, const char *name, const char *url, struct gpt2_error *err) {
    struct manifest_file file = {.kind = DIGEST_SHA256};
    snprintf(file.name, sizeof file.name, "%s", name);
    struct transfer t = {.fetch = fetch, .file = &file};
    uint64_t fetched = fetch->fetched;
    bool ok = fetch_with(&t, url, ask, err);
    fetch->fetched = fetched; // questions do not count
    return ok;
}
