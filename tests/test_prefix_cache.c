/* test_prefix_cache.c - texts that begin alike: what is shared, what is kept, who waits; and that
 * no bit changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "testmodel.h"
#include <gpt2/generator.h>
#include <gpt2/prefix_cache.h>

enum { N_CTX = 400, PAGE = 64, N_TEXTS = 40, N_NEW = 4 };

static struct gpt2_model *model;
static struct gpt2_runtime *runtime;
static struct gpt2_batch *batch;
static int n_vocab;
static size_t page_bytes; /* memory of a page, as the cache counts it */

static int close_all(void **state) {
    gpt2_batch_free(batch);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
    return 0;
}

static struct gpt2_session *new_session(enum gpt2_kv kv) {
    struct gpt2_session *session =
        gpt2_session_create(model, &(struct gpt2_session_options){.kv = kv}, NULL);
    assert_non_null(session);
    return session;
}

static struct gpt2_prefix_cache *new_cache(size_t max_bytes, enum gpt2_kv kv) {
    struct gpt2_prefix_cache *cache = gpt2_prefix_cache_create(
        model, &(struct gpt2_prefix_cache_options){.max_bytes = max_bytes, .kv = kv}, NULL);
    assert_non_null(cache);
    return cache;
}

/* A text whose first n_common ids are those of every text of this `kind`. */
static void make_ids(int32_t *ids, int n, int n_common, int kind, int number) {
    for (int i = 0; i < n; i++)
        ids[i] = (i < n_common ? i * 7 + kind * 3 + i / 5 : i * 5 + number * 11 + 1 + i * number) %
                 n_vocab;
    if (n_common < n) // they part here, for certain
        ids[n_common] = number % n_vocab;
}

static struct gpt2_prefix *begin(struct gpt2_prefix_cache *cache, const int32_t *ids, int n) {
    struct gpt2_prefix *prefix = gpt2_prefix_begin(cache, ids, n, NULL);
    assert_non_null(prefix);
    return prefix;
}

/* Takes what there is and reads the rest; returns how much there was. */
static int take_and_read(struct gpt2_prefix *prefix, struct gpt2_session *session,
                         const int32_t *ids, int n) {
    assert_true(gpt2_prefix_take(prefix, session, NULL));
    int taken = gpt2_session_position(session);
    assert_true(taken < n);
    struct gpt2_span span = {session, ids + taken, n - taken, 1};
    assert_true(gpt2_batch_run(batch, &span, 1, NULL));
    gpt2_prefix_read(prefix);
    return taken;
}

static int open_all(void **state) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = N_CTX});
    model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, NULL);
    batch = gpt2_batch_create(model, runtime, NULL, NULL);
    if (!model || !runtime || !batch)
        return -1;
    n_vocab = gpt2_model_config(model)->n_vocab;
    struct gpt2_prefix_cache *cache = new_cache(SIZE_MAX, GPT2_KV_F32);
    struct gpt2_session *session = new_session(GPT2_KV_F32);
    int32_t ids[PAGE + 2];
    make_ids(ids, PAGE + 2, PAGE, 0, 1);
    struct gpt2_prefix *one = begin(cache, ids, PAGE + 1);
    take_and_read(one, session, ids, PAGE + 1);
    struct gpt2_prefix *two = begin(cache, ids, PAGE + 2);
    page_bytes = gpt2_prefix_cache_bytes(cache);
    gpt2_prefix_end(one);
    gpt2_prefix_end(two);
    gpt2_session_free(session);
    gpt2_prefix_cache_free(cache);
    return page_bytes ? 0 : -1;
}

static uint64_t hash_logits(void) {
    const float *logits = gpt2_batch_logits(batch, 0, 0);
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < n_vocab; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001B3u;
    }
    return hash;
}

/* A second text takes what the first one's session has read, to the very token, and goes on with
 * the same bits; with every type of cache. */
static void what_is_common_is_taken(void **state) {
    static const struct {
        int n_common, n_first, n_second, taken;
    } cases[] = {
        {200, 210, 230, 192}, {210, 220, 230, 210}, {192, 210, 230, 192},
        {63, 100, 100, 63},   {16, 40, 40, 16},     {15, 40, 40, 0},
        {64, 64, 80, 64},     {70, 90, 90, 64}, // 6 are not worth a copy
        {79, 90, 90, 64},     {80, 90, 90, 80},     {100, 100, 100, 99},
        {128, 128, 128, 127}, {0, 50, 50, 0},       {1, 1, 1, 0},
        {100, 100, 101, 100},
    };
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
            struct gpt2_prefix_cache *cache = new_cache(SIZE_MAX, kv);
            struct gpt2_session *sessions[] = {new_session(kv), new_session(kv), new_session(kv)};
            int32_t first[N_CTX], second[N_CTX];
            int n = cases[c].n_second;
            make_ids(first, cases[c].n_first, cases[c].n_common, 0, 1);
            make_ids(second, n, cases[c].n_common, 0, 2);
            struct gpt2_prefix *one = begin(cache, first, cases[c].n_first);
            assert_int_equal(take_and_read(one, sessions[0], first, cases[c].n_first), 0);
            struct gpt2_prefix *two = begin(cache, second, n);
            assert_false(gpt2_prefix_waits(two));
            assert_int_equal(take_and_read(two, sessions[1], second, n), cases[c].taken);
            uint64_t found = hash_logits();
            struct gpt2_span span = {sessions[2], second, n, 1};
            assert_true(gpt2_batch_run(batch, &span, 1, NULL));
            assert_int_equal(found, hash_logits());
            gpt2_prefix_end(two);
            gpt2_prefix_end(one);
            for (int i = 0; i < 3; i++)
                gpt2_session_free(sessions[i]);
            gpt2_prefix_cache_free(cache);
        }
    }
}

/* While a text is being read another one waits for it, until it has read what is common, or ends.
 */
static void a_text_waits_for_its_beginning(void **state) {
    struct gpt2_prefix_cache *cache = new_cache(SIZE_MAX, GPT2_KV_F32);
    struct gpt2_session *session = new_session(GPT2_KV_F32);
    int32_t a[N_CTX], b[N_CTX];
    make_ids(a, 300, 220, 0, 1);
    make_ids(b, 300, 220, 0, 2);
    struct gpt2_prefix *one = begin(cache, a, 300), *two = begin(cache, b, 300);
    assert_false(gpt2_prefix_waits(one)); // it was first
    assert_false(gpt2_prefix_waits(two)); // and does not read yet
    assert_true(gpt2_prefix_take(one, session, NULL));
    assert_true(gpt2_prefix_waits(two));
    struct gpt2_span span = {session, a, 100, 0};
    assert_true(gpt2_batch_run(batch, &span, 1, NULL));
    gpt2_prefix_read(one);
    assert_true(gpt2_prefix_waits(two)); // for the other half
    span = (struct gpt2_span){session, a + 100, 200, 0};
    assert_true(gpt2_batch_run(batch, &span, 1, NULL));
    gpt2_prefix_read(one);
    assert_false(gpt2_prefix_waits(two));
    gpt2_prefix_end(one);
    gpt2_session_free(session); // what was wanted is still there
    session = new_session(GPT2_KV_F32);
    assert_int_equal(take_and_read(two, session, b, 300), 220);

    struct gpt2_prefix *three = begin(cache, a + 1, 250), *four = begin(cache, a + 1, 240);
    struct gpt2_session *other = new_session(GPT2_KV_F32);
    assert_true(gpt2_prefix_take(three, other, NULL));
    assert_true(gpt2_prefix_waits(four));
    gpt2_prefix_end(three); // without having read anything
    assert_false(gpt2_prefix_waits(four));
    gpt2_prefix_end(four);
    gpt2_prefix_end(two);
    gpt2_session_free(other);
    gpt2_session_free(session);
    gpt2_prefix_cache_free(cache);
}

/* Texts that have nothing in common leave nothing behind. Those that have it keep it once, also
 * where the first one was gone when the second came. */
static void only_what_is_wanted_is_kept(void **state) {
    struct gpt2_prefix_cache *cache = new_cache(SIZE_MAX, GPT2_KV_F32);
    struct gpt2_session *session = new_session(GPT2_KV_F32);
    int32_t ids[N_CTX];
    for (int i = 0; i < 20; i++) {
        make_ids(ids, 200, 3, 0, i);
        struct gpt2_prefix *prefix = begin(cache, ids, 200);
        assert_int_equal(take_and_read(prefix, session, ids, 200), 0);
        gpt2_prefix_end(prefix);
        assert_int_equal(gpt2_prefix_cache_bytes(cache), 0);
    }
    for (int i = 0; i < 20; i++) {
        make_ids(ids, 160, 150, 1, i);
        struct gpt2_prefix *prefix = begin(cache, ids, 160);
        assert_int_equal(take_and_read(prefix, session, ids, 160), i < 2 ? 0 : 150);
        gpt2_prefix_end(prefix);
        // the first was not known to be wanted; the second keeps three pages, once for all
        assert_int_equal(gpt2_prefix_cache_bytes(cache), i < 1 ? 0 : 3 * page_bytes);
    }
    gpt2_session_free(session);
    gpt2_prefix_cache_free(cache);
}

/* Memory is bounded, and what was not used for the longest time goes. */
static void the_oldest_pages_go_first(void **state) {
    struct gpt2_prefix_cache *cache = new_cache(4 * page_bytes, GPT2_KV_F32);
    struct gpt2_session *session = new_session(GPT2_KV_F32);
    int32_t ids[N_CTX];
    // kind 0 and 1 have two pages each; each is read twice, so that it is kept
    static const struct {
        int kind, taken;
    } steps[] = {{0, 0},   {0, 0},   {1, 0}, {1, 0}, {0, 128},
                 {1, 128}, {0, 128}, {2, 0}, {2, 0}, // in the place of kind 1
                 {0, 128}, {2, 128}, {1, 0},         // it was wanted: the pages of kind 0 go
                 {1, 128}, {2, 128}, {0, 0}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        make_ids(ids, 140, 128, steps[i].kind, (int)i);
        struct gpt2_prefix *prefix = begin(cache, ids, 140);
        assert_int_equal(take_and_read(prefix, session, ids, 140), steps[i].taken);
        gpt2_prefix_end(prefix);
        assert_true(gpt2_prefix_cache_bytes(cache) <= 4 * page_bytes);
    }
    // a text that is longer than the bound keeps its beginning, and no text waits for the rest
    int32_t more[N_CTX];
    make_ids(ids, 390, 380, 3, 1);
    make_ids(more, 390, 380, 3, 2);
    struct gpt2_prefix *one = begin(cache, ids, 390), *two = begin(cache, more, 390);
    take_and_read(one, session, ids, 390);
    assert_false(gpt2_prefix_waits(two));
    struct gpt2_session *other = new_session(GPT2_KV_F32);
    assert_int_equal(take_and_read(two, other, more, 390), 4 * PAGE);
    gpt2_prefix_end(one);
    gpt2_prefix_end(two);
    gpt2_session_free(other);
    gpt2_session_free(session);
    gpt2_prefix_cache_free(cache);
}

/* A session that no text of the cache's has read, such as one of a file. */
static void what_is_kept_from_elsewhere_is_taken(void **state) {
    enum { N_KEPT = 3 * PAGE + 20, N = 3 * PAGE + 50 };
    int32_t ids[N];
    make_ids(ids, N, N_KEPT, 1, 4);
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        struct gpt2_prefix_cache *cache = new_cache(SIZE_MAX, kv);
        struct gpt2_session *read = new_session(kv), *alone = new_session(kv),
                            *session = new_session(kv);
        assert_true(gpt2_batch_run(batch, &(struct gpt2_span){read, ids, N_KEPT, 0}, 1, NULL));
        assert_true(gpt2_prefix_keep(cache, read, ids, N_KEPT, NULL));
        gpt2_session_free(read);
        assert_true(gpt2_batch_run(batch, &(struct gpt2_span){alone, ids, N, 1}, 1, NULL));
        const uint64_t expected = hash_logits();
        struct gpt2_prefix *prefix = begin(cache, ids, N);
        assert_int_equal(take_and_read(prefix, session, ids, N), N_KEPT);
        assert_true(hash_logits() == expected);
        gpt2_prefix_end(prefix);
        struct gpt2_error err;
        struct gpt2_session *other = new_session(kv == GPT2_KV_F32 ? GPT2_KV_F16 : GPT2_KV_F32);
        assert_false(gpt2_prefix_keep(cache, other, ids, 1, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        gpt2_session_free(other);
        gpt2_session_free(session);
        gpt2_session_free(alone);
        gpt2_prefix_cache_free(cache);
    }
    struct gpt2_prefix_cache *small = new_cache(2 * page_bytes, GPT2_KV_F32);
    struct gpt2_session *read = new_session(GPT2_KV_F32);
    assert_true(gpt2_batch_run(batch, &(struct gpt2_span){read, ids, N_KEPT, 0}, 1, NULL));
    assert_true(gpt2_prefix_keep(small, read, ids, N_KEPT, NULL)); // as much as there is room for
    assert_true(gpt2_prefix_cache_bytes(small) <= 2 * page_bytes);
    struct gpt2_prefix *prefix = begin(small, ids, N);
    assert_int_equal(gpt2_prefix_ready(prefix), 2 * PAGE);
    gpt2_prefix_end(prefix);
    gpt2_session_free(read);
    gpt2_prefix_cache_free(small);
}

static void wrong_sessions_are_refused(void **state) {
    struct gpt2_error err;
    struct gpt2_prefix_cache *cache = new_cache(SIZE_MAX, GPT2_KV_F32);
    int32_t ids[50] = {0};
    struct gpt2_prefix *prefix = begin(cache, ids, 50);
    struct gpt2_session *q8 = new_session(GPT2_KV_Q8);
    assert_false(gpt2_prefix_take(prefix, q8, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    struct gpt2_session *small =
        gpt2_session_create(model, &(struct gpt2_session_options){.n_ctx = 49}, NULL);
    assert_false(gpt2_prefix_take(prefix, small, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_null(gpt2_prefix_cache_create(
        model, &(struct gpt2_prefix_cache_options){.kv = (enum gpt2_kv)9}, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_session_free(small);
    gpt2_session_free(q8);
    gpt2_prefix_end(prefix);
    gpt2_prefix_cache_free(cache);
    gpt2_prefix_cache_free(NULL);
    gpt2_prefix_end(NULL);
}

/* ---- in a generator ---- */

struct text {
    struct gpt2_request asked;
    int32_t ids[N_CTX];
    uint64_t hashes[3]; /* of all logits from which a sample was chosen */
};

static int32_t choose(void *user, const struct gpt2_step *step, bool *last) {
    uint64_t *hash = &((struct text *)user)->hashes[step->sample];
    uint32_t best = 0;
    for (int i = 0; i < n_vocab; i++) {
        uint32_t bits;
        memcpy(&bits, &step->logits[i], sizeof bits);
        *hash = (*hash ^ bits) * 0x100000001B3u;
        best = step->logits[i] > step->logits[best] ? (uint32_t)i : best;
    }
    return (int32_t)best;
}

/* Makes the texts, all but the first n_first one after another; returns the number of steps. */
static int run_texts(struct text *texts, size_t prefix_bytes, int max_samples, size_t cache_bytes,
                     int max_rows, int n_first) {
    struct gpt2_generator_options options = {.max_samples = max_samples,
                                             .max_rows = max_rows,
                                             .cache_bytes = cache_bytes,
                                             .prefix_bytes = prefix_bytes};
    struct gpt2_generator *generator = gpt2_generator_create(model, runtime, &options, NULL);
    assert_non_null(generator);
    int n_steps = 0;
    for (int i = 0; i < N_TEXTS; i++) {
        memset(texts[i].hashes, 1, sizeof texts[i].hashes);
        assert_true(gpt2_generator_add(generator, &texts[i].asked, NULL));
        for (int k = 0; i >= n_first && k < 3; k++, n_steps++) // the others come one after another
            assert_true(gpt2_generator_step(generator, NULL));
    }
    for (; gpt2_generator_busy(generator); n_steps++)
        assert_true(gpt2_generator_step(generator, NULL));
    gpt2_generator_free(generator);
    return n_steps;
}

static void sharing_changes_no_text(void **state) {
    static struct text texts[N_TEXTS], alone[N_TEXTS];
    static const int lengths[] = {0, 15, 16, 64, 100, 200, 256, 300};
    for (int i = 0; i < N_TEXTS; i++) {
        int n_common = lengths[i % 8], n = n_common + 1 + i % 5 * 9;
        make_ids(texts[i].ids, n, n_common, i % 3, i % 7 == 6 ? 1 : i);
        texts[i].asked =
            (struct gpt2_request){.ids = texts[i].ids,
                                  .n_ids = n,
                                  .n_samples = 1 + (i % 4 == 3) * 2,
                                  .max_tokens = i % 9 == 8 ? N_CTX : N_NEW,
                                  .overflow = i % 2 ? GPT2_OVERFLOW_SLIDE : GPT2_OVERFLOW_STOP,
                                  .keep = 20,
                                  .user = &texts[i],
                                  .choose = choose};
    }
    run_texts(texts, 0, 1, 0, 0, N_TEXTS);
    memcpy(alone, texts, sizeof alone);
    for (int n_first = 0; n_first <= N_TEXTS; n_first += N_TEXTS / 2) {
        static const struct {
            size_t prefix_bytes;
            int max_samples;
            size_t cache_bytes;
            int max_rows;
        } ways[] = {{SIZE_MAX, 64, 0, 0}, {SIZE_MAX, 1, 0, 0},  {SIZE_MAX, 7, 0, 16},
                    {300000, 64, 0, 0},   {1, 64, 0, 0},        {SIZE_MAX, 64, 1, 0},
                    {100000, 5, 0, 64},   {SIZE_MAX, 64, 0, 64}};
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            run_texts(texts, ways[w].prefix_bytes, ways[w].max_samples, ways[w].cache_bytes,
                      ways[w].max_rows, n_first);
            for (int i = 0; i < N_TEXTS; i++)
                assert_memory_equal(texts[i].hashes, alone[i].hashes, sizeof alone[i].hashes);
        }
    }
}

/* With 64 rows a step the number of steps says how much was read. */
static void prompts_that_begin_alike_are_read_once(void **state) {
    static struct text texts[N_TEXTS];
    for (int i = 0; i < N_TEXTS; i++) {
        make_ids(texts[i].ids, 304, 300, 0, i);
        texts[i].asked = (struct gpt2_request){.ids = texts[i].ids,
                                               .n_ids = 304,
                                               .n_samples = 1,
                                               .max_tokens = 1,
                                               .user = &texts[i],
                                               .choose = choose};
    }
    assert_in_range(run_texts(texts, 0, N_TEXTS, 0, PAGE, N_TEXTS), N_TEXTS * 304 / PAGE, 10000);
    int least = (304 + (N_TEXTS - 1) * 4) / PAGE;
    assert_in_range(run_texts(texts, SIZE_MAX, N_TEXTS, 0, PAGE, N_TEXTS), least, least + 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_common_is_taken),
        cmocka_unit_test(a_text_waits_for_its_beginning),
        cmocka_unit_test(only_what_is_wanted_is_kept),
        cmocka_unit_test(the_oldest_pages_go_first),
        cmocka_unit_test(what_is_kept_from_elsewhere_is_taken),
        cmocka_unit_test(wrong_sessions_are_refused),
        cmocka_unit_test(sharing_changes_no_text),
        cmocka_unit_test(prompts_that_begin_alike_are_read_once),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
