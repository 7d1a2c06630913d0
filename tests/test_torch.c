/* test_torch.c - what torch.save writes, and what could be forged in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32.h"
#include "weights/torch/torch.h"

#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

struct bytes {
    unsigned char data[8192];
    size_t n;
};

static void put(struct bytes *b, const void *data, size_t n) {
    assert_true(b->n + n <= sizeof b->data);
    if (n)
        memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void ops(struct bytes *b, const char *text) {
    put(b, text, strlen(text));
}

static void number(struct bytes *b, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++)
        put(b, &(unsigned char){i < 8 ? (unsigned char)(value >> 8 * i) : 0}, 1);
}

static void text(struct bytes *b, const char *s) {
    ops(b, "X");
    number(b, strlen(s), 4);
    ops(b, s);
}

static void integer(struct bytes *b, int64_t value) {
    ops(b, "\x8a\x08");
    number(b, (uint64_t)value, 8);
}

static void named(struct bytes *b, const char *module, const char *name) {
    ops(b, "c");
    ops(b, module);
    ops(b, "\n");
    ops(b, name);
    ops(b, "\n");
}

/* A tensor of the pickle, all of whose parts can be wrong. */
struct view {
    const char *name, *type, *key; /* NULL: "w", FloatStorage, "0" */
    int64_t count, offset;         /* count 0: 6 */
    int rank;                      /* 0: [2, 3] */
    int64_t shape[9], strides[9];
};

static void tuple(struct bytes *b, const int64_t *values, int n) {
    ops(b, "(");
    for (int i = 0; i < n; i++)
        integer(b, values[i]);
    ops(b, "t");
}

static void tensor(struct bytes *b, const struct view *v) {
    static const int64_t shape[] = {2, 3}, strides[] = {3, 1};
    text(b, v->name ? v->name : "w");
    named(b, "torch._utils", "_rebuild_tensor_v2");
    ops(b, "((");
    text(b, "storage");
    named(b, "torch", v->type ? v->type : "FloatStorage");
    text(b, v->key ? v->key : "0");
    text(b, "cuda:0");
    integer(b, v->count ? v->count : 6);
    ops(b, "tQ");
    integer(b, v->offset);
    tuple(b, v->rank ? v->shape : shape, v->rank ? v->rank : 2);
    tuple(b, v->rank ? v->strides : strides, v->rank ? v->rank : 2);
    ops(b, "\x89");
    named(b, "collections", "OrderedDict");
    ops(b, ")RtR");
}

static void begin(struct bytes *b) {
    *b = (struct bytes){0};
    put(b, "\x80\x02}(", 4);
}

/* The old format around a pickled object, with one storage "0" of `n` floats 0, 1, 2 ..., or with
 * none where n is -1. */
static void legacy(struct bytes *file, const struct bytes *object, int n) {
    *file = (struct bytes){0};
    put(file, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
    put(file, "\x80\x02M\xe9\x03.", 6);
    put(file, "\x80\x02}.", 4);
    put(file, object->data, object->n);
    if (n < 0) {
        put(file, "\x80\x02].", 4);
        return;
    }
    put(file,
        "\x80\x02]X\x01\0\0\0"
        "0a.",
        11);
    number(file, (uint64_t)n, 8);
    for (int i = 0; i < n; i++)
        put(file, &(float){(float)i}, sizeof(float));
}

struct entry {
    const char *name;
    const void *data;
    size_t n;
};

/* A zip archive of stored entries; where things are in it is returned through *directory. */
static void zip(struct bytes *file, const struct entry *entries, int n, size_t *directory) {
    struct bytes central = {0};
    *file = (struct bytes){0};
    for (int i = 0; i < n; i++) {
        const size_t at = file->n, n_name = strlen(entries[i].name);
        ops(file, "PK\3\4");
        number(file, 0, 22);
        number(file, n_name, 2);
        number(file, 0, 2);
        ops(file, entries[i].name);
        put(file, entries[i].data, entries[i].n);
        ops(&central, "PK\1\2");
        number(&central, 0, 12);
        number(&central, crc32_zip(entries[i].data, entries[i].n), 4);
        number(&central, entries[i].n, 4);
        number(&central, entries[i].n, 4);
        number(&central, n_name, 2);
        number(&central, 0, 12);
        number(&central, at, 4);
        ops(&central, entries[i].name);
    }
    *directory = file->n;
    put(file, central.data, central.n);
    ops(file, "PK\5\6");
    number(file, 0, 4);
    number(file, (uint64_t)n, 2);
    number(file, (uint64_t)n, 2);
    number(file, central.n, 4);
    number(file, *directory, 4);
    number(file, 0, 2);
}

/* ---- reading, from a heap block of exactly the file's size ---- */

static unsigned char *block;

static bool parse(struct tensors *out, const struct bytes *file, struct gpt2_error *err) {
    free(block);
    block = malloc(file->n ? file->n : 1);
    assert_non_null(block);
    memcpy(block, file->data, file->n);
    return torch_parse(out, block, file->n, "m.bin", err);
}

static int forget(void **state) {
    free(block);
    block = NULL;
    return 0;
}

static void expect_refused(const struct bytes *file, const char *word) {
    struct gpt2_error err = {0};
    struct tensors t;
    if (parse(&t, file, &err)) {
        tensors_close(&t);
        fail_msg("expected a refusal that says \"%s\"", word);
    }
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_ptr_equal(strstr(err.message, "m.bin: "), err.message);
    if (!strstr(err.message, word) && !strstr(err.hint, word))
        fail_msg("expected \"%s\" in: %s [%s]", word, err.message, err.hint);
}

static void expect_floats(const struct tensor *t, const float *values, size_t n) {
    assert_string_equal(t->dtype, "F32");
    assert_int_equal(t->n_bytes, n * sizeof(float));
    assert_memory_equal(t->data, values, n * sizeof(float));
}

/* ---- accepted ---- */

static void a_state_dict_in_both_formats(void **state) {
    struct bytes object, file;
    size_t directory;
    begin(&object);
    tensor(&object, &(struct view){0});
    ops(&object, "u.");
    const float values[] = {0, 1, 2, 3, 4, 5};
    for (int old = 0; old < 2; old++) {
        struct gpt2_error err = {0};
        struct tensors t;
        const struct entry entries[] = {{"m/data.pkl", object.data, object.n},
                                        {"m/data/0", values, sizeof values},
                                        {"m/version", "3\n", 2}};
        if (old)
            legacy(&file, &object, 6);
        else
            zip(&file, entries, 3, &directory);
        if (!parse(&t, &file, &err))
            fail_msg("%s", err.message);
        assert_int_equal(t.count, 1);
        assert_string_equal(t.items[0].name, "w");
        assert_int_equal(t.items[0].rank, 2);
        assert_int_equal(t.items[0].shape[0], 2);
        assert_int_equal(t.items[0].shape[1], 3);
        expect_floats(&t.items[0], values, 6);
        assert_int_equal(t.n_copies, 0); // where it lies
        tensors_close(&t);
    }
}

static void views_are_put_in_order(void **state) {
    struct bytes object, file;
    struct gpt2_error err = {0};
    struct tensors t;
    begin(&object);
    tensor(&object, &(struct view){.name = "t", .rank = 2, .shape = {3, 2}, .strides = {1, 3}});
    tensor(&object,
           &(struct view){.name = "column", .offset = 1, .rank = 1, .shape = {2}, .strides = {3}});
    tensor(&object,
           &(struct view){.name = "part", .offset = 2, .rank = 1, .shape = {3}, .strides = {1}});
    tensor(&object,
           &(struct view){.name = "none", .offset = 6, .rank = 1, .shape = {0}, .strides = {1}});
    ops(&object, "u.");
    legacy(&file, &object, 6);
    if (!parse(&t, &file, &err))
        fail_msg("%s", err.message);
    expect_floats(&t.items[0], (const float[]){0, 3, 1, 4, 2, 5}, 6);
    expect_floats(&t.items[1], (const float[]){1, 4}, 2);
    expect_floats(&t.items[2], (const float[]){2, 3, 4}, 3);
    assert_int_equal(t.items[3].n_bytes, 0);
    tensors_close(&t);
}

static void a_pickle_of_python_2_and_attributes(void **state) {
    struct bytes object = {0}, file;
    struct gpt2_error err = {0};
    struct tensors t;
    put(&object, "\x80\x02", 2); // OrderedDict([["w", tensor]]), then an attribute
    named(&object, "collections", "OrderedDict");
    ops(&object, "(](](");
    tensor(&object, &(struct view){0});
    ops(&object, "eetR}(");
    text(&object, "_metadata");
    ops(&object, "Nub.");
    legacy(&file, &object, 6);
    if (!parse(&t, &file, &err))
        fail_msg("%s", err.message);
    assert_int_equal(t.count, 1);
    tensors_close(&t);
}

static void nanogpt_says_its_shape_and_its_matrices_are_turned(void **state) {
    static const char *const keys[] = {"n_layer", "n_head", "n_embd", "block_size", "vocab_size"};
    for (int missing = -1; missing < 5; missing++) {
        struct bytes object, file;
        struct gpt2_error err = {0};
        struct tensors t;
        begin(&object);
        text(&object, "model");
        ops(&object, "}(");
        tensor(&object, &(struct view){.name = "_orig_mod.transformer.h.0.attn.c_attn.weight",
                                       .rank = 2,
                                       .shape = {6, 2},
                                       .strides = {2, 1},
                                       .count = 12});
        tensor(&object, &(struct view){.name = "_orig_mod.transformer.h.0.attn.c_proj.weight",
                                       .rank = 2,
                                       .shape = {2, 2},
                                       .strides = {2, 1},
                                       .count = 12});
        ops(&object, "u");
        text(&object, "model_args");
        ops(&object, "}(");
        for (int i = 0; i < 5; i++) {
            text(&object, keys[i]);
            if (i == missing)
                ops(&object, "N");
            else
                integer(&object, i + 1);
        }
        text(&object, "bias");
        ops(&object, "\x89uu.");
        legacy(&file, &object, 12);
        if (missing >= 0) {
            expect_refused(&file, keys[missing]);
            continue;
        }
        if (!parse(&t, &file, &err))
            fail_msg("%s", err.message);
        assert_int_equal(t.items[0].shape[0], 2);
        assert_int_equal(t.items[0].shape[1], 6);
        expect_floats(&t.items[0], (const float[]){0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}, 12);
        expect_floats(&t.items[1], (const float[]){0, 2, 1, 3}, 4);
        assert_int_equal(t.count, 4); // with biases of zeros
        assert_string_equal(t.items[2].name, "_orig_mod.transformer.h.0.attn.c_attn.bias");
        expect_floats(&t.items[2], (const float[6]){0}, 6);
        assert_non_null(strstr(t.config, "\"n_positions\": 4"));
        assert_non_null(strstr(t.config, "\"activation_function\": \"gelu\""));
        tensors_close(&t);
    }
}

/* ---- refused ---- */

static void nothing_is_called_and_strangers_are_named(void **state) {
    static const struct {
        const char *module, *name, *word;
    } cases[] = {
        {"os", "system", "os.system"},
        {"posix", "system", "posix.system"},
        {"builtins", "eval", "builtins.eval"},
        {"__builtin__", "getattr", "__builtin__.getattr"},
        {"torch", "load", "torch.load"},
        {"torch._utils", "_rebuild_tensor_v2.__globals__", "__globals__"},
        {"collections", "OrderedDict.clear", "collections.OrderedDict.clear"},
        {"transformers.models.gpt2.modeling_gpt2", "GPT2LMHeadModel", "state_dict() alone"},
        {"torch._utils", "_rebuild_qtensor", "quantised"},
        {"torch", "QInt8Storage", "quantised"},
        {"torch._utils", "_rebuild_sparse_tensor", "to_dense"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes object, file;
        begin(&object);
        text(&object, "w");
        named(&object, cases[i].module, cases[i].name);
        ops(&object, "(");
        text(&object, "echo called");
        ops(&object, "tRu.");
        legacy(&file, &object, 6);
        expect_refused(&file, cases[i].word);
    }
}

static void malformed_pickles(void **state) {
    static const struct {
        const char *ops; // after 80 02
        size_t n;
        const char *word;
    } cases[] = {
#define CASE(literal, word) {literal, sizeof(literal) - 1, word}
        CASE("}", "truncated"),
        CASE("X\xff\xff\xff\xff"
             "abc",
             "truncated"),
        CASE("cos\nsys", "truncated"),
        CASE("0.", "0x30"),               // POP
        CASE("\x93.", "0x93"),            // STACK_GLOBAL
        CASE("ios\nsystem\n.", "0x69"),   // INST
        CASE("(o.", "0x6F"),              // OBJ
        CASE("\x82\x01.", "0x82"),        // EXT1
        CASE("\x80\x04N.", "protocol 2"), // PROTO 4
        CASE(".", "none"),                // nothing on the stack
        CASE("(.", "none"),               // a mark alone
        CASE("NN.", "1 more"),
        CASE("t.", "mark"),
        CASE("(\x85.", "mark"),
        CASE("\x87.", "expected 3 values"),
        CASE("}(Nu.", "pairs"),
        CASE("N(NNu.", "a dict"),
        CASE("NNa.", "a list"),
        CASE("(NNu.", "none"),
        CASE("h\x05.", "memo"),
        CASE("Nr\xff\xff\xff\xff.", "memo"),
        CASE("j\xff\xff\xff\xff.", "memo"),
        CASE("N)R.", "a call"),
        CASE("ccollections\nOrderedDict\nNR.", "a call"),
        CASE("ccollections\nOrderedDict\nK\1\x85R.", "made of"),
        CASE("ccollections\nOrderedDict\n](N]e\x85R.", "pairs"),
        CASE("NNb.", "a dict"),
        CASE("}Nb.", "attributes"),
        CASE("\x8a\x09"
             "123456789.",
             "8 bytes"),
        CASE("NQ.", "storage"),
        CASE("K\1\x85Q.", "storage"),
        CASE("(X\6\0\0\0moduleNNNtQ.", "whole model"),
        CASE("N.", "expected a dict of tensors"),
        CASE("}(X\1\0\0\0wNu.", "expected a tensor"),
        CASE("}(K\1Nu.", "as a name"),
        CASE("}q\0(X\1\0\0\0wh\0u.", "expected a tensor"), // it contains itself
        CASE("ctorch\nFloatStorage\n.", "a class"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes object = {0}, file;
        put(&object, "\x80\x02", 2);
        put(&object, cases[i].ops, cases[i].n);
        legacy(&file, &object, -1);
        if (strcmp(cases[i].word, "truncated") == 0)
            file.n = 15 + 6 + 4 + object.n;
        expect_refused(&file, cases[i].word);
    }
}

static void a_pickle_cannot_ask_for_memory_without_end(void **state) {
    const size_t n = (3u << 20) + 25;
    unsigned char *bytes = malloc(n);
    assert_non_null(bytes);
    struct bytes object = {0}, file;
    legacy(&file, &object, 0);
    memcpy(bytes, file.data, 25); // magic, version, facts
    memset(bytes + 25, '}', n - 25);
    bytes[25] = 0x80, bytes[26] = 2;
    struct gpt2_error err = {0};
    struct tensors t;
    assert_false(torch_parse(&t, bytes, n, "m.bin", &err));
    assert_non_null(strstr(err.message, "at most 2097152 values"));
    free(bytes);
}

static void malformed_views(void **state) {
    static const struct {
        struct view view;
        const char *word;
    } cases[] = {
        {{.offset = 1}, "last element is number 6 of a storage that has 6"},
        {{.offset = -1}, "an offset"},
        {{.offset = INT64_MAX}, "last element"},
        {{.rank = 2, .shape = {2, 3}, .strides = {4, 1}}, "last element"},
        {{.rank = 2, .shape = {2, 3}, .strides = {-3, 1}}, "strides"},
        {{.rank = 2, .shape = {-2, 3}, .strides = {3, 1}}, "shape"},
        {{.rank = 1, .shape = {7}, .strides = {0}}, "7 elements are a view of only 6"},
        {{.rank = 2, .shape = {INT64_MAX, 4}, .strides = {0, 0}}, "overflows"},
        {{.rank = 2, .shape = {2, 2}, .strides = {INT64_MAX, INT64_MAX}}, "last element"},
        {{.rank = 3, .shape = {3, 3, 3}, .strides = {INT64_MAX, INT64_MAX, 1}}, "overflows"},
        {{.rank = 9, .shape = {1, 1, 1, 1, 1, 1, 1, 1, 1}}, "at most 8 dimensions"},
        {{.rank = 1, .offset = 7, .shape = {0}, .strides = {1}}, "storage that has 6"},
        {{.count = 5}, "expected 5 elements, found 6"},
        {{.count = 7}, "truncated"},
        {{.count = -1}, "a storage as"},
        {{.count = INT64_MAX}, "overflow"},
        {{.type = "DoubleStorage"}, "truncated"},
        {{.type = "Size"}, "type of storage"},
        {{.key = "1"}, "no tensor uses"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes object, file;
        begin(&object);
        tensor(&object, &cases[i].view);
        ops(&object, "u.");
        legacy(&file, &object, 6);
        expect_refused(&file, cases[i].word);
    }
    struct bytes object, file; // views without end of one storage
    begin(&object);
    for (int i = 0; i < 20; i++)
        tensor(&object, &(struct view){.name = (const char[]){(char)('a' + i), 0},
                                       .rank = 2,
                                       .shape = {16, 16},
                                       .strides = {1, 16},
                                       .count = 256});
    ops(&object, "u.");
    legacy(&file, &object, 256);
    expect_refused(&file, "no more bytes than the file");
}

static void malformed_old_files(void **state) {
    struct bytes object, file, whole;
    begin(&object);
    tensor(&object, &(struct view){0});
    ops(&object, "u.");
    legacy(&whole, &object, 6);
    for (size_t n = 0; n < whole.n; n++) {
        file = whole;
        file.n = n;
        expect_refused(&file, "");
    }
    file = whole;
    put(&file, "x", 1);
    expect_refused(&file, "found 1 more");
    file = whole;
    file.data[15 + 3] ^= 1;
    expect_refused(&file, "1001");
    file = (struct bytes){0};
    ops(&file, "version https://git-lfs.github.com/spec/v1\n");
    expect_refused(&file, "git lfs pull");
}

static void malformed_archives(void **state) {
    struct bytes object, whole, file;
    size_t directory;
    const float values[6] = {0};
    begin(&object);
    tensor(&object, &(struct view){0});
    ops(&object, "u.");
    struct entry entries[] = {{"m/data.pkl", object.data, object.n}, {"m/data/0", values, 24}};
    zip(&whole, entries, 2, &directory);
    for (size_t n = 0; n < whole.n; n++) {
        file = whole;
        file.n = n;
        expect_refused(&file, "");
    }
    const size_t end = whole.n - 22;
    const struct {
        size_t at;
        unsigned char value;
        const char *word;
    } changes[] = {
        {directory + 8, 1, "encrypted"},
        {directory + 10, 8, "method 8"},
        {directory + 16, whole.data[directory + 16] ^ 1, "checksum"},
        {directory + 20, 1, "sizes"},
        {directory + 42, 1, "header"},
        {directory + 45, 0x7F, "header"},
        {directory, 'X', "directory"},
        {directory + 29, 0xFF, "longer than the directory"},
        {0, 'P' ^ 1, "torch.save"},
        {30, 'n', "no data.pkl"}, // a name in a local header does not matter
        {end + 4, 1, "part of several"},
        {end + 10, 200, "entries do not fit"},
        {end + 10, 3, "directory"},
        {end + 19, 0x7F, "outside"},
        {end + 20, 1, "end record"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        file = whole;
        file.data[changes[i].at] = changes[i].value;
        if (strcmp(changes[i].word, "no data.pkl") == 0) {
            struct tensors t;
            assert_true(parse(&t, &file, NULL));
            tensors_close(&t);
            continue;
        }
        expect_refused(&file, changes[i].word);
    }
    entries[1].n = 20;
    zip(&file, entries, 2, &directory);
    expect_refused(&file, "expected 24 bytes");
    entries[1].name = "m/data/1";
    zip(&file, entries, 2, &directory);
    expect_refused(&file, "an entry data/0");
    entries[1].name = "m/data.pkl";
    zip(&file, entries, 2, &directory);
    expect_refused(&file, "twice");
    entries[1].name = "m/constants.pkl";
    zip(&file, entries, 2, &directory);
    expect_refused(&file, "TorchScript");
    entries[1] = (struct entry){"m/byteorder", "big", 3};
    zip(&file, entries, 2, &directory);
    expect_refused(&file, "expected little, found big");
    entries[0].name = "other";
    zip(&file, entries, 1, &directory);
    expect_refused(&file, "no data.pkl");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_state_dict_in_both_formats, forget),
        cmocka_unit_test_teardown(views_are_put_in_order, forget),
        cmocka_unit_test_teardown(a_pickle_of_python_2_and_attributes, forget),
        cmocka_unit_test_teardown(nanogpt_says_its_shape_and_its_matrices_are_turned, forget),
        cmocka_unit_test_teardown(nothing_is_called_and_strangers_are_named, forget),
        cmocka_unit_test_teardown(malformed_pickles, forget),
        cmocka_unit_test(a_pickle_cannot_ask_for_memory_without_end),
        cmocka_unit_test_teardown(malformed_views, forget),
        cmocka_unit_test_teardown(malformed_old_files, forget),
        cmocka_unit_test_teardown(malformed_archives, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
