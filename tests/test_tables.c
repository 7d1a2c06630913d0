/* test_tables.c - a tokenizer as bytes and back: the same tokenizer, and nothing worse than a
 * refusal from bytes that are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testtext.h"
#include "text/bpe_table.h"
#include "text/tables.h"
#include "weights/packed.h"
#include "weights/packed_writer.h"

#include <unistd.h>

struct blob {
    unsigned char *bytes; /* [n] at a multiple of TABLES_ALIGN */
    size_t n;
};

static struct blob pack(const struct gpt2_tokenizer *t) {
    struct blob blob;
    assert_true(gpt2_tokenizer_pack(t, &blob.bytes, &blob.n, NULL));
    assert_int_equal((uintptr_t)blob.bytes % TABLES_ALIGN, 0);
    return blob;
}

static struct gpt2_tokenizer *unpack(const struct blob *blob) {
    struct gpt2_error err;
    struct gpt2_tokenizer *t = tokenizer_unpack(blob->bytes, blob->n, "tables", &err);
    if (!t)
        fail_msg("%s", err.message);
    return t;
}

static struct gpt2_tokenizer *made(uint64_t seed, int n_merges, bool wild) {
    struct vocab *vocab = make_vocab(seed, n_merges, wild);
    assert_non_null(vocab);
    struct gpt2_tokenizer *t = tokenizer_create(vocab, NULL);
    assert_non_null(t);
    return t;
}

/* A text of n bytes in which words repeat, some bytes are anything, and special tokens occur. */
static void make_text(unsigned char *text, size_t n, uint64_t seed) {
    static const char words[] = "the of and <|endoftext|> aaaaaaaaaaaaaaaa 12345 \n\n  It's ";
    for (size_t i = 0; i < n;) {
        size_t from = random_below(&seed, sizeof words - 1), len = random_below(&seed, 20);
        for (size_t k = 0; k < len && i < n; k++, i++)
            text[i] = (unsigned char)words[(from + k) % (sizeof words - 1)];
        if (i < n && random_below(&seed, 4) == 0)
            text[i++] = (unsigned char)next_random(&seed);
    }
}

static void check_same_ids(const struct gpt2_tokenizer *a, const struct gpt2_tokenizer *b,
                           const unsigned char *text, size_t n, unsigned flags) {
    struct gpt2_ids x = {0}, y = {0};
    bool ok = gpt2_tokenizer_encode(a, (const char *)text, n, flags, &x, NULL);
    assert_int_equal(gpt2_tokenizer_encode(b, (const char *)text, n, flags, &y, NULL), ok);
    assert_int_equal(x.len, y.len);
    if (x.len)
        assert_memory_equal(x.data, y.data, x.len * sizeof *x.data);
    gpt2_ids_free(&x);
    gpt2_ids_free(&y);
}

static void check_same_tokens(const struct gpt2_tokenizer *a, const struct gpt2_tokenizer *b) {
    assert_int_equal(gpt2_tokenizer_size(a), gpt2_tokenizer_size(b));
    for (int32_t id = -1; id <= gpt2_tokenizer_size(a); id++) {
        size_t n, m;
        const char *x = gpt2_tokenizer_token(a, id, &n), *y = gpt2_tokenizer_token(b, id, &m);
        assert_int_equal(n, m);
        assert_int_equal(!x, !y);
        if (!x)
            continue;
        assert_memory_equal(x, y, n);
        assert_int_equal(gpt2_tokenizer_find(a, x, n), gpt2_tokenizer_find(b, x, n));
        assert_int_equal(gpt2_tokenizer_is_special(a, id), gpt2_tokenizer_is_special(b, id));
    }
}

/* Packs and unpacks, and compares everything that can be asked. Takes `t` over. */
static void check_same(struct gpt2_tokenizer *t) {
    struct blob blob = pack(t);
    struct gpt2_tokenizer *back = unpack(&blob);
    struct blob again = pack(back);
    assert_int_equal(blob.n, again.n);
    assert_memory_equal(blob.bytes, again.bytes, blob.n);
    check_same_tokens(t, back);
    unsigned char text[6000]; // more than what a cache is made for
    for (uint64_t seed = 0; seed < 8; seed++) {
        make_text(text, sizeof text, seed);
        size_t n = seed < 4 ? 200 : sizeof text;
        check_same_ids(t, back, text, n, GPT2_ENCODE_TEXT);
        check_same_ids(t, back, text, n, GPT2_ENCODE_SPECIAL);
    }
    memset(text, 'a', sizeof text); // one long piece
    check_same_ids(t, back, text, sizeof text, GPT2_ENCODE_TEXT);
    gpt2_tokenizer_close(back);
    gpt2_tokenizer_close(t);
    free(again.bytes);
    free(blob.bytes);
}

static void made_up_vocabularies_come_back(void **state) {
    for (uint64_t seed = 0; seed < 6; seed++)
        check_same(made(seed, seed % 2 ? 40 : 2000, seed > 3));
    check_same(made(7, 0, false)); // no merges at all
}

static void the_shipped_tokenizer_comes_back(void **state) {
    struct gpt2_tokenizer *t = gpt2_tokenizer_open("models/tales", NULL);
    assert_non_null(t);
    check_same(t);
}

static void the_tokenizer_of_gpt2_comes_back(void **state) {
    char path[4096];
    if (!data_path(path, sizeof path, "gpt2"))
        skip();
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(path, NULL);
    assert_non_null(t);
    check_same(t);
}

/* ---- damage ---- */

static void check_refused(const unsigned char *bytes, size_t n, const char *why) {
    struct gpt2_error err = {0};
    struct gpt2_tokenizer *t = tokenizer_unpack(bytes, n, "tables", &err);
    if (t)
        fail_msg("accepted: %s", why);
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_non_null(strstr(err.message, "tables: "));
    assert_true(err.hint[0] != 0);
}

static void any_other_header_is_refused(void **state) {
    struct gpt2_tokenizer *t = made(1, 40, false);
    struct blob blob = pack(t);
    const size_t flags = offsetof(struct tables_header, flags);
    for (size_t at = 0; at < sizeof(struct tables_header); at++) {
        for (int bit = 0; bit < 8; bit++) {
            if (at == flags && bit < 4)
                continue; // a setting like others
            blob.bytes[at] ^= (unsigned char)(1 << bit);
            char why[64];
            snprintf(why, sizeof why, "bit %d of byte %zu of the header", bit, at);
            check_refused(blob.bytes, blob.n, why);
            blob.bytes[at] ^= (unsigned char)(1 << bit);
        }
    }
    gpt2_tokenizer_close(unpack(&blob));
    free(blob.bytes);
    gpt2_tokenizer_close(t);
}

static void any_other_length_or_place_is_refused(void **state) {
    struct gpt2_tokenizer *t = made(3, 40, false);
    struct blob blob = pack(t);
    for (size_t n = 0; n < blob.n; n += n < 256 ? 1 : 61) {
        // of exactly that size, for the sanitizer to see a read past its end
        unsigned char *copy = aligned_alloc(TABLES_ALIGN, blob.n);
        assert_non_null(copy);
        memcpy(copy + (blob.n - n) / 64 * 64, blob.bytes, n);
        check_refused(copy + (blob.n - n) / 64 * 64, n, "a truncated one");
        free(copy);
    }
    unsigned char *moved = aligned_alloc(TABLES_ALIGN, blob.n + TABLES_ALIGN);
    assert_non_null(moved);
    memcpy(moved + 8, blob.bytes, blob.n);
    check_refused(moved + 8, blob.n, "one at another place");
    memcpy(moved, blob.bytes, blob.n);
    memset(moved + blob.n, 0, TABLES_ALIGN);
    check_refused(moved, blob.n + TABLES_ALIGN, "one with more after it");
    free(moved);
    free(blob.bytes);
    gpt2_tokenizer_close(t);
}

static void tables_without_a_free_slot_are_refused(void **state) {
    struct gpt2_tokenizer *t = made(5, 40, false);
    for (int which = 0; which < 3; which++) {
        struct blob blob = pack(t);
        struct tables tables;
        assert_true(tables_unpack(&tables, blob.bytes, blob.n, "tables", NULL));
        const struct vocab_index *index = &tables.vocab->ordinary;
        for (size_t i = 0; which == 0 && i <= index->mask; i++)
            index->slots[i] = index->slots[i] ? index->slots[i] : 1;
        for (size_t i = 0; which == 1 && i <= tables.pieces->mask; i++)
            tables.pieces->slots[i].key.hi |= 1;
        for (size_t i = 0; which == 2 && i <= tables.vocab->added_index.mask; i++)
            tables.vocab->added_index.slots[i] = 1;
        tables_free(&tables);
        check_refused(blob.bytes, blob.n, "a full hash table");
        free(blob.bytes);
    }
    gpt2_tokenizer_close(t);
}

static void ids_out_of_range_are_refused(void **state) {
    struct gpt2_tokenizer *t = made(9, 40, false);
    const int32_t size = gpt2_tokenizer_size(t);
    for (int which = 0; which < 5; which++) {
        struct blob blob = pack(t);
        struct tables tables;
        assert_true(tables_unpack(&tables, blob.bytes, blob.n, "tables", NULL));
        int32_t byte_id = size;
        if (which == 0)
            tables.bpe->results[0] = size;
        else if (which == 1)
            tables.pieces->slots[tables.pieces->mask].id = -1;
        else if (which == 2)
            tables.vocab->ordinary.slots[0] = (uint32_t)size + 1;
        else if (which == 3)
            tables.vocab->tokens[0].offset = UINT32_MAX;
        else // the first thing after the header
            memcpy(blob.bytes + sizeof(struct tables_header), &byte_id, sizeof byte_id);
        tables_free(&tables);
        check_refused(blob.bytes, blob.n, "an id or offset out of range");
        free(blob.bytes);
    }
    gpt2_tokenizer_close(t);
}

static void random_damage_is_refused_or_harmless(void **state) {
    struct gpt2_tokenizer *t = made(11, 60, true);
    struct blob blob = pack(t);
    unsigned char *saved = malloc(blob.n), text[3000];
    assert_non_null(saved);
    memcpy(saved, blob.bytes, blob.n);
    uint64_t seed = 1;
    int n_accepted = 0, n_refused = 0;
    for (int round = 0; round < 1500; round++) {
        for (size_t k = 1 + random_below(&seed, 3); k > 0; k--)
            blob.bytes[random_below(&seed, blob.n)] ^= (unsigned char)(1 << random_below(&seed, 8));
        struct gpt2_error err;
        struct gpt2_tokenizer *back = tokenizer_unpack(blob.bytes, blob.n, "tables", &err);
        n_accepted += back != NULL;
        n_refused += back == NULL;
        if (back) {
            struct gpt2_ids ids = {0};
            make_text(text, sizeof text, (uint64_t)round);
            gpt2_tokenizer_encode(back, (const char *)text, sizeof text,
                                  round % 2 ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT, &ids, NULL);
            for (size_t i = 0; i < ids.len; i++)
                assert_in_range(ids.data[i], 0, gpt2_tokenizer_size(back) - 1);
            gpt2_ids_free(&ids);
            gpt2_tokenizer_close(back);
        }
        memcpy(blob.bytes, saved, blob.n);
    }
    assert_true(n_accepted > 0 && n_refused > 0); // both are tried
    free(saved);
    free(blob.bytes);
    gpt2_tokenizer_close(t);
}

/* ---- in a file ---- */

static void write_packed(const char *path, const struct blob *blob, const char *name) {
    struct gpt2_error err;
    const struct tensor tensor = {
        .name = name, .dtype = "U8", .rank = 1, .shape = {(int64_t)blob->n}, .n_bytes = blob->n};
    struct packed_writer writer = {0};
    if (!packed_writer_create(&writer, path, "q8", &tensor, 1, &err) ||
        !packed_write(&writer, blob->bytes, blob->n, &err) || !packed_writer_commit(&writer, &err))
        fail_msg("%s", err.message);
}

static void a_packed_file_is_opened(void **state) {
    char folder[] = "/tmp/gpt2-tables.XXXXXX", path[64];
    struct gpt2_error err;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
    struct gpt2_tokenizer *t = made(13, 40, false);
    struct blob blob = pack(t);

    write_packed(path, &blob, PACKED_TOKENIZER);
    struct gpt2_tokenizer *back = gpt2_tokenizer_open(path, &err);
    if (!back)
        fail_msg("%s", err.message);
    check_same_tokens(t, back);
    gpt2_tokenizer_close(back);

    FILE *file = fopen(path, "r+b"); // its last byte; a checksum tells
    assert_non_null(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    int last = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    assert_true(fputc(last ^ 1, file) != EOF);
    assert_int_equal(fclose(file), 0);
    assert_null(gpt2_tokenizer_open(path, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_non_null(strstr(err.message, "damaged"));

    write_packed(path, &blob, "other");
    assert_null(gpt2_tokenizer_open(path, &err));
    assert_non_null(strstr(err.message, "expected a tokenizer in the file"));
    assert_non_null(strstr(err.hint, "--ids"));

    free(blob.bytes);
    gpt2_tokenizer_close(t);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up_vocabularies_come_back),
        cmocka_unit_test(the_shipped_tokenizer_comes_back),
        cmocka_unit_test(the_tokenizer_of_gpt2_comes_back),
        cmocka_unit_test(any_other_header_is_refused),
        cmocka_unit_test(any_other_length_or_place_is_refused),
        cmocka_unit_test(tables_without_a_free_slot_are_refused),
        cmocka_unit_test(ids_out_of_range_are_refused),
        cmocka_unit_test(random_damage_is_refused_or_harmless),
        cmocka_unit_test(a_packed_file_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
