/* test_roofline.c - what a token costs, and that limits are measured; never how fast anything is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/os.h"
#include "kernels/kernels.h"
#include "model/weights.h"
#include "testmodel.h"
#include <gpt2/roofline.h>
#include <gpt2/session.h>

/* A model of some shape without data: enough to be counted. */
static void shape(struct gpt2_model *model, struct block *blocks, enum dtype dtype, int n_layer,
                  int n_embd, int n_vocab) {
    enum layout layout = dtype_is_quantized(dtype) ? LAYOUT_PANELS : LAYOUT_ROWS;
    *model = (struct gpt2_model){.config = {.n_layer = n_layer}, .h = blocks};
    for (int i = 0; i < n_layer; i++) {
        struct block *h = &blocks[i];
        *h = (struct block){0};
        h->attn.c_attn.weight =
            (struct matrix){.dtype = dtype, .layout = layout, .rows = n_embd, .cols = 3 * n_embd};
        h->attn.c_proj.weight =
            (struct matrix){.dtype = dtype, .layout = layout, .rows = n_embd, .cols = n_embd};
        h->mlp.c_fc.weight =
            (struct matrix){.dtype = dtype, .layout = layout, .rows = n_embd, .cols = 4 * n_embd};
        h->mlp.c_proj.weight =
            (struct matrix){.dtype = dtype, .layout = layout, .rows = 4 * n_embd, .cols = n_embd};
    }
    model->head =
        (struct matrix){.dtype = dtype, .layout = layout, .rows = n_vocab, .cols = n_embd};
}

/* GPT-2's smallest model, by hand: 12 blocks of 12 * 768^2 weights, a head of 50257 * 768. */
static void a_token_of_gpt2_costs_its_weights(void **state) {
    struct gpt2_model model;
    struct block h[12];
    struct gpt2_cost blocks, head;
    shape(&model, h, DTYPE_F32, 12, 768, 50257);
    gpt2_model_cost(&model, &blocks, &head);
    assert_int_equal(blocks.f32_products, 84934656);
    assert_int_equal(head.f32_products, 38597376);
    assert_int_equal(blocks.int8_products + head.int8_products, 0);
    assert_int_equal(blocks.bytes + head.bytes, 4 * 123532032ll);
    assert_string_equal(blocks.type, "F32");
    shape(&model, h, DTYPE_BF16, 12, 768, 50257);
    gpt2_model_cost(&model, &blocks, &head);
    assert_int_equal(blocks.bytes + head.bytes, 2 * 123532032ll);
    assert_int_equal(blocks.f32_products, 84934656);
    assert_string_equal(head.type, "BF16");
}

/* Panels hold 16 outputs and groups 64 inputs; what fills them up is read too, but is no product.
 */
static void quantized_weights_cost_whole_panels(void **state) {
    struct gpt2_model model;
    struct block h[12];
    struct gpt2_cost blocks, head;
    shape(&model, h, DTYPE_Q8, 12, 768, 50257);
    gpt2_model_cost(&model, &blocks, &head);
    assert_int_equal(blocks.bytes, 84934656 / 64 * 66); // a byte each, and an f16 for 64 of them
    assert_int_equal(head.bytes, 50272 * 768 / 64 * 66);
    assert_int_equal(blocks.int8_products, 84934656);
    assert_int_equal(head.int8_products, 38597376);
    assert_int_equal(blocks.f32_products + head.f32_products, 0);
    assert_string_equal(blocks.type, "Q8");
    shape(&model, h, DTYPE_Q4, 12, 768, 50257);
    gpt2_model_cost(&model, &blocks, &head);
    assert_int_equal(blocks.bytes, 84934656 / 64 * 36); // half a byte each, two f16 for 64
    assert_string_equal(head.type, "Q4");
    shape(&model, h, DTYPE_Q8, 1, 16, 61);
    gpt2_model_cost(&model, &blocks, &head);
    assert_int_equal(head.bytes, 64 * 66);
    assert_int_equal(head.int8_products, 61 * 16);
    // types may differ: then each counts as what it is
    h[0].mlp.c_fc.weight.dtype = DTYPE_F16;
    h[0].mlp.c_fc.weight.layout = LAYOUT_ROWS;
    gpt2_model_cost(&model, &blocks, &head);
    assert_int_equal(blocks.f32_products, 16 * 64);
    assert_int_equal(blocks.int8_products, 12 * 16 * 16 - 16 * 64);
}

static void a_token_of_the_cache_is_its_keys_and_values(void **state) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_embd = 128, .n_layer = 3});
    struct gpt2_model *model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    assert_non_null(model);
    static const struct {
        enum gpt2_kv kv;
        size_t bytes;
    } cases[] = {
        {GPT2_KV_F32, 3 * 2 * 128 * 4},
        {GPT2_KV_F16, 3 * 2 * 128 * 2},
        {GPT2_KV_Q8,
         3 * 2 * (2 * 64 + 2 + 4)}, // heads of 64: a scale in f16 for keys, in f32 for values
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_session *session =
            gpt2_session_create(model, &(struct gpt2_session_options){.kv = cases[i].kv}, NULL);
        assert_non_null(session);
        assert_int_equal(gpt2_session_token_bytes(session), cases[i].bytes);
        gpt2_session_free(session);
    }
    gpt2_model_close(model);
}

/* Every kernel variant, one thread and more, buffers that are and are not whole pages. */
static void limits_are_measured(void **state) {
    for (int v = 0; gpt2_cpu_variant(v); v++) {
        struct gpt2_runtime *runtime = gpt2_runtime_create(
            &(struct gpt2_runtime_options){.n_threads = 1 + v % 3, .cpu = gpt2_cpu_variant(v)},
            NULL);
        struct gpt2_roofline *roofline =
            gpt2_roofline_create(runtime, v == 0 ? 0 : 3000001, 2, NULL);
        assert_non_null(roofline);
        struct gpt2_rates rates;
        gpt2_roofline_rates(roofline, &rates);
        assert_true(rates.read_small == 0 && rates.read_huge == 0 && rates.fma == 0 &&
                    rates.dot4 == 0);
        for (int round = 0; round < 3; round++) // the third takes the place of the first
            gpt2_roofline_round(roofline);
        gpt2_roofline_rates(roofline, &rates);
        assert_true(rates.read_small > 0 && rates.read_huge >= 0);
        assert_true(rates.fma > 0 && rates.dot4 > 0 && rates.read_far > 0);
        assert_true(rates.far_bytes == (v == 0 ? 4 * 4096 : 4 * 3002368));
        assert_true(strlen(rates.dot4_name) > 0);
        gpt2_roofline_free(roofline);
        gpt2_runtime_free(runtime);
    }
    gpt2_roofline_free(NULL);
}

static void impossible_limits_are_refused(void **state) {
    struct gpt2_error err = {0};
    struct gpt2_runtime *runtime = gpt2_runtime_create(NULL, NULL);
    assert_null(gpt2_roofline_create(runtime, 4096, 0, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_null(gpt2_roofline_create(runtime, SIZE_MAX - 1, 1, &err));
    assert_int_equal(err.status, GPT2_ERR_MEMORY);
    gpt2_runtime_free(runtime);
}

/* A byte that is not read, or read twice, shows in the word. */
static void every_way_of_reading_reads_every_byte(void **state) {
    enum { N = 3 * 4096 };
    unsigned char *data = os_alloc(N, 1, "data", NULL);
    for (int v = 0; kernels_variant(v); v++)
        for (int way = 0; way < PEAK_WAYS; way++)
            for (int i = 0; i < N; i += 61) {
                data[i] = 0x80;
                assert_true(kernels_variant(v)->peak_read(data, N, way) == (uint64_t)0x80
                                                                               << 8 * (i % 8));
                data[i] = 0;
            }
    os_free(data);
}

/* Arithmetic that is asked for is done: the numbers are those of the chains. */
static void the_loops_of_arithmetic_compute(void **state) {
    for (int v = 0; kernels_variant(v); v++) {
        const struct kernels *kernels = kernels_variant(v);
        float a = 0.25f, b = 0.25f;
        int32_t c = 1, d = 1;
        assert_true(kernels->peak_fma(&a, 2) * 3 == kernels->peak_fma(&b, 6));
        assert_true(a != b && a != 0.25f);
        assert_true(kernels->peak_dot4(&c, 2) * 3 == kernels->peak_dot4(&d, 6));
        assert_true(c != d && c != 1);
    }
}

static void the_machine_has_a_name(void **state) {
    struct gpt2_machine machine;
    gpt2_machine_describe(&machine);
    assert_true(machine.n_cpus >= 1);
    assert_true(strlen(machine.cpu) > 0 && !strchr(machine.cpu, '\n'));
    char little[4];
    os_cpu_name(little, sizeof little);
    assert_true(strlen(little) == 3 && strncmp(little, machine.cpu, 3) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_of_gpt2_costs_its_weights),
        cmocka_unit_test(quantized_weights_cost_whole_panels),
        cmocka_unit_test(a_token_of_the_cache_is_its_keys_and_values),
        cmocka_unit_test(limits_are_measured),
        cmocka_unit_test(impossible_limits_are_refused),
        cmocka_unit_test(every_way_of_reading_reads_every_byte),
        cmocka_unit_test(the_loops_of_arithmetic_compute),
        cmocka_unit_test(the_machine_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
