/* test_session_pool.c - the pool of sessions: what is used again, what is given up, and when one
 * has to wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/session_pool.h"
#include "forward/session_internal.h"
#include "testmodel.h"
#include <gpt2/model.h>
#include <gpt2/runtime.h>

enum { N_CTX = 300 };

static struct gpt2_model *model;
static size_t token_bytes;

static int open_model(void **state) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = N_CTX});
    model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    struct gpt2_session *session = model ? gpt2_session_create(model, NULL, NULL) : NULL;
    token_bytes = session ? gpt2_session_token_bytes(session) : 0;
    gpt2_session_free(session);
    return session ? 0 : -1;
}

static int close_model(void **state) {
    gpt2_model_close(model);
    return 0;
}

/* A pool for so many tokens and sessions. */
static struct session_pool pool_of(int max_tokens, int max_sessions) {
    struct session_pool pool;
    assert_true(session_pool_init(&pool, model, GPT2_KV_F32, (size_t)max_tokens * token_bytes,
                                  max_sessions, NULL));
    return pool;
}

static struct gpt2_session *take(struct session_pool *pool, int n_ctx, bool must) {
    struct gpt2_session *session = NULL;
    assert_true(session_pool_take(pool, n_ctx, must, &session, NULL));
    return session;
}

static void read_tokens(struct gpt2_session *session, int n) {
    struct gpt2_runtime *runtime = gpt2_runtime_create(NULL, NULL);
    struct gpt2_batch *batch = gpt2_batch_create(model, runtime, NULL, NULL);
    int32_t ids[N_CTX] = {3};
    struct gpt2_span span = {session, ids, n, 0};
    assert_true(gpt2_batch_run(batch, &span, 1, NULL));
    gpt2_batch_free(batch);
    gpt2_runtime_free(runtime);
}

static int count_pages(const struct gpt2_session *session) {
    int n = session->spare != NULL;
    for (int i = 0; i < session->n_blocks; i++)
        n += session->pages[i] != NULL;
    return n;
}

static void a_session_holds_what_was_asked_for(void **state) {
    struct session_pool pool = pool_of(10000, 8);
    static const int asked[] = {1, 64, 65, 200, 299, N_CTX};
    static const int given[] = {64, 64, 128, 256, N_CTX, N_CTX};
    struct gpt2_session *sessions[6];
    for (int i = 0; i < 6; i++) {
        sessions[i] = take(&pool, asked[i], false);
        assert_int_equal(gpt2_session_capacity(sessions[i]), given[i]);
        assert_int_equal(gpt2_session_position(sessions[i]), 0);
    }
    assert_int_equal(pool.n_used, 6);
    for (int i = 0; i < 6; i++)
        session_pool_give(&pool, sessions[i]);
    session_pool_give(&pool, NULL);
    assert_int_equal(pool.n_used, 0);
    assert_int_equal(pool.n_bytes, (64 + 64 + 128 + 256 + 2 * N_CTX) * token_bytes);
    session_pool_free(&pool);
}

static void it_is_used_again_and_empty(void **state) {
    struct session_pool pool = pool_of(10000, 8);
    struct gpt2_session *small = take(&pool, 60, false), *large = take(&pool, 120, false);
    read_tokens(small, 1);
    assert_int_equal(gpt2_session_position(small), 1);
    session_pool_give(&pool, large);
    session_pool_give(&pool, small);
    struct gpt2_session *again = take(&pool, 40, false); // both would do: the smaller one
    assert_ptr_equal(again, small);
    assert_int_equal(gpt2_session_position(again), 0);
    assert_ptr_equal(take(&pool, 30, false), large); // twice the size is not too much
    session_pool_give(&pool, large);
    session_pool_give(&pool, small);
    session_pool_free(&pool);
}

static void at_rest_it_keeps_one_page_of_a_long_text(void **state) {
    struct session_pool pool = pool_of(10000, 8);
    struct gpt2_session *session = take(&pool, N_CTX, false);
    read_tokens(session, N_CTX);
    assert_int_equal(count_pages(session), (N_CTX + KV_BLOCK - 1) / KV_BLOCK);
    session_pool_give(&pool, session);
    assert_int_equal(count_pages(session), 1);
    assert_ptr_equal(take(&pool, N_CTX, false), session);
    assert_int_equal(gpt2_session_position(session), 0);
    read_tokens(session, N_CTX);
    session_pool_give(&pool, session);
    session_pool_free(&pool);
}

static void a_small_text_gets_no_session_of_many_times_its_size(void **state) {
    struct session_pool pool = pool_of(10000, 8);
    struct gpt2_session *large = take(&pool, N_CTX, false);
    session_pool_give(&pool, large);
    struct gpt2_session *small = take(&pool, 10, false);
    assert_ptr_not_equal(small, large);
    assert_int_equal(gpt2_session_capacity(small), 64);
    session_pool_give(&pool, small);
    session_pool_free(&pool);
}

static void who_finds_no_memory_waits(void **state) {
    struct session_pool pool = pool_of(128, 8);
    struct gpt2_session *a = take(&pool, 64, false), *b = take(&pool, 64, false);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(take(&pool, 64, false));
    assert_int_equal(pool.n_used, 2);
    assert_int_equal(pool.n_bytes, 128 * token_bytes);
    session_pool_give(&pool, a);
    assert_ptr_equal(take(&pool, 64, false), a);
    struct gpt2_session *more = take(&pool, 64, true); // who must have one gets it
    assert_non_null(more);
    assert_int_equal(pool.n_bytes, 192 * token_bytes);
    session_pool_give(&pool, more);
    session_pool_give(&pool, a);
    session_pool_give(&pool, b);
    session_pool_free(&pool);
}

static void resting_sessions_make_room(void **state) {
    struct session_pool pool = pool_of(N_CTX, 8);
    struct gpt2_session *three[3];
    for (int i = 0; i < 3; i++)
        three[i] = take(&pool, 64, false);
    for (int i = 0; i < 3; i++)
        session_pool_give(&pool, three[i]);
    assert_int_equal(pool.n_free, 3);
    struct gpt2_session *large = take(&pool, N_CTX, false);
    assert_non_null(large);
    assert_int_equal(pool.n_free, 0);
    assert_int_equal(pool.n_bytes, N_CTX * token_bytes);
    session_pool_give(&pool, large);
    session_pool_free(&pool);
}

static void no_more_rest_than_there_may_be(void **state) {
    struct session_pool pool = pool_of(10000, 1);
    struct gpt2_session *a = take(&pool, 64, false), *b = take(&pool, 64, false);
    session_pool_give(&pool, a);
    session_pool_give(&pool, b);
    assert_int_equal(pool.n_free, 1);
    assert_int_equal(pool.n_bytes, 64 * token_bytes);
    session_pool_free(&pool);
    session_pool_free(&(struct session_pool){0});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_holds_what_was_asked_for),
        cmocka_unit_test(it_is_used_again_and_empty),
        cmocka_unit_test(at_rest_it_keeps_one_page_of_a_long_text),
        cmocka_unit_test(a_small_text_gets_no_session_of_many_times_its_size),
        cmocka_unit_test(who_finds_no_memory_waits),
        cmocka_unit_test(resting_sessions_make_room),
        cmocka_unit_test(no_more_rest_than_there_may_be),
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
