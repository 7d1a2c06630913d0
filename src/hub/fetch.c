/* fetch.c - fetches one file: continued, tried again, checked. */
#include "hub/fetch.h"
#include "base/error_internal.h"
#include "base/look.h"
#include "hub/curl.h"
#include "hub/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TRIES 4 /* of one file, one after another, that bring nothing new */

/* A file or an answer on its way. The digest of a file follows what comes, so nothing is left to do
 * at the end. */
struct transfer {
    struct fetch *fetch;
    const struct manifest_file *file;
    uint64_t limit;   /* bytes that it may have                    */
    uint64_t n_bytes; /* that have come: written, in the digest    */
    const char *part; /* a file's path                             */
    int fd;           /* of it                                     */
    struct digest digest;
    char *text; /* an answer's bytes, [cap], owned           */
    size_t cap;
    int failed; /* errno of keeping what came, 0: none       */
};

static bool go_on(const struct transfer *t) {
    const struct gpt2_hub_options *o = t->fetch->options;
    return !o || !o->progress ||
           o->progress(o->user, t->file->name, t->fetch->done + t->n_bytes, t->fetch->total);
}

static bool stopped(struct gpt2_error *err) {
    error_set(err, GPT2_ERR_RUNTIME, "interrupted");
    return error_hint(err, "the same command goes on from here");
}

/* ---- what comes ---- */

static void begin_digest(struct transfer *t) {
    char blob[32];
    digest_start(&t->digest, t->file->kind);
    if (t->file->kind == DIGEST_SHA1) // git's name of a file, not of its bytes alone
        digest_add(&t->digest, blob,
                   (size_t)snprintf(blob, sizeof blob, "blob %" PRIu64, t->file->size) + 1);
    t->n_bytes = 0;
}

/* How many of n bytes a file may have at `at`: writing beyond the process's limit would end it
 * with SIGXFSZ. */
static size_t allowed(uint64_t at, size_t n) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return n;
    uint64_t room = (uint64_t)limit.rlim_cur > at ? (uint64_t)limit.rlim_cur - at : 0;
    return n < room ? n : (size_t)room;
}

static bool take_file(void *user, const void *data, size_t n) {
    struct transfer *t = user;
    const char *from = data;
    while (n > 0) {
        size_t now = allowed(t->n_bytes, n);
        ssize_t put = now ? pwrite(t->fd, from, now, (off_t)t->n_bytes) : -1;
        if (put < 0 && now && errno == EINTR)
            continue;
        if (put <= 0) {
            t->failed = now ? errno : EFBIG;
            return false;
        }
        digest_add(&t->digest, from, (size_t)put);
        t->n_bytes += (uint64_t)put;
        from += put;
        n -= (size_t)put;
    }
    return true;
}

static bool take_answer(void *user, const void *data, size_t n) {
    struct transfer *t = user;
    size_t needed = (size_t)t->n_bytes + n;
    if (needed > t->cap) {
        size_t cap = needed > 2 * t->cap ? needed : 2 * t->cap;
        char *grown = realloc(t->text, cap);
        if (!grown) {
            t->failed = ENOMEM;
            return false;
        }
        t->text = grown;
        t->cap = cap;
    }
    memcpy(t->text + t->n_bytes, data, n);
    t->n_bytes = needed;
    return true;
}

static bool watch(void *user) {
    return go_on(user);
}

/* Takes what the part has from an earlier try into the digest. False: interrupted, or it cannot be
 * read, which is in t->failed. */
static bool catch_up(struct transfer *t) {
    unsigned char buffer[1 << 15];
    begin_digest(t);
    for (unsigned i = 1;; i++) {
        ssize_t got = pread(t->fd, buffer, sizeof buffer, (off_t)t->n_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            t->failed = errno;
        if (got <= 0)
            return got == 0;
        digest_add(&t->digest, buffer, (size_t)got);
        t->n_bytes += (uint64_t)got;
        if (i % 1000 == 0 && !go_on(t))
            return false;
    }
}

static bool start_over(struct transfer *t, struct gpt2_error *err) {
    begin_digest(t);
    return !t->part || ftruncate(t->fd, 0) == 0 ||
           error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot write %s", t->part);
}

/* ---- what went wrong ---- */

/* What came could not be kept. */
static bool explain_failed(const struct transfer *t, struct gpt2_error *err) {
    if (!t->part)
        return error_memory(err, "the hub's answer", t->n_bytes);
    error_errno(err, GPT2_ERR_RUNTIME, t->failed, "cannot write %s", t->part);
    return error_hint(err, "%sthe same command goes on from here",
                      t->failed == ENOSPC ? "after making room, " : "");
}

static bool explain_too_long(const struct transfer *t, struct gpt2_error *err) {
    error_set(err, GPT2_ERR_RUNTIME, "%s: %s: expected %s%" PRIu64 " bytes, the server sends more",
              t->fetch->name->repo, t->file->name, t->part ? "" : "at most ", t->limit);
    return error_hint(err, "a proxy or mirror on the way may have changed it");
}

static bool explain(const struct transfer *t, const struct curl_result *r, struct gpt2_error *err) {
    const struct fetch *f = t->fetch;
    const char *repo = f->name->repo, *file = t->file->name;
    if (r->http == 401 || r->http == 403) {
        error_set(err, GPT2_ERR_MODEL, "%s: the hub answers %d: no such model, or not %s", repo,
                  r->http, f->token ? "for this token" : "without a token");
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
static bool run_once(struct transfer *t, const char *url, bool *passing, struct gpt2_error *err) {
    uint64_t before = t->n_bytes;
    const struct curl_request request = {
        .url = url,
        .token = t->fetch->token,
        .offset = before,
        .max_bytes = t->limit,
        .stall = t->fetch->stall,
        .take = t->part ? take_file : take_answer,
        .watch = watch,
        .user = t,
    };
    struct curl_result result;
    *passing = false;
    if (!curl_run(&request, &result, err))
        return false;
    t->fetch->fetched += t->part ? t->n_bytes - before : 0; // questions do not count
    if (t->failed)
        return explain_failed(t, err);
    if (result.too_long)
        return start_over(t, err) && explain_too_long(t, err);
    if (result.stopped || !go_on(t))
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
    uint64_t most = t->n_bytes;
    for (int tries = 0; t->n_bytes < size;) {
        if (tries > 0 && !wait_before(t, tries))
            return stopped(err);
        bool passing;
        if (!run_once(t, url, &passing, err)) {
            if (!passing)
                return false;
        } else if (t->n_bytes < size) { // an answer that ends early without saying so
            error_set(err, GPT2_ERR_RUNTIME, "%s: %s: expected %" PRIu64 " bytes, got %" PRIu64,
                      t->fetch->name->repo, t->file->name, size, t->n_bytes);
        }
        tries = t->n_bytes > most ? 1 : tries + 1;
        most = t->n_bytes > most ? t->n_bytes : most;
        if (t->n_bytes < size && tries >= MAX_TRIES)
            return false;
    }
    return true;
}

/* All bytes are there: are they the right ones? Else the part is emptied. */
static bool check(struct transfer *t, struct gpt2_error *err) {
    char found[DIGEST_HEX];
    digest_end(&t->digest, found);
    if (!t->file->digest[0] || !strcmp(found, t->file->digest))
        return true;
    if (!start_over(t, err))
        return false;
    error_set(err, GPT2_ERR_RUNTIME, "%s: %s: expected %s %s, got %s: it came damaged, twice",
              t->fetch->name->repo, t->file->name,
              t->file->kind == DIGEST_SHA256 ? "SHA-256" : "git SHA-1", t->file->digest, found);
    return error_hint(err, "a proxy or mirror on the way may have changed it");
}

/* A part that was continued may have been begun by something else, so a wrong one is fetched anew
 * once. */
static bool complete(struct transfer *t, const char *url, struct gpt2_error *err) {
    struct stat info;
    if (fstat(t->fd, &info) != 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot look at %s", t->part);
    if ((uint64_t)info.st_size > t->file->size && !start_over(t, err))
        return false;
    if (!catch_up(t))
        return t->failed ? error_errno(err, GPT2_ERR_RUNTIME, t->failed, "cannot read %s", t->part)
                         : stopped(err);
    if (!run(t, url, err))
        return false;
    if (check(t, NULL))
        return true;
    return run(t, url, err) && check(t, err);
}

static bool keep(const struct transfer *t, const char *path, struct gpt2_error *err) {
    if (fsync(t->fd) == 0 && rename(t->part, path) == 0)
        return true;
    return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot write %s", path);
}

/* Opens the part; one that is complete may stand under its final name already. */
static bool open_part(struct transfer *t, const char *path, struct gpt2_error *err) {
    struct stat info;
    if (!look_at(&info, t->part, LOOK_LINKS, GPT2_ERR_RUNTIME, err))
        return false;
    if (!info.st_mode && rename(path, t->part) != 0 && errno != ENOENT)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot rename %s", path);
    if (!info.st_mode && !look_at(&info, t->part, LOOK_LINKS, GPT2_ERR_RUNTIME, err))
        return false;
    if (info.st_mode && !S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode))
        return error_set(err, GPT2_ERR_RUNTIME, "%s: expected a regular file or none", t->part);
    // what else has this file (cp -al) keeps it as it is, as what a link leads to does
    if ((S_ISLNK(info.st_mode) || info.st_nlink > 1) && unlink(t->part) != 0)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot remove %s", t->part);
    t->fd = open(t->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    return t->fd >= 0 || error_errno(err, GPT2_ERR_RUNTIME, errno, "cannot write %s", t->part);
}

bool fetch_file(struct fetch *fetch, const struct manifest_file *file, const char *url,
                struct gpt2_error *err) {
    struct transfer t = {.fetch = fetch, .file = file, .limit = file->size};
    char *path = environment_format(err, "%s/%s", fetch->staging, file->name);
    char *part = path ? environment_format(err, "%s.part", path) : NULL;
    t.part = part;
    bool ok = part && open_part(&t, path, err);
    if (ok) {
        ok = complete(&t, url, err) && keep(&t, path, err);
        if (!ok && t.n_bytes == 0)
            unlink(part);
        close(t.fd);
    }
    free(part);
    free(path);
    fetch->done += ok ? file->size : 0;
    return ok;
}

bool fetch_answer(struct fetch *fetch, const char *name, const char *url, char **text, size_t *len,
                  struct gpt2_error *err) {
    struct manifest_file file = {.kind = DIGEST_SHA256};
    snprintf(file.name, sizeof file.name, "%s", name);
    struct transfer t = {.fetch = fetch, .file = &file, .limit = FETCH_MAX_ANSWER, .fd = -1};
    t.cap = 1 << 14;
    t.text = malloc(t.cap);
    bool ok = false, passing = t.text != NULL;
    if (!passing)
        error_memory(err, "the hub's answer", t.cap);
    for (int tries = 1; !ok && passing && tries <= MAX_TRIES; tries++) {
        t.n_bytes = 0;
        if (tries > 1 && !wait_before(&t, tries - 1)) {
            passing = stopped(err);
            break;
        }
        ok = run_once(&t, url, &passing, err);
    }
    *text = ok ? t.text : NULL;
    *len = ok ? (size_t)t.n_bytes : 0;
    if (!ok)
        free(t.text);
    return ok;
}
