/* test_crowd.c - many sessions of one model in many threads, at once, compute what each computes
 * alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/os.h"
#include "testmodel.h"
#include <gpt2/generator.h>
#include <gpt2/session.h>

enum { N_THREADS = 16, N_SESSIONS = 64, N_TOKENS = 20, V = 61 };

static struct gpt2_model *model;
static struct gpt2_runtime *shared; /* lent to one thread at a time */
static int32_t ids[N_SESSIONS][N_TOKENS];
static float alone[N_SESSIONS][V];
static float crowded[N_SESSIONS][V];

/* Reads a session's tokens in pieces, and a fork of it the last one again. */
static bool read_one(int which, struct gpt2_runtime *runtime, float *logits) {
    struct gpt2_session *session = gpt2_session_create(model, NULL, NULL);
    struct gpt2_session *fork = gpt2_session_create(model, NULL, NULL);
    struct gpt2_batch *batch =
        gpt2_batch_create(model, runtime, &(struct gpt2_batch_options){.max_rows = 8}, NULL);
    bool ok = session && fork && batch;
    for (int at = 0, n; ok && at < N_TOKENS; at += n) {
        n = 1 + (which + at) % 7;
        n = n < N_TOKENS - at ? n : N_TOKENS - at;
        struct gpt2_span span = {session, ids[which] + at, n, 1};
        ok = gpt2_batch_run(batch, &span, 1, NULL);
    }
    ok = ok && gpt2_session_fork(fork, session, NULL) &&
         gpt2_session_rewind(fork, N_TOKENS - 1, NULL);
    struct gpt2_span last = {fork, ids[which] + N_TOKENS - 1, 1, 1};
    if (ok && gpt2_batch_run(batch, &last, 1, NULL))
        memcpy(logits, gpt2_batch_logits(batch, 0, 0), V * sizeof *logits);
    else
        ok = false;
    gpt2_batch_free(batch);
    gpt2_session_free(session); // before its fork
    gpt2_session_free(fork);
    return ok;
}

struct worker {
    pthread_t thread;
    int number;
    bool ok;
};

static void *work(void *arg) {
    struct worker *worker = arg;
    struct gpt2_runtime *runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = 1 + worker->number % 2}, NULL);
    worker->ok = runtime != NULL;
    for (int i = worker->number; worker->ok && i < N_SESSIONS; i += N_THREADS)
        worker->ok = read_one(i, runtime, crowded[i]);
    gpt2_runtime_free(runtime);
    return NULL;
}

static void sessions_in_a_crowd_are_as_alone(void **state) {
    static struct worker workers[N_THREADS];
    for (int i = 0; i < N_SESSIONS; i++)
        assert_true(read_one(i, shared, alone[i]));
    // with weights that the first passes move meanwhile
    assert_true(gpt2_model_move(model, NULL, NULL));
    for (int i = 0; i < N_THREADS; i++) {
        workers[i].number = i;
        assert_int_equal(os_thread(&workers[i].thread, work, &workers[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (int i = 0; i < N_THREADS; i++)
        assert_true(workers[i].ok);
    for (int i = 0; i < N_SESSIONS; i++)
        assert_memory_equal(crowded[i], alone[i], sizeof alone[i]);
}

static int open_world(void **state) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir,
                    &(struct testmodel_options){.n_vocab = V, .n_ctx = N_TOKENS + 2, .n_embd = 32});
    model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    shared = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, NULL);
    for (int i = 0; i < N_SESSIONS; i++)
        for (int k = 0; k < N_TOKENS; k++)
            ids[i][k] = (i * 31 + k * (k < 10 ? 7 : 11 + i)) % V;
    return model && shared ? 0 : -1;
}

static int close_world(void **state) {
    gpt2_runtime_free(shared);
    gpt2_model_close(model);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_in_a_crowd_are_as_alone),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
