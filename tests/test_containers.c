/* test_containers.c - which format a path means, and the table of tensors that readers fill. */
#include "testmodel.h"

#include "base/path.h"
#include "text/alphabet.h"
#include "text/tokenizer_internal.h"
#include "weights/containers.h"
#include "weights/packed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[TESTMODEL_PATH];

static int setup(void **state) {
    testmodel_tempdir(dir);
    return 0;
}

static int teardown(void **state) {
    testmodel_remove(dir);
    return 0;
}

static void put(const char *name, const char *text) {
    testmodel_write_file(dir, name, text, strlen(text));
}

/* What the directory means: the name of the file, "" where there is none. */
static void expect_file(const char *name) {
    const struct container *found;
    struct gpt2_error err = {0};
    char *file;
    bool ok = containers_in_directory(&found, &file, dir, &err);
    if (ok != (*name != 0) || err.status != GPT2_OK ||
        (ok && strcmp(file + strlen(dir) + 1, name) != 0))
        fail_msg("expected \"%s\", found %s (%s)", name, ok ? file : "nothing", err.message);
    free(file);
}

static void a_directory_means_the_first_format_of_the_table(void **state) {
    expect_file("");
    put("notes.txt", "x");
    put("other.safetensors", "x");
    put("model.fp16-00001-of-00002.safetensors", "x"); // a part is no variant
    expect_file("");
    put("tf_model.h5", "x"); // known, not read
    expect_file("tf_model.h5");
    put("adapter_config.json", "x");
    expect_file("adapter_config.json");
    put("pytorch_model.fp16.bin", "x"); // a variant
    expect_file("pytorch_model.fp16.bin");
    put("model.safetensors.index.fp16.json", "x");
    expect_file("model.safetensors.index.fp16.json");
    put("model.fp16.safetensors", "x");
    expect_file("model.fp16.safetensors");
    put("some.gguf", "x");
    expect_file("some.gguf");
    put("model.safetensors.index.json", "x");
    expect_file("model.safetensors.index.json");
    put("model.safetensors", "x");
    expect_file("model.safetensors");
}

static void several_files_of_one_kind_are_a_question(void **state) {
    const struct container *found;
    struct gpt2_error err = {0};
    char *file;
    put("b.gguf", "x");
    put("a.gguf", "x");
    put("c.gguf", "x");
    assert_false(containers_in_directory(&found, &file, dir, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_non_null(strstr(err.message, "found several"));
    assert_non_null(strstr(err.hint, "a.gguf"));
    free(file);
    put("model.safetensors", "x"); // what goes before them settles it
    expect_file("model.safetensors");
}

static void several_variants_are_a_question(void **state) {
    const struct container *found;
    struct gpt2_error err = {0};
    char *file;
    put("model.fp16.safetensors", "x");
    put("model.bf16.safetensors", "x");
    assert_false(containers_in_directory(&found, &file, dir, &err));
    assert_non_null(strstr(err.message, "model.*.safetensors, found several"));
    free(file);
    put("pytorch_model.bin", "x"); // no variant
    expect_file("pytorch_model.bin");
}

/* What no name of the table says: the file's head, or a name that counts where it is given. */
static void a_guess_is_the_first_that_is_known(void **state) {
    char *file;
    put("training_args.bin", "PK\3\4");
    put("notes.txt", "x");
    assert_null(containers_guess(&file, dir));
    assert_null(file);
    put("weights.bin", "lmgg");
    assert_ptr_equal(containers_guess(&file, dir), &container_ggml);
    assert_string_equal(path_name(file), "weights.bin");
    free(file);
    put("gpt2.safetensors", "x");
    assert_ptr_equal(containers_guess(&file, dir), &container_safetensors);
    assert_string_equal(path_name(file), "gpt2.safetensors");
    free(file);
}

/* What a file of this name and content is; *what of its format, or NULL. */
static enum given_kind identify(const char *name, const char *content, const char **what) {
    char path[TESTMODEL_PATH];
    struct given given;
    struct gpt2_error err = {0};
    put(name, content);
    testmodel_path(path, dir, name);
    const bool known = containers_identify(&given, path, &err);
    if (!known)
        fail_msg("%s", err.message);
    *what = given.format ? given.format->what : NULL;
    assert_int_equal(given.file.data != NULL, given.kind == GIVEN_WEIGHTS); // the mapping is kept
    containers_close(&given);
    return given.kind;
}

/* A file that begins so, whatever its name. */
static void expect_format(const char *content, const struct container *format) {
    char path[TESTMODEL_PATH];
    struct given given;
    struct gpt2_error err = {0};
    put("some.name", content);
    testmodel_path(path, dir, "some.name");
    if (!containers_identify(&given, path, &err))
        fail_msg("%s", err.message);
    assert_ptr_equal(given.format, format);
    containers_close(&given);
}

/* Each format can be told from the others and says all that the table's users rely on. */
static void every_format_of_the_table_is_complete(void **state) {
    const struct container *c;
    char list[CONTAINERS_LIST];
    containers_list(list);
    assert_true(strlen(list) < sizeof list - 1); // not cut
    for (size_t i = 0; (c = containers_at(i)) != NULL; i++) {
        assert_non_null(c->what);
        if (!c->names && !c->recognise)
            fail_msg("%s: neither names nor first bytes", c->what);
        if (!c->parse && !c->hint)
            fail_msg("%s: not read, and no hint says what to do", c->what);
        if (c->parse && !c->lists && !c->name)
            fail_msg("%s: expected a name in lists of what is read", c->what);
        if (c->name && (!c->parse || !strstr(list, c->name)))
            fail_msg("%s: in the list \"%s\"?", c->what, list);
        if (c->tokenizer && c->tables)
            fail_msg("%s: expected one form of tokenizer", c->what);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(c->what, containers_at(k)->what);
        for (size_t n = 0; c->names && c->names[n]; n++) { // a name is of one format
            const char *name = c->names[n] + (c->names[n][0] == '*');
            const char *what;
            if (identify(name, "?", &what) != GIVEN_WEIGHTS || strcmp(what, c->what) != 0)
                fail_msg("%s: expected %s, found %s", name, c->what, what ? what : "nothing");
        }
    }
    expect_format("........" PACKED_MAGIC "9\"", &container_packed);
    expect_format("GGUF", &container_gguf);
    expect_format("tjgg", &container_ggml);
}

static void expect_stranger(const char *name, const char *words) {
    char path[TESTMODEL_PATH];
    struct given given;
    struct gpt2_error err = {0};
    testmodel_path(path, dir, name);
    assert_false(containers_identify(&given, path, &err));
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_ptr_equal(strstr(err.message, path), err.message);
    assert_non_null(strstr(err.message, words));
}

static void what_a_file_begins_with_counts_before_its_name(void **state) {
    const char *what;
    assert_int_equal(identify("model.safetensors", "GGUF....", &what), GIVEN_WEIGHTS);
    assert_string_equal(what, "a GGUF file");
    assert_int_equal(identify("weights.bin", "tjgg....", &what), GIVEN_WEIGHTS);
    assert_string_equal(what, "a legacy ggml file");
    assert_int_equal(identify("config.json", "GGUF....", &what), GIVEN_WEIGHTS);
    assert_int_equal(identify("x.gguf", "", &what), GIVEN_WEIGHTS); // its reader says what is wrong
}

static void a_file_is_what_it_is_or_refused(void **state) {
    static const char *const parts[] = {"config.json",  "generation_config.json",
                                        "hparams.json", "vocab.json",
                                        "merges.txt",   "tokenizer.json"};
    const char *what;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_int_equal(identify(parts[i], "{}", &what), GIVEN_PART);
    put("weights.q8", "");
    expect_stranger("weights.q8", "found it empty");
    put("vocab.json", "");
    expect_stranger("vocab.json", "found it empty");
    put("notes.txt", "on config.json");
    expect_stranger("notes.txt", "begins as none of them");
    expect_stranger("nowhere", "no such file");
    char path[TESTMODEL_PATH];
    testmodel_path(path, dir, "link");
    assert_int_equal(symlink("nowhere", path), 0);
    expect_stranger("link", "cannot open: download incomplete");
    remove(path);
}

static void what_cannot_be_opened_is_refused_as_that(void **state) {
    struct rlimit old;
    put("model.safetensors", "x");
    put("weights.q8", "x");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, old.rlim_max}), 0);
    char path[TESTMODEL_PATH];
    struct given given;
    const struct container *found;
    char *file;
    struct gpt2_error err = {0}, listing = {0};
    testmodel_path(path, dir, "weights.q8");
    const bool known = containers_identify(&given, path, &err);
    const bool listed = containers_in_directory(&found, &file, dir, &listing);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_false(known);
    assert_ptr_equal(strstr(err.message, path), err.message);
    assert_non_null(strstr(err.message, strerror(EMFILE)));
    assert_false(listed);
    // What the system lacks says nothing about the model.
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    assert_int_equal(listing.status, GPT2_ERR_RUNTIME);
    assert_non_null(strstr(listing.message, strerror(EMFILE)));
}

static void matrices_are_turned(void **state) {
    static const int64_t shapes[][2] = {{1, 1}, {1, 40}, {40, 1}, {16, 16}, {17, 33}, {50, 15}};
    static const size_t sizes[] = {1, 2, 4, 8};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            const size_t rows = (size_t)shapes[s][0], cols = (size_t)shapes[s][1], n = sizes[k];
            struct tensors tensors = {0};
            unsigned char *data = malloc(rows * cols * n + 1);
            for (size_t i = 0; i < rows * cols * n; i++)
                data[i + 1] = (unsigned char)(i * 29 + i / 256);
            struct tensor t = {.rank = 2,
                               .shape = {(int64_t)rows, (int64_t)cols},
                               .data = data + 1, // any alignment
                               .n_bytes = rows * cols * n};
            assert_true(tensors_transpose(&tensors, &t, NULL));
            assert_int_equal(t.shape[0], cols);
            assert_int_equal(t.shape[1], rows);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < cols; j++)
                    assert_memory_equal((const unsigned char *)t.data + (j * rows + i) * n,
                                        data + 1 + (i * cols + j) * n, n);
            free(data);
            tensors_close(&tensors);
        }
    }
}

static void the_byte_alphabet_goes_both_ways(void **state) {
    unsigned char bytes[256], back[512];
    char text[512];
    size_t n_back;
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    const size_t n = alphabet_encode(text, bytes, sizeof bytes);
    assert_int_equal(n, 94 + 2 * (256 - 94)); // ASCII that can be seen has one byte
    assert_true(alphabet_decode(back, &n_back, text, n));
    assert_int_equal(n_back, 256);
    assert_memory_equal(back, bytes, 256);
    assert_int_equal(alphabet_encode(text, (const unsigned char *)" \n", 2), 4);
    assert_memory_equal(text, "\u0120\u010a", 4);
}

/* Special tokens beyond <|endoftext|>, a space in front, a merge that is listed twice. */
static void a_tokenizer_is_the_same_after_it_was_saved(void **state) {
    char other[TESTMODEL_PATH];
    put("vocab.json", "{\"a\": 0, \"b\": 1, \"\\\"\": 2, \"\\\\\": 3, \"ab\": 4, \"\u0120\": 5, "
                      "\"aba\": 6, \"<|endoftext|>\": 7}");
    put("merges.txt", "#version: 0.2\na b\nab a\na b\n");
    put("added_tokens.json", "{\"<pad>\": 9, \"\u00e9 x\": 11}");
    put("tokenizer_config.json", "{\"add_prefix_space\": true}");
    struct gpt2_error err = {0};
    struct gpt2_tokenizer *before = gpt2_tokenizer_open(dir, &err);
    assert_non_null(before);
    testmodel_tempdir(other);
    assert_true(gpt2_tokenizer_save(before, other, &err));
    struct gpt2_tokenizer *after = gpt2_tokenizer_open(other, &err);
    assert_non_null(after);
    assert_int_equal(gpt2_tokenizer_size(after), 12);
    static const char text[] = "abab\"\\<pad>ba<|endoftext|>\u00e9 xab";
    struct gpt2_ids a = {0}, b = {0};
    for (unsigned flags = 0; flags < 2; flags++) {
        const bool ok =
            gpt2_tokenizer_encode(before, text, flags ? strlen(text) : 6, flags, &a, &err);
        assert_true(ok);
        assert_true(gpt2_tokenizer_encode(after, text, flags ? strlen(text) : 6, flags, &b, &err));
    }
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len * sizeof *a.data);
    for (int32_t id = 0; id < 12; id++)
        assert_int_equal(gpt2_tokenizer_is_special(before, id),
                         gpt2_tokenizer_is_special(after, id));
    struct gpt2_gguf_pairs pairs;
    assert_false(gpt2_tokenizer_gguf(before, 11, &pairs, &err)); // fewer rows than ids
    assert_int_equal(err.status, GPT2_ERR_MODEL);
    assert_true(gpt2_tokenizer_gguf(before, 16, &pairs, &err));
    assert_int_equal(pairs.n_pairs, 6);
    free(pairs.bytes);
    gpt2_ids_free(&a);
    gpt2_ids_free(&b);
    gpt2_tokenizer_close(before);
    gpt2_tokenizer_close(after);
    testmodel_remove(other);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_directory_means_the_first_format_of_the_table),
        TEST(several_files_of_one_kind_are_a_question),
        TEST(several_variants_are_a_question),
        TEST(a_guess_is_the_first_that_is_known),
        TEST(what_a_file_begins_with_counts_before_its_name),
        TEST(a_file_is_what_it_is_or_refused),
        TEST(what_cannot_be_opened_is_refused_as_that),
        TEST(every_format_of_the_table_is_complete),
        TEST(matrices_are_turned),
        TEST(the_byte_alphabet_goes_both_ways),
        TEST(a_tokenizer_is_the_same_after_it_was_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
