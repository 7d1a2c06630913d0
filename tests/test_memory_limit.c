/* test_memory_limit.c - what is said where a machine has less memory than a run takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/os.h"
#include "cli/command/memory_limit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What memory_check prints on standard error. */
static bool check(const struct memory_use *use, size_t limit, struct gpt2_error *err, char *said,
                  size_t cap) {
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    const int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    const bool ok = memory_check(use, limit, err);
    fflush(stderr);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    said[fread(said, 1, cap - 1, file)] = 0;
    fclose(file);
    return ok;
}

static void a_machine_that_is_too_small_is_warned_of(void **state) {
    char said[1000];
    struct gpt2_error err;
    const uint64_t there = os_memory();
    if (!there)
        skip();
    struct memory_use use = {.weights = there, .kv = 2, .kv_least = 1, .batch = 1 << 20};
    assert_true(check(&use, 0, &err, said, sizeof said));
    assert_non_null(strstr(said, "this process may use"));
    assert_non_null(strstr(said, "batch 1.0,"));
    // what a job may do without is no reason
    use = (struct memory_use){.weights = there / 2, .kv = there, .kv_least = 1, .prefix = there};
    assert_true(check(&use, 0, &err, said, sizeof said));
    assert_string_equal(said, "");
}

static void a_limit_is_kept_to_the_byte(void **state) {
    char said[1000];
    struct gpt2_error err;
    const struct memory_use use = {
        .weights = 1000, .kv = 200, .batch = 30, .prefix = 4, .draft = 1};
    assert_true(check(&use, 1235, &err, said, sizeof said));
    assert_false(check(&use, 1234, &err, said, sizeof said));
    assert_int_equal(err.status, GPT2_ERR_MEMORY);
    assert_string_equal(said, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_is_too_small_is_warned_of),
        cmocka_unit_test(a_limit_is_kept_to_the_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
