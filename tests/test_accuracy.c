/* test_accuracy.c - how far our f32 logits are from the same model in double precision.
 *
 * The models are random and written on the spot by testmodel.h: one for each activation, head size,
 * weight type and switch of config.json. What their logits should be was computed once by
 * tools/reference.py and lies in tests/data/accuracy.txt (see README.md there; `make goldens`).
 *
 *     test_accuracy                              the tests
 *     test_accuracy --write DIR                  only write the models, as DIR/NAME
 *     test_accuracy --compare MODEL FILE BOUND   another model against a golden file of its own
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "testmodel.h"
#include <errno.h>
#include <gpt2/session.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDENS "tests/data/accuracy.txt"
#define FIXTURE "fixtures/tiny-random-gpt2" /* in the test data, with its own reference logits */
#define BOUND   1e-5 /* |logit - reference| on models as small as these; f32 rounds 4.0 to 2.4e-7 */

enum { MAX_IDS = 1024, MAX_ROWS = 8 };

struct test_case {
    const char *name;
    struct testmodel_options model;
};

/* Few words, so that the goldens stay small. The default is two layers of two heads of 8. */
#define SMALL .n_vocab = 29
#define ACTIVATION(name)                         \
    {                                            \
        "activation_" name, {                    \
            SMALL, .activation = name, .seed = 1 \
        }                                        \
    }

static const struct test_case cases[] = {
    ACTIVATION("gelu_new"),
    ACTIVATION("gelu_pytorch_tanh"),
    ACTIVATION("gelu_accurate"),
    ACTIVATION("gelu"),
    ACTIVATION("gelu_python"),
    ACTIVATION("gelu_fast"),
    ACTIVATION("gelu_10"),
    ACTIVATION("quick_gelu"),
    ACTIVATION("relu"),
    ACTIVATION("silu"),
    ACTIVATION("swish"),
    ACTIVATION("sigmoid"),
    ACTIVATION("tanh"),
    ACTIVATION("linear"),
    ACTIVATION("mish"),
    {"heads_1_of_64", {SMALL, .n_embd = 64, .n_head = 1, .seed = 2}},
    {"heads_3_of_64", {SMALL, .n_embd = 192, .n_head = 3, .n_layer = 1, .seed = 3}},
    {"heads_1_of_80", {SMALL, .n_embd = 80, .n_head = 1, .seed = 4}},
    {"heads_2_of_80", {SMALL, .n_embd = 160, .n_head = 2, .n_layer = 1, .seed = 5}},
    {"heads_1_of_128", {SMALL, .n_embd = 128, .n_head = 1, .n_layer = 1, .seed = 6}},
    {"heads_5_of_7", {SMALL, .n_embd = 35, .n_head = 5, .seed = 7}},
    {"heads_17_of_1", {SMALL, .n_embd = 17, .n_head = 17, .seed = 8}},
    {"inner_narrow", {SMALL, .n_inner = 5, .seed = 9}},
    {"inner_wide", {SMALL, .n_inner = 101, .seed = 10}},
    {"inverse_layer_scale", {SMALL, .n_layer = 5, .inverse_layer_scale = true, .seed = 11}},
    {"no_attn_scale", {SMALL, .no_attn_scale = true, .seed = 12}},
    {"no_attn_scale_inverse_layer_scale",
     {SMALL, .n_layer = 3, .no_attn_scale = true, .inverse_layer_scale = true, .seed = 13}},
    {"epsilon_large", {SMALL, .layer_norm_epsilon = 0.1, .seed = 14}},
    {"deep", {SMALL, .n_layer = 12, .n_embd = 24, .n_head = 3, .seed = 15}},
    {"context_2", {SMALL, .n_ctx = 2, .seed = 16}},
    {"context_300", {SMALL, .n_ctx = 300, .seed = 17}},
    {"vocab_203", {.n_vocab = 203, .n_embd = 36, .n_head = 3, .seed = 18}},
    {"head_own", {SMALL, .head = TESTMODEL_HEAD_OWN, .tie = "false", .seed = 19}},
    {"head_copy", {SMALL, .head = TESTMODEL_HEAD_COPY, .prefix = "transformer.", .seed = 20}},
    {"weights_f16", {SMALL, .dtype = DTYPE_F16, .n_embd = 48, .n_head = 3, .seed = 21}},
    {"weights_bf16", {SMALL, .dtype = DTYPE_BF16, .n_embd = 48, .n_head = 3, .seed = 22}},
    {"weights_f64", {SMALL, .dtype = DTYPE_F64, .n_embd = 48, .n_head = 3, .seed = 23}},
    {"weights_f16_vectors_f32_masks_unaligned",
     {SMALL, .dtype = DTYPE_F16, .f32_vectors = true, .masks = true, .reversed = true,
      .misalign = 1, .prefix = "transformer.", .seed = 24}},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* One model of a golden file:
 *
 *     model NAME
 *     ids 0 28 13 ...              the text
 *     row 20 -1.25 0.5 ...         the logits after the token at this position; several rows */
struct golden {
    int32_t ids[MAX_IDS];
    int n_ids;
    int rows[MAX_ROWS]; /* [n_rows] positions */
    int n_rows;
    double *logits; /* [n_rows, n_vocab] */
    int n_vocab;
};

/* Reads the golden of a model; name NULL: the first in the file. */
static void read_golden(struct golden *golden, const char *path, const char *name) {
    char *line = NULL;
    size_t cap = 0;
    bool found = false;
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    *golden = (struct golden){0};
    while (getline(&line, &cap, file) > 0) {
        char *rest = line + strcspn(line, " ");
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "model ", 6) == 0) {
            if (found)
                break;
            found = !name || strcmp(line + 6, name) == 0;
        } else if (found && strncmp(line, "ids ", 4) == 0) {
            for (char *end; golden->n_ids < MAX_IDS; rest = end) {
                long id = strtol(rest, &end, 10);
                if (end == rest)
                    break;
                golden->ids[golden->n_ids++] = (int32_t)id;
            }
        } else if (found && strncmp(line, "row ", 4) == 0 && golden->n_rows < MAX_ROWS) {
            size_t n = (size_t)golden->n_rows * (size_t)golden->n_vocab, room = n;
            golden->rows[golden->n_rows++] = (int)strtol(rest, &rest, 10);
            for (char *end;; rest = end) {
                double value = strtod(rest, &end);
                if (end == rest)
                    break;
                if (n == room) {
                    room = 2 * room + 64;
                    golden->logits = realloc(golden->logits, room * sizeof *golden->logits);
                    assert_non_null(golden->logits);
                }
                golden->logits[n++] = value;
            }
            golden->n_vocab = (int)(n / (size_t)golden->n_rows);
        }
    }
    free(line);
    fclose(file);
    if (!found)
        fail_msg("%s has nothing on %s: run `make goldens`", path, name);
}

/* The largest |logit - reference| over the golden's rows. */
static double largest_difference(const char *model_path, const struct golden *golden) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(model_path, &err);
    if (!model)
        fail_msg("%s", err.message);
    assert_int_equal(gpt2_model_config(model)->n_vocab, golden->n_vocab);
    struct gpt2_runtime *runtime = gpt2_runtime_create(NULL, &err);
    if (!runtime)
        fail_msg("%s", err.message);
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    if (!session)
        fail_msg("%s", err.message);

    /* Logits are asked for from the first row on that the golden has. */
    const int first = golden->rows[0], n_logits = golden->n_ids - first;
    struct gpt2_batch *batch = gpt2_batch_create(
        model, runtime, &(struct gpt2_batch_options){.max_logits = n_logits}, &err);
    if (!batch)
        fail_msg("%s", err.message);
    const struct gpt2_span span = {session, golden->ids, golden->n_ids, n_logits};
    if (!gpt2_batch_run(batch, &span, 1, &err))
        fail_msg("%s", err.message);

    double largest = 0;
    for (int r = 0; r < golden->n_rows; r++) {
        const float *logits = gpt2_batch_logits(batch, 0, golden->rows[r] - first);
        const double *reference = golden->logits + (size_t)r * (size_t)golden->n_vocab;
        for (int v = 0; v < golden->n_vocab; v++) {
            double difference = fabs((double)logits[v] - reference[v]);
            if (!(difference <= largest)) // a NaN must not pass
                largest = isnan(difference) ? INFINITY : difference;
        }
    }
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
    return largest;
}

static void assert_close(const char *what, double difference, double bound) {
    print_message("%s: largest difference %.2g, bound %.2g\n", what, difference, bound);
    if (!(difference <= bound))
        fail_msg("%s: a logit is %.3g away from the reference, allowed is %.3g", what, difference,
                 bound);
}

static void agrees_with_the_reference(void **state) {
    const struct test_case *test = *state;
    char dir[TESTMODEL_PATH];
    struct golden golden;
    read_golden(&golden, GOLDENS, test->name);
    testmodel_tempdir(dir);
    testmodel_write(dir, &test->model);
    double difference = largest_difference(dir, &golden);
    testmodel_remove(dir);
    free(golden.logits);
    assert_close(test->name, difference, BOUND);
}

/* A model of Hugging Face's own making, with logits that others computed: a JSON list of
 * {"ids": [...], "last_logits": [...]}. */
static void fixture_agrees_with_its_own_reference(void **state) {
    (void)state;
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    const char *data = getenv("GPT2_TEST_DATA");
    testmodel_path(dir, data && *data ? data : "../shared/data", FIXTURE);
    testmodel_path(path, dir, "ref_logits_numpy_fp64.json");
    FILE *file = fopen(path, "rb");
    if (!file) {
        print_message("no %s\n", path);
        skip();
    }
    static char text[1 << 20];
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    struct gpt2_error err = {0};
    struct json *list = json_parse(text, len, path, GPT2_ERR_MODEL, &err);
    if (!list)
        fail_msg("%s", err.message);

    double largest = 0;
    int n_texts = 0;
    for (const struct json *item = json_first(list); item; item = json_next(item), n_texts++) {
        struct golden golden = {.n_rows = 1, .logits = malloc(MAX_IDS * sizeof(double))};
        assert_non_null(golden.logits);
        for (const struct json *id = json_first(json_get(item, "ids")); id; id = json_next(id)) {
            int64_t value = 0;
            assert_true(golden.n_ids < MAX_IDS && json_integer(id, 0, INT32_MAX, &value));
            golden.ids[golden.n_ids++] = (int32_t)value;
        }
        const struct json *logit = json_first(json_get(item, "last_logits"));
        for (; logit; logit = json_next(logit)) {
            assert_true(golden.n_vocab < MAX_IDS);
            assert_true(json_number(logit, &golden.logits[golden.n_vocab++]));
        }
        golden.rows[0] = golden.n_ids - 1;
        largest = fmax(largest, largest_difference(dir, &golden));
        free(golden.logits);
    }
    json_free(list);
    assert_true(n_texts > 0);
    assert_close(FIXTURE, largest, BOUND);
}

/* --compare MODEL FILE BOUND, as arguments of the test. */
static void given_model_agrees_with_given_golden(void **state) {
    char *const *arguments = *state;
    struct golden golden;
    read_golden(&golden, arguments[1], NULL);
    double difference = largest_difference(arguments[0], &golden);
    free(golden.logits);
    assert_close(arguments[0], difference, strtod(arguments[2], NULL));
}

static int write_models(const char *dir) {
    for (size_t i = 0; i < N_CASES; i++) {
        char path[TESTMODEL_PATH];
        testmodel_path(path, dir, cases[i].name);
        if (mkdir(path, 0755) != 0) {
            fprintf(stderr, "test_accuracy: %s: %s\n", path, strerror(errno));
            return 1;
        }
        testmodel_write(path, &cases[i].model);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_models(argv[2]);
    if (argc == 5 && strcmp(argv[1], "--compare") == 0) {
        const struct CMUnitTest compare[] = {
            cmocka_unit_test_prestate(given_model_agrees_with_given_golden, argv + 2)};
        return cmocka_run_group_tests(compare, NULL, NULL);
    }
    struct CMUnitTest tests[N_CASES + 1] = {
        cmocka_unit_test(fixture_agrees_with_its_own_reference)};
    for (size_t i = 0; i < N_CASES; i++)
        tests[i + 1] = (struct CMUnitTest){.name = cases[i].name,
                                           .test_func = agrees_with_the_reference,
                                           .initial_state = (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
