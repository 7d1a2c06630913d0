/* test_model.c - from a directory to a bound model: whatever the file looks like, the same weights
 * end up under the same names, and what is wrong with it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/tensor_schema.h"
#include "model/tie.h"
#include "model/weights.h"
#include "testmodel.h"

#include <sys/resource.h>

static char dir[TESTMODEL_PATH]; // a fresh one for every test

static int setup(void **state) {
    testmodel_tempdir(dir);
    return 0;
}

static int teardown(void **state) {
    testmodel_remove(dir);
    return 0;
}

static struct gpt2_model *open_path(const char *path) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s [%s]", err.message, err.hint);
    return model;
}

static struct gpt2_model *open_with(const struct testmodel_options *options) {
    testmodel_write(dir, options);
    return open_path(dir);
}

/* The path is refused, in words that are all there. */
static void expect_refusal(const char *path, const char *const *words, size_t n) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (model)
        fail_msg("%s: accepted, expected \"%s\"", path, words[0]);
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    for (size_t i = 0; i < n && words[i]; i++)
        if (!strstr(err.message, words[i]) && !strstr(err.hint, words[i]))
            fail_msg("expected \"%s\" in: %s [%s]", words[i], err.message, err.hint);
    assert_null(gpt2_model_open(path, NULL));
}

#define EXPECT_REFUSAL(path, ...)                            \
    expect_refusal(path, (const char *const[]){__VA_ARGS__}, \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* ---- values ---- */

struct expectation {
    const struct gpt2_model *model;
    struct testmodel_list list;
    struct testmodel_options options;
};

/* What was written under `name`, element by element. */
static void expect_values(const struct expectation *e, const char *name, const void *data,
                          enum dtype dtype) {
    char full[96];
    snprintf(full, sizeof full, "%s%s",
             e->options.prefix && strcmp(name, "lm_head.weight") != 0 ? e->options.prefix : "",
             name);
    const struct testmodel_tensor *t = testmodel_find(&e->list, full);
    const size_t size = dtype_size(dtype);
    for (uint64_t i = 0; i < testmodel_elements(t); i++) {
        unsigned char bytes[8];
        float expected, found;
        enum dtype written = DTYPE_F32;
        while (strcmp(dtype_name(written), t->dtype) != 0)
            written++;
        testmodel_encode(bytes, t->dtype, testmodel_value(t, e->options.seed, i));
        dtype_to_f32(&expected, bytes, written, 1);
        dtype_to_f32(&found, (const char *)data + i * size, dtype, 1);
        if (expected != found)
            fail_msg("%s[%llu]: expected %g, found %g", full, (unsigned long long)i, expected,
                     found);
    }
}

static void expect_matrix(const struct expectation *e, const char *name,
                          const struct matrix *matrix, int rows, int cols) {
    assert_int_equal(matrix->rows, rows);
    assert_int_equal(matrix->cols, cols);
    assert_int_equal(matrix->dtype, e->options.dtype == DTYPE_F64 ? DTYPE_F32 : e->options.dtype);
    expect_values(e, name, matrix->data, matrix->dtype);
}

/* Every field of the struct against what was written, spelled out a second time, so that a mistake
 * in the loader's table cannot hide. */
static void expect_weights(const struct gpt2_model *m, const struct testmodel_options *options) {
    const struct testmodel_options o = testmodel_resolve(options);
    struct expectation e = {m, testmodel_list(options), o};
    const int C = o.n_embd, F = o.n_inner;
    const char *wte = o.head == TESTMODEL_HEAD_ONLY ? "lm_head.weight" : "wte.weight";
    expect_matrix(&e, wte, &m->wte, o.n_vocab, C);
    expect_matrix(&e, "wpe.weight", &m->wpe, o.n_ctx, C);
    for (int l = 0; l < o.n_layer; l++) {
        const struct block *h = &m->h[l];
        const struct {
            const char *name;
            const float *vector;
            const struct matrix *matrix;
            int rows, cols;
        } fields[] = {
            {"ln_1.weight", h->ln_1.gain, NULL, 0, 0},
            {"ln_1.bias", h->ln_1.bias, NULL, 0, 0},
            {"attn.c_attn.weight", NULL, &h->attn.c_attn.weight, C, 3 * C},
            {"attn.c_attn.bias", h->attn.c_attn.bias, NULL, 0, 0},
            {"attn.c_proj.weight", NULL, &h->attn.c_proj.weight, C, C},
            {"attn.c_proj.bias", h->attn.c_proj.bias, NULL, 0, 0},
            {"ln_2.weight", h->ln_2.gain, NULL, 0, 0},
            {"ln_2.bias", h->ln_2.bias, NULL, 0, 0},
            {"mlp.c_fc.weight", NULL, &h->mlp.c_fc.weight, C, F},
            {"mlp.c_fc.bias", h->mlp.c_fc.bias, NULL, 0, 0},
            {"mlp.c_proj.weight", NULL, &h->mlp.c_proj.weight, F, C},
            {"mlp.c_proj.bias", h->mlp.c_proj.bias, NULL, 0, 0},
        };
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            char name[64];
            snprintf(name, sizeof name, "h.%d.%s", l, fields[i].name);
            if (fields[i].matrix)
                expect_matrix(&e, name, fields[i].matrix, fields[i].rows, fields[i].cols);
            else
                expect_values(&e, name, fields[i].vector, DTYPE_F32);
        }
    }
    expect_values(&e, "ln_f.weight", m->ln_f.gain, DTYPE_F32);
    expect_values(&e, "ln_f.bias", m->ln_f.bias, DTYPE_F32);
    if (o.head == TESTMODEL_HEAD_OWN)
        expect_matrix(&e, "lm_head.weight", &m->head, o.n_vocab, C);
    else
        assert_ptr_equal(m->head.data, m->wte.data);
    free(e.list.items);
}

static void every_layout_gives_the_same_weights(void **state) {
    static const struct testmodel_options layouts[] = {
        {0},
        {.prefix = "transformer."},
        {.prefix = "_orig_mod.module.transformer."},
        {.prefix = "module._orig_mod."},
        {.prefix = "model."},
        {.reversed = true},
        {.masks = true},
        {.masks = true, .prefix = "transformer.", .reversed = true, .f32_vectors = true},
        {.misalign = 1},
        {.misalign = 2},
        {.misalign = 4},
        {.head = TESTMODEL_HEAD_COPY},
        {.head = TESTMODEL_HEAD_OWN, .tie = "false", .prefix = "transformer."},
        {.head = TESTMODEL_HEAD_ONLY},
        {.n_vocab = 13, .n_ctx = 7, .n_embd = 15, .n_head = 3, .n_layer = 3, .n_inner = 29},
        {.n_vocab = 1, .n_ctx = 1, .n_embd = 1, .n_head = 1, .n_layer = 1, .n_inner = 1},
        {.n_layer = 12, .seed = 5},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        for (enum dtype dtype = 0; dtype <= DTYPE_F64; dtype++) {
            struct testmodel_options options = layouts[i];
            options.dtype = dtype;
            struct gpt2_model *model = open_with(&options);
            expect_weights(model, &options);
            gpt2_model_close(model);
        }
    }
}

static bool lies_in_file(const struct gpt2_model *model, const struct matrix *matrix) {
    const unsigned char *data = matrix->data, *file = model->tensors.file.data;
    return data >= file && data < file + model->tensors.file.size;
}

static void matrices_are_used_where_they_lie_at_any_alignment(void **state) {
    for (enum dtype dtype = 0; dtype <= DTYPE_F64; dtype++) {
        for (int misalign = 0; misalign < 9; misalign++) {
            struct gpt2_model *model =
                open_with(&(struct testmodel_options){.dtype = dtype, .misalign = misalign});
            bool in_place = dtype != DTYPE_F64;
            assert_int_equal(lies_in_file(model, &model->wte), in_place);
            assert_int_equal(lies_in_file(model, &model->h[1].mlp.c_proj.weight), in_place);
            assert_int_equal(model->n_converted, 2 * 8 + 2 + (in_place ? 0 : 2 + 2 * 4));
            gpt2_model_close(model);
        }
    }
}

/* ---- what is told about it ---- */

static void tensors_are_listed_in_the_order_of_the_forward_pass(void **state) {
    static const char *const names[] = {
        "wte.weight",
        "wpe.weight",
        "h.0.ln_1.weight",
        "h.0.ln_1.bias",
        "h.0.attn.c_attn.weight",
        "h.0.attn.c_attn.bias",
        "h.0.attn.c_proj.weight",
        "h.0.attn.c_proj.bias",
        "h.0.ln_2.weight",
        "h.0.ln_2.bias",
        "h.0.mlp.c_fc.weight",
        "h.0.mlp.c_fc.bias",
        "h.0.mlp.c_proj.weight",
        "h.0.mlp.c_proj.bias",
        "ln_f.weight",
        "ln_f.bias",
        "lm_head.weight",
    };
    struct gpt2_model *model = open_with(&(struct testmodel_options){.n_layer = 1,
                                                                     .dtype = DTYPE_BF16,
                                                                     .prefix = "transformer.",
                                                                     .reversed = true,
                                                                     .masks = true,
                                                                     .f32_vectors = true,
                                                                     .tie = "false",
                                                                     .head = TESTMODEL_HEAD_OWN});
    struct gpt2_tensor_info info;
    size_t n = 0;
    for (; gpt2_model_tensor(model, n, &info); n++)
        assert_string_equal(info.name, names[n]);
    assert_int_equal(n, sizeof names / sizeof *names);
    assert_true(gpt2_model_tensor(model, 4, &info));
    assert_string_equal(info.dtype, "BF16");
    assert_int_equal(info.rank, 2);
    assert_int_equal(info.shape[0], 16);
    assert_int_equal(info.shape[1], 48);
    assert_int_equal(info.n_bytes, 16 * 48 * 2);
    assert_true(gpt2_model_tensor(model, 5, &info));
    assert_string_equal(info.dtype, "F32");
    assert_int_equal(info.rank, 1);
    assert_int_equal(info.shape[0], 48);
    assert_int_equal(info.n_bytes, 48 * 4);
    assert_null(gpt2_model_warning(model, 0));
    gpt2_model_close(model);
}

static void parameters_count_a_tied_head_once(void **state) {
    const uint64_t V = 61, P = 40, C = 16, L = 2, F = 50;
    const uint64_t tied = V * C + P * C + L * (4 * C * C + 2 * C * F + F + 9 * C) + 2 * C;
    for (int head = TESTMODEL_HEAD_TIED; head <= TESTMODEL_HEAD_ONLY; head++) {
        struct gpt2_model *model = open_with(&(struct testmodel_options){
            .n_inner = 50, .masks = true, .head = (enum testmodel_head)head});
        assert_int_equal(gpt2_model_parameters(model),
                         head == TESTMODEL_HEAD_OWN ? tied + V * C : tied);
        gpt2_model_close(model);
    }
}

/* The published shape in a sparse file: half a gigabyte that occupies nothing. */
static void the_124m_model_has_its_published_size_and_opens_without_reading_it(void **state) {
    const struct testmodel_options options = {
        .n_vocab = 50257, .n_ctx = 1024, .n_embd = 768, .n_layer = 12, .n_head = 12};
    char path[TESTMODEL_PATH];
    size_t n_header;
    uint64_t n_data;
    testmodel_write_config(dir, &options);
    testmodel_path(path, dir, "model.safetensors");
    struct testmodel_list list = testmodel_list(&options);
    char *header = testmodel_header(&n_header, &n_data, &list, &options);
    testmodel_write_file(dir, "model.safetensors", header, n_header);
    free(header);
    free(list.items);
    assert_int_equal(n_data, 497759232);
    if (truncate(path, (off_t)(n_header + n_data)) != 0) {
        print_message("no room for a sparse file of 498 MB\n");
        skip();
    }
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct gpt2_model *model = open_path(dir);
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(gpt2_model_parameters(model), 124439808);
    assert_true(gpt2_model_head_is_tied(model));
    long faults = after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt;
    assert_true(faults < (long)(n_data / 4096 / 10));
    gpt2_model_close(model);
}

/* Goldens elsewhere rest on these weights: the same bytes from every compiler and machine. */
static void the_test_model_is_the_same_everywhere(void **state) {
    char path[TESTMODEL_PATH];
    struct os_file file;
    testmodel_write(dir, &(struct testmodel_options){.dtype = DTYPE_F64, .seed = 1});
    testmodel_path(path, dir, "model.safetensors");
    assert_true(os_map(&file, path, GPT2_ERR_MODEL, NULL));
    uint64_t hash = 14695981039346656037u; // FNV-1a
    for (size_t i = 0; i < file.size; i++)
        hash = (hash ^ file.data[i]) * 1099511628211u;
    os_unmap(&file);
    assert_int_equal(hash, 0x6c1a3f5446b6e55c);
}

static void the_config_is_the_files(void **state) {
    struct gpt2_model *model = open_with(
        &(struct testmodel_options){.n_inner = 24,
                                    .activation = "relu",
                                    .layer_norm_epsilon = 0.5,
                                    .no_attn_scale = true,
                                    .inverse_layer_scale = true,
                                    .config = "\"eos_token_id\": 3, \"bos_token_id\": 4"});
    const struct gpt2_config *config = gpt2_model_config(model);
    assert_int_equal(config->n_vocab, 61);
    assert_int_equal(config->n_ctx, 40);
    assert_int_equal(config->n_embd, 16);
    assert_int_equal(config->n_layer, 2);
    assert_int_equal(config->n_head, 2);
    assert_int_equal(config->n_inner, 24);
    assert_string_equal(config->activation, "relu");
    assert_true(config->layer_norm_epsilon == 0.5f);
    assert_false(config->scale_attn_weights);
    assert_true(config->scale_attn_by_inverse_layer_idx);
    assert_int_equal(config->n_eos, 1);
    assert_int_equal(config->eos_ids[0], 3);
    assert_int_equal(config->bos_id, 4);
    gpt2_model_close(model);
    gpt2_model_close(NULL);
}

/* ---- files with changes ---- */

/* A change to the list of tensors before it is written. */
struct change {
    const char *name;   // of a tensor; one that does not exist is added
    const char *rename; // NULL: keep; "": remove
    const char *dtype;  // NULL: keep
    int rank;           // with `shape`, where shape[0] is not 0
    int64_t shape[4];
};

static void write_changed(const struct change *changes, size_t n,
                          const struct testmodel_options *options) {
    char path[TESTMODEL_PATH];
    testmodel_write_config(dir, options);
    testmodel_path(path, dir, "model.safetensors");
    struct testmodel_list list = testmodel_list(options);
    for (size_t i = 0; i < n && changes[i].name; i++) {
        const struct change *c = &changes[i];
        struct testmodel_tensor *t = NULL;
        for (size_t k = 0; k < list.count; k++)
            if (strcmp(list.items[k].name, c->name) == 0)
                t = &list.items[k];
        if (!t)
            t = testmodel_add(&list, "", c->name, "F32", 1, 1, 1);
        if (c->dtype)
            t->dtype = c->dtype;
        if (c->shape[0]) {
            t->rank = c->rank;
            memcpy(t->shape, c->shape, sizeof t->shape);
        }
        if (c->rename && *c->rename)
            strcpy(t->name, c->rename);
        else if (c->rename)
            *t = list.items[--list.count];
    }
    testmodel_write_list(path, &list, options);
    free(list.items);
}

/* ---- the head ---- */

static void the_head_is_wte_unless_the_file_has_another_one(void **state) {
    static const struct {
        enum testmodel_head head;
        const char *tie;
        bool tied;
        const char *note; // a word of the only note, NULL: none
    } cases[] = {
        {TESTMODEL_HEAD_TIED, NULL, true, NULL},
        {TESTMODEL_HEAD_TIED, "true", true, NULL},
        {TESTMODEL_HEAD_TIED, "false", true, "no \"lm_head.weight\""},
        {TESTMODEL_HEAD_COPY, NULL, true, NULL},
        {TESTMODEL_HEAD_COPY, "true", true, NULL},
        {TESTMODEL_HEAD_COPY, "false", true, NULL},
        {TESTMODEL_HEAD_OWN, "false", false, NULL},
        {TESTMODEL_HEAD_OWN, "true", false, "differs"},
        {TESTMODEL_HEAD_OWN, NULL, false, "differs"},
        {TESTMODEL_HEAD_ONLY, NULL, true, "no \"wte.weight\""},
        {TESTMODEL_HEAD_ONLY, "true", true, "no \"wte.weight\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_model *model =
            open_with(&(struct testmodel_options){.head = cases[i].head, .tie = cases[i].tie});
        // a file that says it has two is taken at its word until a caller asks
        const bool has_two =
            cases[i].head == TESTMODEL_HEAD_COPY || cases[i].head == TESTMODEL_HEAD_OWN;
        const bool later = has_two && cases[i].tie && strcmp(cases[i].tie, "false") == 0;
        assert_int_equal(model->tie == HEAD_NOT_COMPARED, later);
        assert_int_equal(model->head.data == model->wte.data, cases[i].tied && !later);
        assert_int_equal(model->head_is_copy, 0);
        assert_int_equal(gpt2_model_head_is_tied(model), cases[i].tied);
        struct gpt2_tensor_info info;
        assert_int_equal(gpt2_model_tensor(model, tensor_schema_count(model), &info),
                         !cases[i].tied);
        if (cases[i].note) {
            assert_non_null(gpt2_model_warning(model, 0));
            assert_non_null(strstr(gpt2_model_warning(model, 0), cases[i].note));
        }
        assert_null(gpt2_model_warning(model, cases[i].note ? 1 : 0));
        gpt2_model_close(model);
    }
    // one of another type is not a copy
    static const struct change narrow = {.name = "lm_head.weight", .dtype = "F16"};
    write_changed(&narrow, 1, &(struct testmodel_options){.head = TESTMODEL_HEAD_COPY});
    struct gpt2_model *model = open_path(dir);
    assert_false(gpt2_model_head_is_tied(model));
    assert_int_equal(model->head.dtype, DTYPE_F16);
    gpt2_model_close(model);

    testmodel_write(dir, &(struct testmodel_options){.head = TESTMODEL_HEAD_ONLY, .tie = "false"});
    EXPECT_REFUSAL(dir, "missing tensor \"wte.weight\"");
}

/* ---- what is in the file besides ---- */

static void strangers_are_noted_and_masks_are_not(void **state) {
    static const struct {
        struct change changes[3];
        const char *notes[2];
    } cases[] = {
        {{{.name = "score.weight", .rank = 2, .shape = {2, 16, 1, 1}}}, {"\"score.weight\""}},
        {{{.name = "classifier.weight"}, {.name = "classifier.bias"}},
         {"2, the first is \"classifier.bias\""}},
        {{{.name = "transformer.qa_outputs.bias"}}, {"another task"}},
        {{{.name = "multiple_choice_head.summary.weight"}}, {"another task"}},
        {{{.name = "value_head.weight"}}, {"no part of GPT-2"}},
        {{{.name = "value_head.weight"}, {.name = "score.weight"}},
         {"another task", "no part of GPT-2"}},
        {{{.name = "hh.0.x"}, {.name = "\\u001b[2J"}}, {"\\x1B[2J"}},
        {{{.name = "h.0.attn.bias", .dtype = "F16", .rank = 4, .shape = {1, 1, 40, 40}}}, {NULL}},
        {{{.name = "h.1.attn.bias", .dtype = "BOOL", .rank = 4, .shape = {1, 1, 40, 40}}}, {NULL}},
        {{{.name = "h.1.attn.masked_bias", .dtype = "F16", .shape = {1}}}, {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(cases[i].changes, 3, NULL);
        struct gpt2_model *model = open_path(dir);
        size_t n = 0;
        for (; n < 2 && cases[i].notes[n]; n++) {
            assert_non_null(gpt2_model_warning(model, n));
            if (!strstr(gpt2_model_warning(model, n), cases[i].notes[n]))
                fail_msg("expected \"%s\" in: %s", cases[i].notes[n], gpt2_model_warning(model, n));
        }
        assert_null(gpt2_model_warning(model, n));
        gpt2_model_close(model);
    }
}

static void what_does_not_fit_is_refused_by_name(void **state) {
    static const struct {
        struct change changes[3];
        const char *words[5];
    } cases[] = {
        // missing
        {{{.name = "ln_f.bias", .rename = ""}}, {"missing tensor \"ln_f.bias\"", "config.json"}},
        {{{.name = "wpe.weight", .rename = ""}, {.name = "h.1.ln_2.bias", .rename = ""}},
         {"missing tensors \"wpe.weight\", \"h.1.ln_2.bias\""}},
        {{{.name = "wte.weight", .rename = "wte.wight"}}, {"\"wte.wight\"", "unknown"}},
        // shapes
        {{{.name = "wte.weight", .rank = 2, .shape = {60, 16, 1, 1}}},
         {"model.safetensors", "\"wte.weight\"", "[61, 16]", "[vocab_size, n_embd]", "[60, 16]"}},
        {{{.name = "wpe.weight", .rank = 2, .shape = {41, 16, 1, 1}}},
         {"\"wpe.weight\"", "[40, 16]", "n_positions", "[41, 16]"}},
        {{{.name = "h.0.ln_1.weight", .rank = 1, .shape = {15, 1, 1, 1}}},
         {"\"h.0.ln_1.weight\"", "[16]", "[n_embd]", "found [15]"}},
        {{{.name = "h.0.ln_1.weight", .rank = 2, .shape = {1, 16, 1, 1}}},
         {"[16]", "found [1, 16]"}},
        {{{.name = "h.0.ln_1.weight", .rank = 2, .shape = {16, 1, 1, 1}}},
         {"[16]", "found [16, 1]"}},
        {{{.name = "wte.weight", .rank = 3, .shape = {61, 16, 1, 1}}}, {"found [61, 16, 1]"}},
        {{{.name = "h.0.ln_1.weight", .rank = 0, .shape = {1, 1, 1, 1}}}, {"[16]", "found []"}},
        {{{.name = "h.1.attn.c_attn.weight", .rank = 2, .shape = {48, 16, 1, 1}}},
         {"[16, 48]", "[48, 16]", "[n_embd, 3 n_embd]", "transpose"}},
        {{{.name = "h.1.mlp.c_proj.weight", .rank = 2, .shape = {16, 64, 1, 1}}},
         {"[64, 16]", "transpose"}},
        {{{.name = "h.1.mlp.c_fc.weight", .rank = 3, .shape = {1, 16, 64, 1}}},
         {"found [1, 16, 64]"}},
        {{{.name = "lm_head.weight", .rank = 2, .shape = {62, 16, 1, 1}}},
         {"\"lm_head.weight\"", "[61, 16]", "[62, 16]"}},
        // dtypes
        {{{.name = "h.0.mlp.c_fc.weight", .dtype = "I8"}},
         {"\"h.0.mlp.c_fc.weight\"", "F16", "found I8"}},
        {{{.name = "h.0.mlp.c_fc.bias", .dtype = "F8_E4M3"}},
         {"c_fc.bias", "BF16", "found F8_E4M3"}},
        // more of GPT-2 than config.json or GPT-2 has
        {{{.name = "h.2.ln_1.weight"}}, {"\"h.2.ln_1.weight\"", "h.0 to h.1", "n_layer 2"}},
        {{{.name = "transformer.h.99999999999999999999.x"}}, {"n_layer 2"}},
        {{{.name = "h.0.crossattention.c_attn.weight"}}, {"cross attention", "encoder-decoder"}},
        {{{.name = "h.1.ln_cross_attn.weight"}}, {"cross attention"}},
        {{{.name = "h.0.attn.c_attn.lora_A"}}, {"\"h.0.attn.c_attn.lora_A\"", "no such weight"}},
        {{{.name = "h.0.attn.bias", .rank = 1, .shape = {16, 1, 1, 1}}}, {"\"h.0.attn.bias\""}},
        {{{.name = "h.0.attn.masked_bias", .rank = 1, .shape = {16, 1, 1, 1}}}, {"masked_bias"}},
        {{{.name = "h.00.ln_1.weight"}}, {"\"h.00.ln_1.weight\"", "no such weight"}},
        {{{.name = "h.00.attn.bias", .rank = 4, .shape = {1, 1, 40, 40}}}, {"\"h.00.attn.bias\""}},
        {{{.name = "h.x"}}, {"\"h.x\""}},
        {{{.name = "h."}}, {"\"h.\""}},
        {{{.name = "wte.weight_scale"}}, {"\"wte.weight_scale\""}},
        {{{.name = "wpe.scale"}}, {"\"wpe.scale\""}},
        {{{.name = "ln_f.running_mean"}}, {"\"ln_f.running_mean\""}},
        {{{.name = "lm_head.bias"}}, {"\"lm_head.bias\""}},
        // two tensors with one name
        {{{.name = "transformer.wpe.weight"}},
         {"expected one tensor \"wpe.weight\"", "\"transformer.wpe.weight\""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_changed(cases[i].changes, 3, NULL);
        expect_refusal(dir, cases[i].words, 5);
    }
}

static void missing_blocks_are_counted(void **state) {
    struct testmodel_options options = {.n_layer = 2};
    char path[TESTMODEL_PATH];
    testmodel_path(path, dir, "model.safetensors");
    struct testmodel_list list = testmodel_list(&options);
    testmodel_write_list(path, &list, &options);
    free(list.items);
    options.n_layer = 4;
    testmodel_write_config(dir, &options);
    EXPECT_REFUSAL(dir, "\"h.2.ln_1.weight\", \"h.2.ln_1.bias\", \"h.2.attn.c_attn.weight\"",
                   "and 21 more");
    options.n_layer = 4096; // bounded memory, and no crash, for a config that lies
    testmodel_write_config(dir, &options);
    EXPECT_REFUSAL(dir, "and 49125 more");
}

static void an_empty_file_of_weights_lacks_everything(void **state) {
    testmodel_write_config(dir, NULL);
    testmodel_write_file(dir, "model.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
    EXPECT_REFUSAL(dir, "missing tensors \"wte.weight\"", "and 25 more");
    testmodel_write_file(dir, "model.safetensors", "", 0);
    EXPECT_REFUSAL(dir, "model.safetensors", "empty");
}

/* ---- where the files are ---- */

static void a_model_is_found_by_its_directory_or_a_file_in_it(void **state) {
    char path[TESTMODEL_PATH];
    gpt2_model_close(open_with(NULL));
    snprintf(path, sizeof path, "%.400s//", dir);
    gpt2_model_close(open_path(path));
    testmodel_path(path, dir, "config.json");
    gpt2_model_close(open_path(path));
    testmodel_write_file(dir, "vocab.json", "{}", 2);
    testmodel_path(path, dir, "vocab.json");
    gpt2_model_close(open_path(path));
    testmodel_path(path, dir, "model.safetensors");
    gpt2_model_close(open_path(path));
    // that very file, not its neighbour
    struct testmodel_list list = testmodel_list(&(struct testmodel_options){.seed = 9});
    testmodel_path(path, dir, "other.safetensors");
    testmodel_write_list(path, &list, &(struct testmodel_options){.seed = 9});
    free(list.items);
    struct gpt2_model *model = open_path(path);
    expect_weights(model, &(struct testmodel_options){.seed = 9});
    gpt2_model_close(model);
}

static void a_path_without_directory_means_the_current_one(void **state) {
    char before[TESTMODEL_PATH];
    testmodel_write(dir, NULL);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(dir), 0);
    struct gpt2_model *by_file = gpt2_model_open("model.safetensors", NULL);
    struct gpt2_model *by_dot = gpt2_model_open(".", NULL);
    assert_int_equal(chdir(before), 0);
    assert_non_null(by_file);
    assert_non_null(by_dot);
    gpt2_model_close(by_file);
    gpt2_model_close(by_dot);
}

static void missing_files_are_named(void **state) {
    char path[TESTMODEL_PATH];
    EXPECT_REFUSAL(dir, dir, "no config.json and no model.safetensors", "vocab.json");
    snprintf(path, sizeof path, "%.400s//", dir);
    char start[TESTMODEL_PATH + 40];
    snprintf(start, sizeof start, "%s: expected a model directory", dir); // no slash at its end
    EXPECT_REFUSAL(path, start);
    EXPECT_REFUSAL("", "\"\": no such file");
    testmodel_path(path, dir, "nowhere");
    EXPECT_REFUSAL(path, path, "no such file or directory");
    testmodel_write_file(dir, "notes.txt", "", 0);
    testmodel_path(path, dir, "notes.txt");
    EXPECT_REFUSAL(path, path, "expected a model", "found it empty");
    testmodel_write_file(dir, "merges.txt", "x", 1);
    testmodel_path(path, dir, "merges.txt");
    EXPECT_REFUSAL(path, path, "expected a model directory or a file in one");
    testmodel_write_config(dir, NULL);
    EXPECT_REFUSAL(dir, dir, "found no model.safetensors");
    testmodel_write(dir, NULL);
    testmodel_path(path, dir, "config.json");
    assert_int_equal(remove(path), 0);
    EXPECT_REFUSAL(dir, path, "no such file", "model.safetensors");
}

static void weights_of_other_formats_are_named_with_a_remedy(void **state) {
    static const char *const foreigns[][3] = {
        {"tf_model.h5", "TensorFlow", "from_tf"},
        {"flax_model.msgpack", "Flax", "from_flax"},
    };
    for (int config = 0; config < 2; config++) {
        for (size_t i = 0; i < sizeof foreigns / sizeof *foreigns; i++) {
            char path[TESTMODEL_PATH];
            if (config)
                testmodel_write_config(dir, NULL);
            testmodel_write_file(dir, foreigns[i][0], "x", 1);
            testmodel_path(path, dir, foreigns[i][0]);
            EXPECT_REFUSAL(dir, path, foreigns[i][1], foreigns[i][2]);
            EXPECT_REFUSAL(path, path, foreigns[i][1], foreigns[i][2]);
            assert_int_equal(remove(path), 0);
        }
    }
    // of several the one that most likely is meant
    char path[TESTMODEL_PATH];
    testmodel_write_file(dir, "pytorch_model.bin", "x", 1);
    testmodel_write_file(dir, "tf_model.h5", "x", 1);
    testmodel_path(path, dir, "pytorch_model.bin");
    EXPECT_REFUSAL(dir, path, "PyTorch");
    // beside the right file they do not matter
    gpt2_model_close(open_with(NULL));
}

static void a_vocabulary_may_be_larger_than_config_says(void **state) {
    static const struct change rows[] = {
        {.name = "wte.weight", .rank = 2, .shape = {64, 16, 1, 1}},
        {.name = "lm_head.weight", .rank = 2, .shape = {64, 16, 1, 1}},
    };
    static const enum testmodel_head heads[] = {TESTMODEL_HEAD_TIED, TESTMODEL_HEAD_ONLY,
                                                TESTMODEL_HEAD_OWN};
    for (int i = 0; i < 3; i++) {
        const bool only = heads[i] == TESTMODEL_HEAD_ONLY, own = heads[i] == TESTMODEL_HEAD_OWN;
        write_changed(rows + only, own ? 2 : 1,
                      &(struct testmodel_options){.head = heads[i], .tie = own ? "false" : NULL});
        struct gpt2_model *model = open_path(dir);
        assert_int_equal(gpt2_model_config(model)->n_vocab, 64);
        assert_int_equal(model->wte.rows, 64);
        assert_int_equal(model->head.rows, 64);
        assert_non_null(strstr(gpt2_model_warning(model, only ? 1 : 0), "has 64 rows"));
        gpt2_model_close(model);
    }
    write_changed(rows, 1, &(struct testmodel_options){.head = TESTMODEL_HEAD_OWN});
    EXPECT_REFUSAL(dir, "\"lm_head.weight\"", "[64, 16]", "[61, 16]");
}

static void config_speaks_before_the_weights(void **state) {
    testmodel_write_file(dir, "config.json", "{\"model_type\": \"llama\"}", 23);
    testmodel_write_file(dir, "model.safetensors.index.json", "{}", 2);
    EXPECT_REFUSAL(dir, "config.json", "\"llama\"", "\"gpt2\"");
}

static void the_path_of_a_message_is_the_files(void **state) {
    char path[TESTMODEL_PATH];
    testmodel_write_config(dir, &(struct testmodel_options){.activation = "nonsense"});
    testmodel_path(path, dir, "config.json");
    EXPECT_REFUSAL(dir, path, "\"nonsense\"");
}

/* ---- real files, where the data is at hand ---- */

static void fixture(char path[TESTMODEL_PATH], const char *name) {
    const char *data = getenv("GPT2_TEST_DATA");
    char folder[TESTMODEL_PATH];
    testmodel_path(folder, data && *data ? data : "../shared/data", "fixtures");
    testmodel_path(path, folder, name);
    if (access(path, R_OK) != 0) {
        print_message("%s is not there (GPT2_TEST_DATA says where the test data is)\n", path);
        skip();
    }
}

static void a_real_test_model_opens(void **state) {
    char path[TESTMODEL_PATH];
    fixture(path, "tiny-random-gpt2");
    struct gpt2_model *model = open_path(path);
    const struct gpt2_config *config = gpt2_model_config(model);
    assert_int_equal(config->n_vocab, 1000);
    assert_int_equal(config->n_layer, 5);
    assert_int_equal(config->n_inner, 128);
    assert_int_equal(config->eos_ids[0], 98);
    assert_int_equal(gpt2_model_parameters(model), 111968);
    assert_true(gpt2_model_head_is_tied(model));
    assert_null(gpt2_model_warning(model, 0));
    gpt2_model_close(model);
}

static void a_real_model_of_another_type_is_refused(void **state) {
    char path[TESTMODEL_PATH];
    fixture(path, "not-gpt2");
    EXPECT_REFUSAL(path, "config.json", "\"model_type\"", "\"gpt2\"", "\"openai-gpt\"");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_layout_gives_the_same_weights),
        TEST(matrices_are_used_where_they_lie_at_any_alignment),
        TEST(tensors_are_listed_in_the_order_of_the_forward_pass),
        TEST(parameters_count_a_tied_head_once),
        TEST(the_124m_model_has_its_published_size_and_opens_without_reading_it),
        TEST(the_test_model_is_the_same_everywhere),
        TEST(the_config_is_the_files),
        TEST(the_head_is_wte_unless_the_file_has_another_one),
        TEST(strangers_are_noted_and_masks_are_not),
        TEST(what_does_not_fit_is_refused_by_name),
        TEST(missing_blocks_are_counted),
        TEST(an_empty_file_of_weights_lacks_everything),
        TEST(a_model_is_found_by_its_directory_or_a_file_in_it),
        TEST(a_path_without_directory_means_the_current_one),
        TEST(missing_files_are_named),
        TEST(weights_of_other_formats_are_named_with_a_remedy),
        TEST(a_vocabulary_may_be_larger_than_config_says),
        TEST(config_speaks_before_the_weights),
        TEST(the_path_of_a_message_is_the_files),
        cmocka_unit_test(a_real_test_model_opens),
        cmocka_unit_test(a_real_model_of_another_type_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
