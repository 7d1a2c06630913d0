/* test_checksum.c - the checksum of packed files: the values that files hold, every bit counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/checksum.h"

#include <stdio.h>
#include <string.h>

static void checksums_are_those_that_files_hold(void **state) {
    unsigned char bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * i + 7 * i + 1);
    static const struct {
        size_t n;
        uint64_t sum;
    } known[] = {{0, 0xC07C4EA43E7D1AFA},  {1, 0xAF756CAA229762F1},  {63, 0xE3539B28526201E5},
                 {64, 0xDEEEA7D655D27AED}, {65, 0xD8D9056EA6AD2AC2}, {128, 0x1ACA6D1ECFD8EB0A},
                 {200, 0x8CFD6BE44E127268}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (checksum(bytes, known[i].n) != known[i].sum)
            fail_msg("%zu bytes: expected 0x%016llX, found 0x%016llX", known[i].n,
                     (unsigned long long)known[i].sum,
                     (unsigned long long)checksum(bytes, known[i].n));
    // at any address
    unsigned char moved[sizeof bytes + 8];
    for (size_t at = 0; at < 8; at++) {
        memcpy(moved + at, bytes, sizeof bytes);
        assert_true(checksum(moved + at, sizeof bytes) == checksum(bytes, sizeof bytes));
    }
}

static void every_bit_and_the_length_count(void **state) {
    unsigned char bytes[321] = {0};
    for (size_t n = 0; n < sizeof bytes; n += n < 130 ? 1 : 19) {
        uint64_t sum = checksum(bytes, n);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_true(checksum(bytes, n) != sum);
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        for (size_t other = n + 1; other < sizeof bytes; other++)
            assert_true(checksum(bytes, other) != sum);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_those_that_files_hold),
        cmocka_unit_test(every_bit_and_the_length_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
