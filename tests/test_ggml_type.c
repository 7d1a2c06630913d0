/* test_ggml_type.c - what blocks of GGUF's types mean: values that ggml's own routines gave for a
 * block of bytes (37 i + 11) mod 256 with scale 0.25 and least value 0.125 or -0.125. */
#include "base/dtype.h"
#include "weights/gguf/ggml_type.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_have_the_values_that_ggml_computes),
        cmocka_unit_test(other_types_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
