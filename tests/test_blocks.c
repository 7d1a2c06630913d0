/* test_blocks.c - weights of a file's blocks: panels have their very numbers, products of their
 * integers are what a plain loop over the blocks computes, and expanded they are F32. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forward/matmul.h"
#include "model/blocks.h"
#include "testpacked.h"

#include "testgguf.h"
#include <gpt2/lora.h>
#include <gpt2/save.h>

/* A linear layer [IN, OUT] of random blocks, its last panel not full. */
enum { IN = 512, OUT = 53, ROWS = 65 };

struct layer {
    const struct ggml_type *type;
    unsigned char *blocks; /* [OUT][IN / n_elements][n_bytes] */
    struct tensor tensor;
    struct tensor_spec spec;
    struct gpt2_model model; /* owns what is made */
    struct matrix matrix;
};

static size_t row_bytes(const struct ggml_type *type) {
    return IN / type->n_elements * type->n_bytes;
}

/* kind: SPEC_LINEAR, or SPEC_HEAD for rows of a vocabulary. */
static void layer_make(struct layer *l, const struct ggml_type *type, enum spec_kind kind,
                       bool expand) {
    const int64_t shape[2] = {kind == SPEC_LINEAR ? IN : OUT, kind == SPEC_LINEAR ? OUT : IN};
    *l = (struct layer){.type = type};
    l->blocks = os_alloc(OUT, row_bytes(type), "blocks", NULL);
    assert_non_null(l->blocks);
    for (uint32_t i = 0; i < OUT * IN / type->n_elements; i++)
        testgguf_block(l->blocks + i * type->n_bytes, type, 0.1, 7, 3, i);
    if (strcmp(type->name, "Q8_0") == 0)
        memset(l->blocks + 2, -128, 32); // which no quantizer makes, and any file may have
    l->tensor = (struct tensor){.name = "w",
                                .dtype = type->name,
                                .blocks = type,
                                .rank = 2,
                                .shape = {shape[0], shape[1]},
                                .data = l->blocks,
                                .n_bytes = OUT * row_bytes(type),
                                .by_columns = kind == SPEC_LINEAR};
    l->spec =
        (struct tensor_spec){.kind = kind, .field = &l->matrix, .shape = {shape[0], shape[1]}};
    blocks_plan(&l->matrix, &l->spec, &l->tensor, expand);
    const struct blocks_matrix one = {&l->matrix, &l->tensor};
    assert_true(blocks_make(&l->model, &one, 1, NULL));
}

static void layer_free(struct layer *l) {
    os_free_huge(l->model.made, l->model.n_made);
    os_free(l->blocks);
}

/* values[IN] of an output, as ggml computes them. */
static void output_values(float values[IN], const struct layer *l, int output) {
    const struct ggml_type *type = l->type;
    const unsigned char *from = l->blocks + (size_t)output * row_bytes(type);
    for (unsigned k = 0; k < IN; k += type->n_elements, from += type->n_bytes)
        ggml_type_dequantize(values + k, type, from);
}

/* The i-th quantized type, NULL past the last. */
static const struct ggml_type *quantized_type(size_t i) {
    return i < TESTGGUF_TYPES ? testgguf_ggml(testgguf_types[i].name) : NULL;
}

static void panels_have_the_numbers_of_the_blocks(void **state) {
    const struct ggml_type *type;
    int n_kept = 0;
    for (size_t i = 0; (type = quantized_type(i)); i++)
        for (int head = 0; head < 2; head++) {
            struct layer l;
            float expected[IN], found[IN];
            layer_make(&l, type, head ? SPEC_HEAD : SPEC_LINEAR, false);
            n_kept += dtype_is_foreign(l.matrix.dtype);
            assert_true(dtype_is_foreign(l.matrix.dtype) || l.matrix.dtype == DTYPE_F32);
            for (int c = 0; c < OUT && l.matrix.layout == LAYOUT_PANELS; c++) {
                const char *panel = (const char *)l.matrix.data +
                                    (size_t)(c / PANEL) * panel_bytes(l.matrix.dtype, IN);
                output_values(expected, &l, c);
                panels_column(found, panel, l.matrix.dtype, c % PANEL, IN);
                if (memcmp(found, expected, sizeof found) != 0)
                    fail_msg("%s: output %d has other numbers", type->name, c);
                for (int k = 0; k < IN && dtype_is_quantized(l.matrix.dtype); k++)
                    assert_memory_equal(
                        &expected[k], &(float){panels_weight(panel, l.matrix.dtype, c % PANEL, k)},
                        sizeof(float));
            }
            layer_free(&l);
        }
    assert_true(n_kept >= 2 * 3);
}

static void expanded_they_are_f32(void **state) {
    const struct ggml_type *type;
    for (size_t i = 0; (type = quantized_type(i)); i++)
        for (int head = 0; head < 2; head++) {
            struct layer l;
            float expected[IN];
            layer_make(&l, type, head ? SPEC_HEAD : SPEC_LINEAR, true);
            assert_int_equal(l.matrix.dtype, DTYPE_F32);
            for (int c = 0; c < OUT; c++) {
                const float *data = l.matrix.data;
                output_values(expected, &l, c);
                for (int k = 0; k < IN; k++)
                    assert_memory_equal(
                        &expected[k],
                        &data[head ? c * IN + k : (c / PANEL * IN + k) * PANEL + c % PANEL],
                        sizeof(float));
            }
            layer_free(&l);
        }
}

/* y of one row and output: the definition, from the blocks themselves. */
static float oracle(const struct layer *l, const int8_t *q, const float *xscale, int output) {
    const struct ggml_type *type = l->type;
    const unsigned char *from = l->blocks + (size_t)output * row_bytes(type);
    const int per_block = (int)type->n_elements / type->group;
    float y = 0;
    struct ggml_block block;
    for (int g = 0; g < IN / type->group; g++) {
        int32_t sum = 0, xsum = 0;
        if (g % per_block == 0) {
            type->take(&block, from);
            from += type->n_bytes;
        }
        for (int k = 0; k < type->group; k++) {
            sum += q[g * type->group + k] * block.q[g % per_block * type->group + k];
            xsum += q[g * type->group + k];
        }
        y = fmaf((float)sum, block.scale[g % per_block] * xscale[g], y);
        if (type->mins)
            y = fmaf((float)xsum * xscale[g], block.min[g % per_block], y);
    }
    return y;
}

static void products_are_those_of_the_integers(void **state) {
    static float x[ROWS][IN], y[ROWS][OUT], expected[ROWS][OUT];
    static const int rows[] = {1, 2, 3, 5, 8, 24, ROWS};
    const struct ggml_type *type;
    const struct kernels *generic = kernels_variant(0), *kernels;
    struct pool *pool = pool_create(2, NULL);
    assert_non_null(pool);
    for (int r = 0; r < ROWS; r++)
        for (int k = 0; k < IN; k++)
            x[r][k] = (float)((r * 131 + k * 37) % 257 - 128) * 0x1p-5f;
    for (size_t i = 0; (type = quantized_type(i)); i++) {
        struct layer l;
        layer_make(&l, type, SPEC_LINEAR, false);
        for (int r = 0; r < ROWS && dtype_is_quantized(l.matrix.dtype); r++) {
            int8_t q[IN];
            float scale[IN / PANEL_MIN_GROUP];
            int32_t sum[IN / PANEL_MIN_GROUP];
            generic->quantize(q, scale, sum, x[r], IN, type->group);
            for (int c = 0; c < OUT; c++)
                expected[r][c] = oracle(&l, q, scale, c);
        }
        for (int v = 0; dtype_is_quantized(l.matrix.dtype) && (kernels = kernels_variant(v)); v++) {
            struct matmul mm;
            const struct linear linear = {l.matrix, NULL};
            assert_true(matmul_init(&mm, pool, kernels, ROWS, IN, NULL));
            for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
                matmul_linear(&mm, y[0], OUT, x[0], IN, &linear, NULL, rows[j]);
                for (int r = 0; r < rows[j]; r++)
                    if (memcmp(y[r], expected[r], sizeof y[r]) != 0)
                        fail_msg("%s, %s, %d rows: row %d is another", type->name, kernels->name,
                                 rows[j], r);
            }
            matmul_free(&mm);
        }
        layer_free(&l);
    }
    pool_free(pool);
}

/* ---- whole models ---- */

static const struct testmodel_options small = {
    .n_embd = 256, .n_head = 4, .n_layer = 1, .n_ctx = 20, .n_vocab = 70, .seed = 4};

static struct gpt2_model *open_blocks(const char *type, bool expand) {
    struct gpt2_error err = {0};
    testgguf_write(file, &small, type);
    struct gpt2_model *model =
        expand ? gpt2_model_open_expanded(file, &err) : gpt2_model_open(file, &err);
    if (!model)
        fail_msg("%s: %s", type, err.message);
    return model;
}

static void fingerprint_of(struct gpt2_check *check, const struct gpt2_model *model) {
    struct gpt2_error err = {0};
    if (!gpt2_model_check(model, check, NULL, NULL, &err))
        fail_msg("%s", err.message);
}

/* The same numbers either way, and in a directory written from either. */
static void both_ways_have_one_fingerprint(void **state) {
    const struct ggml_type *type;
    char out[TESTMODEL_PATH];
    testmodel_path(out, dir, "plain");
    for (size_t i = 0; (type = quantized_type(i)); i++) {
        struct gpt2_model *model = open_blocks(type->name, false),
                          *expanded = open_blocks(type->name, true);
        struct gpt2_check a, b;
        struct gpt2_error err = {0};
        fingerprint_of(&a, model);
        fingerprint_of(&b, expanded);
        assert_string_equal(a.fingerprint, b.fingerprint);
        assert_true(a.n_numbers == b.n_numbers && a.n_numbers == gpt2_model_parameters(model));
        if (!gpt2_model_save_gguf(model, NULL, out, &err))
            fail_msg("%s", err.message);
        gpt2_model_close(expanded);
        expanded = open_model(out);
        fingerprint_of(&b, expanded);
        assert_string_equal(a.fingerprint, b.fingerprint);
        gpt2_model_close(model);
        gpt2_model_close(expanded);
        assert_int_equal(remove(out), 0);
    }
}

/* What is told of each tensor: the file's type, and whether products read it as F32. */
static void tensors_say_what_they_are(void **state) {
    const struct ggml_type *type;
    for (size_t i = 0; (type = quantized_type(i)); i++)
        for (int expand = 0; expand < 2; expand++) {
            struct gpt2_model *model = open_blocks(type->name, expand);
            struct gpt2_tensor_info info;
            enum dtype dtype;
            const bool kept = !expand && blocks_find_dtype(&dtype, type);
            for (size_t t = 0; gpt2_model_tensor(model, t, &info); t++) {
                const bool blocks = info.rank == 2 && strcmp(info.name, "wpe.weight") != 0;
                assert_string_equal(info.dtype, blocks ? type->name : "F32");
                assert_int_equal(info.expanded, blocks && !kept);
            }
            struct gpt2_cost blocks, head;
            gpt2_model_cost(model, &blocks, &head);
            assert_int_equal(blocks.int8_products > 0, kept);
            assert_int_equal(head.int8_products > 0, kept);
            gpt2_model_close(model);
        }
}

/* A move leaves panels in memory of their own where they are; an adapter and a quantizer say what
 * they need. */
static void integers_are_not_moved_and_not_made_anew(void **state) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = open_blocks("Q8_0", false);
    const int32_t ids[] = {1, 5, 9};
    float before[3 * 70], after[3 * 70];
    run(before, model, NULL, ids, 3);
    assert_true(gpt2_model_move(model, NULL, &err));
    run(after, model, NULL, ids, 3);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(gpt2_model_moved(model, NULL), 0);
    assert_false(gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = GPT2_Q4},
                               file, &err));
    expect_words(&err, "found Q8_32", "quantized already");
    assert_non_null(strstr(err.hint, "gpt2_model_open_expanded"));
    gpt2_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(panels_have_the_numbers_of_the_blocks),
        TEST(expanded_they_are_f32),
        TEST(products_are_those_of_the_integers),
        TEST(both_ways_have_one_fingerprint),
        TEST(tensors_say_what_they_are),
        TEST(integers_are_not_moved_and_not_made_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
