/* completion_service.c - the loop of the server: admit, score, step, answer. */
#include "cli/serve/completion_service.h"
#include "base/os.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/serve/api_answer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without work: how long to wait before a look around. */
#define TICK_NS  (UINT64_C(100) * 1000000)
#define WATCH_NS (UINT64_C(50) * 1000000) /* between looks at the connections */

struct completion_service {
    struct service_options options;
    struct decoding decoding; /* without settings: every request has its own */
    struct text_maker maker;
    struct prompt_scorer scorer;
    struct gpt2_generator *generator;
    struct api_request *active; /* some of their prompts have started, or are next */
    uint64_t start_ns, watched_ns, n_requests;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t came;
    struct api_request *queue, **last;
    int n_queue;
    bool ending;
};

static bool make_generator(struct completion_service *s, struct gpt2_error *err) {
    const struct service_options *o = &s->options;
    // half of the memory is the scorer's, which reads prompts for echo
    s->generator =
        gpt2_generator_create(o->engine->model, o->engine->runtime,
                              &(struct gpt2_generator_options){.max_samples = o->max_samples,
                                                               .max_search = MAX_BEAMS,
                                                               .kv = o->kv,
                                                               .prefix_bytes = o->cache_memory / 2},
                              err);
    return s->generator != NULL;
}

struct completion_service *completion_service_create(const struct service_options *options,
                                                     struct gpt2_error *err) {
    struct completion_service *s = calloc(1, sizeof *s);
    if (!s) {
        command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory for the service");
        return NULL;
    }
    const struct engine *engine = options->engine;
    s->options = *options;
    s->last = &s->queue;
    s->start_ns = os_now_ns();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->came, NULL);
    s->maker = (struct text_maker){.model = engine->model,
                                   .tokenizer = engine->tokenizer,
                                   .decoding = &s->decoding,
                                   .max_samples = 4096};
    s->scorer = (struct prompt_scorer){.model = engine->model,
                                       .tokenizer = engine->tokenizer,
                                       .runtime = engine->runtime,
                                       .kv = options->kv,
                                       .cache_memory = options->cache_memory / 2};
    if (make_generator(s, err))
        return s;
    completion_service_free(s);
    return NULL;
}

void completion_service_free(struct completion_service *s) {
    if (!s)
        return;
    gpt2_generator_free(s->generator);
    prompt_scorer_free(&s->scorer);
    pthread_cond_destroy(&s->came);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const struct text_maker *completion_service_maker(const struct completion_service *s) {
    return &s->maker;
}

enum submitted completion_service_submit(struct completion_service *s, struct api_request *r) {
    enum submitted result = SUBMITTED;
    pthread_mutex_lock(&s->lock);
    if (s->ending) {
        result = SERVICE_ENDING;
    } else if (s->n_queue >= s->options.max_queue) {
        result = QUEUE_FULL;
    } else {
        snprintf(r->id, sizeof r->id, "cmpl-%llx-%llu", (unsigned long long)s->start_ns,
                 (unsigned long long)s->n_requests++);
        r->created = time(NULL);
        *s->last = r;
        s->last = &r->next;
        s->n_queue++;
        pthread_cond_signal(&s->came);
    }
    pthread_mutex_unlock(&s->lock);
    return result;
}

bool completion_service_is_ending(struct completion_service *s) {
    pthread_mutex_lock(&s->lock);
    bool ending = s->ending;
    pthread_mutex_unlock(&s->lock);
    return ending;
}

/* ---- requests that are done, one way or another ---- */

static void drop(struct api_request *r) {
    http_release(r->x);
    api_request_free(r);
}

static void fail(struct api_request *r, const struct gpt2_error *err) {
    if (r->began)
        api_stream_fail(r, err);
    else
        api_refuse_error(r->x, err, &r->texts.record);
}

/* Whether its texts have ended, and everything that is said of them is known. */
static bool is_done(const struct completion_service *s, const struct api_request *r) {
    return r->n_started == r->texts.n && record_texts_done(&r->texts) &&
           !record_texts_to_score(&r->texts, s->maker.tokenizer);
}

static bool is_idle(const struct api_request *r) {
    for (int i = 0; i < r->n_started; i++)
        if (!gpt2_completion_done(r->texts.completions[i]))
            return false;
    return true;
}

/* Sends what there is to send, and takes requests that are done off the list. */
static void answer(struct completion_service *s) {
    const char *name = s->options.model_name;
    for (struct api_request **at = &s->active; *at;) {
        struct api_request *r = *at;
        const bool gone = http_is_gone(r->x) && is_idle(r), done = is_done(s, r);
        if (r->streams)
            api_stream(r, name, s->maker.tokenizer);
        if (!gone && !done) {
            at = &r->next;
            continue;
        }
        const struct gpt2_error *failure = done ? record_texts_error(&r->texts) : NULL;
        if (failure)
            fail(r, failure);
        else if (done && !gone && r->streams)
            api_stream_end(r, name);
        else if (done && !gone)
            api_answer(r, name, s->maker.tokenizer);
        *at = r->next;
        drop(r);
    }
}

/* The generator has failed, and everything in it: every request that waits for it is told. */
static bool recover(struct completion_service *s, const struct gpt2_error *failure,
                    struct gpt2_error *err) {
    gpt2_generator_free(s->generator);
    s->generator = NULL;
    while (s->active) {
        struct api_request *r = s->active;
        s->active = r->next;
        fail(r, failure);
        drop(r);
    }
    report_note("%s: the running requests were answered with this error", failure->message);
    return make_generator(s, err);
}

/* ---- the work ---- */

/* Moves requests from the queue to the list while there is room for a text of theirs. */
static void admit(struct completion_service *s) {
    struct api_request **end = &s->active;
    int n_next = 0; // requests with prompts that have not started
    for (; *end; end = &(*end)->next)
        n_next += (*end)->n_started < (*end)->texts.n;
    pthread_mutex_lock(&s->lock);
    while (s->queue && n_next < gpt2_generator_room(s->generator)) {
        struct api_request *r = s->queue;
        s->queue = r->next;
        if (!s->queue)
            s->last = &s->queue;
        s->n_queue--;
        r->next = NULL;
        *end = r;
        end = &r->next;
        n_next++;
    }
    pthread_mutex_unlock(&s->lock);
}

/* Those who went away while they waited. */
static void forget_gone(struct completion_service *s) {
    struct api_request *gone = NULL;
    pthread_mutex_lock(&s->lock);
    s->last = &s->queue;
    while (*s->last) {
        struct api_request *r = *s->last;
        if (!http_is_gone(r->x)) {
            s->last = &r->next;
            continue;
        }
        *s->last = r->next;
        r->next = gone;
        gone = r;
        s->n_queue--;
    }
    pthread_mutex_unlock(&s->lock);
    while (gone) {
        struct api_request *next = gone->next;
        drop(gone);
        gone = next;
    }
}

/* Starts one prompt of each request in turn while there is room. */
static bool start_prompts(struct completion_service *s, struct gpt2_error *err) {
    bool any = true;
    while (any && gpt2_generator_room(s->generator) > 0) {
        any = false;
        for (struct api_request *r = s->active; r && gpt2_generator_room(s->generator) > 0;
             r = r->next) {
            if (r->n_started == r->texts.n || http_is_gone(r->x))
                continue;
            if (!gpt2_completion_start(r->texts.completions[r->n_started], s->generator, err))
                return false;
            r->n_started++;
            any = true;
        }
    }
    return true;
}

/* Scores one prompt of each request that wants that. */
static void score_prompts(struct completion_service *s) {
    struct gpt2_error err;
    for (struct api_request **at = &s->active; *at;) {
        struct api_request *r = *at;
        if (http_is_gone(r->x) || !record_texts_to_score(&r->texts, s->maker.tokenizer) ||
            record_texts_score(&r->texts, &s->scorer, &err)) {
            at = &r->next;
            continue;
        }
        if (!is_idle(r)) { // its texts end first
            at = &r->next;
            continue;
        }
        *at = r->next;
        fail(r, &err);
        drop(r);
    }
}

static bool is_scoring(const struct completion_service *s) {
    for (const struct api_request *r = s->active; r; r = r->next)
        if (record_texts_to_score(&r->texts, s->maker.tokenizer))
            return true;
    return false;
}

/* Waits for a request, or for the time to look around. */
static void wait_for_work(struct completion_service *s) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + TICK_NS;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&s->lock);
    if (!s->queue)
        pthread_cond_timedwait(&s->came, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);
}

static void watch(struct completion_service *s, struct http_server *server) {
    uint64_t now = os_now_ns();
    if (now - s->watched_ns < WATCH_NS)
        return;
    s->watched_ns = now;
    http_server_watch(server);
    forget_gone(s);
}

/* One turn of the loop. */
static bool turn(struct completion_service *s, struct http_server *server, struct gpt2_error *err) {
    struct gpt2_error failure;
    watch(s, server);
    admit(s);
    bool ok = start_prompts(s, &failure);
    score_prompts(s);
    if (ok && gpt2_generator_busy(s->generator))
        ok = gpt2_generator_step(s->generator, &failure);
    if (!ok && !recover(s, &failure, err))
        return false;
    answer(s);
    if (!s->active && !gpt2_generator_busy(s->generator) && !is_scoring(s))
        wait_for_work(s);
    return true;
}

static bool has_work(struct completion_service *s) {
    pthread_mutex_lock(&s->lock);
    bool waits = s->queue != NULL;
    pthread_mutex_unlock(&s->lock);
    return s->active || waits;
}

/* Nothing new is taken from now on. */
static void close_service(struct completion_service *s, struct http_server *server) {
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_mutex_unlock(&s->lock);
    http_server_drain(server);
}

/* Tells those that are left why they have no answer, and waits until they have been told. NULL: the
 * server ends. */
static int cut(struct completion_service *s, struct http_server *server,
               const struct gpt2_error *failure) {
    static const struct gpt2_error ends = {.status = GPT2_ERR_RUNTIME,
                                           .message = "the server ends"};
    int n = 0;
    gpt2_generator_free(s->generator);
    s->generator = NULL;
    struct api_request *lists[] = {s->active, s->queue};
    for (int i = 0; i < 2; i++)
        while (lists[i]) {
            struct api_request *r = lists[i];
            lists[i] = r->next;
            n += !http_is_gone(r->x);
            if (r->began || failure)
                fail(r, failure ? failure : &ends);
            else
                api_refuse(r->x, 503, "server_error", NULL, "ending", ends.message);
            drop(r);
        }
    s->active = s->queue = NULL;
    const uint64_t end = os_now_ns() + (uint64_t)s->options.timeout * 1000000000;
    while (http_server_under_way(server) > 0 && os_now_ns() < end) { // what is still being sent
        http_server_watch(server);
        wait_for_work(s);
    }
    return n;
}

static bool finish(struct completion_service *s, struct http_server *server, int *n_cut,
                   struct gpt2_error *err) {
    const uint64_t end = os_now_ns() + (uint64_t)s->options.timeout * 1000000000;
    close_service(s, server);
    while (has_work(s) && os_now_ns() < end)
        if (!turn(s, server, err))
            return false;
    *n_cut = cut(s, server, NULL);
    return true;
}

bool completion_service_run(struct completion_service *s, struct http_server *server, int *n_cut,
                            struct gpt2_error *err) {
    *n_cut = 0;
    bool ok = true;
    while (ok && !signals_caught())
        ok = turn(s, server, err);
    if (ok && finish(s, server, n_cut, err))
        return true;
    // the library does not end while a connection waits for its answer
    close_service(s, server);
    cut(s, server, err);
    return false;
}
