/* test_blocks.c - weights of a file's blocks: panels have their very numbers, products of their
 * integers are what a plain loop over the blocks computes, and expanded they are F32; in a packed
 * file they are the same panels, and blocks can be made of them again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forward/matmul.h"
#include "model/blocks.h"
#include "model/packed_form.h"
#include "model/tensor_schema.h"
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
    const struct blocks_matrix one = {&l->matrix, &l->tensor, DTYPE_F32};
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
                matmul_linear(&mm, y[0], OUT, x[0], IN, &linear, NULL, rows[j], NULL);
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
                if (blocks)
                    assert_string_equal(info.form, kept ? dtype_name(dtype) : "F32");
                else
                    assert_null(info.form);
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
    expect_words(&err, "found Q8_0", "quantized already");
    assert_non_null(strstr(err.hint, "--expand"));
    gpt2_model_close(model);
}

/* ---- packed ---- */

static char packed[TESTMODEL_PATH];

/* The model of a GGUF file of that type, and a packed file of it. */
static struct gpt2_model *pack_blocks(const char *type) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = open_blocks(type, false);
    testmodel_path(packed, dir, "blocks.packed");
    if (!gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = GPT2_AS_IS}, packed,
                       &err))
        fail_msg("%s: %s [%s]", type, err.message, err.hint);
    return model;
}

static void expect_same_logits(const struct gpt2_model *a, const struct gpt2_model *b) {
    static const int32_t ids[] = {1, 5, 9, 69, 0};
    float x[5 * 70], y[5 * 70];
    for (int v = 0; gpt2_cpu_variant(v); v++) {
        run(x, a, gpt2_cpu_variant(v), ids, 5);
        run(y, b, gpt2_cpu_variant(v), ids, 5);
        assert_memory_equal(x, y, sizeof x);
    }
}

/* Every form of panels that holds a file's blocks is one that some type has, so that walking the
 * types walks them. */
static void every_form_is_of_some_type(void **state) {
    static const enum dtype dtypes[] = {
#define TYPE(dtype, form) dtype,
        PANEL_TYPES(TYPE)
#undef TYPE
    };
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        const struct ggml_type *type, *found;
        enum dtype dtype;
        size_t n = 0;
        char text[PACKED_FORM], group[20];
        for (size_t k = 0; dtype_is_foreign(dtypes[i]) && (type = quantized_type(k)); k++) {
            if (!blocks_find_dtype(&dtype, type) || dtype != dtypes[i])
                continue;
            n++;
            snprintf(group, sizeof group, "group=%d ", panel_form(dtype).group);
            assert_ptr_equal(strstr(packed_form_print(text, dtype, type), group), text);
            assert_true(packed_form_find(&dtype, &found, text));
            assert_int_equal(dtype, dtypes[i]);
            assert_ptr_equal(found, type);
        }
        if (!dtype_is_foreign(dtypes[i])) {
            assert_true(packed_form_find(&dtype, &found, packed_form_print(text, dtypes[i], NULL)));
            assert_int_equal(dtype, dtypes[i]);
            assert_null(found);
        } else if (n == 0) {
            fail_msg("%s: no type of blocks has this form", dtype_name(dtypes[i]));
        }
    }
}

/* Nothing is made when it is opened: products read the mapping. */
static void a_packed_file_has_the_bits_of_the_gguf_file(void **state) {
    const struct ggml_type *type;
    for (size_t i = 0; (type = quantized_type(i)); i++) {
        struct gpt2_model *model = pack_blocks(type->name),
                          *of_gguf = open_blocks(type->name, true);
        struct gpt2_error err = {0};
        struct gpt2_check a, b;
        struct gpt2_tensor_info x, y;
        struct gpt2_model *again = open_model(packed);
        assert_null(again->made);
        assert_int_equal(again->n_converted, 0);
        expect_same_logits(model, again);
        fingerprint_of(&a, model);
        fingerprint_of(&b, again);
        assert_string_equal(a.fingerprint, b.fingerprint);
        assert_true(a.n_numbers == b.n_numbers);
        for (size_t t = 0; gpt2_model_tensor(model, t, &x); t++) {
            assert_true(gpt2_model_tensor(again, t, &y));
            assert_string_equal(x.name, y.name);
            assert_string_equal(x.dtype, y.dtype);
            assert_true(x.form ? y.form && strcmp(x.form, y.form) == 0 : !y.form);
            assert_int_equal(x.expanded, y.expanded);
        }
        assert_true(gpt2_model_move(again, runtime, &err)); // to other pages
        assert_true(gpt2_model_moved(again, NULL) > 0);
        expect_same_logits(model, again);
        gpt2_model_close(again);

        again = gpt2_model_open_expanded(packed, &err);
        assert_non_null(again);
        expect_same_logits(of_gguf, again);
        fingerprint_of(&b, again);
        assert_string_equal(a.fingerprint, b.fingerprint);
        for (size_t t = 0; gpt2_model_tensor(of_gguf, t, &x); t++) {
            assert_true(gpt2_model_tensor(again, t, &y));
            assert_string_equal(x.dtype, y.dtype);
            assert_int_equal(x.expanded, y.expanded);
        }
        gpt2_model_close(again);
        gpt2_model_close(of_gguf);
        gpt2_model_close(model);
    }
}

static void expect_same_files(const char *a, const char *b) {
    struct os_file x, y;
    assert_true(os_map(&x, a, GPT2_ERR_MODEL, NULL) && os_map(&y, b, GPT2_ERR_MODEL, NULL));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    os_unmap(&x);
    os_unmap(&y);
}

/* What is the same in both files: the data of each tensor. */
static void expect_same_tensors(const struct gpt2_model *a, const struct gpt2_model *b,
                                bool same_bytes) {
    assert_int_equal(a->tensors.count, b->tensors.count);
    for (size_t i = 0; i < a->tensors.count; i++) {
        const struct tensor *x = &a->tensors.items[i], *y = &b->tensors.items[i];
        assert_string_equal(x->name, y->name);
        assert_string_equal(x->dtype, y->dtype);
        assert_int_equal(x->n_bytes, y->n_bytes);
        if (same_bytes && memcmp(x->data, y->data, x->n_bytes) != 0)
            fail_msg("%s, %s: other bytes", x->dtype, x->name);
    }
}

/* From the packed file the blocks of the GGUF file are made again. Random scales of K types need
 * not be as ggml makes them, and then come back as others that mean the same; twice they do not. */
static void blocks_are_written_from_a_packed_file(void **state) {
    const struct ggml_type *type;
    char out[TESTMODEL_PATH], second[TESTMODEL_PATH], other[TESTMODEL_PATH];
    testmodel_path(out, dir, "out.gguf");
    testmodel_path(second, dir, "second.gguf");
    testmodel_path(other, dir, "other.packed");
    for (size_t i = 0; (type = quantized_type(i)); i++) {
        struct gpt2_model *model = pack_blocks(type->name), *again = open_model(packed);
        struct gpt2_error err = {0};
        const struct gpt2_gguf_options tied = {.tied = true};
        if (!gpt2_model_save_gguf(again, &tied, out, &err))
            fail_msg("%s: %s", type->name, err.message);
        struct gpt2_model *written = open_model(out);
        expect_same_tensors(model, written, type->n_elements == 32);
        expect_same_logits(model, written);
        assert_true(gpt2_model_save_gguf(written, &tied, second, &err));
        expect_same_files(out, second);
        // and packed again from any of them
        for (int k = 0; k < 2; k++) {
            assert_true(gpt2_quantize(k ? written : again, runtime,
                                      &(struct gpt2_quantize_options){.type = GPT2_AS_IS}, other,
                                      &err));
            expect_same_files(packed, other);
        }
        gpt2_model_close(written);
        gpt2_model_close(again);
        gpt2_model_close(model);
    }
}

/* Panels that say that they are of some blocks, and have numbers that these cannot have. */
static void panels_that_are_no_blocks_are_not_written(void **state) {
    struct gpt2_model *model = pack_blocks("Q5_0"), *again = open_model(packed);
    struct gpt2_error err = {0};
    struct matrix *m = &again->h[0].mlp.c_fc.weight;
    const size_t n = panel_bytes(m->dtype, m->rows) * (size_t)panels_count(m->cols);
    unsigned char *copy = os_alloc(n, 1, "panels", NULL);
    assert_non_null(copy);
    memcpy(copy, m->data, n);
    copy[panel_form_head(panel_form(m->dtype))] = 128 + 16; // of output 0: one more than there is
    m->data = copy;
    assert_false(gpt2_model_save_gguf(again, NULL, file, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    expect_words(&err, "\"h.0.mlp.c_fc.weight\": expected integers and scales of Q5_0",
                 "output 0, weights 0 to 31");
    assert_non_null(strstr(err.hint, "--type"));
    assert_true(gpt2_model_save_gguf(again, &(struct gpt2_gguf_options){.type = GPT2_GGUF_F32},
                                     file, &err));
    os_free(copy);
    gpt2_model_close(again);
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
        TEST(every_form_is_of_some_type),
        TEST(a_packed_file_has_the_bits_of_the_gguf_file),
        TEST(blocks_are_written_from_a_packed_file),
        TEST(panels_that_are_no_blocks_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
