/* testpacked.h - what tests of packed files share: a directory of their own for each test, models
 * in it, words of errors. After cmocka.h. */
#ifndef TESTPACKED_H
#define TESTPACKED_H

#include "testmodel.h"
#include <gpt2/quantize.h>
#include <gpt2/session.h>

static char dir[TESTMODEL_PATH]; // a fresh one for every test
static char file[TESTMODEL_PATH];
static struct gpt2_runtime *runtime;

static int setup(void **state) {
    testmodel_tempdir(dir);
    testmodel_path(file, dir, "packed.safetensors");
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, NULL);
    return runtime ? 0 : -1;
}

static int teardown(void **state) {
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
    return 0;
}

/* How many entries the directory has: nothing may be left behind. */
static inline int count_files(void) {
    int n = 0;
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static inline struct gpt2_model *open_model(const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s [%s]", err.message, err.hint);
    return model;
}

/* The random model of these options, read from its directory. */
static inline struct gpt2_model *make_model(const struct testmodel_options *options) {
    testmodel_write(dir, options);
    return open_model(dir);
}

static inline void pack(const struct gpt2_model *model, enum gpt2_weight_type type) {
    struct gpt2_error err = {0};
    if (!gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = type}, file, &err))
        fail_msg("%s [%s]", err.message, err.hint);
}

static inline void expect_words(const struct gpt2_error *err, const char *a, const char *b) {
    if (!strstr(err->message, a) || !strstr(err->message, b))
        fail_msg("expected \"%s\" and \"%s\" in: %s", a, b, err->message);
}

/* `path` is refused as a model, in these words. */
static inline void expect_refusal(const char *path, const char *a, const char *b) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (model)
        fail_msg("accepted, expected \"%s\"", a);
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_true(err.hint[0]);
    expect_words(&err, a, b);
}

/* The logits of all tokens. */
static inline void run(float *logits, const struct gpt2_model *model, const char *cpu,
                       const int32_t *ids, int n) {
    struct gpt2_error err = {0};
    struct gpt2_runtime *r =
        gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2, .cpu = cpu}, &err);
    struct gpt2_batch *batch =
        gpt2_batch_create(model, r, &(struct gpt2_batch_options){.max_logits = n}, &err);
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    if (!r || !batch || !session ||
        !gpt2_batch_run(batch, &(struct gpt2_span){session, ids, n, n}, 1, &err))
        fail_msg("%s", err.message);
    size_t n_vocab = (size_t)gpt2_model_config(model)->n_vocab;
    for (int i = 0; i < n; i++)
        memcpy(logits + (size_t)i * n_vocab, gpt2_batch_logits(batch, 0, i),
               n_vocab * sizeof *logits);
    gpt2_session_free(session);
    gpt2_batch_free(batch);
    gpt2_runtime_free(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
