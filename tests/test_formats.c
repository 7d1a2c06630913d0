/* test_formats.c - the same weights give the same logits, bit for bit, whatever file they are in.
 *
 * Every format of the table (weights/containers.def) that is read is in `forms` below. What this
 * library does not write is written by tools/write_containers.py, which shares no code with the
 * readers, and where torch is installed by torch.save; that part is skipped without Python and
 * numpy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include "weights/containers.h"
#include <gpt2/model.h>
#include <gpt2/quantize.h>
#include <gpt2/save.h>
#include <gpt2/session.h>
#include <gpt2/tokenizer.h>

#include <string.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif

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

static void write_by_python(const char *source, const char *options) {
    char command[3 * TESTMODEL_PATH];
    snprintf(command, sizeof command, "%s tools/write_containers.py '%s' '%s' %s",
             python_with(strstr(options, "--with-torch") ? "torch" : "numpy"), source, other,
             options);
    if (!works(command))
        fail_msg("%s", command);
}

/* Empties `other`. */
static void clear_other(void) {
    testmodel_remove(other);
    assert_int_equal(mkdir(other, 0700), 0);
}

/* Writes the weights of the directory `source` into `other`, alone there. */
static void write_other(const char *source, const char *options) {
    clear_other();
    write_by_python(source, options);
}

/* The logits after the last of some tokens; to be freed. */
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

static const struct testmodel_options tanh_f32 = {0}, tanh_bf16 = {.dtype = DTYPE_BF16},
                                      tanh_f16 = {.dtype = DTYPE_F16},
                                      erf_f32 = {.activation = "gelu"};

/* ---- what this library writes ---- */

static bool write_safetensors(const struct gpt2_model *model, const char *path,
                              struct gpt2_error *err) {
    return gpt2_model_save(model, other, NULL, NULL, err);
}

static bool write_gguf(const struct gpt2_model *model, const char *path, struct gpt2_error *err) {
    return gpt2_model_save_gguf(model, NULL, path, err);
}

static bool write_packed(const struct gpt2_model *model, const char *path, struct gpt2_error *err) {
    struct gpt2_runtime *runtime = gpt2_runtime_create(NULL, err);
    bool ok =
        runtime &&
        gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = GPT2_F32}, path, err);
    gpt2_runtime_free(runtime);
    return ok;
}

/* ---- what others write ---- */

/* Two files and their index. */
static void write_index(const struct testmodel_options *options) {
    testmodel_write_index(other, options);
}

/* ---- all formats ---- */

/* How a test makes a file of a format: by a writer of the library, a function of this file, or the
 * options of tools/write_containers.py. */
static const struct form {
    const struct container *format;
    const struct testmodel_options *options;
    const char *name; /* of the file; NULL: `other` is a directory with it */
    bool (*save)(const struct gpt2_model *model, const char *path, struct gpt2_error *err);
    void (*write)(const struct testmodel_options *options);
    const char *python;
} forms[] = {
    {&container_safetensors, &tanh_f32, .save = write_safetensors},
    {&container_safetensors, &erf_f32, .save = write_safetensors},
    {&container_safetensors_index, &tanh_bf16, .write = write_index},
    {&container_gguf, &tanh_f32, "model.gguf", .save = write_gguf},
    {&container_gguf, &tanh_f16, .save = write_gguf, .name = "x"}, // by its first bytes
    {&container_packed, &tanh_f32, "model.packed", .save = write_packed},
    {&container_packed, &erf_f32, "model.packed", .save = write_packed},
    {&container_torch, &tanh_f32, .python = "--to torch"},
    {&container_torch, &tanh_f16, .python = "--to torch"},
    {&container_torch_index, &tanh_bf16, .python = "--to torch --shards 3"},
    {&container_torch_index, &tanh_f32, .python = "--to torch-legacy --shards 2"},
    {&container_torch, &tanh_bf16, .python = "--to torch-legacy"},
    {&container_torch, &erf_f32, .python = "--to nanogpt"},
    {&container_torch, &erf_f32, .python = "--to nanogpt-legacy"},
    {&container_llmc, &tanh_f32, .python = "--to llmc"},
    {&container_llmc, &tanh_bf16, .python = "--to llmc --bf16"},
    {&container_tensorflow, &tanh_f32, .python = "--to tensorflow"},
    {&container_tensorflow, &tanh_f16, .python = "--to tensorflow --shards 3"},
};

#define N_FORMS (sizeof forms / sizeof *forms)

static void every_format_that_is_read_has_a_form(void **state) {
    const struct container *format;
    for (size_t i = 0; (format = containers_at(i)) != NULL; i++) {
        size_t n = 0;
        for (size_t k = 0; k < N_FORMS; k++)
            n += forms[k].format == format;
        if (format->parse && n == 0)
            fail_msg("%s: expected a form in this file, found none", format->what);
        if (!format->parse && n > 0)
            fail_msg("%s: is not read", format->what);
    }
}

/* Writes the model of `dir` in that form; `path` becomes what to open. */
static void write_form(char path[TESTMODEL_PATH], const struct form *form) {
    clear_other();
    if (form->name)
        testmodel_path(path, other, form->name);
    else
        strcpy(path, other);
    if (form->python) {
        write_by_python(dir, form->python);
    } else if (form->write) {
        form->write(form->options);
    } else {
        struct gpt2_error err = {0};
        struct gpt2_model *model = gpt2_model_open(dir, &err);
        if (!model || !form->save(model, path, &err))
            fail_msg("%s: %s", form->format->what, err.message);
        gpt2_model_close(model);
    }
}

/* The path of the file of weights; that it is of the form's format. To be freed. */
static char *weights_of(const char *path, const struct form *form) {
    struct gpt2_error err = {0};
    struct given given;
    const struct container *format = NULL;
    char *file = NULL;
    if (!containers_identify(&given, path, &err))
        fail_msg("%s", err.message);
    if (given.kind == GIVEN_DIRECTORY) {
        assert_true(containers_in_directory(&format, &file, path, &err));
    } else {
        format = given.format;
        file = strdup(path);
    }
    containers_close(&given);
    if (format != form->format)
        fail_msg("expected %s, found %s", form->format->what, format ? format->what : "nothing");
    return file;
}

#ifdef __linux__
/* How often `file`, in `other`, is opened by what `run` does with `path`. Equal events one after
 * another are told as one, so the directory is watched too: its event stands between any two of the
 * file. */
static int count_opens(const char *file, void (*run)(const char *path), const char *path) {
    char events[4096] __attribute__((aligned(8)));
    const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(fd >= 0);
    const int watch = inotify_add_watch(fd, file, IN_OPEN);
    assert_true(watch >= 0 && inotify_add_watch(fd, other, IN_OPEN) >= 0);
    run(path);
    int n = 0;
    const ssize_t size = read(fd, events, sizeof events);
    for (ssize_t at = 0; at < size;) {
        const struct inotify_event *event = (const void *)(events + at);
        n += event->wd == watch;
        at += (ssize_t)(sizeof *event + event->len);
    }
    close(fd);
    return n;
}
#endif

static void open_and_close(const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s", err.message);
    gpt2_model_close(model);
}

static void open_tokenizer(const char *path) {
    gpt2_tokenizer_close(gpt2_tokenizer_open(path, NULL)); // there may be none
}

/* The file that tells the format is the file that is read. */
static void expect_one_open(const char *path, const struct form *form) {
#ifdef __linux__
    char *file = weights_of(path, form);
    const int n = count_opens(file, open_and_close, path);
    if (n != 1)
        fail_msg("%s: expected it to be opened once, found %d times", file, n);
    const int n_tokenizer = count_opens(file, open_tokenizer, path);
    if (n_tokenizer > 1)
        fail_msg("%s: expected the tokenizer to open it once, found %d times", file, n_tokenizer);
    free(file);
#endif
}

static void expect_same(const struct form *form) {
    char path[TESTMODEL_PATH];
    int n = 0, n_other = 0;
    testmodel_write(dir, form->options);
    write_form(path, form);
    free(weights_of(path, form));
    float *expected = logits_of(dir, &n), *found = logits_of(path, &n_other);
    if (n != n_other || memcmp(expected, found, (size_t)n * sizeof *found) != 0)
        fail_msg("%s: other logits", form->python ? form->python : form->format->what);
    free(expected);
    free(found);
    expect_one_open(path, form);
}

static void what_we_write_gives_the_same_logits(void **state) {
    for (size_t i = 0; i < N_FORMS; i++)
        if (!forms[i].python)
            expect_same(&forms[i]);
}

static void what_others_write_gives_the_same_logits(void **state) {
    if (!python_with("numpy")) {
        puts("no numpy for python3");
        skip();
    }
    for (size_t i = 0; i < N_FORMS; i++)
        if (forms[i].python)
            expect_same(&forms[i]);
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
    static const struct form saved[] = {
        {&container_torch, &tanh_f32, .python = "--with-torch --to torch"},
        {&container_torch, &tanh_bf16, .python = "--with-torch --to torch-legacy"},
        {&container_torch, &erf_f32, .python = "--with-torch --to nanogpt"},
        {&container_torch, &erf_f32, .python = "--with-torch --to nanogpt-legacy --views"},
    };
    for (size_t i = 0; i < sizeof saved / sizeof *saved; i++)
        expect_same(&saved[i]);
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
        cmocka_unit_test(every_format_that_is_read_has_a_form),
        cmocka_unit_test(what_we_write_gives_the_same_logits),
        cmocka_unit_test(what_others_write_gives_the_same_logits),
        cmocka_unit_test(parts_of_pytorch_that_do_not_fit_are_refused),
        cmocka_unit_test(what_torch_itself_saves_too),
        cmocka_unit_test(a_tokenizer_of_llmc_encodes_as_the_one_it_was_made_of),
    };
    return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
