/* test_formats.c - the same weights give the same logits, bit for bit, whatever file they are in.
 *
 * The files are written by tools/write_containers.py, which shares no code with the readers, and
 * where torch is installed by torch.save. Skipped without Python and numpy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/model.h>
#include <gpt2/session.h>
#include <gpt2/tokenizer.h>

#include <string.h>

static char dir[TESTMODEL_PATH], other[TESTMODEL_PATH];

static bool works(const char *command) {
    return system(command) == 0;
}

/* The first of the system's Pythons that has a module, or NULL. */
static const char *python_with(const char *module) {
    static const char *const pythons[] = {"python3", "/usr/bin/python3"};
    for (size_t i = 0; i < sizeof pythons / sizeof *pythons; i++) {
        char command[200];
        snprintf(command, sizeof command, "%s -c 'import %s' 2>/dev/null", pythons[i], module);
        if (works(command))
            return pythons[i];
    }
    return NULL;
}

static int make_directories(void **state) {
    testmodel_tempdir(dir);
    testmodel_tempdir(other);
    return 0;
}

static int remove_directories(void **state) {
    testmodel_remove(dir);
    testmodel_remove(other);
    return 0;
}

/* Writes `dir`'s weights into `other`, alone there. */
static void write_other(const char *source, const char *options) {
    char command[3 * TESTMODEL_PATH];
    testmodel_remove(other);
    snprintf(command, sizeof command, "%s tools/write_containers.py '%s' '%s' %s",
             python_with(strstr(options, "--with-torch") ? "torch" : "numpy"), source, other,
             options);
    if (!works(command))
        fail_msg("%s", command);
}

/* The logits behind the last of some tokens; to be freed. */
static float *logits_of(const char *path, int *n_vocab) {
    static const int32_t ids[] = {1, 2, 60, 3, 0, 59, 7};
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s [%s]", err.message, err.hint);
    struct gpt2_runtime *runtime = gpt2_runtime_create(NULL, NULL);
    struct gpt2_session *session = gpt2_session_create(model, NULL, NULL);
    struct gpt2_batch *batch = gpt2_batch_create(model, runtime, NULL, NULL);
    assert_non_null(batch);
    struct gpt2_span span = {.session = session, .ids = ids, .n_ids = 7, .n_logits = 1};
    if (!gpt2_batch_run(batch, &span, 1, &err))
        fail_msg("%s", err.message);
    *n_vocab = gpt2_model_config(model)->n_vocab;
    const size_t size = (size_t)*n_vocab * sizeof(float);
    float *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, gpt2_batch_logits(batch, 0, 0), size);
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
    return copy;
}

static void expect_same(const struct testmodel_options *options, const char *how) {
    int n = 0, n_other = 0;
    testmodel_write(dir, options);
    write_other(dir, how);
    float *expected = logits_of(dir, &n), *found = logits_of(other, &n_other);
    if (n != n_other || memcmp(expected, found, (size_t)n * sizeof *found) != 0)
        fail_msg("%s: other logits", how);
    free(expected);
    free(found);
}

static const struct testmodel_options tanh_f32 = {0}, tanh_bf16 = {.dtype = DTYPE_BF16},
                                      tanh_f16 = {.dtype = DTYPE_F16},
                                      erf_f32 = {.activation = "gelu"};

static void every_format_gives_the_same_logits(void **state) {
    if (!python_with("numpy")) {
        puts("no numpy for python3");
        skip();
    }
    expect_same(&tanh_f32, "--to torch");
    expect_same(&tanh_f16, "--to torch");
    expect_same(&tanh_bf16, "--to torch --shards 3");
    expect_same(&tanh_f32, "--to torch-legacy --shards 2");
    expect_same(&tanh_bf16, "--to torch-legacy");
    expect_same(&erf_f32, "--to nanogpt");
    expect_same(&erf_f32, "--to nanogpt-legacy");
    expect_same(&tanh_f32, "--to llmc");
    expect_same(&tanh_bf16, "--to llmc --bf16");
    expect_same(&tanh_f32, "--to tensorflow");
    expect_same(&tanh_f16, "--to tensorflow --shards 3");
}

/* Each thing that can be wrong between an index and its files of PyTorch. */
static void parts_of_pytorch_that_do_not_fit_are_refused(void **state) {
    static const char *const cases[][2] = {
        {"rm '%s/pytorch_model-00002-of-00002.bin'", "no such file, though"},
        {"cd '%s' && cp pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin",
         "found it here"},
        {"cd '%s' && sed -i 's/\"transformer.h.0.ln_1.bias\": \"[^\"]*\", //' "
         "pytorch_model.bin.index.json",
         "expected it in the weight_map"},
        {"cd '%s' && sed -i 's,\"pytorch_model-00002,\"../pytorch_model-00002,' "
         "pytorch_model.bin.index.json",
         "expected a file in the same directory"},
        {"cd '%s' && head -c 900 pytorch_model-00002-of-00002.bin >x && mv x "
         "pytorch_model-00002-of-00002.bin",
         "pytorch_model-00002-of-00002.bin"},
    };
    if (!python_with("numpy")) {
        puts("no numpy for python3");
        skip();
    }
    testmodel_write(dir, &tanh_f32);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[2 * TESTMODEL_PATH];
        struct gpt2_error err = {0};
        write_other(dir, "--to torch --shards 2");
        snprintf(command, sizeof command, cases[i][0], other);
        assert_int_equal(system(command), 0);
        assert_null(gpt2_model_open(other, &err));
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        if (!strstr(err.message, cases[i][1]))
            fail_msg("%s: %s", cases[i][1], err.message);
    }
}

static void what_torch_itself_saves_too(void **state) {
    if (!python_with("torch")) {
        puts("no torch for python3 (Debian: python3-torch)");
        skip();
    }
    expect_same(&tanh_f32, "--with-torch --to torch");
    expect_same(&tanh_bf16, "--with-torch --to torch-legacy");
    expect_same(&erf_f32, "--with-torch --to nanogpt");
    expect_same(&erf_f32, "--with-torch --to nanogpt-legacy --views");
}

/* The vocabulary of the shipped model, written as llm.c does, and back. */
static void a_tokenizer_of_llmc_encodes_as_the_one_it_was_made_of(void **state) {
    static const char text[] =
        "Once upon a time, \"there\" was a cat\\dog \xc3\xa9\xff\n\n  end 123";
    if (!python_with("numpy")) {
        puts("no numpy for python3");
        skip();
    }
    struct gpt2_error err = {0};
    write_other("models/tales", "--to llmc");
    struct gpt2_tokenizer *a = gpt2_tokenizer_open("models/tales", &err);
    struct gpt2_ids x = {0}, y = {0};
    char path[TESTMODEL_PATH];
    testmodel_path(path, other, "gpt2_124M.bin");
    struct gpt2_tokenizer *b = gpt2_tokenizer_open(path, &err);
    if (!a || !b)
        fail_msg("%s [%s]", err.message, err.hint);
    assert_int_equal(gpt2_tokenizer_size(a), gpt2_tokenizer_size(b));
    assert_true(gpt2_tokenizer_encode(a, text, sizeof text - 1, 0, &x, NULL));
    assert_true(gpt2_tokenizer_encode(b, text, sizeof text - 1, 0, &y, NULL));
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.data, y.data, x.len * sizeof *x.data);
    gpt2_ids_free(&x);
    gpt2_ids_free(&y);
    gpt2_tokenizer_close(a);
    gpt2_tokenizer_close(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_gives_the_same_logits),
        cmocka_unit_test(parts_of_pytorch_that_do_not_fit_are_refused),
        cmocka_unit_test(what_torch_itself_saves_too),
        cmocka_unit_test(a_tokenizer_of_llmc_encodes_as_the_one_it_was_made_of),
    };
    return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
