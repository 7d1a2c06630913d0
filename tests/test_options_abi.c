/* test_options_abi.c - options of a later version are refused, not ignored (gpt2/version.h).
 *
 * That each struct of options ends in `reserved` is lint's business; here each function that takes
 * one looks at it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/beam.h>
#include <gpt2/completion.h>
#include <gpt2/generator.h>
#include <gpt2/hub.h>
#include <gpt2/quantize.h>
#include <gpt2/save.h>
#include <gpt2/score.h>
#include <gpt2/stops.h>
#include <string.h>

/* What programs were compiled with: a field that is added leaves these as they are. */
#define PINNED(name, size)                                                      \
    _Static_assert(sizeof(void *) != 8 || sizeof(struct gpt2_##name) == (size), \
                   "gpt2_" #name " has another size: see gpt2/version.h")
PINNED(runtime_options, 48);
PINNED(session_options, 40);
PINNED(batch_options, 40);
PINNED(scorer_options, 56);
PINNED(generator_options, 64);
PINNED(beam_options, 136);
PINNED(completion_options, 168);
PINNED(sampler_options, 144);
PINNED(stops_options, 56);
PINNED(quantize_options, 88);
PINNED(hub_options, 48);
PINNED(gguf_options, 72);

static struct gpt2_model *model;
static struct gpt2_runtime *runtime;
static struct gpt2_error err;

/* The last reserved word, however many are left. */
#define LAST(options) (options).reserved[sizeof(options).reserved / sizeof *(options).reserved - 1]

/* One function: with a reserved word set to `word`, what it made is freed. True where it accepted.
 */
static bool accepts_runtime(uint64_t word) {
    struct gpt2_runtime_options options = {.n_threads = 1};
    LAST(options) = word;
    struct gpt2_runtime *made = gpt2_runtime_create(&options, &err);
    gpt2_runtime_free(made);
    return made != NULL;
}

static bool accepts_session(uint64_t word) {
    struct gpt2_session_options options = {0};
    LAST(options) = word;
    struct gpt2_session *made = gpt2_session_create(model, &options, &err);
    gpt2_session_free(made);
    return made != NULL;
}

static bool accepts_batch(uint64_t word) {
    struct gpt2_batch_options options = {0};
    LAST(options) = word;
    struct gpt2_batch *made = gpt2_batch_create(model, runtime, &options, &err);
    gpt2_batch_free(made);
    return made != NULL;
}

static bool accepts_scorer(uint64_t word) {
    struct gpt2_scorer_options options = {0};
    LAST(options) = word;
    struct gpt2_scorer *made = gpt2_scorer_create(model, runtime, &options, &err);
    gpt2_scorer_free(made);
    return made != NULL;
}

static bool accepts_generator(uint64_t word) {
    struct gpt2_generator_options options = {0};
    LAST(options) = word;
    struct gpt2_generator *made = gpt2_generator_create(model, runtime, &options, &err);
    gpt2_generator_free(made);
    return made != NULL;
}

static bool accepts_beams(uint64_t word) {
    struct gpt2_beam_options options = {.n_beams = 2, .max_tokens = 4, .length_penalty = 1};
    LAST(options) = word;
    struct gpt2_beams *made = gpt2_beams_create(model, &options, &err);
    gpt2_beams_free(made);
    return made != NULL;
}

static bool accepts_completion(uint64_t word) {
    const int32_t id = 1;
    struct gpt2_prompt prompt = {.ids = &id, .n_ids = 1};
    struct gpt2_completion_options options = {.max_tokens = 1};
    LAST(options) = word;
    struct gpt2_completion *made = gpt2_completion_create(model, NULL, &prompt, &options, &err);
    gpt2_completion_free(made);
    return made != NULL;
}

static bool accepts_sampler(uint64_t word) {
    struct gpt2_sampler_options options;
    gpt2_sampler_defaults(&options, GPT2_COMPAT_NATIVE);
    LAST(options) = word;
    struct gpt2_sampler *made = gpt2_sampler_create(&options, 50, &err);
    gpt2_sampler_free(made);
    return made != NULL;
}

static bool accepts_stops(uint64_t word) {
    struct gpt2_stops_options options = {.until = GPT2_UNTIL_LINE};
    LAST(options) = word;
    struct gpt2_stops *made = gpt2_stops_create(&options, &err);
    gpt2_stops_free(made);
    return made != NULL;
}

static bool accepts_gguf(uint64_t word) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "m.gguf");
    struct gpt2_gguf_options options = {.type = GPT2_GGUF_F16};
    LAST(options) = word;
    bool ok = gpt2_model_save_gguf(model, &options, path, &err);
    testmodel_remove(dir);
    return ok;
}

static bool accepts_quantize(uint64_t word) {
    char path[TESTMODEL_PATH + 8];
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    snprintf(path, sizeof path, "%s/m.f16", dir);
    struct gpt2_quantize_options options = {.type = GPT2_F16};
    LAST(options) = word;
    bool ok = gpt2_quantize(model, runtime, &options, path, &err);
    assert_int_equal(access(path, F_OK) == 0, ok);
    testmodel_remove(dir);
    return ok;
}

static bool accepts_hub(uint64_t word) {
    struct gpt2_hub_options options = {0};
    LAST(options) = word;
    char *path = gpt2_hub_pull("not a name", &options, NULL, &err); // which is refused next
    free(path);
    return strstr(err.message, "reserved") == NULL;
}

static void unknown_options_are_refused(void **state) {
    static bool (*const functions[])(uint64_t) = {
        accepts_runtime,   accepts_session,  accepts_batch,      accepts_scorer,
        accepts_generator, accepts_beams,    accepts_completion, accepts_sampler,
        accepts_stops,     accepts_quantize, accepts_hub,        accepts_gguf};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        err = (struct gpt2_error){0};
        if (!functions[i](0))
            fail_msg("function %zu refused its own options: %s", i, err.message);
        err = (struct gpt2_error){0};
        if (functions[i](1))
            fail_msg("function %zu ignored an option that it does not know", i);
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        assert_non_null(strstr(err.message, "reserved"));
    }
}

int main(void) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){0});
    model = gpt2_model_open(dir, &err);
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 1}, &err);
    assert_non_null(model);
    assert_non_null(runtime);
    const struct CMUnitTest tests[] = {cmocka_unit_test(unknown_options_are_refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
    testmodel_remove(dir);
    return failed;
}
