/* test_tensorflow.c - OpenAI's checkpoint, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32.h"
#include "testtable.h"
#include "weights/tensorflow/tensorflow.h"

#include <stdlib.h>
#include <string.h>

static const float values[6] = {0, 1, 2, 3, 4, 5};

/* What an entry says; 0 stands for what is right. */
struct options {
    const char *name;     /* "model/h0/attn/c_attn/w" */
    int dtype;            /* 1                        */
    int dims[10], n_dims; /* [1, 2, 3]               */
    uint64_t shard, offset, size;
    uint32_t crc;
    bool sliced, no_header;
    int n_shards, big_endian;
    const char *raw; /* the entry itself */
};

static void put_varint(struct testtable *b, uint64_t value) {
    for (; value > 127; value >>= 7)
        testtable_put(b, &(unsigned char){(unsigned char)(value | 128)}, 1);
    testtable_put(b, &(unsigned char){(unsigned char)value}, 1);
}

static void put_field(struct testtable *b, int number, uint64_t value) {
    put_varint(b, (uint64_t)number << 3);
    put_varint(b, value);
}

static void put_message(struct testtable *b, int number, const struct testtable *inner) {
    put_varint(b, (uint64_t)number << 3 | 2);
    put_varint(b, inner->n);
    testtable_put(b, inner->data, inner->n);
}

static void put_entry(struct testtable *block, const char *key, const struct testtable *value) {
    put_varint(block, 0);
    put_varint(block, strlen(key));
    put_varint(block, value->n);
    testtable_put(block, key, strlen(key));
    testtable_put(block, value->data, value->n);
}

static void build(struct testtable *table, const struct options *o) {
    static const int right[] = {1, 2, 3};
    struct testtable block = {0}, header = {0}, entry = {0}, shape = {0};
    put_field(&header, 1, o->n_shards ? (uint64_t)o->n_shards : 1);
    if (o->big_endian)
        put_field(&header, 2, 1);
    if (!o->no_header)
        put_entry(&block, "", &header);
    for (int i = 0; i < (o->n_dims ? o->n_dims : 3); i++) {
        struct testtable dim = {0};
        put_field(&dim, 1, (uint64_t)(o->n_dims ? o->dims : right)[i]);
        put_message(&shape, 2, &dim);
    }
    put_field(&entry, 1, o->dtype ? (uint64_t)o->dtype : 1);
    put_message(&entry, 2, &shape);
    put_field(&entry, 3, o->shard);
    put_field(&entry, 4, o->offset);
    put_field(&entry, 5, o->size ? o->size : sizeof values);
    put_varint(&entry, 6 << 3 | 5);
    const uint32_t crc = o->crc ? o->crc : testtable_mask(crc32_castagnoli(values, sizeof values));
    testtable_put(&entry, &crc, 4);
    if (o->sliced)
        put_message(&entry, 7, &(struct testtable){0});
    if (o->raw) {
        entry.n = 0;
        testtable_put(&entry, o->raw, strlen(o->raw));
    }
    put_entry(&block, o->name ? o->name : "model/h0/attn/c_attn/w", &entry);
    testtable_wrap(table, block.data, block.n);
}

static bool parse(struct tensors *out, const struct testtable *table, size_t n,
                  struct gpt2_error *err) {
    unsigned char *block = malloc(n ? n : 1); // of exactly its size
    assert_non_null(block);
    memcpy(block, table->data, n);
    const bool ok = tensorflow_parse(out, block, n, (const unsigned char *)values, sizeof values,
                                     "m.index", err);
    free(block);
    return ok;
}

static void expect_refused(const struct testtable *table, size_t n, const char *word) {
    struct gpt2_error err = {0};
    struct tensors t;
    if (parse(&t, table, n, &err))
        fail_msg("expected a refusal that says \"%s\"", word);
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    if (strncmp(err.message, "m.index: ", 9) != 0 || !strstr(err.message, word))
        fail_msg("expected \"%s\" in: %s [%s]", word, err.message, err.hint);
}

static void checksums_are_the_published_ones(void **state) {
    assert_int_equal(crc32_castagnoli("123456789", 9), 0xE3069283);
    assert_int_equal(crc32_zip("123456789", 9), 0xCBF43926);
    assert_int_equal(crc32_castagnoli("", 0), 0);
    unsigned char zeros[32] = {0}; // of RFC 3720
    assert_int_equal(crc32_castagnoli(zeros, 32), 0x8A9136AA);
}

static void names_are_gpt2s_and_the_leading_1_goes(void **state) {
    static const struct {
        const char *key, *name;
        int dims[3], n_dims, rank;
    } cases[] = {
        {"model/h0/attn/c_attn/w", "h.0.attn.c_attn.weight", {1, 2, 3}, 3, 2},
        {"model/h11/mlp/c_proj/b", "h.11.mlp.c_proj.bias", {6}, 1, 1},
        {"model/h3/ln_1/g", "h.3.ln_1.weight", {6}, 1, 1},
        {"model/ln_f/b", "ln_f.bias", {6}, 1, 1},
        {"model/wte", "wte.weight", {3, 2}, 2, 2},
        {"model/wpe", "wpe.weight", {3, 2}, 2, 2},
        {"model/wte/Adam", "model/wte/Adam", {3, 2}, 2, 2},
        {"global_step", "global_step", {6}, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options o = {.name = cases[i].key, .n_dims = cases[i].n_dims};
        struct testtable table;
        struct tensors t;
        struct gpt2_error err = {0};
        memcpy(o.dims, cases[i].dims, sizeof cases[i].dims);
        build(&table, &o);
        if (!parse(&t, &table, table.n, &err))
            fail_msg("%s", err.message);
        assert_int_equal(t.count, 1);
        assert_string_equal(t.items[0].name, cases[i].name);
        assert_int_equal(t.items[0].rank, cases[i].rank);
        assert_ptr_equal(t.items[0].data, values);
        tensors_close(&t);
    }
}

static void damaged_entries_are_refused(void **state) {
    static const struct {
        struct options options;
        const char *word;
    } cases[] = {
        {{.crc = 1}, "checksum of its data"},
        {{.offset = 1}, "ends after the 24 bytes"},
        {{.offset = UINT64_MAX}, "ends after"},
        {{.size = 20}, "expected 24 bytes for its shape, found 20"},
        {{.size = UINT64_MAX}, "expected 24 bytes"},
        {{.shard = 1}, "does not exist"},
        {{.n_shards = 1001}, "1 to 1000 data files"},
        {{.big_endian = 1}, "big-endian"},
        {{.no_header = true}, "one header"},
        {{.sliced = true}, "slices"},
        {{.dtype = 7}, "another type"},
        {{.dims = {1, 1, 1, 1, 1, 1, 1, 1, 1}, .n_dims = 9}, "is damaged"},
        {{.dims = {-1}, .n_dims = 1}, "is damaged"},
        {{.dims = {INT32_MAX, INT32_MAX, INT32_MAX}, .n_dims = 3}, "overflows"},
        {{.dims = {7}, .n_dims = 1}, "expected 28 bytes"},
        {{.raw = "\x08"}, "is damaged"},
        {{.raw = "\x12\x7f"}, "is damaged"},
        {{.raw = "\x0b"}, "is damaged"},
        {{.raw = "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}, "is damaged"},
        {{.name = ""}, "one header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct testtable table;
        build(&table, &cases[i].options);
        expect_refused(&table, table.n, cases[i].word);
    }
    struct testtable table; // bookkeeping of another type is not ours to judge
    struct tensors t;
    build(&table, &(struct options){.name = "_OBJECT_GRAPH", .dtype = 7});
    assert_true(parse(&t, &table, table.n, NULL));
    assert_int_equal(t.count, 0);
    tensors_close(&t);
}

static void damaged_tables_are_refused(void **state) {
    struct testtable table;
    build(&table, &(struct options){0});
    for (size_t n = 0; n < table.n; n++)
        expect_refused(&table, n, "");
    // a change of any byte in front of the footer breaks a checksum or a number
    for (size_t i = 0; i < table.n - 48; i++) {
        table.data[i] ^= 0x10;
        expect_refused(&table, table.n, "");
        table.data[i] ^= 0x10;
    }
    table.data[table.n - 1] ^= 1;
    expect_refused(&table, table.n, "magic number");
    // whole blocks, but no sense in them
    static const struct {
        const char *block;
        size_t n;
        const char *word;
    } cases[] = {
        {"\1\0\0", 3, "longer than its block"},   // shares what is not there
        {"\0\x7f\0", 3, "longer than its block"}, // a key
        {"\0\0\xff\xff\xff\xff\xf", 7, "longer than its block"},
        {"\0\0", 2, "longer than its block"},
        {"", 0, "one header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        testtable_wrap(&table, cases[i].block, cases[i].n);
        expect_refused(&table, table.n, cases[i].word);
    }
}

static void hparams_become_a_configuration(void **state) {
    static const char good[] =
        "{\"n_vocab\": 50257, \"n_ctx\": 1024, \"n_embd\": 768, \"n_head\": 12, \"n_layer\": 12}";
    struct gpt2_error err = {0};
    char *config = tensorflow_config(good, sizeof good - 1, "hparams.json", &err);
    assert_string_equal(config, "{\"model_type\": \"gpt2\", \"n_layer\": 12, \"n_head\": 12, "
                                "\"n_embd\": 768, \"n_positions\": 1024, \"vocab_size\": 50257}");
    free(config);
    assert_null(tensorflow_config("{\"n_layer\": 1.5}", 16, "hparams.json", &err));
    assert_non_null(strstr(err.message, "hparams.json: \"n_layer\": expected an integer"));
    assert_null(tensorflow_config("{", 1, "hparams.json", &err));
    assert_null(tensorflow_config("[]", 2, "hparams.json", &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_the_published_ones),
        cmocka_unit_test(names_are_gpt2s_and_the_leading_1_goes),
        cmocka_unit_test(damaged_entries_are_refused),
        cmocka_unit_test(damaged_tables_are_refused),
        cmocka_unit_test(hparams_become_a_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
