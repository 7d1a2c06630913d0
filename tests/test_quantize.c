/* test_quantize.c - a packed file has what the model has, in each type; what does not fit is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export/quantize_panel.h"
#include "kernels/panels.h"
#include "model/tensor_schema.h"
#include "testpacked.h"
#include "weights/block_check.h"
#include "weights/packed.h"

#include <signal.h>
#include <sys/resource.h>

/* A full disk, as a limit on the size of files. */
static void a_full_disk_leaves_nothing_behind(void **state) {
    struct gpt2_model *model = make_model(&(struct testmodel_options){.n_embd = 64});
    int before = count_files();
    struct rlimit limit, small;
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    struct gpt2_error err = {0};
    bool ok = gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = GPT2_F16}, file,
                            &err);
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(ok);
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    expect_words(&err, "packed.safetensors: cannot write", "File too large");
    assert_int_equal(count_files(), before);
    gpt2_model_close(model);
}

struct counter {
    size_t calls, last, total, stop_at;
};

static bool count_progress(void *user, size_t done, size_t total) {
    struct counter *c = user;
    assert_true(done > c->last && done <= total);
    c->last = done;
    c->total = total;
    return ++c->calls != c->stop_at;
}

static void progress_is_told_and_can_end_it(void **state) {
    struct gpt2_model *model = make_model(&(struct testmodel_options){.n_embd = 64});
    struct gpt2_error err = {0};
    struct counter counter = {0};
    struct gpt2_quantize_options options = {
        .type = GPT2_Q8, .progress = count_progress, .user = &counter};
    pack(model, GPT2_F16); // an older file, which must stay if the new one fails
    struct gpt2_model *older = open_model(file);
    int before = count_files();
    assert_true(gpt2_quantize(model, runtime, &options, file, &err));
    assert_int_equal(counter.last, counter.total);
    counter = (struct counter){.stop_at = 3};
    options.type = GPT2_Q4;
    assert_false(gpt2_quantize(model, runtime, &options, file, &err));
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    assert_int_equal(counter.calls, 3);
    assert_int_equal(count_files(), before);
    struct gpt2_model *packed = open_model(file);
    assert_int_equal(packed->h[0].mlp.c_fc.weight.dtype, DTYPE_Q8);
    assert_int_equal(older->h[0].mlp.c_fc.weight.dtype, DTYPE_F16); // it keeps its own file
    assert_true(block_check_all(&older->tensors, NULL));
    gpt2_model_close(packed);
    gpt2_model_close(older);
    gpt2_model_close(model);
}

/* ---- round trips ---- */

static float element(const struct matrix *m, size_t row, size_t col) {
    float value;
    size_t i = row * (size_t)m->cols + col;
    dtype_to_f32(&value, (const char *)m->data + i * dtype_size(m->dtype), m->dtype, 1);
    return value;
}

static float rounded(float value, enum dtype dtype) {
    unsigned char bytes[8];
    testmodel_encode(bytes, dtype_name(dtype), (double)value);
    dtype_to_f32(&value, bytes, dtype, 1);
    return value;
}

/* Matrix `b` is what is made of `a`, which has K inputs for each output; `linear`: [in, out]. */
static void expect_panels(const struct matrix *b, const struct matrix *a, bool linear) {
    const int K = linear ? a->rows : a->cols, n = linear ? a->cols : a->rows;
    const size_t size = panel_bytes(b->dtype, K);
    float *w = calloc((size_t)K * PANEL, sizeof *w), *column = malloc((size_t)K * sizeof *column);
    unsigned char *panel = malloc(size);
    assert_true(w && column && panel);
    assert_int_equal((uintptr_t)b->data % PACKED_ALIGN, 0);
    for (int p = 0; p < panels_count(n); p++) {
        const char *found = (const char *)b->data + (size_t)p * size;
        int width = n - p * PANEL < PANEL ? n - p * PANEL : PANEL;
        for (int k = 0; k < K; k++)
            for (int c = 0; c < PANEL; c++) {
                size_t in = (size_t)k, out = (size_t)(p * PANEL + c);
                w[k * PANEL + c] = c >= width ? 0
                                   : linear   ? element(a, in, out)
                                              : element(a, out, in);
            }
        if (dtype_is_quantized(b->dtype)) {
            assert_true(quantize_panel(panel, b->dtype, w, PANEL, K, width, NULL));
            assert_memory_equal(panel, found, size);
        } else {
            for (int c = 0; c < PANEL; c++) {
                panels_column(column, found, b->dtype, c, K);
                for (int k = 0; k < K; k++)
                    assert_true(column[k] == rounded(w[k * PANEL + c], b->dtype));
            }
        }
    }
    free(w);
    free(column);
    free(panel);
}

static void expect_rows(const struct matrix *b, const struct matrix *a, enum dtype dtype) {
    assert_int_equal(b->layout, LAYOUT_ROWS);
    assert_int_equal(b->dtype, dtype);
    for (int r = 0; r < a->rows; r++)
        for (int c = 0; c < a->cols; c++)
            assert_true(element(b, (size_t)r, (size_t)c) ==
                        rounded(element(a, (size_t)r, (size_t)c), dtype));
}

static const enum dtype dtypes[] = {DTYPE_F16, DTYPE_BF16, DTYPE_Q8, DTYPE_Q4};

/* Everything in `b`, packed as `type`, is what `a` has. */
static void expect_packed(const struct gpt2_model *b, const struct gpt2_model *a,
                          enum gpt2_weight_type type) {
    const enum dtype dtype = dtypes[type];
    assert_int_equal(a->n_infos, b->n_infos);
    assert_int_equal(gpt2_model_parameters(a), gpt2_model_parameters(b));
    assert_int_equal(gpt2_model_head_is_tied(a), gpt2_model_head_is_tied(b));
    expect_rows(&b->wpe, &a->wpe, a->wpe.dtype);
    for (size_t i = 0; i < tensor_schema_count(a); i++) {
        struct tensor_spec x = tensor_schema_at(a, i), y = tensor_schema_at(b, i);
        assert_string_equal(x.name, y.name);
        if (x.kind == SPEC_VECTOR) {
            const float *u = *(const float **)x.field, *v = *(const float **)y.field;
            assert_memory_equal(u, v, (size_t)x.shape[0] * sizeof *u);
        } else if (x.kind == SPEC_LINEAR) {
            const struct matrix *m = y.field;
            assert_int_equal(m->dtype, dtype);
            assert_int_equal(m->layout, LAYOUT_PANELS);
            assert_int_equal(m->rows, x.shape[0]);
            assert_int_equal(m->cols, x.shape[1]);
            expect_panels(m, x.field, true);
        }
    }
    if (!dtype_is_quantized(dtype)) {
        expect_rows(&b->wte, &a->wte, dtype);
        expect_rows(&b->head, &a->head, dtype);
        return;
    }
    if (gpt2_model_head_is_tied(a))
        assert_ptr_equal(b->wte.data, b->head.data);
    else
        expect_rows(&b->wte, &a->wte, a->wte.dtype == DTYPE_BF16 ? DTYPE_BF16 : DTYPE_F16);
    assert_int_equal(b->head.layout, LAYOUT_PANELS);
    assert_true(dtype_is_quantized(b->head.dtype));
    assert_int_equal(b->head.rows, a->config.n_vocab);
    assert_int_equal(b->head.cols, a->config.n_embd);
    expect_panels(&b->head, &a->head, false);
}

static const struct testmodel_options shapes[] = {
    {0},
    {.n_embd = 64, .n_vocab = 128},
    {.n_vocab = 67, .n_ctx = 13, .n_embd = 85, .n_head = 5, .n_inner = 131, .dtype = DTYPE_F16},
    {.n_vocab = 130, .n_embd = 96, .head = TESTMODEL_HEAD_OWN, .dtype = DTYPE_BF16},
    {.n_vocab = 65, .n_embd = 66, .head = TESTMODEL_HEAD_OWN, .misalign = 1},
    {.n_vocab = 1, .n_ctx = 1, .n_embd = 1, .n_head = 1, .n_layer = 1, .n_inner = 1},
    {.n_embd = 10, .dtype = DTYPE_F64, .f32_vectors = true, .head = TESTMODEL_HEAD_COPY},
};

#define N_SHAPES (sizeof shapes / sizeof *shapes)

static void what_goes_in_comes_out(void **state) {
    for (size_t i = 0; i < N_SHAPES; i++) {
        struct gpt2_model *model = make_model(&shapes[i]);
        for (enum gpt2_weight_type type = GPT2_F16; type <= GPT2_Q4; type++) {
            pack(model, type);
            struct gpt2_model *packed = open_model(file);
            expect_packed(packed, model, type);
            assert_null(gpt2_model_warning(packed, 0));
            gpt2_model_close(packed);
        }
        gpt2_model_close(model);
    }
}

/* From panels of 16 bits the same is made as from the directory, where nothing was rounded. */
static void a_packed_model_can_be_packed_again(void **state) {
    struct gpt2_model *model =
        make_model(&(struct testmodel_options){.n_embd = 70, .n_inner = 90, .dtype = DTYPE_F16});
    pack(model, GPT2_F16);
    struct gpt2_model *packed = open_model(file);
    pack(packed, GPT2_Q8); // replaces the file that it is read from
    struct gpt2_model *again = open_model(file);
    expect_packed(again, model, GPT2_Q8);
    struct gpt2_error err = {0};
    assert_false(gpt2_quantize(again, runtime, &(struct gpt2_quantize_options){.type = GPT2_Q8},
                               file, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    expect_words(&err, "\"h.0.attn.c_attn.weight\"", "quantized already");
    gpt2_model_close(again);
    gpt2_model_close(packed);
    gpt2_model_close(model);
}

static void the_configuration_survives(void **state) {
    static const struct testmodel_options configs[] = {
        {.config = "\"eos_token_id\": [3, 1, 60], \"bos_token_id\": 7"},
        {.config = "\"eos_token_id\": null, \"bos_token_id\": null", .no_attn_scale = true},
        {.activation = "gelu", .layer_norm_epsilon = 1.23456789e-6, .inverse_layer_scale = true},
        {.n_vocab = 50300, .n_embd = 2, .n_inner = 3, .layer_norm_epsilon = 0.1},
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        struct gpt2_model *model = make_model(&configs[i]);
        pack(model, GPT2_F16);
        struct gpt2_model *packed = open_model(file);
        const struct gpt2_config *a = gpt2_model_config(model), *b = gpt2_model_config(packed);
        assert_int_equal(a->n_vocab, b->n_vocab);
        assert_int_equal(a->n_ctx, b->n_ctx);
        assert_int_equal(a->n_embd, b->n_embd);
        assert_int_equal(a->n_layer, b->n_layer);
        assert_int_equal(a->n_head, b->n_head);
        assert_int_equal(a->n_inner, b->n_inner);
        assert_string_equal(a->activation, b->activation);
        assert_true(a->layer_norm_epsilon == b->layer_norm_epsilon);
        assert_int_equal(a->scale_attn_weights, b->scale_attn_weights);
        assert_int_equal(a->scale_attn_by_inverse_layer_idx, b->scale_attn_by_inverse_layer_idx);
        assert_int_equal(a->n_eos, b->n_eos);
        assert_memory_equal(a->eos_ids, b->eos_ids, sizeof a->eos_ids);
        assert_int_equal(a->bos_id, b->bos_id);
        gpt2_model_close(packed);
        gpt2_model_close(model);
    }
}

static void the_tokenizer_is_carried_along(void **state) {
    static const char blob[] = "any bytes, \0 too";
    struct gpt2_model *model = make_model(NULL);
    struct gpt2_error err = {0};
    assert_true(gpt2_quantize(model, runtime,
                              &(struct gpt2_quantize_options){
                                  .type = GPT2_Q8, .tokenizer = blob, .n_tokenizer = sizeof blob},
                              file, &err));
    struct tensors tensors;
    assert_true(tensors_open(&tensors, file, packed_parse, &err));
    const struct tensor *t = packed_find(&tensors, PACKED_TOKENIZER);
    assert_non_null(t);
    assert_int_equal(t->n_bytes, sizeof blob);
    assert_memory_equal(t->data, blob, sizeof blob);
    assert_true(block_check_tensor(&tensors, t, &err));
    assert_null(packed_find(&tensors, "no such tensor"));
    tensors_close(&tensors);
    gpt2_model_close(open_model(file));
    gpt2_model_close(model);
}

static void sixteen_bits_packed_give_the_same_logits(void **state) {
    for (size_t i = 0; i < N_SHAPES; i++) {
        for (enum gpt2_weight_type type = GPT2_F16; type <= GPT2_BF16; type++) {
            struct testmodel_options options = shapes[i];
            options.dtype = dtypes[type];
            struct gpt2_model *model = make_model(&options);
            pack(model, type);
            struct gpt2_model *packed = open_model(file);
            int32_t ids[13];
            const int n = model->config.n_ctx < 13 ? model->config.n_ctx : 13;
            for (int k = 0; k < n; k++)
                ids[k] = (k * 7 + 3) % model->config.n_vocab;
            const size_t size = (size_t)n * (size_t)model->config.n_vocab * sizeof(float);
            float *a = malloc(size), *b = malloc(size);
            assert_true(a && b);
            for (int v = 0; gpt2_cpu_variant(v); v++) {
                run(a, model, gpt2_cpu_variant(v), ids, n);
                run(b, packed, gpt2_cpu_variant(v), ids, n);
                assert_memory_equal(a, b, size);
            }
            free(a);
            free(b);
            gpt2_model_close(packed);
            gpt2_model_close(model);
        }
    }
}

/* ---- weights that do not fit ---- */

static void weights_that_do_not_fit_are_named(void **state) {
    static const struct {
        const char *tensor; /* gets a mean that leaves room for nothing else */
        double mean;
        enum gpt2_weight_type type;
        const char *fits;
    } cases[] = {
        {"h.1.mlp.c_fc.weight", 1e5, GPT2_F16, "that fit F16"},
        {"wte.weight", -65520, GPT2_F16, "that fit F16"},
        {"h.0.attn.c_proj.weight", (double)INFINITY, GPT2_BF16, "that fit BF16"},
        {"h.1.mlp.c_proj.weight", (double)NAN, GPT2_Q8, "that fit Q8"},
        {"h.0.attn.c_attn.weight", 1e30, GPT2_Q4, "that fit Q4"},
        {"wte.weight", (double)NAN, GPT2_Q4, "that fit Q"},
        {"wpe.weight", (double)NAN, GPT2_Q8, "that fit F32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[TESTMODEL_PATH];
        struct testmodel_list list = testmodel_list(NULL);
        struct testmodel_tensor *t = testmodel_find(&list, cases[i].tensor);
        t->mean = cases[i].mean;
        t->deviation = 0;
        testmodel_write_config(dir, NULL);
        testmodel_path(path, dir, "model.safetensors");
        testmodel_write_list(path, &list, NULL);
        free(list.items);
        struct gpt2_model *model = open_model(dir);
        int before = count_files();
        struct gpt2_error err = {0};
        assert_false(gpt2_quantize(
            model, runtime, &(struct gpt2_quantize_options){.type = cases[i].type}, file, &err));
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        expect_words(&err, cases[i].tensor, cases[i].fits);
        expect_words(&err, "at [0, 0]", "found ");
        assert_int_equal(count_files(), before);
        gpt2_model_close(model);
    }
}

static void an_unknown_type_is_refused(void **state) {
    struct gpt2_model *model = make_model(NULL);
    struct gpt2_error err = {0};
    assert_false(gpt2_quantize(model, runtime,
                               &(struct gpt2_quantize_options){.type = (enum gpt2_weight_type)9},
                               file, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(progress_is_told_and_can_end_it),
        TEST(what_goes_in_comes_out),
        TEST(a_packed_model_can_be_packed_again),
        TEST(the_configuration_survives),
        TEST(the_tokenizer_is_carried_along),
        TEST(sixteen_bits_packed_give_the_same_logits),
        TEST(weights_that_do_not_fit_are_named),
        TEST(an_unknown_type_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
