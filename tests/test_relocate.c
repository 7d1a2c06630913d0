/* test_relocate.c - weights that are moved out of the file: same bits, never there twice, with huge
 * pages or without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/panels.h"
#include "model/weights.h"
#include "testmodel.h"
#include <gpt2/quantize.h>
#include <gpt2/session.h>
#include <inttypes.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

enum { N_VOCAB = 3000, N_IDS = 5 };

static char dir[TESTMODEL_PATH], file[TESTMODEL_PATH];
static struct gpt2_runtime *runtime;

/* 19 MB of weights, 5 MB when packed: what is not moved is little beside it. */
static int setup(void **state) {
    struct gpt2_error err = {0};
    testmodel_tempdir(dir);
    testmodel_path(file, dir, "packed.safetensors");
    testmodel_write(dir, &(struct testmodel_options){.n_vocab = N_VOCAB, .n_embd = 384});
    runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, &err);
    struct gpt2_model *model = gpt2_model_open(dir, &err);
    bool ok =
        runtime && model &&
        gpt2_quantize(model, runtime, &(struct gpt2_quantize_options){.type = GPT2_Q8}, file, &err);
    gpt2_model_close(model);
    return ok ? 0 : -1;
}

static int teardown(void **state) {
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
    return 0;
}

enum way { MAPPED, IN_A_PASS, AT_ONCE };

static struct gpt2_model *open_model(const char *path, enum way way) {
    struct gpt2_error err = {0};
    struct gpt2_model *model = gpt2_model_open_lazy(path, &err);
    if (!model || (way != MAPPED && !gpt2_model_move(model, way == AT_ONCE ? runtime : NULL, &err)))
        fail_msg("%s", err.message);
    return model;
}

/* The logits of the last of some tokens, read n_passes times: before and after a move by the first.
 */
static void run(float *logits, const struct gpt2_model *model, int n_passes) {
    static const int32_t ids[N_IDS] = {3, 1, 2999, 1500, 7};
    struct gpt2_error err = {0};
    struct gpt2_batch *batch = gpt2_batch_create(model, runtime, NULL, &err);
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    for (int pass = 0; pass < n_passes; pass++) {
        if (!batch || !session || !gpt2_session_rewind(session, 0, &err) ||
            !gpt2_batch_run(batch, &(struct gpt2_span){session, ids, N_IDS, 1}, 1, &err))
            fail_msg("%s", err.message);
        memcpy(logits + pass * N_VOCAB, gpt2_batch_logits(batch, 0, 0), N_VOCAB * sizeof *logits);
    }
    gpt2_session_free(session);
    gpt2_batch_free(batch);
}

static void every_way_gives_the_same_bits(void **state) {
    static float expected[2 * N_VOCAB], found[2 * N_VOCAB];
    const char *const paths[] = {dir, file};
    for (size_t p = 0; p < 2; p++) {
        struct gpt2_model *model = open_model(paths[p], MAPPED);
        run(expected, model, 2);
        assert_int_equal(gpt2_model_moved(model, NULL), 0);
        gpt2_model_close(model);
        assert_memory_equal(expected, expected + N_VOCAB, N_VOCAB * sizeof *expected);
        for (enum way way = IN_A_PASS; way <= AT_ONCE; way++) {
            model = open_model(paths[p], way);
            run(found, model, 2);
            struct gpt2_cost blocks, head;
            gpt2_model_cost(model, &blocks, &head);
            assert_true(gpt2_model_moved(model, NULL) >= blocks.bytes + head.bytes);
            assert_memory_equal(found, expected, sizeof found);
            gpt2_model_close(model);
        }
    }
}

/* One run at a time has the right to make copies, and gives it back at its end. What is computed
 * after that, with no run, reads the head where it lies. */
static void nothing_moves_outside_of_a_run(void **state) {
    static const int32_t id = 3;
    static float x[384];
    struct gpt2_error err = {0};
    struct gpt2_model *model = open_model(dir, IN_A_PASS);
    struct gpt2_batch *batch = gpt2_batch_create(model, runtime, NULL, &err);
    struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
    if (!batch || !session ||
        !gpt2_batch_run(batch, &(struct gpt2_span){session, &id, 1, 0}, 1, &err)) // no head in it
        fail_msg("%s", err.message);
    size_t blocks = gpt2_model_moved(model, NULL);
    assert_true(blocks > 0);
    assert_true(gpt2_batch_unembed(batch, x, 384, 1, &err));
    assert_int_equal(gpt2_model_moved(model, NULL), blocks);
    gpt2_session_free(session);
    gpt2_batch_free(batch);
    run((float[N_VOCAB]){0}, model, 1); // the next run moves it
    assert_true(gpt2_model_moved(model, NULL) > blocks);
    gpt2_model_close(model);
}

#if defined(__linux__)
/* Bytes of the model's mapping that are in this process's memory. */
static size_t resident(const struct gpt2_model *model) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    char line[512];
    size_t total = 0, kib;
    uintptr_t begin, end, data = (uintptr_t)model->tensors.file.data;
    bool inside = false;
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            inside = begin <= data && data < end;
        else if (inside && sscanf(line, "Rss: %zu kB", &kib) == 1)
            total += kib * 1024;
    }
    fclose(maps);
    return total;
}

/* The matrices are nearly all of the file; a token's rows of the embeddings bring a few pages back.
 */
static void what_was_moved_leaves_the_mapping(void **state) {
    static float logits[N_VOCAB];
    const char *const paths[] = {dir, file};
    for (size_t p = 0; p < 2; p++) {
        for (enum way way = MAPPED; way <= AT_ONCE; way++) {
            struct gpt2_model *model = open_model(paths[p], MAPPED);
            for (size_t position = 0; gpt2_model_prefetch(model, &position);) {
            }
            if (way != MAPPED)
                assert_true(gpt2_model_move(model, way == AT_ONCE ? runtime : NULL, NULL));
            if (way != AT_ONCE)
                run(logits, model, 1);
            size_t part = resident(model) * 100 / model->tensors.file.size;
            if (way == MAPPED ? part < 80 : part > 40)
                fail_msg("%s, way %d: %zu %% of the file are in memory", paths[p], way, part);
            gpt2_model_close(model);
        }
    }
}

static void without_huge_pages_it_works_and_says_so(void **state) {
    static float expected[2 * N_VOCAB], found[2 * N_VOCAB];
    struct gpt2_model *model = open_model(dir, MAPPED);
    run(expected, model, 2);
    gpt2_model_close(model);
    if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
        skip();
    size_t huge = 1;
    model = open_model(dir, IN_A_PASS);
    run(found, model, 2);
    assert_true(gpt2_model_moved(model, &huge) > 0);
    assert_int_equal(huge, 0);
    assert_memory_equal(found, expected, sizeof found);
    gpt2_model_close(model);
    prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}
#endif

/* Any number of inputs and outputs, of both sizes, at any alignment; outputs past the last stay. */
static void a_panel_holds_what_lay_in_columns(void **state) {
    enum { MOST = 37, STRIDE = MOST * 4 + 5 };
    static unsigned char from[PANEL * STRIDE + 4], panel[MOST * PANEL * 4];
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (unsigned char)(i * 2654435761u >> 13 & 0x7F);
    for (size_t size = 2; size <= 4; size += 2)
        for (int n_k = 0; n_k <= MOST; n_k++)
            for (int n = 0; n <= PANEL; n++) {
                const unsigned char *at = from + (n_k + n) % 4;
                memset(panel, 0xEE, sizeof panel);
                panels_turn(panel, at, STRIDE, size, n_k, n);
                for (int k = 0; k < MOST; k++)
                    for (int c = 0; c < PANEL; c++) {
                        const unsigned char *found = panel + (size_t)(k * PANEL + c) * size;
                        if (k < n_k && c < n)
                            assert_memory_equal(found, at + c * STRIDE + (size_t)k * size, size);
                        else
                            assert_int_equal(found[0], 0xEE);
                    }
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_panel_holds_what_lay_in_columns),
        cmocka_unit_test(every_way_gives_the_same_bits),
        cmocka_unit_test(nothing_moves_outside_of_a_run),
#if defined(__linux__)
        cmocka_unit_test(what_was_moved_leaves_the_mapping),
        cmocka_unit_test(without_huge_pages_it_works_and_says_so),
#endif
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
