/* test_session.c - sessions and batches from the outside: what they promise and what they refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/session.h>

struct world {
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct gpt2_batch *batch;
    struct gpt2_session *session;
    int n_vocab;
};

static struct gpt2_session *session_of(const struct gpt2_model *model, int n_ctx, enum gpt2_kv kv) {
    return gpt2_session_create(model, &(struct gpt2_session_options){.n_ctx = n_ctx, .kv = kv},
                               NULL);
}

static int open_world(void **state) {
    static struct world world;
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = 100});
    world.model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    world.runtime = gpt2_runtime_create(NULL, NULL);
    world.batch = gpt2_batch_create(world.model, world.runtime,
                                    &(struct gpt2_batch_options){.max_logits = 8}, NULL);
    world.session = gpt2_session_create(world.model, NULL, NULL);
    world.n_vocab = gpt2_model_config(world.model)->n_vocab;
    *state = &world;
    return world.model && world.runtime && world.batch && world.session ? 0 : -1;
}

static int close_world(void **state) {
    struct world *world = *state;
    gpt2_session_free(world->session);
    gpt2_batch_free(world->batch);
    gpt2_runtime_free(world->runtime);
    gpt2_model_close(world->model);
    return 0;
}

static void read_ids(struct world *world, struct gpt2_session *session, const int32_t *ids, int n) {
    struct gpt2_span span = {session, ids, n, 1};
    assert_true(gpt2_batch_run(world->batch, &span, 1, NULL));
}

/* A copy of the logits that a session of this type would have after `ids`. */
static float *logits_with(struct world *world, enum gpt2_kv kv, const int32_t *ids, int n) {
    struct gpt2_session *fresh = session_of(world->model, 0, kv);
    read_ids(world, fresh, ids, n);
    float *copy = malloc((size_t)world->n_vocab * sizeof *copy);
    memcpy(copy, gpt2_batch_logits(world->batch, 0, 0), (size_t)world->n_vocab * sizeof *copy);
    gpt2_session_free(fresh);
    return copy;
}

static float *logits_after(struct world *world, const int32_t *ids, int n) {
    return logits_with(world, GPT2_KV_AUTO, ids, n);
}

static void expect_logits(struct world *world, const float *expected) {
    assert_memory_equal(gpt2_batch_logits(world->batch, 0, 0), expected,
                        (size_t)world->n_vocab * sizeof *expected);
}

static const int32_t long_ids[70] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void rewinding_forgets(void **state) {
    struct world *world = *state;
    int32_t other[] = {9, 8, 7};
    int32_t whole[] = {1, 2, 9, 8, 7};
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        struct gpt2_session *session = session_of(world->model, 0, kv);
        read_ids(world, session, long_ids, 70);
        assert_int_equal(gpt2_session_position(session), 70);
        assert_true(gpt2_session_rewind(session, 2, NULL));
        read_ids(world, session, other, 3);
        float *expected = logits_with(world, kv, whole, 5);
        gpt2_session_rewind(session, 4, NULL);
        read_ids(world, session, &other[2], 1);
        expect_logits(world, expected);
        free(expected);
        gpt2_session_free(session);
    }
}

static void a_fork_goes_its_own_way(void **state) {
    struct world *world = *state;
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        struct gpt2_session *source = session_of(world->model, 0, kv);
        struct gpt2_session *fork = session_of(world->model, 80, kv);
        read_ids(world, source, long_ids, 66);
        assert_true(gpt2_session_fork(fork, source, NULL));
        assert_int_equal(gpt2_session_position(fork), 66);
        int32_t a = 3, b = 4;
        int32_t whole[67];
        memcpy(whole, long_ids, sizeof whole);
        whole[66] = b;
        float *expected = logits_with(world, kv, whole, 67);
        read_ids(world, source, &a, 1);
        read_ids(world, fork, &b, 1);
        expect_logits(world, expected);
        free(expected);
        gpt2_session_free(fork);
        gpt2_session_free(source);
    }
}

/* A family of forks of forks that share pages: each goes on as if it were alone, also after the one
 * that read the prompt is rewound, reads something else, and is freed. */
static void a_family_of_forks_shares_nothing_that_matters(void **state) {
    struct world *world = *state;
    enum { N = 5 };
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        struct gpt2_session *family[N];
        int32_t texts[N][80];
        int n_ids[N] = {62}; // the children read past the end of a page
        for (int i = 0; i < N; i++) {
            family[i] = session_of(world->model, 90, kv);
            memcpy(texts[i], long_ids, sizeof long_ids);
        }
        read_ids(world, family[0], long_ids, n_ids[0]);
        for (int i = 1; i < N; i++) {
            int parent = (i - 1) / 2;
            n_ids[i] = n_ids[parent];
            memcpy(texts[i], texts[parent], sizeof texts[i]);
            assert_true(gpt2_session_fork(family[i], family[parent], NULL));
            for (int k = 0; k < 2; k++) {
                texts[i][n_ids[i]] = 10 + i + k;
                read_ids(world, family[i], &texts[i][n_ids[i]++], 1);
            }
        }
        assert_true(gpt2_session_rewind(family[0], 3, NULL));
        read_ids(world, family[0], &texts[1][5], 10);
        gpt2_session_free(family[0]);
        assert_true(gpt2_session_unshare(family[1], NULL));
        for (int i = 1; i < N; i++) {
            texts[i][n_ids[i]] = 20 + i;
            float *expected = logits_with(world, kv, texts[i], n_ids[i] + 1);
            read_ids(world, family[i], &texts[i][n_ids[i]], 1);
            expect_logits(world, expected);
            free(expected);
        }
        for (int i = 1; i < N; i++)
            gpt2_session_free(family[i]);
    }
}

static void a_fork_keeps_the_type_of_the_cache(void **state) {
    struct world *world = *state;
    struct gpt2_error err = {0};
    struct gpt2_session *q8 = session_of(world->model, 0, GPT2_KV_Q8);
    read_ids(world, world->session, long_ids, 4);
    assert_false(gpt2_session_fork(q8, world->session, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_non_null(strstr(err.message, "f32 and q8"));
    assert_int_equal(gpt2_session_position(q8), 0);
    gpt2_session_free(q8);
}

/* The largest |a - b|, in units of the deviation of a. */
static double distance(const float *a, const float *b, int n) {
    double largest = 0, sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        largest = difference > largest ? difference : largest;
        sum += a[i];
        squares += (double)a[i] * a[i];
    }
    return largest / sqrt(squares / n - sum / n * (sum / n));
}

static void each_type_of_cache_is_as_accurate_as_it_says(void **state) {
    static const double bounds[] = {[GPT2_KV_F32] = 0, [GPT2_KV_F16] = 2e-3, [GPT2_KV_Q8] = 5e-2};
    struct world *world = *state;
    float *exact = logits_with(world, GPT2_KV_F32, long_ids, 70);
    double coarser = 0;
    for (enum gpt2_kv kv = GPT2_KV_F16; kv <= GPT2_KV_Q8; kv++) {
        float *logits = logits_with(world, kv, long_ids, 70);
        double found = distance(exact, logits, world->n_vocab);
        if (found > bounds[kv])
            fail_msg("cache type %d: off by %g deviations", (int)kv, found);
        assert_true(found > coarser); // it is rounded, and more so than the one before
        coarser = found;
        free(logits);
    }
    free(exact);
}

static void the_type_of_the_cache_follows_the_weights(void **state) {
    struct world *world = *state;
    struct gpt2_error err = {0};
    assert_int_equal(gpt2_session_kv(world->session), GPT2_KV_F32);
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        struct gpt2_session *session = session_of(world->model, 0, kv);
        assert_int_equal(gpt2_session_kv(session), kv);
        gpt2_session_free(session);
    }
    for (int bad = -1; bad <= GPT2_KV_Q8 + 1; bad += GPT2_KV_Q8 + 2) {
        struct gpt2_session_options options = {.kv = (enum gpt2_kv)bad};
        assert_null(gpt2_session_create(world->model, &options, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        assert_non_null(strstr(err.message, "type of the KV cache"));
    }
}

static void a_fork_must_fit(void **state) {
    struct world *world = *state;
    struct gpt2_error err = {0};
    struct gpt2_session *small = session_of(world->model, 3, GPT2_KV_AUTO);
    read_ids(world, world->session, long_ids, 4);
    assert_false(gpt2_session_fork(small, world->session, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_session_free(small);
}

static void only_the_rows_asked_for_have_logits(void **state) {
    struct world *world = *state;
    int32_t ids[] = {5, 6, 7, 8};
    struct gpt2_span span = {world->session, ids, 4, 2};
    assert_true(gpt2_batch_run(world->batch, &span, 1, NULL));
    float *last = malloc((size_t)world->n_vocab * sizeof *last);
    memcpy(last, gpt2_batch_logits(world->batch, 0, 1), (size_t)world->n_vocab * sizeof *last);
    float *third = malloc((size_t)world->n_vocab * sizeof *third);
    memcpy(third, gpt2_batch_logits(world->batch, 0, 0), (size_t)world->n_vocab * sizeof *third);
    float *expected = logits_after(world, ids, 4);
    assert_memory_equal(last, expected, (size_t)world->n_vocab * sizeof *last);
    free(expected);
    expected = logits_after(world, ids, 3);
    assert_memory_equal(third, expected, (size_t)world->n_vocab * sizeof *third);
    free(expected);
    free(last);
    free(third);
}

static void refused(struct world *world, struct gpt2_span *spans, int n, enum gpt2_status status,
                    const char *words) {
    struct gpt2_error err = {0};
    int before = gpt2_session_position(world->session);
    assert_false(gpt2_batch_run(world->batch, spans, n, &err));
    assert_int_equal(err.status, status);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    assert_int_equal(gpt2_session_position(world->session), before);
}

static void bad_runs_are_refused_and_nothing_moves(void **state) {
    struct world *world = *state;
    int32_t ids[101] = {0}, negative[] = {1, -1}, beyond[] = {1, world->n_vocab};
    struct gpt2_session *s = world->session;
    refused(world, &(struct gpt2_span){s, negative, 2, 1}, 1, GPT2_ERR_USAGE, "token id -1");
    refused(world, &(struct gpt2_span){s, beyond, 2, 1}, 1, GPT2_ERR_USAGE, "rows of wte");
    refused(world, &(struct gpt2_span){s, ids, 101, 1}, 1, GPT2_ERR_INPUT, "do not fit");
    refused(world, &(struct gpt2_span){s, ids, 0, 0}, 1, GPT2_ERR_USAGE, "at least 1 id");
    refused(world, &(struct gpt2_span){s, ids, 2, 3}, 1, GPT2_ERR_USAGE, "rows of logits");
    refused(world, &(struct gpt2_span){s, ids, 20, 9}, 1, GPT2_ERR_USAGE, "created for 8");
    refused(world, &(struct gpt2_span){NULL, ids, 1, 1}, 1, GPT2_ERR_USAGE, "not of this model");
    struct gpt2_span twice[] = {{s, ids, 1, 1}, {s, ids, 1, 1}};
    refused(world, twice, 2, GPT2_ERR_USAGE, "another span");
    struct gpt2_span many[600] = {{s, ids, 1, 0}};
    refused(world, many, 600, GPT2_ERR_USAGE, "expected 0 to 512 spans");
    read_ids(world, s, ids, 1); // the refusals left nothing behind
}

static void sessions_of_bad_sizes_are_refused(void **state) {
    struct world *world = *state;
    struct gpt2_error err = {0};
    struct gpt2_session_options options = {.n_ctx = 101};
    assert_null(gpt2_session_create(world->model, &options, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    options.n_ctx = -1;
    assert_null(gpt2_session_create(world->model, &options, &err));
    assert_false(gpt2_session_rewind(world->session, 1, &err));
    assert_false(gpt2_session_rewind(world->session, -1, &err));
    assert_null(gpt2_runtime_create(&(struct gpt2_runtime_options){.cpu = "abacus"}, &err));
    assert_non_null(strstr(err.message, "abacus"));
    assert_null(gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = -1}, &err));
    assert_null(gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 100000}, &err));
}

/* What the tap saw: how often each site was shown, and the statistics of what left ln_1. */
struct watch {
    int calls[GPT2_SITE_LN_F + 1];
    int rows[GPT2_SITE_LN_F + 1];
    float embedding[16], mid[16], attn[16];
};

static void watch_tap(void *user, enum gpt2_site site, int layer,
                      const struct gpt2_session *session, int position, int n_rows,
                      const float *data, int width, size_t stride) {
    struct watch *watch = user;
    watch->calls[site]++;
    watch->rows[site] += n_rows;
    assert_int_equal(width, site == GPT2_SITE_HIDDEN ? 64 : site == GPT2_SITE_QKV ? 48 : 16);
    if (layer == 0 && site == GPT2_SITE_EMBEDDING)
        memcpy(watch->embedding, data, sizeof watch->embedding);
    if (layer == 0 && site == GPT2_SITE_ATTN)
        memcpy(watch->attn, data, sizeof watch->attn);
    if (layer == 0 && site == GPT2_SITE_RESID_MID)
        memcpy(watch->mid, data, sizeof watch->mid);
}

static void the_tap_sees_every_site_and_changes_nothing(void **state) {
    struct world *world = *state;
    struct watch watch = {0};
    float *expected = logits_after(world, long_ids, 5);
    gpt2_batch_set_tap(world->batch, watch_tap, &watch);
    read_ids(world, world->session, long_ids, 5);
    gpt2_batch_set_tap(world->batch, NULL, NULL);
    expect_logits(world, expected);
    free(expected);
    assert_int_equal(watch.rows[GPT2_SITE_EMBEDDING], 5);
    assert_int_equal(watch.calls[GPT2_SITE_LN_1], 2); // layers
    assert_int_equal(watch.rows[GPT2_SITE_HEADS], 10);
    assert_int_equal(watch.rows[GPT2_SITE_LN_2], 10);
    assert_int_equal(watch.rows[GPT2_SITE_HIDDEN], 10);
    assert_int_equal(watch.rows[GPT2_SITE_QKV], 10);
    assert_int_equal(watch.rows[GPT2_SITE_RESID], 10);
    assert_int_equal(watch.rows[GPT2_SITE_LN_F], 1); // only where logits were asked for
    for (int i = 0; i < 16; i++) // the stream itself is passed on, not normalized
        assert_true(watch.mid[i] == watch.embedding[i] + watch.attn[i]);
}

static void nan_weights_are_reported_when_they_reach_the_logits(void **state) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){0});
    testmodel_path(path, dir, "model.safetensors");
    FILE *file = fopen(path, "r+b");
    float nan = NAN;
    assert_int_equal(fseek(file, -4, SEEK_END), 0); // the last number of the last tensor
    assert_int_equal(fwrite(&nan, 4, 1, file), 1);
    fclose(file);
    struct world *world = *state;
    struct gpt2_model *model = gpt2_model_open(dir, &err);
    assert_non_null(model);
    struct gpt2_batch *batch = gpt2_batch_create(model, world->runtime, NULL, NULL);
    struct gpt2_session *session = gpt2_session_create(model, NULL, NULL);
    int32_t ids[61]; // every id and many positions: some of them meets the NaN
    for (int i = 0; i < 40; i++)
        ids[i] = i;
    assert_false(gpt2_batch_run(batch, &(struct gpt2_span){session, ids, 40, 1}, 1, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_non_null(strstr(err.message, "NaN"));
    gpt2_session_free(session);
    gpt2_batch_free(batch);
    gpt2_model_close(model);
    testmodel_remove(dir);
}

/* Bytes of this process's address space; 0 where the system does not tell. */
static long address_space(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void sizes_are_known_before_anything_is_made(void **state) {
    struct world *w = *state;
    const struct gpt2_session_options short_one = {.n_ctx = 1, .kv = GPT2_KV_F32};
    const size_t whole = gpt2_session_bytes(w->model, NULL);
    const size_t tokens =
        gpt2_session_token_bytes(w->session) * (size_t)gpt2_session_capacity(w->session);
    assert_true(whole >= tokens && whole < tokens + tokens / 2 + 65536);
    assert_in_range(gpt2_session_bytes(w->model, &short_one), 1, whole);
    assert_int_equal(gpt2_session_bytes(w->model, &(struct gpt2_session_options){.n_ctx = 1 << 30}),
                     0);
    assert_int_equal(
        gpt2_batch_bytes(w->model, w->runtime, &(struct gpt2_batch_options){.max_rows = -1}), 0);
    const struct gpt2_batch_options large = {.max_rows = 65536, .max_logits = 1000};
    const long bytes = (long)gpt2_batch_bytes(w->model, w->runtime, &large);
    const long before = address_space();
    if (!before)
        return;
    struct gpt2_batch *batch = gpt2_batch_create(w->model, w->runtime, &large, NULL);
    assert_non_null(batch);
    const long taken = address_space() - before;
    gpt2_batch_free(batch);
    // large pages, of which each array has whole ones
    assert_in_range(taken, bytes * 9 / 10, bytes * 11 / 10 + 16 * (2 << 20));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(sizes_are_known_before_anything_is_made),
        TEST(rewinding_forgets),
        TEST(a_fork_goes_its_own_way),
        TEST(a_fork_must_fit),
        TEST(a_family_of_forks_shares_nothing_that_matters),
        TEST(a_fork_keeps_the_type_of_the_cache),
        TEST(each_type_of_cache_is_as_accurate_as_it_says),
        TEST(the_type_of_the_cache_follows_the_weights),
        TEST(only_the_rows_asked_for_have_logits),
        TEST(bad_runs_are_refused_and_nothing_moves),
        TEST(sessions_of_bad_sizes_are_refused),
        TEST(the_tap_sees_every_site_and_changes_nothing),
        TEST(nan_weights_are_reported_when_they_reach_the_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
