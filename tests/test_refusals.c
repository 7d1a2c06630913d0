/* test_refusals.c - what the headers call wrong is refused when it is handed over, with a status
 * and in words, and changes nothing: no crash, no endless run, no failure of what works beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/completion.h>
#include <gpt2/inspect.h>
#include <gpt2/prefix_cache.h>
#include <gpt2/saved_session.h>
#include <gpt2/score.h>
#include <string.h>

enum { N_CTX = 24 };

static struct world {
    struct gpt2_model *model, *other;
    struct gpt2_runtime *runtime;
    struct gpt2_generator *generator;
    int n_vocab;
} world;

static const int32_t ids[] = {1, 2, 3, 4};

static struct gpt2_model *open_model(uint32_t seed) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = N_CTX, .seed = seed});
    struct gpt2_model *model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    return model;
}

static int open_world(void **state) {
    world.model = open_model(1);
    world.other = open_model(2);
    world.runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, NULL);
    if (!world.model || !world.other || !world.runtime)
        return -1;
    world.generator = gpt2_generator_create(world.model, world.runtime, NULL, NULL);
    world.n_vocab = gpt2_model_config(world.model)->n_vocab;
    return world.generator ? 0 : -1;
}

static int close_world(void **state) {
    gpt2_generator_free(world.generator);
    gpt2_runtime_free(world.runtime);
    gpt2_model_close(world.other);
    gpt2_model_close(world.model);
    return 0;
}

/* The call failed with GPT2_ERR_USAGE and these words. */
static void expect_refused(bool done, const struct gpt2_error *err, const char *words) {
    assert_false(done);
    assert_int_equal(err->status, GPT2_ERR_USAGE);
    if (!strstr(err->message, words))
        fail_msg("expected \"%s\" in \"%s\"", words, err->message);
}

static const struct gpt2_prompt prompt = {.ids = ids, .n_ids = 4};

static struct gpt2_completion *complete(int max_tokens) {
    struct gpt2_error err;
    struct gpt2_completion *c =
        gpt2_completion_create(world.model, NULL, &prompt,
                               &(struct gpt2_completion_options){.max_tokens = max_tokens}, &err);
    if (!c)
        fail_msg("%s", err.message);
    return c;
}

static void a_completion_is_started_once(void **state) {
    for (int max_tokens = 0; max_tokens <= 3; max_tokens += 3) {
        struct gpt2_error err;
        struct gpt2_completion *c = complete(max_tokens);
        assert_true(gpt2_completion_start(c, world.generator, &err));
        expect_refused(gpt2_completion_start(c, world.generator, &err), &err, "started before");
        while (!gpt2_completion_done(c))
            assert_true(gpt2_generator_step(world.generator, &err));
        expect_refused(gpt2_completion_run(c, world.runtime, &err), &err, "started before");
        assert_true(gpt2_completion_get(c, 0).n_ids <= max_tokens);
        gpt2_completion_free(c);
    }
}

static void a_completion_that_could_not_start_can_start(void **state) {
    struct gpt2_error err;
    struct gpt2_generator *foreign = gpt2_generator_create(world.other, world.runtime, NULL, &err);
    struct gpt2_completion *c = complete(2);
    assert_non_null(foreign);
    expect_refused(gpt2_completion_start(c, foreign, &err), &err, "of another model");
    assert_true(gpt2_completion_run(c, world.runtime, &err));
    gpt2_completion_free(c);
    gpt2_generator_free(foreign);
}

static void options_of_a_completion_fit_the_model(void **state) {
    struct gpt2_error err;
    struct gpt2_sampler_options drawing;
    gpt2_sampler_defaults(&drawing, GPT2_COMPAT_NATIVE);
    struct gpt2_sampler *large = gpt2_sampler_create(&drawing, world.n_vocab + 1, &err);
    struct gpt2_session *foreign = gpt2_session_create(world.other, NULL, &err);
    struct gpt2_session *small =
        gpt2_session_create(world.model, &(struct gpt2_session_options){.n_ctx = N_CTX - 1}, &err);
    assert_true(large && foreign && small);
    assert_int_equal(gpt2_sampler_vocab(large), world.n_vocab + 1);
    assert_ptr_equal(gpt2_session_model(foreign), world.other);
    const struct {
        struct gpt2_completion_options options;
        const char *words;
    } wrong[] = {
        {{.sampler = large}, "a sampler of at most"},
        {{.sampler = large, .n_beams = 2}, "a sampler of at most"},
        {{.session = foreign}, "a session of the model"},
        {{.session = small}, "a session of the model"},
        {{.overflow = GPT2_OVERFLOW_SLIDE, .keep = -1}, "tokens to keep, got -1"},
        {{.overflow = GPT2_OVERFLOW_SLIDE, .keep = N_CTX}, "tokens to keep, got 24"},
        {{.kv = (enum gpt2_kv)9}, "kv 9"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct gpt2_completion_options options = wrong[i].options;
        options.max_tokens = 2;
        expect_refused(gpt2_completion_create(world.model, NULL, &prompt, &options, &err), &err,
                       wrong[i].words);
    }
    gpt2_session_free(small);
    gpt2_session_free(foreign);
    gpt2_sampler_free(large);
}

static void a_search_is_started_when_the_one_before_is_done(void **state) {
    struct gpt2_error err;
    struct gpt2_beams *beams = gpt2_beams_create(
        world.model, &(struct gpt2_beam_options){.n_beams = 2, .max_tokens = 3}, &err);
    assert_non_null(beams);
    assert_true(gpt2_beams_start(beams, world.generator, ids, 4, &err));
    expect_refused(gpt2_beams_start(beams, world.generator, ids, 4, &err), &err, "is not done");
    while (!gpt2_beams_done(beams))
        assert_true(gpt2_generator_step(world.generator, &err));
    assert_int_equal(gpt2_beams_count(beams), 2);
    assert_true(gpt2_beams_run(beams, world.generator, ids, 4, &err)); // one after another
    gpt2_beams_free(beams);

    struct gpt2_sampler_options drawing;
    gpt2_sampler_defaults(&drawing, GPT2_COMPAT_NATIVE);
    struct gpt2_sampler *rules = gpt2_sampler_create(&drawing, world.n_vocab, &err);
    expect_refused(gpt2_beams_create(world.model,
                                     &(struct gpt2_beam_options){.n_beams = 2,
                                                                 .max_tokens = 3,
                                                                 .n_vocab = world.n_vocab - 1,
                                                                 .rules = rules},
                                     &err),
                   &err, "rules for at most");
    gpt2_sampler_free(rules);
}

static int32_t choose(void *user, const struct gpt2_step *step, bool *last) {
    return 1;
}

static int advance(void *user, const struct gpt2_step *steps, int n_steps,
                   struct gpt2_branch *next) {
    return 0;
}

static void a_request_that_would_fail_a_pass_is_refused(void **state) {
    struct gpt2_error err;
    struct gpt2_session *own = gpt2_session_create(world.model, NULL, &err);
    struct gpt2_session *foreign = gpt2_session_create(world.other, NULL, &err);
    const struct gpt2_request good = {
        .ids = ids, .n_ids = 4, .n_samples = 1, .max_tokens = 3, .choose = choose};
    struct gpt2_request request = good;
    assert_true(own && foreign);
    request.choose = NULL;
    expect_refused(gpt2_generator_add(world.generator, &request, &err), &err, "got none");
    request = good;
    request.advance = advance;
    expect_refused(gpt2_generator_add(world.generator, &request, &err), &err, "got both");
    request = good;
    request.overflow = (enum gpt2_overflow)9;
    expect_refused(gpt2_generator_add(world.generator, &request, &err), &err, "overflow 9");
    request = good;
    request.session = foreign;
    expect_refused(gpt2_generator_add(world.generator, &request, &err), &err, "of another model");
    request.session = own;
    assert_true(gpt2_generator_add(world.generator, &request, &err));
    expect_refused(gpt2_generator_add(world.generator, &request, &err), &err, "has its session");
    while (gpt2_generator_busy(world.generator)) // what was taken goes on
        assert_true(gpt2_generator_step(world.generator, &err));
    gpt2_session_free(foreign);
    gpt2_session_free(own);
}

static void numbers_out_of_range_are_refused(void **state) {
    struct gpt2_error err;
    struct gpt2_sampler_options drawing;
    int *const counts[] = {&drawing.n_banned, &drawing.n_biases, &drawing.n_eos};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        gpt2_sampler_defaults(&drawing, GPT2_COMPAT_NATIVE);
        *counts[i] = -1;
        expect_refused(gpt2_sampler_create(&drawing, world.n_vocab, &err), &err, "got -1");
    }
    expect_refused(gpt2_stops_create(&(struct gpt2_stops_options){.n_strings = -1}, &err), &err,
                   "got -1");
    expect_refused(
        gpt2_speculation_create(
            &(struct gpt2_speculation_options){.lookup = true, .kv = (enum gpt2_kv)8}, &err),
        &err, "kv 8");

    struct gpt2_inspector *inspector =
        gpt2_inspector_create(world.model, world.runtime, 0, NULL, &err);
    assert_non_null(inspector);
    float data[1];
    const struct gpt2_capture captures[] = {{.site = (enum gpt2_site)99, .data = data},
                                            {.site = (enum gpt2_site) - 1, .data = data}};
    for (int i = 0; i < 2; i++)
        expect_refused(gpt2_inspect_capture(inspector, ids, 1, &captures[i], 1, NULL, &err), &err,
                       "site ");
    expect_refused(gpt2_inspect_capture(inspector, ids, 1, NULL, -1, NULL, &err), &err, "got -1");
    gpt2_inspector_free(inspector);
}

static void nothing_begins_with_no_ids(void **state) {
    struct gpt2_error err;
    struct gpt2_prefix_cache *cache = gpt2_prefix_cache_create(
        world.model, &(struct gpt2_prefix_cache_options){.max_bytes = 1 << 20, .kv = GPT2_KV_F32},
        &err);
    struct gpt2_session *session =
        gpt2_session_create(world.model, &(struct gpt2_session_options){.kv = GPT2_KV_F32}, &err);
    struct gpt2_scorer *scorer = gpt2_scorer_create(
        world.model, world.runtime,
        &(struct gpt2_scorer_options){
            .prefix_bytes = 1 << 20, .kv = GPT2_KV_F32, .n_vocab = world.n_vocab - 1},
        &err);
    assert_true(cache && session && scorer);
    expect_refused(gpt2_prefix_begin(cache, ids, 0, &err), &err, "at least 1 token");
    expect_refused(gpt2_prefix_keep(cache, session, NULL, 0, &err), &err, "at least 1 token");
    expect_refused(gpt2_scorer_keep(scorer, session, NULL, 0, &err), &err, "at least 1 token");
    const int32_t last = world.n_vocab - 1; // of the model, and not of the scorer
    expect_refused(gpt2_scorer_prefix(scorer, &last, 1, &err), &err, "expected 0 to");
    gpt2_scorer_free(scorer);
    gpt2_session_free(session);
    gpt2_prefix_cache_free(cache);
}

static void a_session_that_could_not_be_opened_is_not_saved(void **state) {
    struct gpt2_error err;
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    struct gpt2_session *session = gpt2_session_create(world.model, NULL, &err);
    struct gpt2_batch *batch = gpt2_batch_create(world.model, world.runtime, NULL, &err);
    assert_true(session && batch);
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "kept.session");
    const int32_t wrong[][2] = {{1, -7}, {1, world.n_vocab}, {-1, 1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(gpt2_session_save(session, batch, wrong[i], 2, 1, path, &err), &err,
                       "save a session: token id");
    assert_true(gpt2_session_save(session, batch, ids, 4, 1, path, &err));
    testmodel_remove(dir);
    gpt2_batch_free(batch);
    gpt2_session_free(session);
}

static void success_leaves_the_error_alone(void **state) {
    char dir[TESTMODEL_PATH];
    struct gpt2_error err = {.status = GPT2_ERR_RUNTIME, .message = "as it was"};
    struct gpt2_tokenizer *tokenizer;
    testmodel_tempdir(dir); // without a tokenizer
    assert_true(gpt2_tokenizer_open_if_any(&tokenizer, dir, &err));
    assert_null(tokenizer);
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    assert_string_equal(err.message, "as it was");
    testmodel_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_completion_is_started_once),
        cmocka_unit_test(a_completion_that_could_not_start_can_start),
        cmocka_unit_test(options_of_a_completion_fit_the_model),
        cmocka_unit_test(a_search_is_started_when_the_one_before_is_done),
        cmocka_unit_test(a_request_that_would_fail_a_pass_is_refused),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(nothing_begins_with_no_ids),
        cmocka_unit_test(a_session_that_could_not_be_opened_is_not_saved),
        cmocka_unit_test(success_leaves_the_error_alone),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
