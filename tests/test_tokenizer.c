/* test_tokenizer.c - published vectors, a textbook implementation beside ours, malformed files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "testtext.h"
#include "text/pretokenize.h"

/* ---- help ---- */

/* The tokenizer of `name` among the data from outside; skips the test where it is absent. */
static struct gpt2_tokenizer *open_data(const char *name) {
    char path[4096];
    struct gpt2_error err;
    if (!data_path(path, sizeof path, name))
        skip();
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(path, &err);
    if (!t)
        fail_msg("%s", err.message);
    return t;
}

static void map_data(struct os_file *file, const char *name) {
    char path[4096];
    struct gpt2_error err;
    if (!data_path(path, sizeof path, name))
        skip();
    if (!os_map(file, path, GPT2_ERR_INPUT, &err))
        fail_msg("%s", err.message);
}

static struct gpt2_tokenizer *made(uint64_t seed, int n_merges, bool wild) {
    struct vocab *vocab = make_vocab(seed, n_merges, wild);
    assert_non_null(vocab);
    struct gpt2_tokenizer *t = tokenizer_create(vocab, NULL);
    assert_non_null(t);
    return t;
}

static void check_ids(const struct gpt2_tokenizer *t, const char *text, size_t n, unsigned flags,
                      const int32_t *want, size_t n_want) {
    struct gpt2_ids ids = {0};
    struct gpt2_error err;
    if (!gpt2_tokenizer_encode(t, text, n, flags, &ids, &err))
        fail_msg("%s", err.message);
    bool same = ids.len == n_want;
    for (size_t i = 0; same && i < n_want; i++)
        same = ids.data[i] == want[i];
    if (!same) {
        for (size_t i = 0; i < ids.len; i++)
            printf("%d ", (int)ids.data[i]);
        fail_msg("\"%.*s\": %zu ids, expected %zu", (int)n, text, ids.len, n_want);
    }
    gpt2_ids_free(&ids);
}

/* decode(encode(text)) == text */
static void check_round_trip(const struct gpt2_tokenizer *t, const unsigned char *text, size_t n,
                             unsigned flags) {
    struct gpt2_ids ids = {0};
    struct gpt2_error err;
    if (!gpt2_tokenizer_encode(t, (const char *)text, n, flags, &ids, &err))
        fail_msg("%s", err.message);
    size_t at = 0;
    for (size_t i = 0; i < ids.len; i++) {
        size_t len;
        const char *token = gpt2_tokenizer_token(t, ids.data[i], &len);
        assert_non_null(token);
        assert_true(len <= n - at);
        assert_memory_equal(token, text + at, len);
        at += len;
    }
    assert_int_equal(at, n);
    gpt2_ids_free(&ids);
}

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
    if (!os_exists(path)) {
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

/* ---- GPT-2's published vectors ---- */

#define IDS(...) \
    (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)
#define TEXT(s) s, sizeof(s) - 1

static void gpt2_gives_the_known_ids(void **state) {
    const struct {
        const char *text;
        size_t n;
        const int32_t *ids;
        size_t n_ids;
    } cases[] = {
        {TEXT("hello world"), IDS(31373, 995)},
        {TEXT("Hello, world. Is this-- a test?"),
         IDS(15496, 11, 995, 13, 1148, 428, 438, 257, 1332, 30)},
        {TEXT("0"), IDS(15)},
        {TEXT("00"), IDS(405)},
        {TEXT("000"), IDS(830)},
        {TEXT("0000"), IDS(2388)},
        {TEXT("00000"), IDS(20483)},
        {TEXT("000000"), IDS(10535)},
        {TEXT("0000000"), IDS(24598)},
        {TEXT("00000000"), IDS(8269)},
        {TEXT("000000000"), IDS(10535, 830)},
        {TEXT("0000000000000000"), IDS(25645)},
        {TEXT("00000000000000000"), IDS(8269, 10535, 830)},
        {TEXT("\n"), IDS(198)},
        {TEXT("\n\n"), IDS(628)},
        {TEXT("a\n\nb"), IDS(64, 198, 198, 65)},
        {TEXT("a\n\n\nb"), IDS(64, 628, 198, 65)},
        {TEXT("  a"), IDS(220, 257)},
        {TEXT("   a"), IDS(220, 220, 257)},
        {TEXT("a  "), IDS(64, 220, 220)},
        {TEXT("a \n b"), IDS(64, 220, 198, 275)},
        {TEXT("\t\tx"), IDS(197, 197, 87)},
        {TEXT("\r\n"), IDS(201, 198)},
        {TEXT("a\r\nb"), IDS(64, 201, 198, 65)},
        {TEXT("x\xC2\xA0y"), IDS(87, 1849, 88)},
        {TEXT(" \xC2\xA0y"), IDS(220, 1849, 88)},
        {TEXT("\xE3\x80\x80"
              "a"),
         IDS(5099, 222, 64)},
        {TEXT("I'm you're they'll he'd it's don't we've"),
         IDS(40, 1101, 345, 821, 484, 1183, 339, 1549, 340, 338, 836, 470, 356, 1053)},
        {TEXT("I'M DON'T"), IDS(40, 6, 44, 23917, 6, 51)},
        {TEXT("''s"), IDS(7061, 82)},
        {TEXT(" 's"), IDS(705, 82)},
        {TEXT("'tis"), IDS(470, 271)},
        {TEXT("\xE2\x80\x99s"), IDS(447, 247, 82)},
        {TEXT("abc123def"), IDS(39305, 10163, 4299)},
        {TEXT("10,000.50"), IDS(940, 11, 830, 13, 1120)},
        {TEXT("na\xC3\xAFve caf\xC3\xA9"), IDS(2616, 38776, 40304)},
        {TEXT("nai\xCC\x88ve"), IDS(38600, 136, 230, 303)},
        {TEXT("e\xCC\x81"), IDS(68, 136, 223)},
        {TEXT("\xE0\xA4\xB9\xE0\xA4\xBF\xE0\xA4\xA8\xE0\xA5\x8D\xE0\xA4\xA6\xE0\xA5\x80"),
         IDS(11976, 117, 11976, 123, 11976, 101, 24231, 235, 11976, 99, 24231, 222)},
        {TEXT("\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x83\x86\xE3\x82\xAD\xE3\x82\xB9\xE3\x83"
              "\x88"),
         IDS(33768, 98, 17312, 105, 45739, 252, 24336, 25084, 43302)},
        {TEXT("\xE8\xAF\xB7\xE8\x80\x83\xE8\xAF\x95\xE6\x88\x91\xE7\x9A\x84\xE8\xBD\xAF\xE4\xBB"
              "\xB6\xEF\xBC\x81"
              "12345"),
         IDS(46237, 115, 32003, 225, 46237, 243, 22755, 239, 21410, 164, 121, 107, 20015, 114, 171,
             120, 223, 10163, 2231)},
        {TEXT("\xF0\x9F\x98\x80"), IDS(47249, 222)},
        {TEXT("\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7"),
         IDS(41840, 101, 447, 235, 41840, 102, 447, 235, 41840, 100)},
        {TEXT("\0"), IDS(188)},
        {TEXT("\xC2\x85"), IDS(126, 227)},
        {TEXT("a\x1C"
              "b"),
         IDS(64, 216, 65)},
        {TEXT("a\xE1\xA0\x8E"
              "b"),
         IDS(64, 157, 254, 236, 65)},
        {TEXT("a\xE2\x80\x8B"
              "b"),
         IDS(64, 9525, 65)},
        {TEXT("\xEF\xBB\xBF"
              "a"),
         IDS(171, 119, 123, 64)},
        {TEXT("def f(x):\n    return x+1\n"),
         IDS(4299, 277, 7, 87, 2599, 198, 220, 220, 220, 1441, 2124, 10, 16, 198)},
        {TEXT("https://example.com/a?b=c&d=e"),
         IDS(5450, 1378, 20688, 13, 785, 14, 64, 30, 65, 28, 66, 5, 67, 28, 68)},
        {TEXT("<|endoftext|>"), IDS(27, 91, 437, 1659, 5239, 91, 29)},
        {TEXT("\xF4\x8F\xBF\xBF"), IDS(176, 237, 123, 123)},
        {TEXT("x\xC2\xB2\xC2\xBD\xE2\x85\xA7"), IDS(87, 31185, 23141, 158, 227, 100)},
        {TEXT("\xD9\xA1\xD9\xA2\xD9\xA3"), IDS(149, 94, 149, 95, 149, 96)},
        {TEXT("\xC2\xAA \xC2\xBA \xC2\xB5"), IDS(126, 103, 1587, 118, 31324)},
    };
    struct gpt2_tokenizer *t = open_data("gpt2");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_ids(t, cases[i].text, cases[i].n, GPT2_ENCODE_TEXT, cases[i].ids, cases[i].n_ids);
    check_ids(t, "", 0, GPT2_ENCODE_TEXT, NULL, 0);
    check_ids(t, TEXT("hello <|endoftext|>"), GPT2_ENCODE_SPECIAL, IDS(31373, 220, 50256));
    check_ids(t, TEXT("<|endoftext|><|endoftext"), GPT2_ENCODE_SPECIAL,
              IDS(50256, 27, 91, 437, 1659, 5239));
    gpt2_tokenizer_close(t);
}

static void gpt2_gives_the_ids_of_the_vector_file(void **state) {
    struct gpt2_tokenizer *t = open_data("gpt2");
    struct os_file file;
    map_data(&file, "vectors/tokenizer.jsonl");
    struct gpt2_error err;
    const char *line = (const char *)file.data, *end = line + file.size;
    int n_lines = 0;
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop : end;
        struct json *record =
            json_parse(line, (size_t)(stop - line), "tokenizer.jsonl", GPT2_ERR_INPUT, &err);
        if (!record)
            fail_msg("%s", err.message);
        const char *text;
        int32_t ids[4096];
        size_t n = 0;
        assert_true(json_string(json_get(record, "text"), &text));
        for (const struct json *id = json_first(json_get(record, "ids")); id; id = json_next(id)) {
            int64_t value = 0;
            assert_true(n < 4096 && json_integer(id, 0, 50256, &value));
            ids[n++] = (int32_t)value;
        }
        check_ids(t, text, strlen(text), GPT2_ENCODE_TEXT, ids, n);
        json_free(record);
        n_lines++;
        line = stop + 1;
    }
    assert_int_equal(n_lines, 88);
    os_unmap(&file);
    gpt2_tokenizer_close(t);
}

static void tiny_shakespeare_gives_the_published_ids(void **state) {
    struct gpt2_tokenizer *t = open_data("gpt2");
    struct os_file file;
    map_data(&file, "text/tinyshakespeare.txt");
    struct gpt2_ids ids = {0};
    assert_true(
        gpt2_tokenizer_encode(t, (const char *)file.data, file.size, GPT2_ENCODE_TEXT, &ids, NULL));
    assert_int_equal(ids.len, 338025);
    unsigned char *le = malloc(ids.len * 2);
    assert_non_null(le);
    for (size_t i = 0; i < ids.len; i++) {
        le[2 * i] = (unsigned char)ids.data[i];
        le[2 * i + 1] = (unsigned char)(ids.data[i] >> 8);
    }
    char hex[65];
    sha256(hex, le, ids.len * 2);
    assert_string_equal(hex, "25c01b32b32f41897a6359dd222ec114992dc30c357bcafbfe6c56672f76cd31");
    check_round_trip(t, file.data, file.size, GPT2_ENCODE_TEXT);
    free(le);
    gpt2_ids_free(&ids);
    os_unmap(&file);
    gpt2_tokenizer_close(t);
}

static void wikitext_gives_the_published_count(void **state) {
    struct gpt2_tokenizer *t = open_data("gpt2");
    struct os_file file;
    map_data(&file, "text/wikitext-2-raw.hf-joined.txt");
    struct gpt2_ids ids = {0};
    assert_true(
        gpt2_tokenizer_encode(t, (const char *)file.data, file.size, GPT2_ENCODE_TEXT, &ids, NULL));
    assert_int_equal(ids.len, 287644);
    check_round_trip(t, file.data, file.size, GPT2_ENCODE_SPECIAL);
    gpt2_ids_free(&ids);
    os_unmap(&file);
    gpt2_tokenizer_close(t);
}

static void tokenizer_json_gives_what_the_two_files_give(void **state) {
    char path[4096];
    struct os_file file;
    struct gpt2_error err;
    struct gpt2_tokenizer *pair = open_data("gpt2");
    map_data(&file, "gpt2/tokenizer.json");
    if (!data_path(path, sizeof path, "gpt2/tokenizer.json"))
        skip();
    struct vocab_source files[VOCAB_N_FILES] = {{0}};
    files[VOCAB_TOKENIZER] = (struct vocab_source){path, (const char *)file.data, file.size};
    struct vocab *vocab = vocab_parse(files, &err);
    if (!vocab)
        fail_msg("%s", err.message);
    struct gpt2_tokenizer *single = tokenizer_create(vocab, &err);
    assert_non_null(single);
    assert_int_equal(gpt2_tokenizer_size(pair), 50257);
    assert_int_equal(gpt2_tokenizer_size(single), 50257);
    for (int32_t id = 0; id < 50257; id++) {
        size_t n_a, n_b;
        const char *a = gpt2_tokenizer_token(pair, id, &n_a);
        const char *b = gpt2_tokenizer_token(single, id, &n_b);
        assert_int_equal(n_a, n_b);
        assert_memory_equal(a, b, n_a);
        assert_int_equal(gpt2_tokenizer_is_special(pair, id), id == 50256);
        assert_int_equal(gpt2_tokenizer_is_special(single, id), id == 50256);
        assert_int_equal(gpt2_tokenizer_find(pair, a, n_a), id);
        if (id < 50256) { // every token, alone, is encoded as itself
            const unsigned char *text = (const unsigned char *)a;
            if (pretokenize_next(text, n_a, 0) == n_a)
                check_ids(single, a, n_a, GPT2_ENCODE_TEXT, &id, 1);
        }
    }
    os_unmap(&file);
    gpt2_tokenizer_close(single);
    gpt2_tokenizer_close(pair);
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

/* ---- files ---- */

/* A tiny vocabulary: a b ab abb 'Ġ', and <|endoftext|>; no other bytes. */
#define TOKENS "{\"a\":0,\"b\":1,\"ab\":2,\"abb\":3,\"\xC4\xA0\":4,\"<|endoftext|>\":5}"
#define MERGES "#version: 0.2\na b\nab b\n"

struct files {
    const char *tokens, *merges, *tokenizer, *added, *specials, *config;
};

static struct vocab *parse(const struct files *f, struct gpt2_error *err) {
    const char *texts[VOCAB_N_FILES] = {f->tokens, f->merges,   f->tokenizer,
                                        f->added,  f->specials, f->config};
    static const char *const names[VOCAB_N_FILES] = {"d/vocab.json",
                                                     "d/merges.txt",
                                                     "d/tokenizer.json",
                                                     "d/added_tokens.json",
                                                     "d/special_tokens_map.json",
                                                     "d/tokenizer_config.json"};
    struct vocab_source sources[VOCAB_N_FILES] = {{0}};
    for (int i = 0; i < VOCAB_N_FILES; i++)
        if (texts[i])
            sources[i] = (struct vocab_source){names[i], texts[i], strlen(texts[i])};
    return vocab_parse(sources, err);
}

static struct gpt2_tokenizer *open_files(struct files f) {
    struct gpt2_error err;
    struct vocab *vocab = parse(&f, &err);
    if (!vocab)
        fail_msg("%s", err.message);
    struct gpt2_tokenizer *t = tokenizer_create(vocab, &err);
    assert_non_null(t);
    return t;
}

static void a_tiny_vocabulary_works(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){.tokens = TOKENS, .merges = MERGES});
    size_t n;
    check_ids(t, TEXT("abbab b"), GPT2_ENCODE_TEXT, IDS(3, 2, 4, 1));
    check_ids(t, TEXT("ab<|endoftext|>b"), GPT2_ENCODE_SPECIAL, IDS(2, 5, 1));
    assert_memory_equal(gpt2_tokenizer_token(t, 4, &n), " ", 1);
    assert_int_equal(n, 1);
    assert_int_equal(gpt2_tokenizer_size(t), 6);
    assert_int_equal(gpt2_tokenizer_find(t, "abb", 3), 3);
    assert_int_equal(gpt2_tokenizer_find(t, "bb", 2), -1);
    assert_int_equal(gpt2_tokenizer_find(t, "", 0), -1);
    assert_null(gpt2_tokenizer_token(t, 6, &n));
    assert_int_equal(n, 0);
    assert_null(gpt2_tokenizer_token(t, -1, &n));
    assert_null(gpt2_tokenizer_token(t, INT32_MAX, &n));
    assert_false(gpt2_tokenizer_is_special(t, 6));
    assert_false(gpt2_tokenizer_is_special(t, -1));
    assert_true(gpt2_tokenizer_is_special(t, 5));
    gpt2_tokenizer_close(t);
}

static void a_byte_without_a_token_is_an_error_and_leaves_the_list_as_it_was(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){.tokens = TOKENS, .merges = MERGES});
    struct gpt2_ids ids = {0};
    struct gpt2_error err;
    char text[200];
    memset(text, 'a', sizeof text);
    assert_true(gpt2_ids_push(&ids, 9, NULL));
    for (size_t at = 0; at < sizeof text; at += 199) { // in a long piece, in a short one
        text[at] = 'c';
        assert_false(gpt2_tokenizer_encode(t, text, at ? sizeof text : 3, 0, &ids, &err));
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        assert_string_equal(err.message,
                            "the vocabulary has no token for the byte 0x63 of the text");
        assert_int_equal(ids.len, 1);
        assert_int_equal(ids.data[0], 9);
        text[at] = 'a';
    }
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
}

static void line_ends_headers_and_gaps_are_accepted(void **state) {
    static const char *const merges[] = {
        "#version: 0.2\r\na b\r\nab b\r\n",
        "a b\nab b",
        "#version: 0.2 - Trained by `huggingface/tokenizers`\na b\nab b\n\n",
    };
    for (size_t i = 0; i < 3; i++) {
        struct gpt2_tokenizer *t =
            open_files((struct files){.tokens = TOKENS, .merges = merges[i]});
        check_ids(t, TEXT("abbab"), GPT2_ENCODE_TEXT, IDS(3, 2));
        gpt2_tokenizer_close(t);
    }
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokens = "{\"#\":7,\"##\":900,\"\\u0120\":3}", .merges = "#version: 0.2\n# #\n"});
    check_ids(t, TEXT("## #"), GPT2_ENCODE_TEXT, IDS(900, 3, 7));
    assert_int_equal(gpt2_tokenizer_size(t), 901);
    size_t n;
    assert_null(gpt2_tokenizer_token(t, 8, &n));
    gpt2_tokenizer_close(t);
}

static void the_last_of_two_equal_merges_counts(void **state) {
    // "bc" would go before "ab", were "ab" not listed again at the end... as HF and OpenAI have it.
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokens = "{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4}", .merges = "a b\nb c\na b\n"});
    check_ids(t, TEXT("abc"), GPT2_ENCODE_TEXT, IDS(0, 4));
    gpt2_tokenizer_close(t);
}

static void special_tokens_come_from_every_file_that_names_them(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokens = "{\"a\":0,\"b\":1,\"\xEF\xBD\x9Cx\":2,\"!\":3,\"\xC4\xA0\":4}",
        .merges = "",
        .added = "{\"<pad>\":7,\"  \":8}",
        .specials = "{\"pad_token\":\"!\",\"eos_token\":{\"content\":\"\xEF\xBD\x9Cx\"},"
                    "\"unk_token\":\"nowhere\",\"bos_token\":\"\","
                    "\"additional_special_tokens\":[\"<pad>\"]}",
        .config = "{\"added_tokens_decoder\":{\"9\":{\"content\":\"<p\",\"special\":true}},"
                  "\"add_bos_token\":false,\"model_max_length\":1e30}"});
    // Leftmost, longest; also where a special token is the end of nothing else.
    check_ids(t, TEXT("a<pad>  <pb!\xEF\xBD\x9Cx   "), GPT2_ENCODE_SPECIAL,
              IDS(0, 7, 8, 9, 1, 3, 2, 8, 4));
    assert_int_equal(gpt2_tokenizer_size(t), 10);
    for (int32_t id = 0; id < 10; id++)
        assert_int_equal(gpt2_tokenizer_is_special(t, id), id == 2 || id == 3 || id >= 7);
    assert_int_equal(gpt2_tokenizer_find(t, "nowhere", 7), -1);
    check_ids(t, TEXT("a!"), GPT2_ENCODE_TEXT, IDS(0, 3));
    gpt2_tokenizer_close(t);
}

#define MODEL(more)                                                             \
    "\"model\":{\"type\":\"BPE\"," more "\"vocab\":" TOKENS ",\"merges\":[\"a " \
    "b\",[\"ab\",\"b\"]]}"
#define BYTELEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":"
#define PATTERN                                                                                    \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|\\\\s+(?!\\\\S)|" \
    "\\\\s+"

static void the_forms_of_tokenizer_json_are_read(void **state) {
    static const char *const files[] = {
        "{\"version\":\"1.0\",\"normalizer\":null,\"pre_tokenizer\":" BYTELEVEL "true},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"post_processor\":{\"type\":\"ByteLevel\"},"
        "\"added_tokens\":[{\"id\":5,\"content\":\"<|endoftext|>\",\"lstrip\":false}]," MODEL(
            "") "}",
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}," MODEL(
            "\"dropout\":null,\"continuing_subword_prefix\":\"\",\"byte_fallback\":false,") "}",
        "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":\"" PATTERN
        "\"},\"behavior\":\"Isolated\",\"invert\":false}," BYTELEVEL "false}]}," MODEL("") "}",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct gpt2_tokenizer *t = open_files((struct files){.tokenizer = files[i]});
        check_ids(t, TEXT("abb abb b  b"), GPT2_ENCODE_TEXT, IDS(3, 4, 3, 4, 1, 4, 4, 1));
        assert_true(gpt2_tokenizer_is_special(t, 5));
        gpt2_tokenizer_close(t);
    }
}

static void settings_of_tokenizer_json_are_honoured(void **state) {
    struct gpt2_tokenizer *t = open_files((struct files){
        .tokenizer = "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}," MODEL(
            "") "}"});
    check_ids(t, TEXT("ab"), GPT2_ENCODE_TEXT, IDS(4, 2));
    check_ids(t, TEXT(" ab"), GPT2_ENCODE_TEXT, IDS(4, 2));
    check_ids(t, TEXT(""), GPT2_ENCODE_TEXT, NULL, 0);
    check_ids(t, TEXT("<|endoftext|>b"), GPT2_ENCODE_SPECIAL, IDS(5, 4, 1));
    gpt2_tokenizer_close(t);

    // tokenizer_config.json has the last word.
    t = open_files((struct files){
        .tokenizer =
            "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true}," MODEL("") "}",
        .config = "{\"add_prefix_space\":false}"});
    check_ids(t, TEXT("ab"), GPT2_ENCODE_TEXT, IDS(2));
    gpt2_tokenizer_close(t);

    // Without the regular expression the whole text is one piece: the merge crosses the space.
    static const char *const whole = "\"model\":{\"vocab\":{\"a\":0,\"\xC4\xA0\":1,\"a\xC4\xA0\":2}"
                                     ",\"merges\":[\"a \xC4\xA0\"]}}";
    for (int regex = 0; regex < 2; regex++) {
        char file[512];
        snprintf(file, sizeof file, "{\"pre_tokenizer\":" BYTELEVEL "%s},%s",
                 regex ? "true" : "false", whole);
        t = open_files((struct files){.tokenizer = file});
        if (regex)
            check_ids(t, TEXT("a a"), GPT2_ENCODE_TEXT, IDS(0, 1, 0));
        else
            check_ids(t, TEXT("a a"), GPT2_ENCODE_TEXT, IDS(2, 0));
        gpt2_tokenizer_close(t);
    }

    // A token that no merge makes: taken whole with ignore_merges only; short and long ones.
    for (int ignore = 0; ignore < 2; ignore++) {
        char file[512];
        snprintf(file, sizeof file,
                 "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"ignore_merges\":%s,\"vocab\":"
                 "{\"a\":0,\"aaa\":1,\"aaaaaaaaaaaaaaaaaaaa\":2},\"merges\":[]}}",
                 ignore ? "true" : "false");
        t = open_files((struct files){.tokenizer = file});
        if (ignore) {
            check_ids(t, TEXT("aaa"), GPT2_ENCODE_TEXT, IDS(1));
            check_ids(t, TEXT("aaaaaaaaaaaaaaaaaaaa"), GPT2_ENCODE_TEXT, IDS(2));
            check_ids(t, TEXT("aa"), GPT2_ENCODE_TEXT, IDS(0, 0));
        } else {
            check_ids(t, TEXT("aaa"), GPT2_ENCODE_TEXT, IDS(0, 0, 0));
        }
        gpt2_tokenizer_close(t);
    }
}

/* Every refusal names the file, the place, what was expected and what was found. */
static void malformed_files_are_refused_by_name(void **state) {
    static const struct {
        struct files files;
        const char *says;
    } cases[] = {
        {{.tokens = "[]", .merges = ""}, "d/vocab.json: expected an object, found an array"},
        {{.tokens = "{\"a\":0", .merges = ""}, "d/vocab.json: not valid JSON"},
        {{.tokens = "{}", .merges = ""}, "d/vocab.json: expected tokens with ids, found none"},
        {{.tokens = "{\"a\":0,\"b\":1.5}", .merges = ""},
         "d/vocab.json: entry 2 \"b\": expected an id from 0 to 9999999, found 1.5"},
        {{.tokens = "{\"a\":0,\"b\":-1}", .merges = ""},
         "entry 2 \"b\": expected an id from 0 to 9999999, found -1"},
        {{.tokens = "{\"a\":0,\"b\":10000000}", .merges = ""}, "found 10000000"},
        {{.tokens = "{\"a\":0,\"b\":1e300}", .merges = ""}, "entry 2 \"b\": expected an id"},
        {{.tokens = "{\"a\":0,\"b\":\"1\"}", .merges = ""}, "found a string"},
        {{.tokens = "{\"a\":0,\"b\":1,\"a\":2}", .merges = ""},
         "d/vocab.json: entry 3 \"a\": expected every token once, found it with the ids 0 and 2"},
        {{.tokens = "{\"a\":0,\"b\":0}", .merges = ""},
         "d/vocab.json: id 0: expected one token, found two: \"a\" and \"b\""},
        {{.tokens = "{\"a\":0,\"\":1}", .merges = ""},
         "d/vocab.json: entry 2: expected a token, found an empty"},
        {{.tokens = "{\"a\":0,\"b c\":1}", .merges = ""},
         "d/vocab.json: entry 2: expected a token in GPT-2's byte alphabet, found \"b c\""},
        {{.tokens = "{\"a\":0,\"\xE4\xB8\xAD\":1}", .merges = ""}, "byte alphabet"},
        {{.tokens = TOKENS, .merges = "#version: 0.2\na b\nab\n"},
         "d/merges.txt: line 3: expected two tokens with one space between them, found \"ab\""},
        {{.tokens = TOKENS, .merges = "a b\na  b\n"}, "d/merges.txt: line 2: expected two tokens"},
        {{.tokens = TOKENS, .merges = "a b \n"}, "d/merges.txt: line 1: expected two tokens"},
        {{.tokens = TOKENS, .merges = " a b\n"}, "d/merges.txt: line 1: expected two tokens"},
        {{.tokens = TOKENS, .merges = "a b\n\nab b\n"},
         "d/merges.txt: line 2: expected two tokens"},
        {{.tokens = TOKENS, .merges = "a b\n#version: 0.2\n"}, "d/merges.txt: line 2"},
        {{.tokens = TOKENS, .merges = "x b\n"},
         "d/merges.txt: line 1: merge of \"x\" and \"b\": expected its left half to be a token of "
         "d/vocab.json, found none such"},
        {{.tokens = TOKENS, .merges = "a \xE4\xB8\xAD\n"}, "expected its right half"},
        {{.tokens = TOKENS, .merges = "b b\n"}, "expected its result"},
        {{.tokens = TOKENS, .merges = "\xFF\xFE b\n"}, "d/merges.txt: line 1"},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"x\":2}"},
         "d/added_tokens.json: id 2: expected one token, found two: \"ab\" and \"x\""},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"x\":null}"},
         "d/added_tokens.json: entry 1 \"x\": expected an id from 0 to 9999999, found null"},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"x\":7,\"x\":8}"},
         "d/added_tokens.json: special token \"x\": expected one id, found 7 and 8"},
        {{.tokens = TOKENS, .merges = MERGES, .added = "{\"<|endoftext|>\":7}"}, NULL},
        {{.tokens = "{\"a\":0,\"\xEF\xBD\x9Cx\":2}",
          .merges = "",
          .added = "{\"\xEF\xBD\x9Cx\":7}"},
         "expected the id 7 that d/added_tokens.json gives, found 2"},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .specials = "{\"pad_token\":{\"content\":\"x\",\"lstrip\":true}}"},
         "d/special_tokens_map.json: special token \"x\": expected \"lstrip\" to be false"},
        {{.tokens = TOKENS, .merges = MERGES, .specials = "{\"additional_special_tokens\":[1]}"},
         "d/special_tokens_map.json: expected a special token"},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .config = "{\"added_tokens_decoder\":{\"x\":{\"content\":\"y\"}}}"},
         "d/tokenizer_config.json: added_tokens_decoder: expected an id from 0 to 9999999, found "
         "\"x\""},
        {{.tokens = TOKENS,
          .merges = MERGES,
          .config = "{\"added_tokens_decoder\":{\"10000000\":\"y\"}}"},
         "found \"10000000\""},
        {{.tokens = TOKENS, .merges = MERGES, .config = "{\"add_prefix_space\":1}"},
         "d/tokenizer_config.json: add_prefix_space: expected true or false, found a number"},
        {{.tokens = TOKENS, .merges = MERGES, .config = "{\"add_bos_token\":true}"},
         "d/tokenizer_config.json: add_bos_token: expected false, found true"},
        {{.tokens = TOKENS, .merges = MERGES, .config = "nope"},
         "d/tokenizer_config.json: not valid JSON"},
        {{.tokenizer = "{\"pre_tokenizer\":null," MODEL("") "}"},
         "d/tokenizer.json: pre_tokenizer: expected \"ByteLevel\", found null"},
        {{.tokenizer = "{\"pre_tokenizer\":{\"type\":\"Metaspace\"}," MODEL("") "}"},
         "found \"Metaspace\""},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "3}," MODEL("") "}"},
         "d/tokenizer.json: pre_tokenizer.use_regex: expected true or false, found a number"},
        {{.tokenizer =
              "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[]}," MODEL("") "}"},
         "pre_tokenizer: expected"},
        {{.tokenizer =
              "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","
              "\"pattern\":{\"Regex\":\"\\\\s\"},\"behavior\":\"Isolated\"}," BYTELEVEL
              "false}]}," MODEL("") "}"},
         "pre_tokenizer Split: expected GPT-2's regular expression, found \"\\s\""},
        {{.tokenizer = "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                       "\"Digits\"}," BYTELEVEL "true}]}," MODEL("") "}"},
         "found \"Digits\""},
        {{.tokenizer = "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":" BYTELEVEL
                       "true}," MODEL("") "}"},
         "d/tokenizer.json: normalizer: expected null, found \"NFC\""},
        {{.tokenizer =
              "{\"post_processor\":{\"type\":\"TemplateProcessing\"},\"pre_tokenizer\":" BYTELEVEL
              "true}," MODEL("") "}"},
         "d/tokenizer.json: post_processor: expected \"ByteLevel\" or null, found "
         "\"TemplateProcessing\""},
        {{.tokenizer = "{\"decoder\":{\"type\":\"WordPiece\"},\"pre_tokenizer\":" BYTELEVEL
                       "true}," MODEL("") "}"},
         "found \"WordPiece\""},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"type\":\"Unigram\"}}"},
         "d/tokenizer.json: model.type: expected \"BPE\", found \"Unigram\""},
        {{.tokenizer =
              "{\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("\"byte_fallback\":true,") "}"},
         "model.byte_fallback"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("\"dropout\":0.1,") "}"},
         "model.dropout"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL
                       "true}," MODEL("\"end_of_word_suffix\":\"</w>\",") "}"},
         "model.end_of_word_suffix"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true}}"},
         "d/tokenizer.json: expected an object \"model\", found none"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"merges\":[]}}"},
         "model.vocab: expected an object, found none"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"vocab\":" TOKENS
                       ",\"merges\":{}}}"},
         "model.merges: expected an array, found an object"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL "true},\"model\":{\"vocab\":" TOKENS
                       ",\"merges\":[\"a b\",[\"a\"]]}}"},
         "d/tokenizer.json: merge 2: expected \"left right\" or [\"left\", \"right\"], found an "
         "array"},
        {{.tokenizer = "{\"pre_tokenizer\":" BYTELEVEL
                       "true},\"added_tokens\":[{\"content\":\"x\"}]," MODEL("") "}"},
         "d/tokenizer.json: entry 1 \"added_tokens\": expected an id from 0 to 9999999, found "
         "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        struct vocab *vocab = parse(&cases[i].files, &err);
        if (vocab && !cases[i].says) { // the one that is right
            vocab_free(vocab);
            continue;
        }
        if (vocab || !cases[i].says)
            fail_msg("case %zu: expected %s, found %s", i, cases[i].says ? "an error" : "none",
                     vocab ? "none" : err.message);
        assert_int_equal(err.status, GPT2_ERR_MODEL);
        if (!strstr(err.message, cases[i].says))
            fail_msg("case %zu: expected \"%s\", found \"%s\"", i, cases[i].says, err.message);
    }
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void a_directory_or_a_file_in_it_is_opened(void **state) {
    static const char *const names[] = {"encoder.json", "vocab.bpe", "vocab.json", "merges.txt",
                                        "tokenizer.json"};
    const char *tmp = getenv("TMPDIR");
    char folder[2048], path[4096];
    struct gpt2_error err;
    snprintf(folder, sizeof folder, "%s/gpt2-tokenizer-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));

    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_non_null(strstr(err.message, folder));
    assert_non_null(strstr(err.message, "vocab.json and merges.txt"));
    assert_non_null(strstr(err.hint, "--ids"));

    write_file(folder, "tokenizer.json", "{}"); // it decides: a pair beside it is not taken instead
    write_file(folder, "vocab.json", TOKENS);
    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_non_null(strstr(err.message, "tokenizer.json: "));
    assert_string_equal(err.hint, "");

    write_file(folder, "encoder.json", TOKENS);
    write_file(folder, "vocab.bpe", MERGES);
    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_non_null(strstr(err.message, "tokenizer.json: "));
    assert_non_null(strstr(err.hint, "encoder.json uses it with vocab.bpe"));
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    assert_int_equal(remove(path), 0);
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(folder, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(3));
    gpt2_tokenizer_close(t);

    write_file(folder, "merges.txt", "a b\n");
    snprintf(path, sizeof path, "%s/encoder.json", folder); // a file that is named is used
    t = gpt2_tokenizer_open(path, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(3));
    gpt2_tokenizer_close(t);
    t = gpt2_tokenizer_open(folder, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb"), GPT2_ENCODE_TEXT, IDS(2, 1));
    gpt2_tokenizer_close(t);
    write_file(folder, "notes.txt", "x");
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    assert_null(gpt2_tokenizer_open(path, &err));
    assert_ptr_equal(strstr(err.message, path), err.message);
    remove(path);
    snprintf(path, sizeof path, "%s//", folder);
    t = gpt2_tokenizer_open(path, &err);
    assert_non_null(t);
    gpt2_tokenizer_close(t);

    snprintf(path, sizeof path, "%s/none", folder);
    assert_null(gpt2_tokenizer_open(path, &err));
    assert_non_null(strstr(err.message, "no such file"));
    write_file(folder, "merges.txt", "a c\n");
    assert_null(gpt2_tokenizer_open(folder, &err));
    assert_non_null(strstr(err.message, "merges.txt: line 1"));
    write_file(folder, "tokenizer.json", // what a pair does not say counts
               "{\"added_tokens\":[{\"id\":6,\"content\":\"<bot>\",\"special\":true}],"
               "\"pre_tokenizer\":" BYTELEVEL "true}," MODEL("") "}");
    write_file(folder, "merges.txt", "a b\n");
    t = gpt2_tokenizer_open(folder, &err);
    assert_non_null(t);
    check_ids(t, TEXT("abb<bot>"), GPT2_ENCODE_SPECIAL, IDS(3, 6));
    gpt2_tokenizer_close(t);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(remove(folder), 0);
}

static void a_tokenizer_of_another_kind_is_refused_or_read(void **state) {
    struct gpt2_tokenizer *t = open_data("fixtures/not-gpt2");
    check_round_trip(t, (const unsigned char *)"any text", 8, GPT2_ENCODE_TEXT);
    gpt2_tokenizer_close(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_vocabularies_merge_by_the_book),
        cmocka_unit_test(vocabularies_that_no_training_makes_merge_by_the_book),
        cmocka_unit_test(a_long_run_merges_by_the_book),
        cmocka_unit_test(the_shipped_model_merges_by_the_book),
        cmocka_unit_test(gpt2_merges_by_the_book),
        cmocka_unit_test(gpt2_gives_the_known_ids),
        cmocka_unit_test(gpt2_gives_the_ids_of_the_vector_file),
        cmocka_unit_test(tiny_shakespeare_gives_the_published_ids),
        cmocka_unit_test(wikitext_gives_the_published_count),
        cmocka_unit_test(tokenizer_json_gives_what_the_two_files_give),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(hostile_runs_come_back),
        cmocka_unit_test(the_result_does_not_depend_on_what_is_in_the_list),
        cmocka_unit_test(a_tiny_vocabulary_works),
        cmocka_unit_test(a_byte_without_a_token_is_an_error_and_leaves_the_list_as_it_was),
        cmocka_unit_test(line_ends_headers_and_gaps_are_accepted),
        cmocka_unit_test(the_last_of_two_equal_merges_counts),
        cmocka_unit_test(special_tokens_come_from_every_file_that_names_them),
        cmocka_unit_test(the_forms_of_tokenizer_json_are_read),
        cmocka_unit_test(settings_of_tokenizer_json_are_honoured),
        cmocka_unit_test(malformed_files_are_refused_by_name),
        cmocka_unit_test(a_directory_or_a_file_in_it_is_opened),
        cmocka_unit_test(a_tokenizer_of_another_kind_is_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
