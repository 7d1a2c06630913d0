/* test_kv_q8.c - attention over a Q8 cache: every kernel variant computes the bits of the generic
 * variant, the generic variant what kernels.h says. Blocks lie anywhere, each at the end of its own
 * page. */
#define _DEFAULT_SOURCE // MAP_ANONYMOUS

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel_data.h"

#include <stdio.h>

static struct guarded random_bytes(size_t n_bytes) {
    struct guarded g = guarded_alloc(n_bytes);
    for (size_t i = 0; i < n_bytes; i++)
        ((unsigned char *)g.data)[i] = (unsigned char)(random_below(255) + 1);
    return g;
}

/* ---- scores ---- */

static void check_scores(int n_blocks, int n, int n_groups) {
    struct guarded blocks[KV_STREAMS], q = random_bytes((size_t)n_groups * KV_GROUP);
    struct guarded scale = random_matrix(1, n_groups, 0, PLAIN);
    const void *keys[KV_STREAMS];
    const size_t ps = panel_bytes(KV_PANELS, n_groups * KV_GROUP) + 32 * (size_t)random_below(2);
    const size_t panels = (size_t)panels_count(n),
                 last = panel_bytes(KV_PANELS, n_groups * KV_GROUP);
    int32_t sums[4] = {0};
    for (int i = 0; i < n_groups * KV_GROUP; i++) {
        int8_t *x = (int8_t *)q.data + i;
        *x = *x == -128 ? 127 : *x;
        sums[i / KV_GROUP] += *x;
    }
    for (int i = 0; i < n_blocks; i++) {
        blocks[i] = random_bytes((panels - 1) * ps + last);
        for (size_t p = 0; p < panels; p++)
            for (int g = 0; g < n_groups; g++)
                for (int c = 0; c < PANEL; c++) {
                    uint16_t half = (uint16_t)((random_bits() & 0x3FF) | 9 << 10);
                    memcpy((char *)blocks[i].data + p * ps +
                               (size_t)g * panel_group_bytes(KV_PANELS) + 2 * c,
                           &half, sizeof half);
                }
        keys[i] = blocks[i].data;
    }
    struct quantized x = {q.data, scale.data, sums, 0, 0};
    // the last block's outputs end at the page
    int n_y = (n_blocks - 1) * KV_BLOCK + (int)panels * PANEL;
    struct guarded y = random_matrix(1, n_y, 0, PLAIN), expected = copy_of(y);
    for (int i = 0; i < n_blocks; i++)
        kernels_variant(0)->gemm_quantized[KV_PANELS]((float *)expected.data + i * KV_BLOCK, 0, x,
                                                      keys[i], ps, 1, (int)panels * PANEL,
                                                      n_groups);
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++) {
        struct guarded found = copy_of(y);
        variant->scores_q8(found.data, x, keys, ps, n_blocks, n, n_groups);
        assert_same(found.data, expected.data, (size_t)n_y, variant->name);
        guarded_free(found);
    }
    for (int i = 0; i < n_blocks; i++)
        guarded_free(blocks[i]);
    guarded_free(q);
    guarded_free(scale);
    guarded_free(y);
    guarded_free(expected);
}

static void scores_are_those_of_gemm(void **state) {
    for (int n_blocks = 1; n_blocks <= KV_STREAMS; n_blocks++)
        for (int n_groups = 1; n_groups <= 4; n_groups++) {
            check_scores(n_blocks, KV_BLOCK, n_groups);
            for (int round = 0; round < 6; round++)
                check_scores(n_blocks, 1 + random_below(KV_BLOCK), n_groups);
        }
}

/* ---- values ---- */

/* Weights of the first `positions` of a block. EXTREME: of the largest size, as are the values. */
static void random_weights(struct kv_weights *w, int positions, enum data data, bool extreme) {
    int sign = random_below(2) ? 32767 : -32767;
    for (int i = 0; i < KV_BLOCK / 2; i++) {
        int two[2];
        for (int j = 0; j < 2; j++)
            two[j] = 2 * i + j >= positions ? 0 : extreme ? sign : random_below(65535) - 32767;
        w->pairs[i] = (int32_t)((uint32_t)two[0] & 0xFFFF) + (int32_t)((uint32_t)two[1] << 16);
    }
    w->scale = random_value(data);
}

/* The weight of position j. */
static int weight_at(const struct kv_weights *w, int j) {
    return (int16_t)(uint16_t)((uint32_t)w->pairs[j / 2] >> 16 * (j % 2));
}

/* What the pairs and the bytes stand for. */
static int32_t sum_of(const struct kv_weights *w, const struct guarded *block, int c) {
    int32_t sum = 0;
    for (int j = 0; j < KV_BLOCK; j++) {
        const int8_t *panel = (const int8_t *)block->data + (size_t)(c / PANEL) * KV_PANEL_BYTES;
        sum += weight_at(w, j) * panel[j / 2 * 2 * PANEL + c % PANEL * 2 + j % 2];
    }
    return sum;
}

static void check_mix(int n_blocks, int m, int n, int positions, enum data data, bool extreme) {
    struct guarded blocks[KV_STREAMS];
    const void *values[KV_STREAMS];
    struct kv_weights w[24];
    const int8_t byte = random_below(2) ? 127 : -127;
    for (int i = 0; i < n_blocks; i++) {
        blocks[i] = random_bytes((size_t)panels_count(n) * KV_PANEL_BYTES);
        if (extreme)
            memset(blocks[i].data, byte, blocks[i].n_bytes);
        values[i] = blocks[i].data;
    }
    for (int i = 0; i < n_blocks * m; i++)
        random_weights(&w[i], positions, data, extreme);
    size_t ys = (size_t)(n + random_below(9));
    struct guarded y = random_matrix(m, n, ys, data), expected = copy_of(y);
    for (int i = 0; i < n_blocks; i++)
        for (int r = 0; r < m; r++)
            for (int c = 0; c < n; c++) {
                float *out = (float *)expected.data + (size_t)r * ys + c;
                *out = fmaf((float)sum_of(&w[i + r], &blocks[i], c), w[i + r].scale, *out);
            }
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++) {
        char what[96];
        snprintf(what, sizeof what, "%s blocks=%d m=%d n=%d positions=%d", variant->name, n_blocks,
                 m, n, positions);
        struct guarded found = copy_of(y);
        variant->mix_q8(found.data, ys, w, values, n_blocks, m, n, positions);
        assert_same(found.data, expected.data, y.n_bytes / sizeof(float), what);
        guarded_free(found);
    }
    for (int i = 0; i < n_blocks; i++)
        guarded_free(blocks[i]);
    guarded_free(y);
    guarded_free(expected);
}

static void mixing_is_its_definition(void **state) {
    static const int widths[] = {1, 5, 8, 15, 16, 17, 24, 33, 48, 63, 64};
    const int n_widths = (int)(sizeof widths / sizeof *widths);
    for (int i = 0; i < n_widths; i++)
        for (int positions = 1; positions <= KV_BLOCK; positions += 1 + random_below(9)) {
            enum data data = positions % 2 ? WILD : PLAIN;
            for (int n_blocks = 1; n_blocks <= KV_STREAMS; n_blocks++)
                check_mix(n_blocks, 1, widths[i], positions, data, false);
            check_mix(1, 2 + random_below(23), widths[i], positions, data, false);
        }
    for (int m = 1; m <= 24; m++)
        check_mix(1, m, 64, KV_BLOCK, PLAIN, true);
}

/* ---- weights ---- */

static void check_quantize16(const float *values, int n) {
    struct guarded weights = guarded_alloc(KV_BLOCK * sizeof(float));
    struct guarded scales = guarded_alloc(KV_BLOCK * sizeof(float));
    memcpy(weights.data, values, KV_BLOCK * sizeof(float));
    float x[KV_BLOCK] = {0}, max = 0;
    bool finite = true;
    for (int j = 0; j < KV_BLOCK; j++) {
        float *scale = (float *)scales.data + j;
        *scale = j < n ? ldexpf(1 + fabsf(random_float()), random_below(9) - 8) : NAN;
        x[j] = j < n ? values[j] * *scale : 0;
        finite = finite && isfinite(x[j]);
        max = fmaxf(max, fabsf(x[j]));
    }
    const bool zero = !finite || max < 0x1p-112f;
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++) {
        struct kv_weights w;
        memset(&w, 0x55, sizeof w);
        variant->quantize16(&w, weights.data, scales.data, n);
        for (int j = 0; j < KV_BLOCK; j++) {
            assert_int_equal(weight_at(&w, j), zero ? 0 : (int)nearbyintf(x[j] * (32767.0f / max)));
        }
        float expected = zero ? 0 : max / 32767.0f;
        assert_true(finite ? w.scale == expected : isnan(w.scale));
    }
    guarded_free(weights);
    guarded_free(scales);
}

static void quantize16_is_its_definition(void **state) {
    float x[KV_BLOCK];
    for (int round = 0; round < 400; round++) {
        float factor = ldexpf(1.0f, random_below(round % 4 == 3 ? 250 : 20) - 126);
        for (int j = 0; j < KV_BLOCK;
             j++) // softmax makes them from 0 to 1; others are no less exact
            x[j] = random_value(round % 2 ? WILD : PLAIN) * (round % 4 > 1 ? factor : 1.0f);
        check_quantize16(x, random_below(KV_BLOCK + 1));
    }
    memset(x, 0, sizeof x);
    check_quantize16(x, KV_BLOCK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_gemm),
        cmocka_unit_test(mixing_is_its_definition),
        cmocka_unit_test(quantize16_is_its_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
