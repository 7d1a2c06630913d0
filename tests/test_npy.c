/* test_npy.c - NumPy's files as its format says, and the zip around them by our own zip reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32.h"
#include "base/npy.h"
#include "weights/torch/zip.h"

#include <stdio.h>
#include <string.h>

static void a_header_says_type_and_shape(void **state) {
    (void)state;
    static const size_t shape[NPY_RANK] = {3, 12, 1024, 50257};
    static const char *const shapes[] = {"(3,)", "(3, 12)", "(3, 12, 1024)",
                                         "(3, 12, 1024, 50257)"};
    for (int rank = 1; rank <= NPY_RANK; rank++) {
        struct buffer out = {0};
        char expected[128];
        npy_header(&out, shape, rank);
        assert_false(out.failed);
        assert_int_equal(out.len % 64, 0);
        assert_memory_equal(out.data, "\x93NUMPY\1\0", 8);
        const unsigned char *size = (const unsigned char *)out.data + 8;
        assert_int_equal(size[0] + 256 * size[1], out.len - 10);
        snprintf(expected, sizeof expected,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", shapes[rank - 1]);
        assert_memory_equal(out.data + 10, expected, strlen(expected));
        for (size_t i = 10 + strlen(expected); i + 1 < out.len; i++)
            assert_int_equal(out.data[i], ' ');
        assert_int_equal(out.data[out.len - 1], '\n');
        buffer_free(&out);
    }
}

static void a_matrix_of_any_size_has_a_header_of_one_length(void **state) {
    (void)state;
    static const size_t shapes[][2] = {
        {0, 1}, {1, 50257}, {1024, 50257}, {1000000000000, 999999999}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct buffer out = {0};
        npy_header(&out, shapes[i], 2);
        assert_int_equal(out.len, 128);
        buffer_free(&out);
    }
}

/* Names, sizes, checksums and places of all entries, as another reader sees them. */
static void a_zip_file_has_every_array(void **state) {
    (void)state;
    enum { MOST = 40 };
    float data[3 * MOST];
    for (int i = 0; i < 3 * MOST; i++)
        data[i] = (float)i / 7;
    for (int n = 0; n <= MOST; n += n < 2 ? 1 : MOST - 2) {
        struct npy_zip npz = {0};
        struct buffer file = {0};
        for (int i = 0; i < n; i++) {
            const size_t shape[] = {(size_t)i, 3};
            char name[32];
            snprintf(name, sizeof name, "resid.%d", i);
            npy_zip_entry(&npz, &file, name, shape, 2, data);
            buffer_bytes(&file, data, 3 * (size_t)i * sizeof *data);
        }
        npy_zip_end(&npz, &file);
        assert_false(file.failed);
        assert_null(npz.directory.data);
        struct zip zip;
        struct gpt2_error err = {0};
        if (!zip_parse(&zip, (const unsigned char *)file.data, file.len, "a.npz", &err))
            fail_msg("%d arrays: %s", n, err.message);
        assert_int_equal(zip.count, n);
        for (int i = 0; i < n; i++) {
            char name[32];
            snprintf(name, sizeof name, "resid.%d.npy", i);
            const struct zip_entry *entry = zip_find(&zip, name, strlen(name));
            assert_non_null(entry);
            assert_int_equal(entry->method, 0);
            assert_int_equal(entry->n_bytes, 128 + 12 * (size_t)i);
            assert_int_equal(entry->crc, crc32_zip(entry->data, entry->n_bytes));
            assert_memory_equal(entry->data, "\x93NUMPY", 6);
            assert_memory_equal(entry->data + 128, data, 12 * (size_t)i);
        }
        zip_free(&zip);
        buffer_free(&file);
    }
}

static void a_checksum_goes_on(void **state) {
    (void)state;
    for (size_t cut = 0; cut <= 9; cut++)
        assert_int_equal(crc32_zip_on(crc32_zip("123456789", cut), &"123456789"[cut], 9 - cut),
                         0xCBF43926);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_says_type_and_shape),
        cmocka_unit_test(a_matrix_of_any_size_has_a_header_of_one_length),
        cmocka_unit_test(a_zip_file_has_every_array),
        cmocka_unit_test(a_checksum_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
