/* test_safetensors.c - what the reader accepts, and what it says about what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include "weights/safetensors.h"

/* A file in a heap block of exactly its size, so that the sanitizers see a read past its end. */
struct bytes {
    unsigned char *data;
    size_t size;
};

/* The header's length, the header, n_data bytes counting up from 0. */
static struct bytes build(const char *header, size_t n_header, size_t n_data) {
    struct bytes file = {malloc(8 + n_header + n_data), 8 + n_header + n_data};
    assert_non_null(file.data);
    for (int i = 0; i < 8; i++)
        file.data[i] = (unsigned char)((uint64_t)n_header >> 8 * i);
    memcpy(file.data + 8, header, n_header);
    for (size_t i = 0; i < n_data; i++)
        file.data[8 + n_header + i] = (unsigned char)i;
    return file;
}

static bool parse(struct tensors *out, const char *header, size_t n_data, struct gpt2_error *err) {
    struct bytes file = build(header, strlen(header), n_data);
    struct tensors tensors;
    bool ok = safetensors_parse(&tensors, file.data, file.size, "m.safetensors", err);
    if (ok && out)
        *out = tensors; // its data is gone, what is known about it is not
    else
        tensors_close(&tensors);
    free(file.data);
    return ok;
}

static void expect_words(const struct gpt2_error *err, const char *const *words, size_t n) {
    for (size_t i = 0; i < n && words[i]; i++)
        if (!strstr(err->message, words[i]) && !strstr(err->hint, words[i]))
            fail_msg("expected \"%s\" in: %s [%s]", words[i], err->message, err->hint);
}

/* ---- accepted ---- */

static void a_tensor_has_its_name_type_shape_and_bytes(void **state) {
    const char header[] = "{\"__metadata__\":{\"format\":\"pt\",\"a\":\"of \\\"a\\\"\"},"
                          "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[8,14]},"
                          "\"a\":{\"dtype\":\"I32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}";
    struct bytes file = build(header, sizeof header - 1, 14);
    struct tensors t;
    assert_true(safetensors_parse(&t, file.data, file.size, "m.safetensors", NULL));
    assert_int_equal(t.count, 2);
    assert_string_equal(t.path, "m.safetensors");
    assert_string_equal(t.items[0].name, "a"); // in the order of the data
    assert_string_equal(t.items[0].dtype, "I32");
    assert_int_equal(t.items[0].rank, 2);
    assert_int_equal(t.items[0].shape[0], 2);
    assert_int_equal(t.items[0].shape[1], 1);
    assert_int_equal(t.items[0].n_bytes, 8);
    assert_ptr_equal(t.items[0].data, file.data + 8 + sizeof header - 1);
    assert_string_equal(t.items[0].note, "of \"a\""); // what the metadata has under its name
    assert_string_equal(t.items[1].name, "b");
    assert_null(t.items[1].note);
    assert_int_equal(t.items[1].n_bytes, 6);
    assert_int_equal(*(const unsigned char *)t.items[1].data, 8);
    tensors_close(&t);
    free(file.data);
}

static void odd_but_legal_headers_are_accepted(void **state) {
    static const struct {
        const char *header;
        size_t n_data, n_tensors;
    } cases[] = {
        {"{}", 0, 0},
        {"{\"__metadata__\":{}}", 0, 0},
        // white space in front and after, as writers use it to align the data
        {"  \n\t{}  \r\n ", 0, 0},
        // rank 0 is one element
        {"{\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, 1},
        // no elements, no bytes; several may begin at the same place
        {"{\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"y\":{\"dtype\":\"F32\",\"shape\":[2,0,3],\"data_offsets\":[0,0]},"
         "\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}",
         1, 4},
        // the highest rank; members in any order
        {"{\"r\":{\"shape\":[1,1,1,1,1,1,1,2],\"data_offsets\":[0,2],\"dtype\":\"BOOL\"}}", 2, 1},
        // types of less than a byte that fill whole bytes
        {"{\"f\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[0,1]},"
         "\"g\":{\"dtype\":\"F6_E2M3\",\"shape\":[4],\"data_offsets\":[1,4]}}",
         4, 2},
        // names are any text
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"\\u00e9\\n\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        struct tensors t;
        if (!parse(&t, cases[i].header, cases[i].n_data, &err))
            fail_msg("%s: %s", cases[i].header, err.message);
        assert_int_equal(t.count, cases[i].n_tensors);
        tensors_close(&t);
    }
}

static void every_type_of_the_format_is_known(void **state) {
    static const struct {
        const char *name;
        int bytes; // of 8 elements
    } types[] = {{"BOOL", 8},        {"U8", 8},         {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},
                 {"F8_E8M0", 8},     {"U16", 16},       {"I16", 16}, {"F16", 16},    {"BF16", 16},
                 {"U32", 32},        {"I32", 32},       {"F32", 32}, {"C64", 64},    {"U64", 64},
                 {"I64", 64},        {"F64", 64},       {"F4", 4},   {"F6_E2M3", 6}, {"F6_E3M2", 6},
                 {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char header[200];
        struct tensors t;
        snprintf(header, sizeof header,
                 "{\"x\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,%d]}}", types[i].name,
                 types[i].bytes);
        assert_true(parse(&t, header, (size_t)types[i].bytes, NULL));
        assert_string_equal(t.items[0].dtype, types[i].name);
        tensors_close(&t);
    }
}

/* ---- refused ---- */

#define X(rest) "{\"x\":{\"dtype\":\"U8\"," rest "}}"
#define ENTRY(name, shape, offset) \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" shape "],\"data_offsets\":[" offset "]}"

static void malformed_headers_are_refused_by_name(void **state) {
    static const struct {
        const char *header;
        size_t n_data;
        const char *words[4];
    } cases[] = {
        // not JSON, or another kind of it
        {"", 0, {"JSON object"}},
        {"     ", 0, {"JSON object"}},
        {"[]", 0, {"JSON object"}},
        {"null", 0, {"JSON object"}},
        {"\xEF\xBB\xBF{}", 0, {"JSON object"}},
        {"{", 0, {"header", "not valid JSON"}},
        {"{}{}", 0, {"not valid JSON"}},
        {"{} x", 0, {"not valid JSON"}},
        {"{\"x\xff\":{}}", 0, {"invalid UTF-8"}},
        {"{\"a\\u0000b\":{}}", 0, {"NUL"}},
        {"{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0, {"deeply"}},
        // metadata
        {"{\"__metadata__\":[]}", 0, {"__metadata__", "an object", "an array"}},
        {"{\"__metadata__\":{\"n\":1}}", 0, {"__metadata__", "\"n\"", "a string", "a number"}},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, {"__metadata__", "twice"}},
        {"{\"__metadata__\":{\"t\":\"1\",\"t\":\"1\"}," ENTRY("t", "1", "0,1") "}",
         1,
         {"\"t\"", "twice in __metadata__"}},
        // entries
        {"{\"x\":3}", 0, {"\"x\"", "an object", "a number"}},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, {"\"x\"", "data_offsets", "missing"}},
        {"{\"x\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, {"\"x\"", "shape", "missing"}},
        {"{\"x\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, {"\"x\"", "dtype", "missing"}},
        {X("\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]"), 1, {"\"dtype\"", "twice"}},
        {X("\"shape\":[1],\"data_offsets\":[0,1],\"strides\":[1]"), 1, {"\"x\"", "\"strides\""}},
        {"{" ENTRY("x", "1", "0,1") "," ENTRY("x", "1", "1,2") "}", 2, {"\"x\"", "twice"}},
        {"{" ENTRY("x", "1", "0,1") "," ENTRY("y", "1", "1,2") "," ENTRY("x", "1", "2,3") "}",
         3,
         {"\"x\"", "twice"}},
        // dtype
        {"{\"x\":{\"dtype\":\"Q4_0\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, {"\"x\"", "Q4_0"}},
        {"{\"x\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, {"\"x\"", "f32"}},
        {"{\"x\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, {"dtype", "a number"}},
        // shape
        {X("\"shape\":1,\"data_offsets\":[0,1]"), 1, {"\"x\"", "shape", "an array", "a number"}},
        {X("\"shape\":[-1],\"data_offsets\":[0,1]"), 1, {"\"x\"", "shape", "-1"}},
        {X("\"shape\":[1.5],\"data_offsets\":[0,1]"), 1, {"\"x\"", "shape", "1.5"}},
        {X("\"shape\":[\"1\"],\"data_offsets\":[0,1]"), 1, {"\"x\"", "shape", "a string"}},
        {X("\"shape\":[null],\"data_offsets\":[0,1]"), 1, {"\"x\"", "shape", "null"}},
        {X("\"shape\":[1e300],\"data_offsets\":[0,1]"), 1, {"\"x\"", "shape", "1"}},
        {X("\"shape\":[281474976710656],\"data_offsets\":[0,1]"), 1, {"shape", "2^48"}},
        {X("\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]"), 1, {"at most 8", "9"}},
        {X("\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), 0, {"overflow"}},
        {X("\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]"), 0, {"overflow"}},
        {X("\"shape\":[2147483648,1073741824],\"data_offsets\":[0,0]"), 0, {"overflow"}}, // bits
        {"{\"x\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, {"whole bytes"}},
        // offsets
        {X("\"shape\":[1],\"data_offsets\":[0]"), 1, {"data_offsets", "2 integers", "found 1"}},
        {X("\"shape\":[1],\"data_offsets\":[0,1,2]"), 1, {"data_offsets", "found 3"}},
        {X("\"shape\":[1],\"data_offsets\":{}"), 1, {"data_offsets", "an array", "an object"}},
        {X("\"shape\":[1],\"data_offsets\":[-1,0]"), 1, {"data_offsets", "-1"}},
        {X("\"shape\":[1],\"data_offsets\":[0.5,1.5]"), 1, {"data_offsets", "0.5"}},
        {X("\"shape\":[1],\"data_offsets\":[1,0]"), 1, {"\"x\"", "after its end"}},
        {X("\"shape\":[2],\"data_offsets\":[0,1]"), 1, {"\"x\"", "2 bytes", "found 1"}},
        {X("\"shape\":[1],\"data_offsets\":[18446744073709551615,18446744073709551616]"),
         1,
         {"data_offsets", "2^48"}},
        {X("\"shape\":[1],\"data_offsets\":[9007199254740991,9007199254740992]"), 1, {"2^48"}},
        {X("\"shape\":[2],\"data_offsets\":[0,2]"), 1, {"\"x\"", "byte 2", "1", "truncated"}},
        // tiling
        {"{}", 1, {"0 bytes of data", "found 1"}},
        {X("\"shape\":[1],\"data_offsets\":[0,1]"), 2, {"1 bytes of data", "found 2"}},
        {X("\"shape\":[1],\"data_offsets\":[1,2]"), 2, {"\"x\"", "hole"}},
        {"{" ENTRY("x", "1", "0,1") "," ENTRY("y", "1", "2,3") "}", 3, {"\"y\"", "hole"}},
        {"{" ENTRY("x", "2", "0,2") "," ENTRY("y", "2", "1,3") "}", 3, {"\"y\"", "overlap"}},
        {"{" ENTRY("x", "2", "0,2") "," ENTRY("y", "2", "0,2") "}", 2, {"\"y\"", "overlap"}},
        {"{" ENTRY("x", "0", "1,1") "," ENTRY("y", "2", "0,2") "}", 2, {"\"x\"", "overlap"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        if (parse(NULL, cases[i].header, cases[i].n_data, &err))
            fail_msg("accepted: %s", cases[i].header);
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        expect_words(&err, (const char *[]){"m.safetensors"}, 1);
        expect_words(&err, cases[i].words, 4);
        assert_false(parse(NULL, cases[i].header, cases[i].n_data, NULL)); // err may be NULL
    }
}

static void a_file_cut_anywhere_is_refused(void **state) {
    const char header[] = "{" ENTRY("x", "3", "0,3") "," ENTRY("y", "2", "3,5") "} ";
    for (size_t size = 0; size < 8 + sizeof header - 1 + 5; size++) {
        struct bytes file = build(header, sizeof header - 1, 5);
        unsigned char *cut = malloc(size ? size : 1);
        assert_non_null(cut);
        memcpy(cut, file.data, size);
        struct gpt2_error err = {0};
        struct tensors t;
        assert_false(safetensors_parse(&t, cut, size, "cut", &err));
        expect_words(&err, (const char *[]){size ? "truncated" : "empty"}, 1);
        free(cut);
        free(file.data);
    }
}

static void header_lengths_are_checked_before_they_are_used(void **state) {
    static const struct {
        uint64_t length;
        const char *words[2];
    } cases[] = {
        {3, {"truncated", "header of 3 bytes"}},
        {100000000, {"truncated", "100000000"}},
        {100000001, {"at most 100000000", "100000001"}},
        {UINT64_MAX - 7, {"at most 100000000", "18446744073709551608"}}, // 8 + N wraps to 0
        {UINT64_MAX, {"at most 100000000"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char *file = malloc(10);
        assert_non_null(file);
        for (int k = 0; k < 8; k++)
            file[k] = (unsigned char)(cases[i].length >> 8 * k);
        memcpy(file + 8, "{}", 2);
        struct gpt2_error err = {0};
        struct tensors t;
        assert_false(safetensors_parse(&t, file, 10, "m", &err));
        expect_words(&err, cases[i].words, 2);
        free(file);
    }
}

static void a_git_lfs_pointer_is_named(void **state) {
    const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
    struct gpt2_error err = {0};
    struct tensors t;
    assert_false(
        safetensors_parse(&t, (const unsigned char *)pointer, sizeof pointer - 1, "m", &err));
    expect_words(&err, (const char *[]){"Git LFS", "git lfs pull"}, 2);
}

static void names_are_bounded_and_cannot_steer_a_terminal(void **state) {
    char name[300], header[500];
    struct gpt2_error err = {0};
    for (int len = 200; len <= 201; len++) {
        memset(name, 'n', sizeof name);
        name[len] = 0;
        snprintf(header, sizeof header,
                 "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
        struct tensors t = {0};
        assert_int_equal(parse(&t, header, 1, &err), len == 200);
        tensors_close(&t);
    }
    expect_words(&err, (const char *[]){"201 bytes", "at most 200"}, 2);
    assert_false(parse(NULL, "{\"\\u001b[2J\":{}}", 0, &err));
    expect_words(&err, (const char *[]){"\\x1B[2J"}, 1);
    assert_null(strchr(err.message, '\x1b'));
}

/* "[0,0,0,...": few bytes in the file, many in memory. */
static void the_number_of_values_is_bounded_before_they_are_parsed(void **state) {
    const size_t n = 4000000;
    char *header = malloc(n);
    assert_non_null(header);
    memset(header, ',', n);
    memcpy(header, "{\"x\":[0", 7);
    for (size_t i = 8; i < n; i += 2)
        header[i] = '0';
    struct bytes file = build(header, n, 0);
    struct gpt2_error err = {0};
    struct tensors t;
    assert_false(safetensors_parse(&t, file.data, file.size, "m", &err));
    expect_words(&err, (const char *[]){"1600000 values"}, 1);
    free(file.data);
    free(header);
}

/* Many entries, names in descending order, data in another: sorting must cope. */
static void the_number_of_tensors_is_bounded(void **state) {
    for (int n = 100000; n <= 100001; n++) {
        char *header = malloc((size_t)n * 80);
        assert_non_null(header);
        size_t at = 0;
        for (int i = 0; i < n; i++) {
            int place = (int)((int64_t)i * 7919 % n);
            at += (size_t)sprintf(
                header + at,
                "%c\"t%06d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                i ? ',' : '{', n - i, place, place + 1);
        }
        header[at++] = '}';
        struct bytes file = build(header, at, (size_t)n);
        struct gpt2_error err = {0};
        struct tensors t;
        bool ok = safetensors_parse(&t, file.data, file.size, "m", &err);
        assert_int_equal(ok, n == 100000);
        if (ok)
            assert_int_equal(t.count, n);
        else
            expect_words(&err, (const char *[]){"at most 100000 tensors", "100001"}, 2);
        tensors_close(&t);
        free(file.data);
        free(header);
    }
}

/* ---- files ---- */

static void a_file_is_mapped_and_its_tensors_lie_in_it(void **state) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.masks = true, .misalign = 5});
    testmodel_path(path, dir, "model.safetensors");
    struct gpt2_error err = {0};
    struct tensors t;
    assert_true(tensors_open(&t, path, safetensors_parse, &err));
    assert_string_equal(t.path, path);
    assert_int_equal(t.count, 32); // 2 + 2 * (12 + 2 masks) + 2
    for (size_t i = 0; i < t.count; i++) {
        const unsigned char *data = t.items[i].data;
        assert_true(data >= t.file.data && data + t.items[i].n_bytes <= t.file.data + t.file.size);
    }
    assert_int_equal((uintptr_t)t.items[0].data % 64, 5);
    tensors_close(&t);
    tensors_close(&t); // a zeroed struct is allowed
    testmodel_remove(dir);
}

static void files_that_cannot_be_mapped_are_refused(void **state) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    struct tensors t;
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "m.safetensors");
    assert_false(tensors_open(&t, path, safetensors_parse, &err));
    expect_words(&err, (const char *[]){path, "No such file"}, 2);
    assert_false(tensors_open(&t, dir, safetensors_parse, &err));
    expect_words(&err, (const char *[]){dir, "directory"}, 2);
    testmodel_write_file(dir, "m.safetensors", "", 0);
    assert_false(tensors_open(&t, path, safetensors_parse, &err));
    expect_words(&err, (const char *[]){path, "empty"}, 2);
    testmodel_remove(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tensor_has_its_name_type_shape_and_bytes),
        cmocka_unit_test(odd_but_legal_headers_are_accepted),
        cmocka_unit_test(every_type_of_the_format_is_known),
        cmocka_unit_test(malformed_headers_are_refused_by_name),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(header_lengths_are_checked_before_they_are_used),
        cmocka_unit_test(a_git_lfs_pointer_is_named),
        cmocka_unit_test(names_are_bounded_and_cannot_steer_a_terminal),
        cmocka_unit_test(the_number_of_values_is_bounded_before_they_are_parsed),
        cmocka_unit_test(the_number_of_tensors_is_bounded),
        cmocka_unit_test(a_file_is_mapped_and_its_tensors_lie_in_it),
        cmocka_unit_test(files_that_cannot_be_mapped_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
