/* test_adapter.c - adapters through the library: the stated sums in every layout and for any number
 * of threads, and a model that is as it was where an adapter is refused. cli/lora.sh has the
 * switches of PEFT, against numpy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export/weight_reader.h"
#include "kernels/kernels.h"
#include "testgguf.h"
#include "testpacked.h"
#include <gpt2/lora.h>
#include <gpt2/save.h>

#define RANK  5
#define N     19 /* n_embd: no multiple of a block or a panel */
#define ALPHA 3.0
#define SCALE 0.7

static char adapter[TESTMODEL_PATH];
static const struct testmodel_options shape = {
    .n_embd = N, .n_head = 1, .n_layer = 2, .n_vocab = 33};
static const char prefix[] = "base_model.model.transformer.";
static const char a_name[] = "h.1.attn.c_attn.lora_A.weight";
static const char b_name[] = "h.1.attn.c_attn.lora_B.weight";

/* The pair of h.1.attn.c_attn of a model of n features, with more settings and perhaps one more
 * tensor. */
static void write_adapter_of(int n, int rank, const char *settings, const char *more) {
    char text[400], path[TESTMODEL_PATH];
    struct testmodel_list list = {0};
    testmodel_add(&list, prefix, a_name, "F32", 2, rank, n)->deviation = 1;
    testmodel_add(&list, prefix, b_name, "F32", 2, 3 * n, rank)->deviation = 1;
    if (more)
        testmodel_add(&list, prefix, more, "F32", 1, n, 1)->deviation = 1;
    testmodel_path(path, adapter, "adapter_model.safetensors");
    testmodel_write_list(path, &list, NULL);
    free(list.items);
    snprintf(text, sizeof text, "{\"peft_type\": \"LORA\", \"r\": %d, \"lora_alpha\": %.1f%s}",
             rank, ALPHA, settings);
    testmodel_write_file(adapter, "adapter_config.json", text, strlen(text));
}

static void write_adapter(const char *settings, const char *more) {
    write_adapter_of(N, RANK, settings, more);
}

static int setup_adapter(void **state) {
    testmodel_tempdir(adapter);
    return setup(state);
}

static int teardown_adapter(void **state) {
    testmodel_remove(adapter);
    return teardown(state);
}

/* The n elements of a tensor that write_adapter_of wrote, to be freed. */
static double *elements(const char *name, size_t n) {
    struct testmodel_list list = {0};
    struct testmodel_tensor *t = testmodel_add(&list, prefix, name, "F32", 1, 1, 1);
    t->deviation = 1;
    double *out = malloc(n * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)(float)testmodel_value(t, 0, i);
    free(list.items);
    return out;
}

/* The matrix [n, 3n] of h.1.attn.c_attn as f32, to be freed. */
static float *c_attn(const struct gpt2_model *model, size_t n) {
    float *out = malloc(n * 3 * n * sizeof *out);
    unsigned char *rows = malloc(n * 3 * n * sizeof *out);
    assert_true(out && rows);
    for (size_t i = 0; i < weight_reader_count(model); i++) {
        const struct tensor_spec spec = weight_reader_at(model, i);
        if (strcmp(spec.name, "h.1.attn.c_attn.weight") != 0)
            continue;
        weight_reader_rows(rows, &spec, 0, (int)n);
        dtype_to_f32(out, rows, weight_reader_dtype(&spec), n * 3 * n);
        free(rows);
        return out;
    }
    fail_msg("no c_attn");
    return NULL;
}

/* What a matrix [n, 3n] becomes, as gpt2/lora.h says; to be freed. */
static float *stated_sums(const float *before, size_t n, size_t rank) {
    double *a = elements(a_name, rank * n), *b = elements(b_name, 3 * n * rank);
    float *out = malloc(n * 3 * n * sizeof *out);
    const double c = SCALE * (ALPHA / (double)rank);
    assert_non_null(out);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < 3 * n; i++) {
            double s = 0;
            for (size_t j = 0; j < rank; j++) {
                const double product = b[i * rank + j] * a[j * n + k];
                s = s + product;
            }
            out[k * 3 * n + i] = (float)((double)before[k * 3 * n + i] + c * s);
        }
    free(a);
    free(b);
    return out;
}

static void expect_sums(const struct gpt2_model *model, const float *right, size_t n) {
    float *is = c_attn(model, n);
    for (size_t i = 0; i < n * 3 * n; i++)
        if (memcmp(&right[i], &is[i], sizeof *is) != 0)
            fail_msg("[%zu, %zu]: expected %.9g, found %.9g", i / (3 * n), i % (3 * n),
                     (double)right[i], (double)is[i]);
    free(is);
}

static void adapt(struct gpt2_model *model, struct gpt2_runtime *with) {
    struct gpt2_error err = {0};
    if (!gpt2_model_adapt(model, adapter, SCALE, with, &err))
        fail_msg("%s [%s]", err.message, err.hint);
}

static void test_sums_are_as_stated_in_every_layout(void **state) {
    static const enum gpt2_weight_type types[] = {GPT2_F32, GPT2_F16, GPT2_BF16};
    write_adapter("", NULL);
    for (size_t i = 0; i < 3; i++) {
        struct testmodel_options options = shape;
        options.dtype = i == 0 ? DTYPE_F32 : i == 1 ? DTYPE_F16 : DTYPE_BF16;
        options.misalign = (int)i;
        struct gpt2_model *model = make_model(&options);
        float *before = c_attn(model, N), *right = stated_sums(before, N, RANK);
        pack(model, types[i]);
        struct gpt2_model *models[3] = {model, open_model(file), gpt2_model_open_lazy(file, NULL)};
        assert_non_null(models[2]);
        for (size_t m = 0; m < 3; m++) {
            adapt(models[m], m == 1 ? NULL : runtime);
            expect_sums(models[m], right, N);
            gpt2_model_close(models[m]);
        }
        free(before);
        free(right);
        testmodel_remove(dir);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

/* A matrix of several tasks, whose columns are no multiple of a vector, in ranks that take rows and
 * columns in blocks of each kind. */
static void test_threads_and_cpu_change_no_bit(void **state) {
    static const int ranks[] = {1, 8, 64, 300}, threads[] = {1, 2, 64};
    const int n = 457;
    const struct testmodel_options large = {
        .n_embd = n, .n_inner = 8, .n_head = 1, .n_layer = 2, .n_vocab = 33, .misalign = 1};
    struct gpt2_model *model = make_model(&large);
    float *before = c_attn(model, (size_t)n);
    gpt2_model_close(model);
    for (size_t r = 0; r < sizeof ranks / sizeof *ranks; r++) {
        float *right = stated_sums(before, (size_t)n, (size_t)ranks[r]);
        const struct kernels *variant;
        write_adapter_of(n, ranks[r], "", NULL);
        for (int i = 0; (variant = kernels_variant(i)); i++)
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
                struct gpt2_runtime *with = gpt2_runtime_create(
                    &(struct gpt2_runtime_options){.n_threads = threads[t], .cpu = variant->name},
                    NULL);
                assert_non_null(with);
                model = open_model(dir);
                adapt(model, with);
                expect_sums(model, right, (size_t)n);
                gpt2_model_close(model);
                gpt2_runtime_free(with);
            }
        free(right);
    }
    free(before);
}

static void fingerprint(char out[sizeof((struct gpt2_check *)0)->fingerprint],
                        const struct gpt2_model *model) {
    struct gpt2_check check;
    struct gpt2_error err = {0};
    if (!gpt2_model_check(model, &check, NULL, NULL, &err))
        fail_msg("%s", err.message);
    strcpy(out, check.fingerprint);
}

static void expect_refused(struct gpt2_model *model, double scale, enum gpt2_status status,
                           const char *words) {
    struct gpt2_error err = {0};
    char before[80], after[80];
    struct gpt2_adapter_info info;
    fingerprint(before, model);
    assert_false(gpt2_model_adapt(model, adapter, scale, runtime, &err));
    assert_int_equal(err.status, status);
    expect_words(&err, words, "");
    fingerprint(after, model);
    assert_string_equal(before, after);
    assert_false(gpt2_model_adapter(model, 0, &info));
}

static void test_a_refused_adapter_leaves_the_model(void **state) {
    struct gpt2_model *model = make_model(&shape);
    write_adapter(", \"use_dora\": true", NULL);
    expect_refused(model, 1, GPT2_ERR_MODEL, "DoRA");
    write_adapter("", "h.1.attn.c_attn.lora_magnitude_vector");
    expect_refused(model, 1, GPT2_ERR_MODEL, "this is DoRA");
    write_adapter("", "h.1.attn.c_attn.other");
    expect_refused(model, 1, GPT2_ERR_MODEL, "h.1.attn.c_attn.other");
    write_adapter("", "ln_f.weights");
    expect_refused(model, 1, GPT2_ERR_MODEL, "ln_f.weights");
    write_adapter(", \"peft_type\": \"LORA\"} x", NULL);
    expect_refused(model, 1, GPT2_ERR_MODEL, "adapter_config.json");
    write_adapter("", NULL);
    expect_refused(model, NAN, GPT2_ERR_USAGE, "finite");
    assert_true(gpt2_model_move(model, NULL, NULL));
    expect_refused(model, 1, GPT2_ERR_USAGE, "moved");
    gpt2_model_close(model);
}

static void test_a_quantized_base_is_refused(void **state) {
    struct gpt2_model *model = make_model(&shape);
    struct gpt2_error err = {0};
    pack(model, GPT2_Q8);
    gpt2_model_close(model);
    model = open_model(file);
    write_adapter("", NULL);
    assert_false(gpt2_model_adapt(model, adapter, 1, runtime, &err));
    expect_words(&err, "found Q8", "wte.weight");
    assert_non_null(strstr(err.hint, "gpt2 convert -m BASE --lora DIR -o MERGED"));
    gpt2_model_close(model);
}

/* The integers of a GGUF file, from it or from a packed file that keeps them; expanded they are
 * weights like any others. */
static void test_integers_of_a_gguf_file_are_refused(void **state) {
    char gguf[TESTMODEL_PATH];
    testmodel_path(gguf, dir, "m.gguf");
    for (size_t i = 0; i < TESTGGUF_TYPES; i++) {
        const int n = (int)testgguf_ggml(testgguf_types[i].name)->n_elements;
        testgguf_write(
            gguf,
            &(struct testmodel_options){
                .n_embd = n, .n_inner = n, .n_head = 1, .n_layer = 2, .n_vocab = 9, .n_ctx = 4},
            testgguf_types[i].name);
        struct gpt2_model *model = open_model(gguf);
        pack(model, GPT2_AS_IS);
        gpt2_model_close(model);
        write_adapter_of(n, RANK, "", NULL);
        for (int packed = 0; packed < 2; packed++) {
            struct gpt2_error err = {0};
            model = open_model(packed ? file : gguf);
            assert_false(gpt2_model_adapt(model, adapter, 1, runtime, &err));
            assert_int_equal(err.status, GPT2_ERR_MODEL);
            expect_words(&err, "to which an adapter can be added, found Q", testgguf_types[i].name);
            assert_non_null(strstr(err.hint, "--expand makes F32 of them"));
            gpt2_model_close(model);
            model = gpt2_model_open_expanded(packed ? file : gguf, &err);
            if (!model || !gpt2_model_adapt(model, adapter, 1, runtime, &err))
                fail_msg("%s: %s", testgguf_types[i].name, err.message);
            gpt2_model_close(model);
        }
    }
}

/* A packed file whose data is damaged is refused before its weights are merged. */
static void test_a_damaged_base_is_noticed(void **state) {
    struct gpt2_error err = {0};
    struct testmodel_options large = shape; // so that its weights have blocks of their own
    large.n_vocab = 20000;
    struct gpt2_model *model = make_model(&large);
    pack(model, GPT2_F32);
    gpt2_model_close(model);
    FILE *f = fopen(file, "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    const long middle = ftell(f) / 2; // weights, which are looked at by the first pass
    fseek(f, middle, SEEK_SET);
    const int byte = fgetc(f);
    fseek(f, middle, SEEK_SET);
    fputc(byte ^ 1, f);
    fclose(f);
    write_adapter("", NULL);
    for (int i = 0; i < 2; i++) {
        model = gpt2_model_open_lazy(file, &err);
        if (!model)
            fail_msg("%s", err.message);
        assert_false(gpt2_model_adapt(model, adapter, 1, i ? runtime : NULL, &err));
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        expect_words(&err, "the file is damaged", "");
        gpt2_model_close(model);
    }
}

static void test_what_was_merged_is_told(void **state) {
    struct gpt2_model *model = make_model(&shape);
    struct gpt2_adapter_info info;
    struct gpt2_tensor_info tensor;
    write_adapter("", "ln_f.bias");
    adapt(model, runtime);
    adapt(model, runtime);
    for (size_t i = 0; i < 2; i++) {
        assert_true(gpt2_model_adapter(model, i, &info));
        assert_string_equal(info.path, adapter);
        assert_true(info.scale == SCALE);
        assert_int_equal(info.max_rank, RANK);
        assert_int_equal(info.n_pairs, 1);
        assert_int_equal(info.n_whole, 1);
    }
    assert_false(gpt2_model_adapter(model, 2, &info));
    size_t n = 0;
    while (gpt2_model_tensor(model, n, &tensor))
        n++;
    assert_int_equal(n, 2 + 2 * 12 + 2);
    gpt2_model_close(model);
}

static void next_logits(float logits[33], const struct gpt2_model *model) {
    static const int32_t ids[] = {1, 2, 3};
    struct gpt2_error err = {0};
    struct gpt2_batch *batch = gpt2_batch_create(model, runtime, NULL, &err);
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    if (!batch || !session ||
        !gpt2_batch_run(batch, &(struct gpt2_span){session, ids, 3, 1}, 1, &err))
        fail_msg("%s", err.message);
    memcpy(logits, gpt2_batch_logits(batch, 0, 0), 33 * sizeof *logits);
    gpt2_session_free(session);
    gpt2_batch_free(batch);
}

/* What was merged is where a move would bring it: it is not there twice. */
static void test_what_was_merged_does_not_move(void **state) {
    size_t plain = 0;
    float before[33], after[33];
    write_adapter("", NULL);
    for (int adapted = 0; adapted < 2; adapted++) {
        struct gpt2_model *model = make_model(&shape);
        if (adapted)
            adapt(model, runtime);
        next_logits(before, model);
        assert_true(gpt2_model_move(model, runtime, NULL));
        next_logits(after, model);
        assert_memory_equal(before, after, sizeof before);
        const size_t moved = gpt2_model_moved(model, NULL);
        if (!adapted)
            plain = moved;
        else // [N, 3 N] in panels of 16 outputs
            assert_int_equal(plain - moved, N * ((3 * N + 15) / 16 * 16) * sizeof(float));
        gpt2_model_close(model);
        testmodel_remove(dir);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sums_are_as_stated_in_every_layout, setup_adapter,
                                        teardown_adapter),
        cmocka_unit_test_setup_teardown(test_threads_and_cpu_change_no_bit, setup_adapter,
                                        teardown_adapter),
        cmocka_unit_test_setup_teardown(test_a_refused_adapter_leaves_the_model, setup_adapter,
                                        teardown_adapter),
        cmocka_unit_test_setup_teardown(test_integers_of_a_gguf_file_are_refused, setup_adapter,
                                        teardown_adapter),
        cmocka_unit_test_setup_teardown(test_a_quantized_base_is_refused, setup_adapter,
                                        teardown_adapter),
        cmocka_unit_test_setup_teardown(test_a_damaged_base_is_noticed, setup_adapter,
                                        teardown_adapter),
        cmocka_unit_test_setup_teardown(test_what_was_merged_is_told, setup_adapter,
                                        teardown_adapter),
        cmocka_unit_test_setup_teardown(test_what_was_merged_does_not_move, setup_adapter,
                                        teardown_adapter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
