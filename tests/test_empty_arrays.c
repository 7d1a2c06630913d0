/* test_empty_arrays.c - an array without elements may be NULL (gpt2/error.h): each public function
 * that takes a pointer and a count is called so, and does what its header says. The sanitizers
 * watch that nothing is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/beam.h>
#include <gpt2/completion.h>
#include <gpt2/healing.h>
#include <gpt2/inspect.h>
#include <gpt2/logprobs.h>
#include <gpt2/prefix_cache.h>
#include <gpt2/record.h>
#include <gpt2/sampler.h>
#include <gpt2/saved_session.h>
#include <gpt2/score.h>
#include <gpt2/session.h>
#include <gpt2/stops.h>
#include <string.h>

static struct gpt2_model *model;
static struct gpt2_tokenizer *tokenizer;
static struct gpt2_runtime *runtime;
static struct gpt2_error err;

#define REFUSED(call)                                         \
    do {                                                      \
        err = (struct gpt2_error){0};                         \
        assert_false(call);                                   \
        assert_true(err.status != GPT2_OK && err.message[0]); \
    } while (0)

static int open_world(void **state) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){
                             .n_vocab = 3, .config = "\"bos_token_id\": 2, \"eos_token_id\": 2"});
    static const char vocab[] = "{\"a\": 0, \"b\": 1, \"<|endoftext|>\": 2}";
    testmodel_write_file(dir, "vocab.json", vocab, sizeof vocab - 1);
    testmodel_write_file(dir, "merges.txt", "#version: 0.2\n", strlen("#version: 0.2\n"));
    model = gpt2_model_open(dir, &err);
    tokenizer = gpt2_tokenizer_open(dir, &err);
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 1}, &err);
    testmodel_remove(dir);
    return model && tokenizer && runtime ? 0 : -1;
}

static int close_world(void **state) {
    gpt2_runtime_free(runtime);
    gpt2_tokenizer_close(tokenizer);
    gpt2_model_close(model);
    return 0;
}

static void texts(void **state) {
    struct gpt2_ids ids = {0};
    struct gpt2_extent *extents = NULL;
    assert_true(gpt2_tokenizer_encode(tokenizer, NULL, 0, 0, &ids, &err));
    assert_true(gpt2_tokenizer_encode_extents(tokenizer, NULL, 0, 0, &ids, &extents, &err));
    assert_int_equal(ids.len, 0);
    free(extents);
    gpt2_ids_free(&ids);
    assert_int_equal(gpt2_tokenizer_cut(tokenizer, NULL, 0, 0), 0);
    assert_int_equal(gpt2_tokenizer_find(tokenizer, NULL, 0), -1);
    assert_int_equal(gpt2_utf8_whole(NULL, 0), 0);
    REFUSED(gpt2_record_parse(NULL, 0, &err));
}

static void stops(void **state) {
    struct gpt2_stops *made = gpt2_stops_create(&(struct gpt2_stops_options){0}, &err);
    struct gpt2_stop_stream *stream = gpt2_stop_stream_create(made, &err);
    struct gpt2_shown shown;
    assert_true(gpt2_stop_stream_push(stream, NULL, 0, &shown, &err));
    assert_int_equal(shown.n_bytes, 0);
    assert_int_equal(shown.stop, GPT2_STOP_NONE);
    gpt2_stop_stream_free(stream);
    gpt2_stops_free(made);
    REFUSED(gpt2_stops_create(
        &(struct gpt2_stops_options){.strings = &(struct gpt2_stop){0}, .n_strings = 1}, &err));
    REFUSED(gpt2_choices_create(NULL, 0, -1, &err));
    REFUSED(gpt2_choices_create(&(struct gpt2_choice){0}, 1, -1, &err));
}

static void samplers(void **state) {
    struct gpt2_sampler_options options;
    gpt2_sampler_defaults(&options, GPT2_COMPAT_NATIVE);
    struct gpt2_sampler *sampler = gpt2_sampler_create(&options, 3, &err);
    assert_non_null(sampler);
    struct gpt2_history *history = gpt2_history_create(sampler, &err);
    assert_true(gpt2_history_push(history, NULL, 0, true, &err));
    static const float logits[] = {1, 2, 3};
    assert_true(gpt2_sampler_next(sampler, logits, (struct gpt2_draw){.history = history}) >= 0);
    assert_int_equal(gpt2_logprobs_top(logits, 3, 0, NULL, 0), 0);
    gpt2_history_free(history);
    gpt2_sampler_free(sampler);
    struct gpt2_healer *healer = gpt2_healer_create(tokenizer, &err);
    struct gpt2_heal *heal = gpt2_heal_begin(healer, NULL, 0, 0, &err);
    assert_non_null(heal);
    gpt2_heal_free(heal);
    gpt2_healer_free(healer);
}

static void passes(void **state) {
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    struct gpt2_batch *batch = gpt2_batch_create(model, runtime, NULL, &err);
    assert_true(session && batch);
    assert_true(gpt2_batch_run(batch, NULL, 0, &err));
    REFUSED(gpt2_batch_unembed(batch, NULL, 0, 0, &err));
    REFUSED(gpt2_batch_run(batch, &(struct gpt2_span){.session = session}, 1, &err));
    REFUSED(gpt2_session_save(session, batch, NULL, 0, 0, "/dev/null/none", &err));
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    struct gpt2_scorer *scorer = gpt2_scorer_create(model, runtime, NULL, &err);
    assert_true(gpt2_scorer_prefix(scorer, NULL, 0, &err));
    assert_true(gpt2_scorer_run(scorer, NULL, 0, NULL, NULL, &err));
    REFUSED(gpt2_scorer_run(scorer, &(struct gpt2_window){0}, 1, NULL, NULL, &err));
    gpt2_scorer_free(scorer);
}

static void requests(void **state) {
    struct gpt2_generator *generator = gpt2_generator_create(model, runtime, NULL, &err);
    REFUSED(gpt2_generator_add(generator, &(struct gpt2_request){.n_samples = 1, .max_tokens = 1},
                               &err));
    struct gpt2_beams *beams = gpt2_beams_create(
        model, &(struct gpt2_beam_options){.n_beams = 2, .max_tokens = 2, .length_penalty = 1},
        &err);
    assert_non_null(beams);
    REFUSED(gpt2_beams_start(beams, generator, NULL, 0, &err));
    gpt2_beams_free(beams);
    gpt2_generator_free(generator);
    // a prompt without ids is the model's bos_id
    assert_true(gpt2_complete(model, NULL, runtime, &(struct gpt2_prompt){0},
                              &(struct gpt2_completion_options){.max_tokens = 1}, &err));
}

static void inspections(void **state) {
    struct gpt2_inspector *inspector = gpt2_inspector_create(model, runtime, 0, NULL, &err);
    assert_non_null(inspector);
    REFUSED(gpt2_inspect_norms(inspector, NULL, 0, NULL, &err));
    REFUSED(gpt2_inspect_independence(inspector, NULL, 0, NULL, &err));
    REFUSED(gpt2_inspect_next(inspector, NULL, 0, NULL, &err));
    REFUSED(gpt2_inspect_capture(inspector, NULL, 0, NULL, 0, NULL, &err));
    REFUSED(gpt2_inspect_lens(inspector, NULL, 0, NULL, &err));
    REFUSED(gpt2_inspect_attention(inspector, NULL, 0, 0, 0, NULL, NULL, &err));
    REFUSED(gpt2_inspect_weights(inspector, NULL, 0, 0, NULL, &err));
    REFUSED(gpt2_inspect_residual(inspector, NULL, 0, NULL, 0, NULL, NULL, NULL, &err));
    const int32_t id = 1;
    assert_true(gpt2_inspect_capture(inspector, &id, 1, NULL, 0, NULL, &err));
    struct gpt2_part parts[16];
    assert_true(gpt2_residual_parts(model) <= 16);
    assert_true(gpt2_inspect_residual(inspector, &id, 1, NULL, 0, parts, NULL, NULL, &err));
    assert_true(gpt2_inspect_unembed(inspector, NULL, 0, NULL, &err));
    assert_true(gpt2_inspect_kl(NULL, NULL, 0) == 0);
    gpt2_inspector_free(inspector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),  cmocka_unit_test(stops),    cmocka_unit_test(samplers),
        cmocka_unit_test(passes), cmocka_unit_test(requests), cmocka_unit_test(inspections),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
