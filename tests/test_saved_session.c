/* test_saved_session.c - a session that comes from a file goes on with the same bits; damaged and
 * foreign files are refused; what is written is there whole, private, and the same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "forward/saved_session_file.h"
#include "testmodel.h"
#include <gpt2/saved_session.h>

#include <sys/stat.h>

enum { N_CTX = 200 };

static char dir[TESTMODEL_PATH], path[TESTMODEL_PATH + 32];
static struct gpt2_model *model, *other;
static struct gpt2_runtime *runtime;
static struct gpt2_batch *batch;
static int32_t ids[N_CTX + 1];
static int n_vocab;

static struct gpt2_model *make(uint64_t seed) {
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = N_CTX, .seed = seed});
    struct gpt2_model *made = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    assert_non_null(made);
    return made;
}

static int open_all(void **state) {
    model = make(1);
    other = make(2);
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, NULL);
    batch = gpt2_batch_create(model, runtime, NULL, NULL);
    n_vocab = gpt2_model_config(model)->n_vocab;
    for (int i = 0; i <= N_CTX; i++)
        ids[i] = (i * 7 + i / 9) % n_vocab;
    testmodel_tempdir(dir);
    snprintf(path, sizeof path, "%s/saved", dir);
    return runtime && batch ? 0 : -1;
}

static int close_all(void **state) {
    testmodel_remove(dir);
    gpt2_batch_free(batch);
    gpt2_runtime_free(runtime);
    gpt2_model_close(other);
    gpt2_model_close(model);
    return 0;
}

static struct gpt2_session *new_session(const struct gpt2_model *of, enum gpt2_kv kv) {
    struct gpt2_session *session =
        gpt2_session_create(of, &(struct gpt2_session_options){.kv = kv}, NULL);
    assert_non_null(session);
    return session;
}

static void read_ids(struct gpt2_session *session, int from, int n, int n_logits) {
    struct gpt2_span span = {session, ids + from, n, n_logits};
    assert_true(gpt2_batch_run(batch, &span, 1, NULL));
}

/* Writes the first n ids, of which the session has read only some. */
static void save(enum gpt2_kv kv, int n, int n_read) {
    struct gpt2_session *session = new_session(model, kv);
    struct gpt2_error err;
    if (n_read)
        read_ids(session, 0, n_read, 0);
    if (!gpt2_session_save(session, batch, ids, n, n / 2, path, &err))
        fail_msg("%s", err.message);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, gpt2_session_file_bytes(session, n));
    gpt2_session_free(session);
}

static struct gpt2_saved_session *open_saved(void) {
    struct gpt2_error err;
    struct gpt2_saved_session *saved = gpt2_saved_session_open(path, model, &err);
    if (!saved)
        fail_msg("%s", err.message);
    return saved;
}

static unsigned char *slurp(size_t *n) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char *data = malloc(1 << 22);
    *n = fread(data, 1, 1 << 22, file);
    fclose(file);
    return data;
}

static void spill(const unsigned char *data, size_t n) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n, file), n);
    fclose(file);
}

/* Every token after the saved ones has the logits of an undisturbed run, also when several sessions
 * share the file's pages, it is closed, and another file took its name. */
static void a_session_goes_on_as_if_never_saved(void **state) {
    static const int lengths[] = {1, 2, 63, 64, 65, 128, 150, N_CTX - 1};
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
            int n = lengths[l], n_ids, n_prompt;
            save(kv, n, n / 3);
            struct gpt2_saved_session *saved = open_saved();
            assert_memory_equal(gpt2_saved_session_ids(saved, &n_ids, &n_prompt), ids,
                                (size_t)n * sizeof *ids);
            assert_int_equal(n_ids, n);
            assert_int_equal(n_prompt, n / 2);
            assert_int_equal(gpt2_saved_session_kv(saved), kv);
            struct gpt2_session *plain = new_session(model, kv);
            struct gpt2_session *again[] = {new_session(model, kv), new_session(model, kv)};
            for (int i = 0; i < 2; i++) {
                assert_true(gpt2_saved_session_restore(saved, again[i], batch, NULL));
                assert_int_equal(gpt2_session_position(again[i]), n);
            }
            gpt2_saved_session_close(saved);
            save(kv, 5, 0);
            read_ids(plain, 0, n, 0);
            float logits[256];
            for (int i = n; i < n + 20 && i < N_CTX; i++) {
                read_ids(plain, i, 1, 1);
                memcpy(logits, gpt2_batch_logits(batch, 0, 0), (size_t)n_vocab * sizeof *logits);
                for (int k = 0; k < 2; k++) {
                    read_ids(again[k], i, 1, 1);
                    assert_memory_equal(logits, gpt2_batch_logits(batch, 0, 0),
                                        (size_t)n_vocab * sizeof *logits);
                }
            }
            gpt2_session_free(again[1]);
            gpt2_session_free(again[0]);
            gpt2_session_free(plain);
        }
}

/* However the tokens were read, and whatever was in the pages before. */
static void the_same_tokens_give_the_same_file(void **state) {
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        size_t n_first, n_second;
        save(kv, 70, 70);
        unsigned char *first = slurp(&n_first);
        struct gpt2_session *session = new_session(model, kv);
        read_ids(session, 30, 150, 0);
        assert_true(gpt2_session_rewind(session, 0, NULL));
        read_ids(session, 0, 66, 0);
        assert_true(gpt2_session_save(session, batch, ids, 70, 35, path, NULL));
        unsigned char *second = slurp(&n_second);
        assert_int_equal(n_first, n_second);
        assert_memory_equal(first, second, n_first);
        gpt2_session_free(session);
        free(first);
        free(second);
    }
}

/* The last token of a full context is not read. */
static void a_full_context_is_saved(void **state) {
    save(GPT2_KV_F32, N_CTX + 1, 10);
    struct gpt2_saved_session *saved = open_saved();
    struct gpt2_session *session = new_session(model, GPT2_KV_F32);
    assert_true(gpt2_saved_session_restore(saved, session, batch, NULL));
    assert_int_equal(gpt2_session_position(session), N_CTX);
    gpt2_session_free(session);
    gpt2_saved_session_close(saved);
}

static void refuses_file(const struct gpt2_model *of, const char *part) {
    struct gpt2_error err = {0};
    assert_null(gpt2_saved_session_open(path, of, &err));
    assert_int_equal(err.status, GPT2_ERR_INPUT);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\", got \"%s\"", part, err.message);
}

static void refuses_session(struct gpt2_saved_session *saved, struct gpt2_session *session,
                            struct gpt2_batch *with, enum gpt2_status status, const char *part) {
    struct gpt2_error err = {0};
    assert_false(gpt2_saved_session_restore(saved, session, with, &err));
    assert_int_equal(err.status, status);
    assert_int_equal(gpt2_session_position(session), 0);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\", got \"%s\"", part, err.message);
    gpt2_session_free(session);
}

static void other_models_and_caches_are_refused(void **state) {
    save(GPT2_KV_F32, 70, 0);
    struct gpt2_saved_session *saved = open_saved();
    refuses_session(saved, new_session(model, GPT2_KV_Q8), batch, GPT2_ERR_INPUT,
                    "keeps keys and values as f32: expected q8");
    refuses_session(saved, new_session(other, GPT2_KV_F32), batch, GPT2_ERR_USAGE, "another model");
    refuses_session(saved,
                    gpt2_session_create(model, &(struct gpt2_session_options){.n_ctx = 69}, NULL),
                    batch, GPT2_ERR_INPUT, "has 70 tokens");
    gpt2_saved_session_close(saved);
    saved = gpt2_saved_session_open(path, other, NULL); // of the same shape
    assert_non_null(saved);
    struct gpt2_batch *others = gpt2_batch_create(other, runtime, NULL, NULL);
    refuses_session(saved, new_session(other, GPT2_KV_F32), others, GPT2_ERR_INPUT,
                    "was made with another model");
    gpt2_batch_free(others);
    gpt2_saved_session_close(saved);
}

/* Every byte counts, and so does every length. */
static void damage_is_refused(void **state) {
    size_t n;
    save(GPT2_KV_Q8, 70, 0);
    unsigned char *data = slurp(&n);
    for (size_t at = 0; at < n; at += at < 700 ? 1 : 997) {
        data[at] ^= 16;
        spill(data, n);
        refuses_file(model, at < 8 ? "expected a saved session" : at < 12 ? "version" : "damaged");
        data[at] ^= 16;
    }
    for (size_t cut = 0; cut < n; cut += cut < 200 ? 1 : 4095) {
        spill(data, cut);
        refuses_file(model, cut == 0 ? "" : cut < 8 ? "expected a saved session" : "damaged");
    }
    // with checksums that are right, and numbers that are not
    static const size_t fields[] = {12, 16, 20, 24, 28, 32, 36, 40, 48, 64, 128, 132};
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
        for (uint32_t value = 0; value < 3; value++) {
            unsigned char *copy = malloc(n);
            static const uint32_t values[] = {0x7FFFFFFF, 0xFFFFFFFF, 0x01000000};
            memcpy(copy, data, n);
            memcpy(copy + fields[f], &values[value], 4);
            struct saved_session_header header;
            memcpy(&header, copy, sizeof header);
            header.body = checksum(copy + sizeof header, n - sizeof header);
            header.own = checksum(&header, offsetof(struct saved_session_header, own));
            memcpy(copy, &header, sizeof header);
            spill(copy, n);
            refuses_file(model, "");
            free(copy);
        }
    free(data);
    struct gpt2_error err;
    struct gpt2_session *session = new_session(model, GPT2_KV_F32);
    assert_false(gpt2_session_save(session, batch, ids, 0, 0, path, &err));
    assert_false(gpt2_session_save(session, batch, ids, 5, 6, path, &err));
    assert_false(gpt2_session_save(session, batch, ids, N_CTX + 2, 0, path, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_false(gpt2_session_save(session, batch, ids, 5, 5, "/nonexistent/x", &err));
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    gpt2_session_free(session);
    gpt2_saved_session_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_goes_on_as_if_never_saved),
        cmocka_unit_test(the_same_tokens_give_the_same_file),
        cmocka_unit_test(a_full_context_is_saved),
        cmocka_unit_test(other_models_and_caches_are_refused),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
