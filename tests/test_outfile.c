/* test_outfile.c - a file that is written appears whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/outfile.h"
#include "testpacked.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void a_file_appears_whole_or_not_at_all(void **state) {
    struct outfile out;
    char text[8] = {0};
    assert_true(outfile_create(&out, file, NULL));
    assert_true(outfile_write(&out, "abcd", 4, NULL));
    assert_true(access(file, F_OK) != 0);
    outfile_discard(&out);
    assert_int_equal(count_files(), 0);

    assert_true(outfile_create(&out, file, NULL));
    assert_true(outfile_write(&out, "abcd", 4, NULL));
    assert_true(outfile_write_at(&out, 1, "X", 1, NULL));
    assert_true(outfile_commit(&out, NULL));
    outfile_discard(&out);
    assert_int_equal(count_files(), 1);

    char link[TESTMODEL_PATH]; // a link stays one; what it points to is replaced
    testmodel_path(link, dir, "link");
    assert_int_equal(symlink(file, link), 0);
    assert_true(outfile_create(&out, link, NULL));
    assert_true(outfile_write(&out, "efghij", 6, NULL));
    assert_true(outfile_end_at(&out, 4, NULL)); // what is cut off is not there
    assert_true(outfile_commit(&out, NULL));
    FILE *in = fopen(file, "rb");
    assert_non_null(in);
    assert_int_equal(fread(text, 1, sizeof text, in), 4);
    fclose(in);
    assert_string_equal(text, "efgh");
    assert_int_equal(count_files(), 2);
}

static void flags_of_a_file_are_obeyed(void **state) {
    struct outfile out;
    struct stat info;
    mode_t mask = umask(0022);
    assert_true(outfile_open(&out, file, OUTFILE_PRIVATE, NULL));
    assert_true(outfile_commit(&out, NULL));
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(outfile_create(&out, file, NULL));
    assert_true(outfile_commit(&out, NULL));
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600); // the old file's
    assert_int_equal(unlink(file), 0);
    assert_true(outfile_create(&out, file, NULL));
    assert_true(outfile_commit(&out, NULL));
    umask(mask);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);

    int ends[2], before = count_files(); // a pipe has a name, but realpath finds no path
    char name[64], text[8] = {0};
    assert_int_equal(pipe(ends), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    assert_false(outfile_create(&out, name, NULL));
    assert_true(outfile_open(&out, name, OUTFILE_IN_PLACE, NULL));
    assert_true(outfile_write(&out, "abcd", 4, NULL));
    assert_true(outfile_commit(&out, NULL));
    assert_int_equal(read(ends[0], text, sizeof text), 4);
    assert_string_equal(text, "abcd");
    assert_true(outfile_open(&out, name, OUTFILE_IN_PLACE, NULL));
    outfile_discard(&out);
    assert_int_equal(stat(name, &info), 0);
    assert_int_equal(count_files(), before);
    close(ends[0]);
    close(ends[1]);
}

static void what_cannot_be_written_is_said(void **state) {
    struct gpt2_error err = {0};
    struct outfile out;
    assert_false(outfile_create(&out, dir, &err));
    expect_words(&err, dir, "found a directory");
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    assert_false(outfile_create(&out, "/dev/null", &err));
    expect_words(&err, "/dev/null", "found a device");
    assert_false(outfile_open(&out, dir, OUTFILE_IN_PLACE, &err));
    expect_words(&err, dir, "Is a directory");
    assert_false(outfile_create(&out, "/no/such/folder/file", &err));
    expect_words(&err, "/no/such/folder/file", "No such file");
    outfile_discard(&out);
}

/* More than a table has. In a child, which a handler would end, too. */
static void all_unfinished_files_are_known_to_a_handler(void **state) {
    struct outfile out[40];
    char name[TESTMODEL_PATH];
    const int before = count_files();
    const pid_t child = fork();
    for (int i = 0; child == 0 && i < 40; i++) {
        snprintf(name, sizeof name, "%.400s/%d", dir, i);
        if (!outfile_create(&out[i], name, NULL))
            _exit(2);
    }
    if (child == 0) {
        const bool made = count_files() == before + 40;
        outfile_remove_unfinished();
        _exit(made && count_files() == before ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_file_appears_whole_or_not_at_all),
        TEST(flags_of_a_file_are_obeyed),
        TEST(what_cannot_be_written_is_said),
        TEST(all_unfinished_files_are_known_to_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
