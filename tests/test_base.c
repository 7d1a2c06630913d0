/* test_base.c - errors, files, memory, threads, JSON, element types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/dtype.h"
#include "base/encoding.h"
#include "base/error_internal.h"
#include "base/json.h"
#include "base/look.h"
#include "base/os.h"
#include "base/path.h"
#include "base/pool.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void errors_show_control_bytes_and_truncate(void **state) {
    struct gpt2_error err;
    assert_false(
        error_set(&err, GPT2_ERR_MODEL, "tensor \"%s\"", "a\x1b[2Jb\n\xc2\x9b\x7f\xc3\xa9"));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_string_equal(err.message, "tensor \"a\\x1B[2Jb\\x0A\\xC2\\x9B\\x7F\xc3\xa9\"");
    assert_string_equal(err.hint, "");
    char name[2000];
    memset(name, '\n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    error_set(&err, GPT2_ERR_MODEL, "%s", name);
    error_hint(&err, "%s", name);
    assert_true(strlen(err.message) < sizeof err.message);
    assert_true(strlen(err.hint) < sizeof err.hint);
    error_set(NULL, GPT2_ERR_MODEL, "not reported");
    error_hint(NULL, "not reported");
}

static void an_errno_says_whose_fault_it_is(void **state) {
    struct gpt2_error err;
    assert_false(error_errno(&err, GPT2_ERR_MODEL, ENOENT, "%s: cannot open", "a"));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_string_equal(err.message, "a: cannot open: No such file or directory");
    error_hint(&err, "copy it again");
    assert_string_equal(err.hint, "copy it again");
    error_errno(&err, GPT2_ERR_MODEL, EMFILE, "%s: cannot open", "a");
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    error_hint(&err, "copy it again"); // which would not help
    assert_string_equal(err.hint, "");
    error_errno(&err, GPT2_ERR_MODEL, ENOMEM, "%s: cannot open", "a");
    assert_int_equal(err.status, GPT2_ERR_MEMORY);
    error_hint(&err, "copy it again");
    assert_string_equal(err.hint, "");
    error_memory(&err, "a path", 1);
    error_hint(&err, "copy it again");
    assert_string_equal(err.hint, "");
    error_errno(&err, GPT2_ERR_RUNTIME, ENOSPC, "cannot write a");
    error_hint(&err, "make room");
    assert_string_equal(err.hint, "make room");
    // The reason stands there even where the name is too long.
    char name[2000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    error_errno(&err, GPT2_ERR_MODEL, EACCES, "%s: cannot open", name);
    const size_t n = strlen(err.message), n_end = strlen(": Permission denied");
    assert_true(n < sizeof err.message);
    assert_string_equal(err.message + n - n_end, ": Permission denied");
    error_errno(NULL, GPT2_ERR_MODEL, ENOENT, "not reported");
}

/* FIPS 180-4's examples, the empty message, and lengths around a block's end, in pieces. */
static void digests_are_those_of_the_standard(void **state) {
    static const struct {
        enum digest_kind kind;
        const char *text, *hex;
    } known[] = {
        {DIGEST_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {DIGEST_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {DIGEST_SHA1, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    };
    char hex[DIGEST_HEX], whole[DIGEST_HEX];
    struct digest digest;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        digest_start(&digest, known[i].kind);
        digest_add(&digest, known[i].text, strlen(known[i].text));
        digest_end(&digest, hex);
        assert_string_equal(hex, known[i].hex);
    }
    char million[1000];
    memset(million, 'a', sizeof million);
    digest_start(&digest, DIGEST_SHA256);
    for (int i = 0; i < 1000; i++)
        digest_add(&digest, million, sizeof million);
    digest_end(&digest, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    for (size_t n = 0; n < 200; n++) { // one stroke and byte by byte
        digest_start(&digest, DIGEST_SHA256);
        digest_add(&digest, million, n);
        digest_end(&digest, whole);
        digest_start(&digest, DIGEST_SHA256);
        for (size_t i = 0; i < n; i++)
            digest_add(&digest, million + i, 1);
        digest_end(&digest, hex);
        assert_string_equal(hex, whole);
    }
}

static void memory_is_aligned_zero_and_bounded(void **state) {
    static const size_t sizes[] = {0, 1, 15, 63, 64, 65, 1000, 200000, (size_t)1 << 18, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct gpt2_error err;
        unsigned char *memory = os_alloc(sizes[i], 1, "a test", &err);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_true(memory[k] == 0);
        memset(memory, 0xAA, sizes[i]);
        os_free(memory);
    }
    struct gpt2_error err;
    assert_null(os_alloc(SIZE_MAX / 2, 3, "too much", &err));
    assert_int_equal(err.status, GPT2_ERR_MEMORY);
    assert_non_null(strstr(err.message, "too much"));
    assert_null(os_alloc(SIZE_MAX / 4, 1, "too much", &err));
    os_free(NULL);
}

static void only_regular_files_are_mapped(void **state) {
    struct os_file file;
    struct gpt2_error err;
    assert_false(os_map(&file, "/nonexistent/file", GPT2_ERR_INPUT, &err));
    assert_int_equal(err.status, GPT2_ERR_INPUT);
    assert_non_null(strstr(err.message, "/nonexistent/file"));
    assert_false(os_map(&file, "/tmp", GPT2_ERR_MODEL, &err));
    assert_non_null(strstr(err.message, "directory"));
    assert_false(os_map(&file, "/dev/null", GPT2_ERR_MODEL, &err));
    char path[] = "/tmp/gpt2-base-XXXXXX";
    int fd = mkstemp(path);
    assert_true(os_map(&file, path, GPT2_ERR_MODEL, &err));
    assert_int_equal(file.size, 0);
    os_unmap(&file);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_true(os_map(&file, path, GPT2_ERR_MODEL, &err));
    assert_int_equal(file.size, 3);
    assert_memory_equal(file.data, "abc", 3);
    os_unmap(&file);
    os_unmap(&file);
    close(fd);
    unlink(path);
}

/* More than a table has. */
/* Something, nothing, and what the system could not look at. */
static void looking_has_three_answers(void **state) {
    char dir[] = "/tmp/gpt2-look-XXXXXX", long_name[5000], path[64];
    struct stat info;
    struct gpt2_error err;
    bool is;
    assert_non_null(mkdtemp(dir));
    const int folder = open(dir, O_RDONLY);
    assert_true(folder >= 0);
    assert_int_equal(symlinkat("nothing", folder, "dangling"), 0);
    assert_int_equal(symlinkat("circle", folder, "circle"), 0);
    assert_int_equal(symlinkat(".", folder, "here"), 0);

    assert_true(look_in(&info, folder, dir, "here", LOOK_LINKS, GPT2_ERR_MODEL, &err));
    assert_true(S_ISLNK(info.st_mode));
    assert_true(look_in(&info, folder, dir, "here", LOOK_THROUGH, GPT2_ERR_MODEL, &err));
    assert_true(S_ISDIR(info.st_mode));
    assert_true(look_in(&info, folder, dir, "nothing", LOOK_THROUGH, GPT2_ERR_MODEL, &err));
    assert_int_equal(info.st_mode, 0);
    snprintf(path, sizeof path, "%s/dangling", dir);
    assert_true(look_at(&info, path, LOOK_THROUGH, GPT2_ERR_MODEL, &err));
    assert_int_equal(info.st_mode, 0);
    assert_true(look_exists(&is, path, GPT2_ERR_MODEL, &err) && is);
    assert_true(look_is_directory(&is, path, GPT2_ERR_MODEL, &err) && !is);
    assert_true(look_may_read(path, GPT2_ERR_MODEL, &err));
    assert_true(look_is_directory(&is, dir, GPT2_ERR_MODEL, &err) && is);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_true(look_exists(&is, long_name, GPT2_ERR_MODEL, &err) && !is);
    assert_true(look_exists(&is, "", GPT2_ERR_MODEL, &err) && !is);

    snprintf(path, sizeof path, "%s/circle", dir);
    info.st_mode = S_IFREG;
    assert_false(look_at(&info, path, LOOK_THROUGH, GPT2_ERR_MODEL, &err));
    assert_int_equal(errno, ELOOP);
    assert_int_equal(info.st_mode, 0);
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_non_null(strstr(err.message, path));
    assert_false(look_is_directory(&is, path, GPT2_ERR_MODEL, &err) || is);
    assert_false(look_may_read(path, GPT2_ERR_MODEL, NULL));
    assert_false(look_in(&info, 9999, "folder", "name", LOOK_LINKS, GPT2_ERR_RUNTIME, &err));
    assert_non_null(strstr(err.message, "folder/name"));

    for (size_t i = 0; i < 3; i++)
        unlinkat(folder, (const char *[]){"dangling", "circle", "here"}[i], 0);
    close(folder);
    assert_int_equal(rmdir(dir), 0);
}

static void a_path_says_its_directory(void **state) {
    static const struct {
        const char *path, *directory, *without_slash;
    } paths[] = {{"a", ".", "a"},         {"a/b", "a", "a/b"}, {"a//b", "a", "a//b"},
                 {"a/b//", "a/b", "a/b"}, {"/a", "/", "/a"},   {"/", "/", "/"},
                 {"//", "/", "/"},        {"", ".", "."}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *directory = path_directory(paths[i].path, NULL);
        char *trimmed = path_without_slash(paths[i].path, NULL);
        assert_string_equal(directory, paths[i].directory);
        assert_string_equal(trimmed, paths[i].without_slash);
        free(directory);
        free(trimmed);
    }
}

static void every_mapped_file_has_a_name(void **state) {
    enum { N = 150 };
    struct os_file files[N];
    size_t size = 0;
    char path[] = "/tmp/gpt2-base-XXXXXX";
    const int fd = mkstemp(path);
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    for (int i = 0; i < N; i++)
        assert_true(os_map(&files[i], path, GPT2_ERR_MODEL, NULL));
    for (int i = 0; i < N; i++) {
        const char *name = os_mapped_at(files[i].data + files[i].size - 1, &size);
        assert_non_null(name);
        assert_string_equal(name, path);
        assert_int_equal(size, files[i].size);
    }
    for (int i = 0; i < N; i++) {
        const void *data = files[i].data;
        os_unmap(&files[i]);
        assert_null(os_mapped_at(data, &size));
    }
    unlink(path);
}

static void there_is_a_processor(void **state) {
    assert_true(os_cpus() >= 1);
    uint64_t before = os_now_ns();
    assert_true(os_now_ns() >= before);
}

struct count {
    atomic_int calls[1000];
    int workers;
    atomic_int bad;
};

static void count_call(void *arg, int i, int worker) {
    struct count *count = arg;
    atomic_fetch_add(&count->calls[i], 1);
    if (worker < 0 || worker >= count->workers)
        atomic_fetch_add(&count->bad, 1);
}

static void a_pool_calls_every_index_once(void **state) {
    static const int threads[] = {1, 2, 3, 8};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        struct pool *pool = pool_create(threads[t], NULL);
        assert_non_null(pool);
        assert_int_equal(pool_size(pool), threads[t]);
        static struct count count;
        memset(&count, 0, sizeof count);
        count.workers = threads[t];
        int expected[1000] = {0};
        for (int run = 0; run < 400; run++) {
            int n = run % 7 == 0 ? 0 : run * 5 % 1000;
            pool_run(pool, n, count_call, &count);
            for (int i = 0; i < n; i++)
                expected[i]++;
            if (run % 100 == 99)
                nanosleep(&(struct timespec){.tv_nsec = 2000000},
                          NULL); // long enough for the workers to fall asleep
        }
        for (int i = 0; i < 1000; i++)
            assert_int_equal(count.calls[i], expected[i]);
        assert_int_equal(count.bad, 0);
        pool_free(pool);
    }
    pool_free(NULL);
}

struct chain {
    int from[64], to[64];
};

static void double_it(void *arg, int i, int worker) {
    struct chain *chain = arg;
    chain->to[i] = 2 * chain->from[63 - i];
}

/* What one run wrote, by whichever thread, the next run reads. */
static void runs_see_what_earlier_runs_wrote(void **state) {
    struct pool *pool = pool_create(4, NULL);
    struct chain a, b = {{0}, {0}};
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < 64; i++)
            a.from[i] = i + round;
        pool_run(pool, 64, double_it, &a);
        memcpy(b.from, a.to, sizeof b.from);
        pool_run(pool, 64, double_it, &b);
        for (int i = 0; i < 64; i++)
            assert_int_equal(b.to[i], 4 * (i + round));
    }
    pool_free(pool);
}

static struct json *parse(const char *text) {
    return json_parse(text, strlen(text), "test", GPT2_ERR_MODEL, NULL);
}

static void json_reads_values_in_their_ranges(void **state) {
    struct json *root = parse(" {\"a\": 1, \"A\": 2, \"s\": \"x\\u00e9\", \"f\": 1.5, \"b\": true, "
                              "\"n\": null, \"l\": [1, 2], \"big\": 6500000000} ");
    assert_non_null(root);
    int64_t i = 0;
    double f;
    bool b;
    const char *s;
    assert_true(json_integer(json_get(root, "a"), 0, 10, &i) && i == 1);
    assert_true(json_integer(json_get(root, "A"), 0, 10, &i) && i == 2); // case matters
    assert_false(json_integer(json_get(root, "a"), 2, 10, &i));
    assert_false(json_integer(json_get(root, "f"), 0, 10, &i));
    assert_false(json_integer(json_get(root, "s"), 0, 10, &i));
    assert_false(json_integer(json_get(root, "absent"), 0, 10, &i));
    assert_int_equal(i, 2); // failures leave it
    assert_true(json_integer(json_get(root, "big"), 0, INT64_MAX, &i) && i == 6500000000);
    assert_true(json_number(json_get(root, "f"), &f) && f == 1.5);
    assert_true(json_bool(json_get(root, "b"), &b) && b);
    assert_true(json_string(json_get(root, "s"), &s) && !strcmp(s, "x\xc3\xa9"));
    assert_int_equal(json_kind(json_get(root, "n")), JSON_NULL);
    assert_string_equal(json_kind_name(json_get(root, "l")), "an array");
    int count = 0;
    for (const struct json *node = json_first(root); node; node = json_next(node))
        count += json_name(node) != NULL;
    assert_int_equal(count, 8);
    json_free(root);
    json_free(NULL);
}

static void settings_may_have_pythons_numbers(void **state) {
    static const char text[] = "{\"NaN\": [NaN, -Infinity ,Infinity], \"a\\\"NaN\": \"NaN\"}";
    struct gpt2_error err = {0};
    const char *string;
    double number;
    assert_null(json_parse(text, strlen(text), "x", GPT2_ERR_MODEL, &err));
    struct json *root = json_parse_settings(text, strlen(text), "x", GPT2_ERR_MODEL, &err);
    assert_non_null(root);
    for (const struct json *n = json_first(json_get(root, "NaN")); n; n = json_next(n)) {
        assert_int_equal(json_kind(n), JSON_NUMBER);
        assert_false(json_number(n, &number));
    }
    assert_true(json_string(json_get(root, "a\"NaN"), &string));
    assert_string_equal(string, "NaN");
    json_free(root);
    static const char *const wrong[] = {"{\"a\": NaN,,}", "NaNs", "{NaN: 1}", "[nan]",
                                        "[+Infinity]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(json_parse_settings(wrong[i], strlen(wrong[i]), "x", GPT2_ERR_MODEL, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
}

static void json_refuses_what_is_not_json(void **state) {
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "{\"a\":}",
                                      "[1,]",
                                      "{\"a\":1} x",
                                      "{\"a\":1}{}",
                                      "nul",
                                      "\"\xff\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xc0\x80\"",
                                      "\"\xf5\x80\x80\x80\"",
                                      "\"\xe2\x82\"",
                                      "\"a\nb\"",
                                      "\"a\\u0000b\"",
                                      "{\x01}",
                                      "'a'",
                                      "{\"a\" 1}",
                                      "[\"\\ud800\"]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct gpt2_error err = {0};
        struct json *root = json_parse(bad[i], strlen(bad[i]), "the thing", GPT2_ERR_MODEL, &err);
        if (root)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        assert_non_null(strstr(err.message, "the thing: not valid JSON"));
    }
    struct gpt2_error err = {0};
    assert_null(json_parse("{}\0", 3, "x", GPT2_ERR_MODEL, &err));
    char deep[20001];
    memset(deep, '[', 20000);
    deep[20000] = 0;
    assert_null(json_parse(deep, 20000, "x", GPT2_ERR_MODEL, &err));
    assert_non_null(strstr(err.message, "nested too deeply"));
    double f;
    struct json *huge = parse("[1e999, 12345678901234567890]");
    int64_t n;
    assert_false(json_number(json_first(huge), &f));
    assert_false(json_integer(json_next(json_first(huge)), 0, INT64_MAX, &n));
    json_free(huge);
}

static void halves_and_bfloats_convert_exactly(void **state) {
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        int exponent = (int)(bits >> 10 & 31), mantissa = (int)(bits & 1023);
        double expected =
            exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
        if (exponent == 31)
            expected = mantissa ? NAN : INFINITY;
        if (bits & 0x8000)
            expected = -expected;
        float found = dtype_f16_to_f32((uint16_t)bits);
        assert_true(isnan(expected) ? isnan(found)
                                    : found == expected && !signbit(found) == !signbit(expected));
    }
    unsigned char odd[1 + 8] = {0, 0x80, 0x3f, 0x00, 0xc0};
    float out[2];
    dtype_to_f32(out, odd + 1, DTYPE_BF16, 2);
    assert_true(out[0] == 1.0f && out[1] == -2.0f);
    double narrow = 1.0 + 0x1p-25; // rounds down to 1
    memcpy(odd + 1, &narrow, sizeof narrow);
    dtype_to_f32(out, odd + 1, DTYPE_F64, 1);
    assert_true(out[0] == 1.0f);
    assert_string_equal(dtype_name(DTYPE_BF16), "BF16");
    assert_int_equal(dtype_size(DTYPE_F64), 8);
}

/* However few bytes come at a time: what is told as soon as it can be is what the whole tells. */
static void an_encoding_is_told_from_any_first_bytes(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *name;
        size_t mark;
    } texts[] = {
        {"Once", 4, NULL, 0},
        {"\n", 1, NULL, 0},
        {"\xC3\xA9t\xC3\xA9", 5, NULL, 0},
        {"\xEF\xBB\xBFOnce", 7, NULL, 3},
        {"\xEF\xBC\x81", 3, NULL, 0},
        {"O\0n\0c\0e\0", 8, "UTF-16", 0},
        {"\0O\0n\0c\0e", 8, "UTF-16", 0},
        {"\xFF\xFEO\0n\0", 6, "UTF-16", 0},
        {"\xFE\xFF\0O\0n", 6, "UTF-16", 0},
        {"\xFF\xFE\0\0O\0\0\0", 8, "UTF-32", 0},
        {"\0\0\xFE\xFF\0\0\0O", 8, "UTF-32", 0},
        {"O\0\0\0n\0\0\0", 8, "UTF-32", 0},
        {"\0\0\0O\0\0\0n", 8, "UTF-32", 0},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const unsigned char *s = (const unsigned char *)texts[i].bytes;
        size_t n = 0, mark;
        while (n < texts[i].n && n < encoding_needs(s, n))
            n++;
        const char *name = encoding_foreign(s, n, &mark);
        if (name ? !texts[i].name || strcmp(name, texts[i].name) : texts[i].name != NULL)
            fail_msg("text %zu, after %zu bytes: expected %s, got %s", i, n,
                     texts[i].name ? texts[i].name : "UTF-8", name ? name : "UTF-8");
        assert_int_equal(mark, texts[i].mark);
        assert_true(n <= ENCODING_BYTES);
    }
    assert_int_equal(encoding_needs((const unsigned char *)"\n", 1), 1); // a line is not waited for
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_show_control_bytes_and_truncate),
        cmocka_unit_test(an_errno_says_whose_fault_it_is),
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(memory_is_aligned_zero_and_bounded),
        cmocka_unit_test(only_regular_files_are_mapped),
        cmocka_unit_test(looking_has_three_answers),
        cmocka_unit_test(a_path_says_its_directory),
        cmocka_unit_test(every_mapped_file_has_a_name),
        cmocka_unit_test(there_is_a_processor),
        cmocka_unit_test(a_pool_calls_every_index_once),
        cmocka_unit_test(runs_see_what_earlier_runs_wrote),
        cmocka_unit_test(json_reads_values_in_their_ranges),
        cmocka_unit_test(settings_may_have_pythons_numbers),
        cmocka_unit_test(json_refuses_what_is_not_json),
        cmocka_unit_test(halves_and_bfloats_convert_exactly),
        cmocka_unit_test(an_encoding_is_told_from_any_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
