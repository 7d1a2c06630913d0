/* test_tokenizer.c - encoding gives what a textbook implementation gives, and any text comes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "testtokenizer.h"
#include "text/pretokenize.h"

/* ---- the textbook ---- */

static int compare_merges(const void *a, const void *b) {
    const struct vocab_merge *x = a, *y = b;
    return x->left != y->left ? (x->left > y->left) - (x->left < y->left)
                              : (x->right > y->right) - (x->right < y->right);
}

/* The merges sorted by pair, with the rank in `result`'s place; of equal pairs the last counts. */
struct textbook {
    const struct vocab *vocab;
    struct vocab_merge *by_pair;
    size_t n;
};

static struct textbook textbook_of(const struct vocab *vocab) {
    struct textbook book = {vocab, malloc((vocab->n_merges + 1) * sizeof *book.by_pair), 0};
    assert_non_null(book.by_pair);
    for (size_t rank = 0; rank < vocab->n_merges; rank++) {
        bool again = false; // only the small vocabularies repeat pairs
        for (size_t later = rank + 1; vocab->n_merges < 5000 && later < vocab->n_merges; later++)
            again |= compare_merges(&vocab->merges[rank], &vocab->merges[later]) == 0;
        if (again)
            continue;
        book.by_pair[book.n] = vocab->merges[rank];
        book.by_pair[book.n++].result = (int32_t)rank;
    }
    qsort(book.by_pair, book.n, sizeof *book.by_pair, compare_merges);
    return book;
}

/* Merges one piece as the definition says, looking at every pair every time. */
static void merge_by_the_book(struct gpt2_ids *ids, const struct textbook *book,
                              const unsigned char *piece, size_t n) {
    int32_t *tokens = malloc(n * sizeof *tokens);
    assert_non_null(tokens);
    for (size_t i = 0; i < n; i++)
        tokens[i] = vocab_find(book->vocab, piece + i, 1);
    for (;;) {
        size_t best = n;
        int32_t best_rank = INT32_MAX;
        for (size_t i = 0; i + 1 < n; i++) {
            struct vocab_merge pair = {tokens[i], tokens[i + 1], 0}, *found;
            found = bsearch(&pair, book->by_pair, book->n, sizeof pair, compare_merges);
            if (found && found->result < best_rank) {
                best_rank = found->result;
                best = i;
            }
        }
        if (best == n)
            break;
        tokens[best] = book->vocab->merges[best_rank].result;
        memmove(tokens + best + 1, tokens + best + 2, (n - best - 2) * sizeof *tokens);
        n--;
    }
    for (size_t i = 0; i < n; i++)
        assert_true(gpt2_ids_push(ids, tokens[i], NULL));
    free(tokens);
}

static void check_by_the_book(const struct gpt2_tokenizer *t, const struct textbook *book,
                              const unsigned char *text, size_t n) {
    struct gpt2_ids want = {0};
    for (size_t at = 0, end; at < n; at = end) {
        end = pretokenize_next(text, n, at);
        merge_by_the_book(&want, book, text + at, end - at);
    }
    check_ids(t, (const char *)text, n, GPT2_ENCODE_TEXT, want.data, want.len);
    gpt2_ids_free(&want);
}

/* Random texts of many shapes: few letters in long runs, words, any bytes. */
static void check_random_texts(const struct gpt2_tokenizer *t, const struct vocab *vocab,
                               uint64_t seed, int n_texts) {
    struct textbook book = textbook_of(vocab);
    for (int round = 0; round < n_texts; round++) {
        size_t n = 1 + random_below(&seed, round % 8 == 0 ? 600 : 60);
        unsigned char *text = malloc(n);
        assert_non_null(text);
        unsigned char pick[4];
        for (int i = 0; i < 4; i++)
            pick[i] = make_letters[random_below(&seed, MAKE_LETTERS)];
        for (size_t i = 0; i < n; i++) {
            size_t kind = (size_t)round % 4;
            text[i] = kind == 0   ? pick[random_below(&seed, 4)]
                      : kind == 1 ? (unsigned char)"ab"[random_below(&seed, 2)]
                      : kind == 2 ? (unsigned char)" etaoinshrdlu"[random_below(&seed, 13)]
                                  : (unsigned char)random_below(&seed, 256);
        }
        check_by_the_book(t, &book, text, n);
        free(text);
    }
    free(book.by_pair);
}

static void trained_vocabularies_merge_by_the_book(void **state) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct vocab *vocab = make_vocab(seed, 10 << seed % 7, false);
        assert_non_null(vocab);
        struct gpt2_tokenizer *t = made(seed, 10 << seed % 7, false);
        check_random_texts(t, vocab, seed, 100);
        gpt2_tokenizer_close(t);
        vocab_free(vocab);
    }
}

static void vocabularies_that_no_training_makes_merge_by_the_book(void **state) {
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct vocab *vocab = make_vocab(seed, 10 << seed % 7, true);
        assert_non_null(vocab);
        struct gpt2_tokenizer *t = made(seed, 10 << seed % 7, true);
        check_random_texts(t, vocab, seed, 100);
        gpt2_tokenizer_close(t);
        vocab_free(vocab);
    }
}

static struct vocab *parse_folder(const char *folder) {
    char names[2][4096];
    struct os_file files[2];
    struct gpt2_error err;
    snprintf(names[0], sizeof names[0], "%s/vocab.json", folder);
    snprintf(names[1], sizeof names[1], "%s/merges.txt", folder);
    struct vocab_source sources[VOCAB_N_FILES] = {{0}};
    for (int i = 0; i < 2; i++) {
        if (!os_map(&files[i], names[i], GPT2_ERR_MODEL, &err))
            fail_msg("%s", err.message);
        sources[i == 0 ? VOCAB_TOKENS : VOCAB_MERGES] =
            (struct vocab_source){names[i], (const char *)files[i].data, files[i].size};
    }
    struct vocab *vocab = vocab_parse(sources, &err);
    if (!vocab)
        fail_msg("%s", err.message);
    os_unmap(&files[0]);
    os_unmap(&files[1]);
    return vocab;
}

static void gpt2_merges_by_the_book(void **state) {
    char path[4096];
    if (!data_path(path, sizeof path, "gpt2"))
        skip();
    struct vocab *vocab = parse_folder(path);
    struct gpt2_tokenizer *t = open_data("gpt2");
    check_random_texts(t, vocab, 1, 400);
    gpt2_tokenizer_close(t);
    vocab_free(vocab);
}

static const char shipped[] = "models/tales";

static void the_shipped_model_merges_by_the_book(void **state) {
    struct gpt2_error err;
    char path[64];
    snprintf(path, sizeof path, "%s/vocab.json", shipped);
    if (access(path, F_OK) != 0) {
        printf("%s is not there\n", path);
        skip();
    }
    struct vocab *vocab = parse_folder(shipped);
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(shipped, &err);
    if (!t)
        fail_msg("%s", err.message);
    check_random_texts(t, vocab, 2, 200);
    assert_int_equal(gpt2_tokenizer_size(t), 8192);
    assert_true(gpt2_tokenizer_is_special(t, gpt2_tokenizer_find(t, "<|endoftext|>", 13)));
    gpt2_tokenizer_close(t);
    vocab_free(vocab);
}

static void padding_rows_are_what_it_lacks(void **state) {
    struct gpt2_error err;
    struct gpt2_tokenizer *t = made(3, 300, false);
    const int32_t size = gpt2_tokenizer_size(t);
    struct gpt2_ids ids = {0};
    assert_true(gpt2_tokenizer_lacks(t, size + 2, &ids, &err));
    size_t n = 0, n_bytes;
    for (int32_t id = 0; id < size + 2; id++)
        if (!gpt2_tokenizer_token(t, id, &n_bytes)) {
            assert_true(n < ids.len);
            assert_int_equal(ids.data[n++], id);
        }
    assert_int_equal(n, ids.len);
    assert_true(n >= 2);
    assert_true(gpt2_tokenizer_lacks(NULL, size, &ids, &err));
    assert_int_equal(ids.len, n);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
}

/* ---- any text ---- */

static void any_bytes_come_back(void **state) {
    struct gpt2_tokenizer *t = made(3, 300, false);
    uint64_t seed = 5;
    for (int round = 0; round < 2000; round++) {
        size_t n = random_below(&seed, round % 50 == 0 ? 20000 : 100);
        unsigned char *text = malloc(n + 1);
        assert_non_null(text);
        for (size_t i = 0; i < n; i++)
            text[i] = round % 2 ? make_letters[random_below(&seed, MAKE_LETTERS)]
                                : (unsigned char)random_below(&seed, 256);
        check_round_trip(t, text, n, GPT2_ENCODE_TEXT);
        free(text);
    }
    gpt2_tokenizer_close(t);
}

static void hostile_runs_come_back(void **state) {
    static const char *const units[] = {"a",    "ab", "^",   " ",  "\n", "'s", "\xE4\xB8\xAD",
                                        "\xFF", "0",  "aab", "''", "a ", " '", "\xC3"};
    struct gpt2_tokenizer *t = made(4, 400, true);
    enum { BYTES = 100000 };
    unsigned char *text = malloc(BYTES);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        for (size_t k = 0; k < BYTES; k++)
            text[k] = (unsigned char)units[i][k % strlen(units[i])];
        check_round_trip(t, text, BYTES, GPT2_ENCODE_TEXT);
    }
    free(text);
    gpt2_tokenizer_close(t);
}

/* One run of a letter so long that the tree of minima has several levels. */
static void a_long_run_merges_by_the_book(void **state) {
    struct vocab *vocab = make_vocab(6, 200, true);
    assert_non_null(vocab);
    struct textbook book = textbook_of(vocab);
    struct gpt2_tokenizer *t = made(6, 200, true);
    unsigned char text[3000];
    uint64_t seed = 11;
    for (int round = 0; round < 6; round++) {
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = round == 0
                          ? 'a'
                          : (unsigned char)"abcs"[random_below(&seed, 1 + (size_t)round % 4)];
        check_by_the_book(t, &book, text, sizeof text);
    }
    free(book.by_pair);
    gpt2_tokenizer_close(t);
    vocab_free(vocab);
}

static void the_result_does_not_depend_on_what_is_in_the_list(void **state) {
    struct gpt2_tokenizer *t = made(8, 100, false);
    struct gpt2_ids ids = {0};
    const char text[] = "abc abc";
    assert_true(gpt2_ids_push(&ids, 77, NULL));
    assert_true(gpt2_tokenizer_encode(t, text, 7, GPT2_ENCODE_TEXT, &ids, NULL));
    size_t once = ids.len;
    assert_true(gpt2_tokenizer_encode(t, text, 7, GPT2_ENCODE_TEXT, &ids, NULL));
    assert_int_equal(ids.data[0], 77);
    assert_int_equal(ids.len, 2 * once - 1);
    assert_memory_equal(ids.data + 1, ids.data + once, (once - 1) * sizeof *ids.data);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
}

/* ---- in parts ---- */

struct parts {
    struct gpt2_ids ids;
    struct gpt2_extent *extents;         /* [ids.len] */
    size_t longest, n_calls, stop_after; /* stop_after 0: never */
};

static bool take_part(void *user, const int32_t *ids, const struct gpt2_extent *extents, size_t n,
                      struct gpt2_error *err) {
    struct parts *parts = user;
    assert_true(n > 0);
    parts->longest = n > parts->longest ? n : parts->longest;
    if (++parts->n_calls == parts->stop_after) {
        *err = (struct gpt2_error){.status = GPT2_ERR_RUNTIME};
        return false;
    }
    if (extents) {
        parts->extents = realloc(parts->extents, (parts->ids.len + n) * sizeof *parts->extents);
        assert_non_null(parts->extents);
        memcpy(parts->extents + parts->ids.len, extents, n * sizeof *extents);
    }
    for (size_t i = 0; i < n; i++)
        assert_true(gpt2_ids_push(&parts->ids, ids[i], NULL));
    return true;
}

/* The parts, and the first and last ids, are those of the whole. */
static void check_parts(const struct gpt2_tokenizer *t, const char *text, size_t n, unsigned flags,
                        size_t longest) {
    struct gpt2_ids ids = {0};
    struct gpt2_extent *extents;
    struct parts parts = {0};
    struct gpt2_error err;
    assert_true(gpt2_tokenizer_encode_extents(t, text, n, flags, &ids, &extents, &err));
    struct gpt2_encode_sink sink = {take_part, &parts, true};
    assert_true(gpt2_tokenizer_encode_parts(t, text, n, flags, &sink, &err));
    assert_int_equal(parts.ids.len, ids.len);
    assert_true(parts.longest <= longest);
    if (ids.len) {
        assert_memory_equal(parts.ids.data, ids.data, ids.len * sizeof *ids.data);
        assert_memory_equal(parts.extents, extents, ids.len * sizeof *extents);
    }
    for (int i = 0; i < 6; i++) {
        const size_t max = (const size_t[]){0, 1, 100, 5000, 12345, SIZE_MAX}[i];
        for (int last = 0; last < 2; last++) {
            struct gpt2_ids some = {0};
            size_t n_all;
            assert_true(gpt2_ids_push(&some, 77, NULL));
            assert_true(
                gpt2_tokenizer_encode_some(t, text, n, flags, max, last, &some, &n_all, &err));
            const size_t n_some = max < ids.len ? max : ids.len;
            assert_int_equal(n_all, ids.len);
            assert_int_equal(some.len, n_some + 1);
            assert_int_equal(some.data[0], 77);
            if (n_some)
                assert_memory_equal(some.data + 1, ids.data + (last ? ids.len - n_some : 0),
                                    n_some * sizeof *ids.data);
            gpt2_ids_free(&some);
        }
    }
    gpt2_ids_free(&parts.ids);
    gpt2_ids_free(&ids);
    free(parts.extents);
    free(extents);
}

static void parts_are_those_of_the_whole(void **state) {
    static unsigned char text[100000];
    for (uint64_t seed = 1; seed <= 12; seed++) {
        const bool wild = seed % 3 == 0;
        struct gpt2_tokenizer *t = made(seed, 10 << seed % 7, wild);
        uint64_t random = seed;
        for (int kind = 0; kind < 5; kind++) {
            const size_t n = kind == 4 ? seed % 2 : sizeof text - random_below(&random, 9);
            for (size_t i = 0; i < n; i++)
                text[i] = kind == 0   ? 'a'
                          : kind == 1 ? (unsigned char)"ab"[random_below(&random, 2)]
                          : kind == 2 ? (unsigned char)" etaoinshrdlu"[random_below(&random, 13)]
                                      : (unsigned char)random_below(&random, 256);
            // merges that no training makes are not proved to be those of a part
            check_parts(t, (const char *)text, n, GPT2_ENCODE_TEXT, wild ? SIZE_MAX : 8192);
        }
        gpt2_tokenizer_close(t);
    }
}

static void the_shipped_model_encodes_in_parts(void **state) {
    struct gpt2_error err;
    struct gpt2_tokenizer *t = gpt2_tokenizer_open("models/tales", &err);
    if (!t)
        skip();
    static char text[200000];
    uint64_t random = 5;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 50000 < 13 ? "<|endoftext|>"[i % 50000] : "#~@^|{}"[random_below(&random, 7)];
    check_parts(t, text, sizeof text, GPT2_ENCODE_SPECIAL, 8192);
    check_parts(t, text, sizeof text, GPT2_ENCODE_TEXT, 8192);
    gpt2_tokenizer_close(t);
}

static void what_is_taken_can_end_the_encoding(void **state) {
    struct gpt2_tokenizer *t = made(8, 100, false);
    static char text[50000];
    struct gpt2_error err;
    for (size_t stop = 1; stop <= 2; stop++) {
        struct parts parts = {.stop_after = stop};
        struct gpt2_encode_sink sink = {take_part, &parts, false};
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = "abcdefgh"[i * i % 8];
        assert_false(gpt2_tokenizer_encode_parts(t, text, sizeof text, 0, &sink, &err));
        assert_int_equal(err.status, GPT2_ERR_RUNTIME);
        assert_int_equal(parts.n_calls, stop);
        gpt2_ids_free(&parts.ids);
    }
    gpt2_tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_vocabularies_merge_by_the_book),
        cmocka_unit_test(vocabularies_that_no_training_makes_merge_by_the_book),
        cmocka_unit_test(a_long_run_merges_by_the_book),
        cmocka_unit_test(the_shipped_model_merges_by_the_book),
        cmocka_unit_test(gpt2_merges_by_the_book),
        cmocka_unit_test(padding_rows_are_what_it_lacks),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(hostile_runs_come_back),
        cmocka_unit_test(the_result_does_not_depend_on_what_is_in_the_list),
        cmocka_unit_test(parts_are_those_of_the_whole),
        cmocka_unit_test(the_shipped_model_encodes_in_parts),
        cmocka_unit_test(what_is_taken_can_end_the_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
