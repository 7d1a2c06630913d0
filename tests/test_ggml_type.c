/* test_ggml_type.c - what blocks of GGUF's types mean: values that ggml's own routines gave for a
 * block of bytes (37 i + 11) mod 256 with scale 0.25 and least value 0.125 or -0.125; and that they
 * can be made again of what they mean. */
#include "base/dtype.h"
#include "base/rng.h"
#include "weights/gguf/ggml_block.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
    const char *name;
    int d_at, m_at; /* where the half-precision numbers lie; -1: none */
    uint16_t m;
    double first[4], middle[2], last[2], sum, weighted; /* weighted: of (i + 1) y */
} rows[] = {
    {"Q4_0", 0, -1, 0, {-0.75, 0.5, 1.75, -1}, {-0.75, -0.25}, {-0.75, 0}, -5.25, -129.5},
    {"Q4_1",
     0,
     2,
     0xB000,
     {3.625, 0.875, 2.125, 3.375},
     {2.125, 2.875},
     {2.375, 2.875},
     57.25,
     929.75},
    {"Q5_0", 0, -1, 0, {2.25, -0.5, 0.75, -2}, {3.5, 0}, {3.5, 0.25}, 3.75, 28},
    {"Q5_1",
     0,
     2,
     0xB000,
     {4.625, 5.875, 7.125, 4.375},
     {4.625, 1.125},
     {0.625, 1.125},
     122.25,
     1909.25},
    {"Q8_0", 0, -1, 0, {21.25, 30.5, -24.25, -15}, {-22.75, -13.5}, {-21.25, -12}, -44, -2020},
    {"Q2_K",
     80,
     82,
     0x3000,
     {8.25, 0, 2.75, 5.5},
     {1.875, -0.375},
     {1.125, 1.125},
     514.75,
     60782.5},
    {"Q3_K", 108, -1, 0, {20.25, -27, 6.75, -13.5}, {0.5, -0.0}, {-7, 10.5}, 239.5, 44286.25},
    {"Q4_K",
     0,
     2,
     0x3000,
     {78.875, -6.375, 32.375, 71.125},
     {105.75, -1.5},
     {9.125, 12.125},
     13610,
     1893210},
    {"Q5_K",
     0,
     2,
     0x3000,
     {202.875, -6.375, 156.375, 71.125},
     {261.75, -1.5},
     {24.125, 27.125},
     29054,
     4006862},
    {"Q6_K", 208, -1, 0, {-357.75, 424, 145.75, -132.5}, {-87.75, 104}, {-10, -15}, 1153, 196105},
};

static const struct ggml_type *by_name(const char *name) {
    for (uint32_t id = 0; id < 64; id++)
        if (ggml_type_find(id) && strcmp(ggml_type_find(id)->name, name) == 0)
            return ggml_type_find(id);
    fail_msg("no type %s", name);
    return NULL;
}

static void equal(const char *name, const char *what, double found, double expected) {
    if (found != expected)
        fail_msg("%s: %s: expected %.9g, found %.9g", name, what, expected, found);
}

static void blocks_have_the_values_that_ggml_computes(void **state) {
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const struct row *row = &rows[r];
        const struct ggml_type *type = by_name(row->name);
        unsigned char memory[257];
        float y[256];
        const int n = (int)type->n_elements;
        unsigned char *block = memory + 1; // any alignment
        for (size_t i = 0; i < type->n_bytes; i++)
            block[i] = (unsigned char)(37 * i + 11);
        memcpy(block + row->d_at, &(uint16_t){0x3400}, 2);
        if (row->m_at >= 0)
            memcpy(block + row->m_at, &row->m, 2);
        ggml_type_dequantize(y, type, block);
        double sum = 0, weighted = 0;
        for (int i = 0; i < n; i++) {
            sum += y[i];
            weighted += (i + 1) * (double)y[i];
        }
        for (int i = 0; i < 4; i++)
            equal(row->name, "one of the first", y[i], row->first[i]);
        for (int i = 0; i < 2; i++) {
            equal(row->name, "one of the middle", y[n / 2 + i], row->middle[i]);
            equal(row->name, "one of the last", y[n - 2 + i], row->last[i]);
        }
        equal(row->name, "sum", sum, row->sum);
        equal(row->name, "weighted sum", weighted, row->weighted);
    }
}

static void other_types_are_known_by_name(void **state) {
    assert_null(ggml_type_find(23));
    assert_string_equal(ggml_type_name(23), "IQ4_XS");
    assert_string_equal(ggml_type_name(14), "Q6_K");
    assert_string_equal(ggml_type_name(33), "unknown");
    assert_string_equal(ggml_type_name(UINT32_MAX), "unknown");
}

/* ---- and back ---- */

enum { BLOCKS = 2000 };

/* Any bytes, with finite halves. `largest`: one scale, and one min, has the largest integer, as
 * ggml's quantizers make them. */
static void random_block(unsigned char *block, const struct row *row, size_t n_bytes,
                         uint32_t index, bool largest) {
    uint32_t words[4] = {0};
    for (uint32_t i = 0; i < n_bytes; i++) {
        if (i % 16 == 0)
            rng_philox(words, (uint32_t[4]){index, i, 0, 0}, (uint32_t[2]){7, 3});
        block[i] = (unsigned char)(words[i % 16 / 4] >> i % 4 * 8);
    }
    const int halves[] = {row->d_at, row->m_at};
    for (int i = 0; i < 2; i++)
        if (halves[i] >= 0 && (block[halves[i] + 1] & 0x7C) == 0x7C)
            block[halves[i] + 1] ^= 0x40;
    if (!largest)
        return;
    if (strcmp(row->name, "Q2_K") == 0)
        block[3] = 0xFF;
    if (strcmp(row->name, "Q3_K") == 0) { // -32
        block[96] &= 0xF0;
        block[96 + 8] &= 0xFC;
    }
    if (strcmp(row->name, "Q4_K") == 0 || strcmp(row->name, "Q5_K") == 0) {
        block[4] |= 63;
        block[8] |= 63;
    }
    if (strcmp(row->name, "Q6_K") == 0)
        block[192] = 128;
}

static void expect_same_block(const struct ggml_type *type, const struct ggml_block *a,
                              const struct ggml_block *b) {
    const size_t n_scales = type->n_elements / (size_t)type->group * sizeof(float);
    assert_memory_equal(a->q, b->q, type->n_elements);
    assert_memory_equal(a->scale, b->scale, n_scales);
    if (type->mins)
        assert_memory_equal(a->min, b->min, n_scales);
}

/* The same bytes where they are as ggml makes them, else others that mean the same. */
static void blocks_are_made_again_of_what_they_mean(void **state) {
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (uint32_t i = 0; i < BLOCKS; i++) {
            const struct ggml_type *type = by_name(rows[r].name);
            unsigned char block[257] = {0}, again[257], third[257];
            struct ggml_block is, read;
            const bool largest = i % 2;
            if (i) // the first is all zeros
                random_block(block, &rows[r], type->n_bytes, i, largest);
            type->take(&is, block);
            memset(again, 0xA5, sizeof again);
            if (!ggml_block_put(again, type, &is))
                fail_msg("%s: block %u is not made again", type->name, i);
            assert_int_equal(again[type->n_bytes], 0xA5);
            type->take(&read, again);
            expect_same_block(type, &is, &read);
            if ((largest || !i || type->n_elements == 32) &&
                memcmp(block, again, type->n_bytes) != 0)
                fail_msg("%s: block %u has other bytes", type->name, i);
            assert_true(ggml_block_put(third, type, &read));
            assert_memory_equal(third, again, type->n_bytes);
        }
}

static void numbers_that_no_block_has_are_refused(void **state) {
    static const int ranges[][2] = {{-8, 7}, {0, 15}, {-16, 15}, {0, 31}, {-128, 127},
                                    {0, 3},  {-4, 3}, {0, 15},   {0, 31}, {-32, 31}};
    _Static_assert(sizeof ranges / sizeof *ranges == sizeof rows / sizeof *rows, "of each type");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const struct ggml_type *type = by_name(rows[r].name);
        const float strange[] = {NAN, 1 + 0x1p-20F, 0x1p30F, 0x1p-40F, INFINITY};
        unsigned char block[257], out[257];
        struct ggml_block is, changed;
        random_block(block, &rows[r], type->n_bytes, 5, true);
        type->take(&is, block);
        for (int q = -128; q < 128; q++) {
            changed = is;
            changed.q[(q + 128) % (int)type->n_elements] = (int8_t)q;
            if (ggml_block_put(out, type, &changed) != (q >= ranges[r][0] && q <= ranges[r][1]))
                fail_msg("%s: the integer %d", type->name, q);
        }
        for (size_t s = 0; s < sizeof strange / sizeof *strange; s++)
            for (int g = 0; g < (int)type->n_elements / type->group; g++)
                for (int min = 0; min <= type->mins; min++) {
                    const bool infinite_half = type->n_elements == 32 && isinf(strange[s]);
                    changed = is;
                    (min ? changed.min : changed.scale)[g] = strange[s];
                    const bool made = ggml_block_put(out, type, &changed);
                    if (made != infinite_half && !(isnan(strange[s]) && made))
                        fail_msg("%s: %g in group %d", type->name, (double)strange[s], g);
                }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_have_the_values_that_ggml_computes),
        cmocka_unit_test(other_types_are_known_by_name),
        cmocka_unit_test(blocks_are_made_again_of_what_they_mean),
        cmocka_unit_test(numbers_that_no_block_has_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
