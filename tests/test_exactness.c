/* test_exactness.c - the contract: the same tokens give the same logits, bit for bit, whatever the
 * kernel variant, the number of threads, the cuts of the prompt, the company in a batch, and where
 * what the text begins with comes from.
 *
 * Every model is run once in the plainest way (generic variant, one thread, the prompt in one
 * call). All other ways must reproduce the hash of every token's logits. The hashes of the plainest
 * run are themselves fixed below: another compiler, CPU or operating system must give the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testgguf.h"
#include <gpt2/completion.h>
#include <gpt2/prefix_cache.h>
#include <gpt2/quantize.h>
#include <gpt2/saved_session.h>
#include <gpt2/session.h>
#include <inttypes.h>

#define MAX_TOKENS 200
#define KV_TYPES   3 /* from GPT2_KV_F32 on */

/* What the weights are made into before anything runs. */
enum packing { AS_IT_IS, PACKED_Q8, PACKED_Q4 };

struct shape {
    struct testmodel_options options;
    uint64_t expected[KV_TYPES]; /* of the hashes of all tokens, in order, for f32, f16, q8 */
    enum packing packing;
    const char *blocks; /* NULL, or of what type a GGUF file has it: "Q8_0" */
};

/* Head sizes 64, 80, 128 and odd ones; widths that are no multiple of any vector; more than one
 * block of keys; every type of weights; every switch that changes the arithmetic. */
static const struct shape shapes[] = {
    {{.n_embd = 192, .n_head = 3, .n_layer = 2, .n_ctx = 140, .n_vocab = 203, .seed = 1},
     {0xE5882021DF2747AA, 0x2B6AAE51591F1BFA, 0xC6C81639940FADC3},
     AS_IT_IS,
     NULL},
    {{.n_embd = 80,
      .n_head = 1,
      .n_layer = 2,
      .n_ctx = 150,
      .n_vocab = 97,
      .dtype = DTYPE_F16,
      .activation = "gelu",
      .seed = 2},
     {0x27229107939709A0, 0x8FE5C34095917FDA, 0x4AA4D0E7B9B197A0},
     AS_IT_IS,
     NULL},
    {{.n_embd = 256,
      .n_head = 2,
      .n_layer = 2,
      .n_ctx = 80,
      .n_vocab = 130,
      .dtype = DTYPE_BF16,
      .n_inner = 300,
      .inverse_layer_scale = true,
      .head = TESTMODEL_HEAD_OWN,
      .seed = 3},
     {0x9658FDA4D4E0BBE0, 0x80C9BD582A7886CE, 0xD8870A62F9C76C12},
     AS_IT_IS,
     NULL},
    {{.n_embd = 85,
      .n_head = 17,
      .n_layer = 2,
      .n_ctx = 70,
      .n_vocab = 61,
      .dtype = DTYPE_F64,
      .no_attn_scale = true,
      .activation = "silu",
      .seed = 4},
     {0x4B5122F73FBA283A, 0xA3741A900EBAB6F0, 0xAECB2755ACF6C983},
     AS_IT_IS,
     NULL},
    {{.n_embd = 192, .n_head = 3, .n_layer = 2, .n_ctx = 140, .n_vocab = 203, .seed = 6},
     {0x8D13F9B24269FE4F, 0xB7E7837A71076785, 0xF8D86D869D97C202},
     PACKED_Q8,
     NULL},
    {{.n_embd = 192, .n_head = 3, .n_layer = 2, .n_ctx = 140, .n_vocab = 203, .seed = 7},
     {0xD554BC820E574EBA, 0x0774274E328A31BD, 0x49DA355037E1B71B},
     PACKED_Q4,
     NULL},
    {{.n_embd = 85,
      .n_head = 5,
      .n_layer = 2,
      .n_ctx = 70,
      .n_vocab = 61,
      .n_inner = 131,
      .dtype = DTYPE_F16,
      .head = TESTMODEL_HEAD_OWN,
      .seed = 8},
     {0xCD7D90BAACAC23E7, 0xBF2D252D5DF5D1F5, 0x10F4BDEC34A147B5},
     PACKED_Q8,
     NULL},
    {{.n_embd = 85,
      .n_head = 5,
      .n_layer = 2,
      .n_ctx = 70,
      .n_vocab = 61,
      .n_inner = 131,
      .dtype = DTYPE_BF16,
      .head = TESTMODEL_HEAD_OWN,
      .seed = 9},
     {0xC08D228084E54C92, 0x016BCBCE09553D86, 0xE014A7B8A532B41F},
     PACKED_Q4,
     NULL},
    {{.n_embd = 192, .n_head = 3, .n_layer = 2, .n_ctx = 140, .n_vocab = 203, .seed = 12},
     {0xD3E33358B0CCFD70, 0xAB7E5BC9D8E2E81F, 0xE3EED80D53B405E9},
     AS_IT_IS,
     "Q8_0"},
    {{.n_embd = 96,
      .n_head = 3,
      .n_layer = 2,
      .n_ctx = 70,
      .n_vocab = 61,
      .n_inner = 160,
      .head = TESTMODEL_HEAD_OWN,
      .seed = 13},
     {0x7D36A042AA3357DA, 0xC84D1CB11284AD34, 0xCD60B2196ED5906B},
     AS_IT_IS,
     "Q5_0"},
    {{.n_embd = 192, .n_head = 3, .n_layer = 2, .n_ctx = 70, .n_vocab = 203, .seed = 14},
     {0x8E026B6E86862FE5, 0xC34F256B72BA1BB7, 0x9913ED4DC7E741E7},
     AS_IT_IS,
     "Q4_0"},
    {{.n_embd = 6, .n_head = 1, .n_layer = 1, .n_ctx = 9, .n_vocab = 3, .misalign = 3, .seed = 5},
     {0xDA9F54AEC9F10056, 0x69398E123CCF41DF, 0x4FEE0D18BCED85D4},
     AS_IT_IS,
     NULL},
};
#define N_SHAPES (sizeof shapes / sizeof *shapes)

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && *value;
}

/* Under valgrind, which is fifty times slower, only the last, small ones. */
static const struct shape *first_shape(void) {
    return is_set("VALGRIND") ? shapes + N_SHAPES - 1 : shapes;
}

/* The v-th kernel variant to test, generic first; NULL after the last. test_exactness_emulated has
 * those alone whose instructions are emulated: the others are test_exactness's. */
static const char *variant(int v) {
#if defined(EMULATED)
    static const char *const names[] = {"generic", "avx_vnni", "amx"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int k = 0; gpt2_cpu_variant(k); k++)
            if (strcmp(gpt2_cpu_variant(k), names[i]) == 0 && v-- == 0)
                return names[i];
    return NULL;
#else
    return gpt2_cpu_variant(v);
#endif
}

/* One way to run a prompt. */
struct way {
    const char *cpu;
    int threads;
    int max_rows;
    int step; /* tokens per call; 0: all at once */
    enum gpt2_kv kv;
};

static uint64_t hash_floats(uint64_t hash, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001B3;
    }
    return hash;
}

#define HASH_START 0xCBF29CE484222325

static struct gpt2_runtime *create_runtime(const char *cpu, int threads) {
    struct gpt2_error err;
    struct gpt2_runtime *runtime =
        gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = threads, .cpu = cpu}, &err);
    if (!runtime)
        fail_msg("%s", err.message);
    return runtime;
}

/* path = the model as one packed file in the folder. */
static void pack_model(char path[TESTMODEL_PATH], const struct gpt2_model *model, const char *dir,
                       int type) {
    struct gpt2_error err;
    struct gpt2_runtime *runtime = create_runtime("generic", 1);
    struct gpt2_quantize_options options = {.type = type};
    testmodel_path(path, dir, "packed");
    if (!gpt2_quantize(model, runtime, &options, path, &err))
        fail_msg("%s", err.message);
    gpt2_runtime_free(runtime);
}

/* The model as one packed file in the same folder. */
static struct gpt2_model *repack(struct gpt2_model *model, const char *dir, enum packing packing) {
    char path[TESTMODEL_PATH];
    struct gpt2_error err;
    pack_model(path, model, dir, packing == PACKED_Q8 ? GPT2_Q8 : GPT2_Q4);
    gpt2_model_close(model);
    model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s", err.message);
    return model;
}

static struct gpt2_model *open_model(const struct shape *shape) {
    char dir[TESTMODEL_PATH];
    struct gpt2_error err;
    char path[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "model.gguf");
    if (shape->blocks)
        testgguf_write(path, &shape->options, shape->blocks);
    else
        testmodel_write(dir, &shape->options);
    struct gpt2_model *model = gpt2_model_open(shape->blocks ? path : dir, &err);
    if (!model)
        fail_msg("%s", err.message);
    if (shape->packing != AS_IT_IS)
        model = repack(model, dir, shape->packing);
    testmodel_remove(dir); // the mapping stays
    return model;
}

static struct gpt2_batch *create_batch(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                                       int max_rows, int max_logits) {
    struct gpt2_error err;
    struct gpt2_batch *batch = gpt2_batch_create(
        model, runtime,
        &(struct gpt2_batch_options){.max_rows = max_rows, .max_logits = max_logits}, &err);
    if (!batch)
        fail_msg("%s", err.message);
    return batch;
}

static struct gpt2_session *create_session(const struct gpt2_model *model, enum gpt2_kv kv) {
    struct gpt2_error err;
    struct gpt2_session *session =
        gpt2_session_create(model, &(struct gpt2_session_options){.kv = kv}, &err);
    if (!session)
        fail_msg("%s", err.message);
    return session;
}

static void run_batch(struct gpt2_batch *batch, const struct gpt2_span *spans, int n) {
    struct gpt2_error err;
    if (!gpt2_batch_run(batch, spans, n, &err))
        fail_msg("%s", err.message);
}

static void make_ids(int32_t *ids, int n, const struct gpt2_model *model, uint32_t stream) {
    for (int i = 0; i < n; i++) {
        uint32_t words[4], counter[4] = {(uint32_t)i, stream, 0, 0}, key[2] = {7, 7};
        rng_philox(words, counter, key);
        ids[i] = (int32_t)(words[0] % (uint32_t)gpt2_model_config(model)->n_vocab);
    }
}

/* hashes[i] = of the logits of token i. */
static void run_way(uint64_t *hashes, const struct gpt2_model *model, const int32_t *ids, int n,
                    struct way way) {
    int n_vocab = gpt2_model_config(model)->n_vocab;
    struct gpt2_runtime *runtime = create_runtime(way.cpu, way.threads);
    struct gpt2_batch *batch = create_batch(model, runtime, way.max_rows, n);
    struct gpt2_session *session = create_session(model, way.kv);
    int step = way.step ? way.step : n;
    for (int done = 0; done < n; done += step) {
        int part = n - done < step ? n - done : step;
        run_batch(batch, &(struct gpt2_span){session, ids + done, part, part}, 1);
        for (int i = 0; i < part; i++)
            hashes[done + i] = hash_floats(HASH_START, gpt2_batch_logits(batch, 0, i), n_vocab);
    }
    gpt2_session_free(session);
    gpt2_batch_free(batch);
    gpt2_runtime_free(runtime);
}

static void expect_same(const uint64_t *expected, const uint64_t *found, int n,
                        const struct shape *shape, const char *what, struct way way) {
    for (int i = 0; i < n; i++)
        if (expected[i] != found[i])
            fail_msg(
                "shape %d, %s: cache type %d, kernels %s, %d threads, %d rows a pass, %d tokens "
                "a call: token %d of %d has other logits",
                (int)(shape - shapes), what, (int)way.kv, way.cpu, way.threads, way.max_rows,
                way.step, i, n);
}

static struct way plainest(enum gpt2_kv kv) {
    return (struct way){"generic", 1, 0, 0, kv};
}

static int context(const struct gpt2_model *model) {
    int n = gpt2_model_config(model)->n_ctx;
    return n < MAX_TOKENS ? n : MAX_TOKENS;
}

static void each_variant_gives_the_published_bits(void **state) {
    int different = 0;
    for (const struct shape *shape = first_shape(); shape < shapes + N_SHAPES; shape++) {
        struct gpt2_model *model = open_model(shape);
        int32_t ids[MAX_TOKENS];
        int n = context(model);
        make_ids(ids, n, model, 0);
        for (int v = 0; variant(v); v++)
            for (int kv = 0; kv < KV_TYPES; kv++) {
                uint64_t hashes[MAX_TOKENS], all = HASH_START;
                struct way way = plainest(GPT2_KV_F32 + (unsigned)kv);
                way.cpu = variant(v);
                run_way(hashes, model, ids, n, way);
                for (int i = 0; i < n; i++)
                    all = (all ^ hashes[i]) * 0x100000001B3;
                if (all != shape->expected[kv]) {
                    print_message("shape %d, cache type %d, kernels %s: found 0x%016" PRIX64 "\n",
                                  (int)(shape - shapes), kv, way.cpu, all);
                    different++;
                }
            }
        gpt2_model_close(model);
    }
    assert_int_equal(different, 0);
}

static void variants_threads_and_cuts_change_nothing(void **state) {
    static const int threads[] = {1, 2, 3, 5};
    static const struct way cuts[] = {{.max_rows = 0, .step = 0},  {.max_rows = 1, .step = 0},
                                      {.max_rows = 7, .step = 0},  {.max_rows = 64, .step = 33},
                                      {.max_rows = 0, .step = 64}, {.max_rows = 0, .step = 5},
                                      {.max_rows = 0, .step = 1}};
    for (const struct shape *shape = first_shape(); shape < shapes + N_SHAPES; shape++) {
        struct gpt2_model *model = open_model(shape);
        int32_t ids[MAX_TOKENS];
        uint64_t expected[MAX_TOKENS], found[MAX_TOKENS];
        int n = context(model);
        if (is_set("QUICK") && n > 75)
            n = 75; // still more than one block of keys
        make_ids(ids, n, model, 0);
        for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
            run_way(expected, model, ids, n, plainest(kv));
            for (int v = 0; variant(v); v++)
                for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
                    for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
                        struct way way = cuts[c];
                        // the generic variant is slow: its cuts take the numbers of threads in turn
                        if (v == 0 && c % 4 != t)
                            continue;
                        // with another type of cache only attention differs; for the sanitizers
                        // each cut and each number of threads once is enough
                        bool some = kv != GPT2_KV_F32 || is_set("QUICK");
                        if (some && (c + t) % 4 != (size_t)v % 4)
                            continue;
                        way.cpu = variant(v);
                        way.threads = threads[t];
                        way.kv = kv;
                        memset(found, 0, sizeof found);
                        run_way(found, model, ids, n, way);
                        expect_same(expected, found, n, shape, "alone", way);
                    }
        }
        gpt2_model_close(model);
    }
}

#define N_SEQUENCES 5

static enum gpt2_kv kv_of_sequence(int s) {
    return GPT2_KV_F32 + (unsigned)s % KV_TYPES;
}

/* Five sequences of different lengths, and with all types of cache, move through shared batches in
 * uneven spans. */
static void company_in_a_batch_changes_nothing(void **state) {
    for (const struct shape *shape = first_shape(); shape < shapes + N_SHAPES; shape++) {
        struct gpt2_model *model = open_model(shape);
        static int32_t ids[N_SEQUENCES][MAX_TOKENS];
        static uint64_t expected[N_SEQUENCES][MAX_TOKENS], found[N_SEQUENCES][MAX_TOKENS];
        int n_vocab = gpt2_model_config(model)->n_vocab;
        int len[N_SEQUENCES];
        for (int s = 0; s < N_SEQUENCES; s++) {
            len[s] = context(model) * (s + 1) / N_SEQUENCES;
            make_ids(ids[s], len[s], model, (uint32_t)s);
            run_way(expected[s], model, ids[s], len[s], plainest(kv_of_sequence(s)));
        }
        for (int v = 0; variant(v); v++) {
            struct way way = {variant(v), 2, 24, 0, GPT2_KV_AUTO};
            struct gpt2_runtime *runtime = create_runtime(way.cpu, way.threads);
            struct gpt2_batch *batch =
                create_batch(model, runtime, way.max_rows, N_SEQUENCES * MAX_TOKENS);
            struct gpt2_session *sessions[N_SEQUENCES];
            int done[N_SEQUENCES] = {0};
            for (int s = 0; s < N_SEQUENCES; s++)
                sessions[s] = create_session(model, kv_of_sequence(s));
            for (int round = 0;; round++) {
                struct gpt2_span spans[N_SEQUENCES];
                int who[N_SEQUENCES], n = 0;
                for (int s = 0; s < N_SEQUENCES; s++) {
                    static const int steps[] = {1, 13, 1, 1, 40, 3};
                    int step = steps[(round + s) % 6], left = len[s] - done[s];
                    if (left == 0)
                        continue;
                    int part = left < step ? left : step;
                    who[n] = s;
                    spans[n++] = (struct gpt2_span){sessions[s], ids[s] + done[s], part, part};
                }
                if (n == 0)
                    break;
                run_batch(batch, spans, n);
                for (int i = 0; i < n; i++)
                    for (int k = 0; k < spans[i].n_ids; k++)
                        found[who[i]][done[who[i]]++] =
                            hash_floats(HASH_START, gpt2_batch_logits(batch, i, k), n_vocab);
            }
            for (int s = 0; s < N_SEQUENCES; s++) {
                way.kv = kv_of_sequence(s);
                expect_same(expected[s], found[s], len[s], shape, "in company", way);
                gpt2_session_free(sessions[s]);
            }
            gpt2_batch_free(batch);
            gpt2_runtime_free(runtime);
        }
        gpt2_model_close(model);
    }
}

/* ---- what another text, or another process, has read ---- */

/* hashes[i] = of the logits of tokens from `first` on, which are read in uneven spans. */
static void run_on(uint64_t *hashes, struct gpt2_batch *batch, struct gpt2_session *session,
                   const int32_t *ids, int first, int n, int n_vocab) {
    for (int done = first, step = 1; done < n; done += step, step = step % 5 + 1) {
        int part = n - done < step ? n - done : step;
        run_batch(batch, &(struct gpt2_span){session, ids + done, part, part}, 1);
        for (int i = 0; i < part; i++)
            hashes[done + i] = hash_floats(HASH_START, gpt2_batch_logits(batch, 0, i), n_vocab);
    }
}

/* The session gets what it can of ids from a text that begins with the first `shared` of them. */
static void take_shared(struct gpt2_session *session, struct gpt2_batch *batch,
                        const struct gpt2_model *model, const int32_t *ids, int n, int shared,
                        enum gpt2_kv kv) {
    struct gpt2_prefix_cache *cache = gpt2_prefix_cache_create(
        model, &(struct gpt2_prefix_cache_options){.max_bytes = SIZE_MAX, .kv = kv}, NULL);
    struct gpt2_session *other = create_session(model, kv);
    int32_t others[MAX_TOKENS];
    make_ids(others, n, model, 77);
    memcpy(others, ids, (size_t)shared * sizeof *ids);
    if (shared < n)
        others[shared] = (ids[shared] + 1) % gpt2_model_config(model)->n_vocab;
    struct gpt2_prefix *first = gpt2_prefix_begin(cache, others, n, NULL);
    assert_true(gpt2_prefix_take(first, other, NULL));
    run_batch(batch, &(struct gpt2_span){other, others, n, 0}, 1);
    gpt2_prefix_read(first);
    struct gpt2_prefix *second = gpt2_prefix_begin(cache, ids, n, NULL);
    assert_true(gpt2_prefix_take(second, session, NULL));
    assert_true(gpt2_session_position(session) <= shared);
    gpt2_prefix_end(second);
    gpt2_prefix_end(first);
    gpt2_session_free(other);
    gpt2_prefix_cache_free(cache);
}

/* The session gets the first n ids from a file that the plainest way has written. */
static void take_saved(struct gpt2_session *session, struct gpt2_batch *batch,
                       const struct gpt2_model *model, const int32_t *ids, int n, const char *path,
                       enum gpt2_kv kv) {
    struct gpt2_error err = {0};
    struct gpt2_runtime *runtime = create_runtime("generic", 1);
    struct gpt2_batch *plain = create_batch(model, runtime, 7, 1);
    struct gpt2_session *other = create_session(model, kv);
    if (!gpt2_session_save(other, plain, ids, n, n, path, &err))
        fail_msg("%s", err.message);
    struct gpt2_saved_session *saved = gpt2_saved_session_open(path, model, &err);
    if (!saved || !gpt2_saved_session_restore(saved, session, batch, &err))
        fail_msg("%s", err.message);
    gpt2_saved_session_close(saved);
    gpt2_session_free(other);
    gpt2_batch_free(plain);
    gpt2_runtime_free(runtime);
}

static void shared_and_saved_beginnings_change_nothing(void **state) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "saved");
    for (const struct shape *shape = first_shape(); shape < shapes + N_SHAPES; shape++) {
        struct gpt2_model *model = open_model(shape);
        int32_t ids[MAX_TOKENS];
        uint64_t expected[MAX_TOKENS], found[MAX_TOKENS];
        int n = context(model), n_vocab = gpt2_model_config(model)->n_vocab;
        if (is_set("QUICK") && n > 75)
            n = 75;
        make_ids(ids, n, model, 0);
        for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
            run_way(expected, model, ids, n, plainest(kv));
            for (int v = 0; variant(v); v++) {
                struct way way = {variant(v), 2, 0, 0, kv};
                struct gpt2_runtime *runtime = create_runtime(way.cpu, way.threads);
                struct gpt2_batch *batch = create_batch(model, runtime, 0, 5);
                for (int part = 1; part < n; part += n / 3) {
                    for (int is_saved = 0; is_saved < 2; is_saved++) {
                        struct gpt2_session *session = create_session(model, kv);
                        if (is_saved)
                            take_saved(session, batch, model, ids, part, path, kv);
                        else
                            take_shared(session, batch, model, ids, n, part, kv);
                        int first = gpt2_session_position(session);
                        memcpy(found, expected, (size_t)first * sizeof *found);
                        run_on(found, batch, session, ids, first, n, n_vocab);
                        expect_same(expected, found, n, shape, is_saved ? "saved" : "shared", way);
                        gpt2_session_free(session);
                    }
                }
                gpt2_batch_free(batch);
                gpt2_runtime_free(runtime);
            }
        }
        gpt2_model_close(model);
    }
    testmodel_remove(dir);
}

/* ---- real shapes ----
 *
 * Blocks of n_embd 768 and 1600: several blocks of everything that is cut. The prompt is one pass
 * of so many rows. The weights have few bits, so that one run tells what F32, F16 and BF16 must
 * give: the same. */

static const struct real_shape {
    struct testmodel_options options;
    uint64_t expected[3]; /* of the hashes of the first REAL_FIRST tokens: floats, Q8, Q4 */
} real_shapes[] = {
    {{.n_embd = 768, .n_head = 12, .n_layer = 1, .n_ctx = 200, .n_vocab = 61, .seed = 10},
     {0xC9EA7BB7DE79B78B, 0xC8558D28D11CDCE2, 0x50FC948C488D106E}},
    {{.n_embd = 1600,
      .n_head = 25,
      .n_layer = 1,
      .n_ctx = 200,
      .n_vocab = 61,
      .n_inner = 3200,
      .seed = 11},
     {0x3B1272F2D4F43D8E, 0x6D1DB17C263E5C6E, 0x0507071A775EB213}},
};
#define REAL_FIRST 65 /* as many as the sanitizers run */

static const int real_rows[] = {1, 2, 8, 23, 24, 32, 63, 64, 65, 200};
#define N_REAL_ROWS (sizeof real_rows / sizeof *real_rows)

/* What a type of weights is packed as. */
static const int packed_types[DTYPE_COUNT] = {[DTYPE_F32] = GPT2_F32,
                                              [DTYPE_F16] = GPT2_F16,
                                              [DTYPE_BF16] = GPT2_BF16,
                                              [DTYPE_Q8] = GPT2_Q8,
                                              [DTYPE_Q4] = GPT2_Q4};

/* One type of weights, as panels or not, in a file at `path`. */
struct form {
    const struct real_shape *shape;
    enum dtype dtype;
    bool panels;
    char path[TESTMODEL_PATH];
    int n_tokens;
    const int32_t *ids;
    const uint64_t *expected; /* hashes of the tokens */
};

static struct gpt2_model *open_path(const char *path) {
    struct gpt2_error err;
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s", err.message);
    return model;
}

/* One pass over a prompt of so many rows. */
static void check_pass(const struct form *form, const struct gpt2_model *model, const char *place,
                       struct way way, int rows) {
    uint64_t found[MAX_TOKENS];
    run_way(found, model, form->ids, rows, way);
    for (int i = 0; i < rows; i++)
        if (found[i] != form->expected[i])
            fail_msg("n_embd %d, %s %s, %s: kernels %s, %d threads, a pass of %d rows: token %d "
                     "has other logits",
                     form->shape->options.n_embd, dtype_name(form->dtype),
                     form->panels ? "in panels" : "as rows", place, way.cpu, way.threads, rows, i);
}

/* All numbers of rows, of threads and kernel variants, where the weights lie; and with a new model
 * for each, in a pass that moves them and in the next one, that reads them where they are then.
 * What takes long takes the numbers of threads in turn; generic, the slowest variant, has only the
 * pass that all others are compared with, and one more of each form at the smaller shape. The
 * sanitizers have the first and the last number of rows for which panels of BF16 are expanded strip
 * by strip.
 */
static void check_form(const struct form *form) {
    static const int threads[] = {1, 2, 3};
    const bool small = form->shape == real_shapes;
    struct gpt2_model *model = open_path(form->path);
    for (int v = 0; variant(v); v++)
        for (size_t t = 0; t < 3; t++)
            for (size_t i = 0; i < N_REAL_ROWS && real_rows[i] <= form->n_tokens; i++) {
                const struct way way = {variant(v), threads[t], 0, 0, GPT2_KV_F32};
                const bool turn = ((size_t)v + i) % 3 == t;
                const int rows = real_rows[i];
                if (v == 0 && !(small && turn && rows == 24 && !is_set("QUICK")))
                    continue;
                if (is_set("QUICK") && rows != 24 && rows != 64)
                    continue;
                if (turn || (small && !is_set("QUICK")))
                    check_pass(form, model, "in place", way, rows);
                if (!turn)
                    continue;
                struct gpt2_model *moving = open_path(form->path);
                assert_true(gpt2_model_move(moving, NULL, NULL));
                check_pass(form, moving, "moving", way, rows);
                assert_true(gpt2_model_moved(moving, NULL) > 0);
                check_pass(form, moving, "moved", way, rows);
                gpt2_model_close(moving);
            }
    gpt2_model_close(model);
}

/* The plainest run of a form, which its kind, floats or Q8 or Q4, is compared with. */
static int expect_form(uint64_t *expected, const struct form *form, int kind) {
    struct gpt2_model *model = open_path(form->path);
    uint64_t all = HASH_START;
    run_way(expected, model, form->ids, form->n_tokens, plainest(GPT2_KV_F32));
    gpt2_model_close(model);
    for (int i = 0; i < REAL_FIRST; i++)
        all = (all ^ expected[i]) * 0x100000001B3;
    if (all == form->shape->expected[kind])
        return 0;
    print_message("n_embd %d, %s: found 0x%016" PRIX64 "\n", form->shape->options.n_embd,
                  dtype_name(form->dtype), all);
    return 1;
}

static void real_shapes_give_the_same_bits_in_every_form(void **state) {
    const size_t n_shapes = is_set("QUICK") ? 1 : sizeof real_shapes / sizeof *real_shapes;
    int different = 0;
    for (size_t s = 0; s < n_shapes && !is_set("VALGRIND"); s++) {
        char dir[TESTMODEL_PATH];
        int32_t ids[MAX_TOKENS];
        uint64_t expected[MAX_TOKENS];
        struct form form = {.shape = &real_shapes[s], .ids = ids, .expected = expected};
        form.n_tokens = is_set("QUICK") ? REAL_FIRST : MAX_TOKENS;
        testmodel_tempdir(dir);
        for (enum dtype dtype = 0; dtype < DTYPE_COUNT; dtype++) {
            if (dtype == DTYPE_F64 || dtype_is_foreign(dtype))
                continue; // narrowed to F32 when a model is opened; nothing is packed as the others
            if (is_set("QUICK") && dtype != DTYPE_F32 && dtype != DTYPE_BF16)
                continue; // test_matmul.c has the products of all of them
            const bool quantized = dtype_is_quantized(dtype);
            struct testmodel_options options = form.shape->options;
            options.few_bits = true;
            options.dtype = quantized ? DTYPE_F32 : dtype;
            testmodel_write(dir, &options);
            struct gpt2_model *model = open_path(dir);
            if (dtype == DTYPE_F32)
                make_ids(ids, form.n_tokens, model, 0);
            form.dtype = dtype;
            for (int panels = quantized; panels < 2; panels++) {
                form.panels = panels;
                if (panels)
                    pack_model(form.path, model, dir, packed_types[dtype]);
                else
                    strcpy(form.path, dir);
                if (dtype == DTYPE_F32 ? !panels : quantized)
                    different += expect_form(expected, &form,
                                             dtype == DTYPE_Q4   ? 2
                                             : dtype == DTYPE_Q8 ? 1
                                                                 : 0);
                check_form(&form);
            }
            gpt2_model_close(model);
        }
        testmodel_remove(dir);
    }
    assert_int_equal(different, 0);
}

/* ---- texts ----
 *
 * A text with all that is known of it, for every type of weights and cache and every rule and
 * filter of a sampler: one hash each, whatever saves work. With guesses of every kind and without;
 * with a prompt that is read, that another text has begun with, or that lies in a file. */

enum { TEXT_CTX = 64, TEXT_VOCAB = 61, TEXT_TOKENS = 54, TEXT_PROMPT = 24, TEXT_SAVED = 21 };

static const int32_t text_prompt[TEXT_PROMPT] = {5, 17, 3, 5,  17, 3,  40, 8, 5,  17, 22, 9,
                                                 4, 30, 6, 50, 51, 33, 3,  5, 17, 40, 8,  5};
static const int32_t text_banned[] = {1, 2, 3};
static const int32_t text_ends[] = {60, 11};
static const struct gpt2_bias text_biases[] = {{7, 2.5f}, {8, -INFINITY}};

/* What is asked for beside tokens: the last is all of what completions have. */
struct asked {
    const char *name;
    struct gpt2_sampler_options sampler;
    struct gpt2_completion_options options;
    bool choices;
};

static const struct asked asked[] = {
    {"greedy", {.top_p = 1}, {0}, false},
    {"all of the vocabulary", {.top_p = 1, .temperature = 0.9f}, {0}, false},
    {"top-k", {.top_p = 1, .temperature = 0.7f, .top_k = 9, .seed = 4}, {0}, false},
    {"top-p", {.top_p = 0.6f, .temperature = 1.1f}, {0}, false},
    {"min-p", {.top_p = 1, .temperature = 1.1f, .min_p = 0.2f}, {0}, false},
    {"typical-p", {.top_p = 1, .temperature = 0.6f, .typical_p = 0.5f}, {0}, false},
    {"penalties",
     {.top_p = 1,
      .temperature = 0.3f,
      .repeat_penalty = 1.2f,
      .presence_penalty = 0.2f,
      .frequency_penalty = 0.3f,
      .last_n = 6},
     {0},
     false},
    {"no-repeat-ngram", {.top_p = 1, .no_repeat_ngram = 3}, {0}, false},
    {"bans, biases and min-tokens",
     {.top_p = 1,
      .temperature = 0.5f,
      .banned = text_banned,
      .n_banned = 3,
      .biases = text_biases,
      .n_biases = 2,
      .min_tokens = 9,
      .eos_ids = text_ends,
      .n_eos = 2},
     {0},
     false},
    {"ignore-eos",
     {.top_p = 1, .ignore_eos = true, .eos_ids = text_ends, .n_eos = 2},
     {.ignore_eos = true},
     false},
    {"hf", {.top_p = 0.8f, .temperature = 0.8f, .top_k = 6, .compat = GPT2_COMPAT_HF}, {0}, false},
    {"openai", {.top_p = 0.8f, .temperature = 1, .compat = GPT2_COMPAT_OPENAI}, {0}, false},
    {"llama.cpp",
     {.top_p = 0.8f, .temperature = 0.8f, .min_p = 0.05f, .compat = GPT2_COMPAT_LLAMA_CPP},
     {0},
     false},
    {"choices", {.top_p = 1, .temperature = 1}, {0}, true},
    {"until the context is full", {.top_p = 1}, {.max_tokens = -1}, false},
    {"a context that slides",
     {.top_p = 1, .temperature = 0.2f},
     {.max_tokens = 90, .overflow = GPT2_OVERFLOW_SLIDE, .keep = 5},
     false},
    {"three texts with log-probabilities",
     {.top_p = 1, .temperature = 0.4f},
     {.n_samples = 3, .logprobs = true, .n_top = 3, .record = 9, .first_sample = 2},
     false},
};
#define N_ASKED (sizeof asked / sizeof *asked)

static bool add_logits(void *user, const float *logits) {
    *(uint64_t *)user += hash_floats(HASH_START, logits, TEXT_VOCAB);
    return true;
}

static uint64_t mix(uint64_t hash, const void *data, size_t n) {
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001B3;
    return hash;
}

/* Where the keys and values of the prompt come from. */
enum start { IS_READ, IS_SHARED, IS_LOADED, N_STARTS };
static const char *const start_names[] = {"read", "shared", "loaded"};

/* One way to a text. */
struct text_way {
    enum gpt2_kv kv;
    enum start start;
    const char *path; /* of the saved beginning */
    struct gpt2_speculation *speculation;
};

static void save_beginning(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                           const struct text_way *way) {
    struct gpt2_error err;
    struct gpt2_batch *batch = create_batch(model, runtime, 0, 1);
    struct gpt2_session *session = create_session(model, way->kv);
    if (!gpt2_session_save(session, batch, text_prompt, TEXT_SAVED, TEXT_SAVED, way->path, &err))
        fail_msg("%s", err.message);
    gpt2_session_free(session);
    gpt2_batch_free(batch);
}

static struct gpt2_session *load_beginning(const struct gpt2_model *model,
                                           struct gpt2_runtime *runtime,
                                           const struct text_way *way) {
    struct gpt2_error err;
    struct gpt2_batch *batch = create_batch(model, runtime, 0, 1);
    struct gpt2_session *session = create_session(model, way->kv);
    struct gpt2_saved_session *saved = gpt2_saved_session_open(way->path, model, &err);
    if (!saved || !gpt2_saved_session_restore(saved, session, batch, &err))
        fail_msg("%s", err.message);
    assert_int_equal(gpt2_session_position(session), TEXT_SAVED);
    gpt2_saved_session_close(saved);
    gpt2_batch_free(batch);
    return session;
}

static void finish(struct gpt2_generator *generator, struct gpt2_completion *completion) {
    struct gpt2_error err;
    if (!gpt2_completion_start(completion, generator, &err))
        fail_msg("%s", err.message);
    while (gpt2_generator_busy(generator))
        if (!gpt2_generator_step(generator, &err))
            fail_msg("%s", err.message);
}

/* In a generator where another text began with all of the prompt but its last tokens. */
static void run_after_another(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                              const struct text_way *way, struct gpt2_completion *completion) {
    int32_t ids[TEXT_PROMPT];
    memcpy(ids, text_prompt, sizeof ids);
    ids[TEXT_SAVED] = (ids[TEXT_SAVED] + 1) % TEXT_VOCAB;
    const struct gpt2_prompt prompt = {.ids = ids, .n_ids = TEXT_PROMPT};
    const struct gpt2_completion_options options = {.max_tokens = 2};
    const struct gpt2_generator_options made = {
        .kv = way->kv, .prefix_bytes = (size_t)1 << 24, .max_draft = 256};
    struct gpt2_generator *generator = gpt2_generator_create(model, runtime, &made, NULL);
    struct gpt2_completion *other = gpt2_completion_create(model, NULL, &prompt, &options, NULL);
    assert_non_null(generator);
    assert_non_null(other);
    for (int i = 0; i < 2; i++) { // a page is kept when it is wanted for the second time
        gpt2_completion_free(other);
        other = gpt2_completion_create(model, NULL, &prompt, &options, NULL);
        finish(generator, other);
    }
    finish(generator, completion);
    gpt2_completion_free(other);
    gpt2_generator_free(generator);
}

/* Of ids, reasons, log-probabilities, and of the logits that became text. */
static uint64_t hash_text(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                          const struct asked *what, const struct text_way *way) {
    static const int32_t a[] = {9, 4, 30, 31, 5}, b[] = {9, 4, 7}, c[] = {22, 9};
    static const struct gpt2_choice list[] = {{a, 5}, {b, 3}, {c, 2}};
    struct gpt2_error err;
    uint64_t logits = 0, hash = HASH_START;
    struct gpt2_sampler *sampler = gpt2_sampler_create(&what->sampler, TEXT_VOCAB, &err);
    struct gpt2_choices *choices = gpt2_choices_create(list, 3, 60, &err);
    struct gpt2_completion_options options = what->options;
    if (!options.max_tokens)
        options.max_tokens = TEXT_TOKENS - (int)(sizeof text_prompt / sizeof *text_prompt);
    options.sampler = sampler;
    options.choices = what->choices ? choices : NULL;
    options.kv = way->kv;
    options.go_on = add_logits;
    options.user = &logits;
    options.speculation = way->speculation;
    if (way->start == IS_LOADED)
        options.session = load_beginning(model, runtime, way);
    const struct gpt2_prompt prompt = {.ids = text_prompt,
                                       .n_ids = sizeof text_prompt / sizeof *text_prompt};
    struct gpt2_completion *completion =
        gpt2_completion_create(model, NULL, &prompt, &options, &err);
    if (!sampler || !choices || !completion)
        fail_msg("%s: %s", what->name, err.message);
    if (way->start == IS_SHARED)
        run_after_another(model, runtime, way, completion);
    else if (!gpt2_completion_run(completion, runtime, &err))
        fail_msg("%s: %s", what->name, err.message);
    for (int i = 0; i < gpt2_completion_count(completion); i++) {
        struct gpt2_sample text = gpt2_completion_get(completion, i);
        hash = mix(hash, text.ids, (size_t)text.n_ids * sizeof *text.ids);
        hash = mix(hash, &text.finish, sizeof text.finish);
        if (text.logprobs)
            hash = mix(hash, text.logprobs, (size_t)text.n_ids * sizeof *text.logprobs);
        for (int k = 0; text.top && k < text.n_ids * text.n_top; k++) {
            hash = mix(hash, &text.top[k].id, sizeof text.top[k].id);
            hash = mix(hash, &text.top[k].logprob, sizeof text.top[k].logprob);
        }
    }
    gpt2_completion_free(completion);
    gpt2_session_free(options.session);
    gpt2_choices_free(choices);
    gpt2_sampler_free(sampler);
    return mix(hash, &logits, sizeof logits);
}

/* The hashes of all that is asked for, with and without what saves work. */
static void check_texts(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                        const struct text_way *way, const uint64_t expected[N_ASKED], size_t first,
                        size_t step, const char *weights, const char *guesses) {
    for (size_t i = first; i < N_ASKED; i += step) {
        if (way->start == IS_LOADED && asked[i].options.n_samples > 1)
            continue; // a session of the caller's is for one text
        if (hash_text(model, runtime, &asked[i], way) != expected[i])
            fail_msg("%s, cache type %d, prompt %s, guesses by %s, %s: another text", weights,
                     (int)way->kv, start_names[way->start], guesses, asked[i].name);
    }
}

static void nothing_that_saves_work_changes_a_text(void **state) {
    static const struct shape texts[] = {
        {{.n_embd = 64, .n_head = 2, .n_ctx = TEXT_CTX, .seed = 21}, {0}, AS_IT_IS, NULL},
        {{.n_embd = 64, .n_head = 2, .n_ctx = TEXT_CTX, .seed = 21, .dtype = DTYPE_F16},
         {0},
         AS_IT_IS,
         NULL},
        {{.n_embd = 64, .n_head = 2, .n_ctx = TEXT_CTX, .seed = 21}, {0}, PACKED_Q8, NULL},
        {{.n_embd = 64, .n_head = 2, .n_ctx = TEXT_CTX, .seed = 21}, {0}, PACKED_Q4, NULL},
    };
    static const char *const weights[] = {"F32", "F16", "Q8", "Q4"};
    static const struct shape other = {
        {.n_embd = 32, .n_head = 2, .n_ctx = 30, .n_layer = 1, .seed = 22}, {0}, AS_IT_IS, NULL};
    static const char *const names[] = {"lookup", "self", "another model", "as it pays", "none"};
    enum { N_GUESSES = 5 };
    const size_t step = is_set("VALGRIND") ? 5 : is_set("QUICK") ? 2 : 1;
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    struct gpt2_error err;
    testmodel_tempdir(dir);
    testmodel_path(path, dir, "saved");
    const char *last = NULL;
    for (int v = 0; variant(v); v++)
        last = variant(v);
    struct gpt2_runtime *runtime = create_runtime(last, 2);
    struct gpt2_model *small = open_model(&other), *self = open_model(&texts[3]);
    uint64_t n_accepted[N_GUESSES] = {0};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        struct gpt2_model *model = open_model(&texts[t]);
        for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
            struct text_way way = {.kv = kv, .path = path};
            uint64_t expected[N_ASKED];
            save_beginning(model, runtime, &way);
            for (size_t i = t % step; i < N_ASKED; i += step)
                expected[i] = hash_text(model, runtime, &asked[i], &way);
            for (int g = 0; g < N_GUESSES; g++) {
                const struct gpt2_model *guesses[N_GUESSES] = {NULL, self, small, NULL, NULL};
                const struct gpt2_speculation_options options = {.lookup = !guesses[g],
                                                                 .model = guesses[g],
                                                                 .runtime = runtime,
                                                                 .always = g < 3,
                                                                 .corpus = text_prompt,
                                                                 .n_corpus =
                                                                     guesses[g] ? 0 : TEXT_PROMPT,
                                                                 .max_draft = g == 1 ? 5 : 0};
                way.speculation = g < 4 ? gpt2_speculation_create(&options, &err) : NULL;
                if (g < 4 && !way.speculation)
                    fail_msg("%s", err.message);
                for (int start = 0; start < N_STARTS; start++) {
                    way.start = (enum start)start;
                    check_texts(model, runtime, &way, expected, t % step, step, weights[t],
                                names[g]);
                }
                if (!way.speculation)
                    continue;
                assert_null(gpt2_speculation_error(way.speculation));
                n_accepted[g] += gpt2_speculation_counts(way.speculation).n_accepted;
                gpt2_speculation_free(way.speculation);
                way.speculation = NULL;
            }
        }
        gpt2_model_close(model);
    }
    gpt2_model_close(small);
    gpt2_model_close(self);
    gpt2_runtime_free(runtime);
    testmodel_remove(dir);
    for (int g = 0; g < 3; g++)
        assert_true(n_accepted[g] > 0);
    assert_true(n_accepted[1] > n_accepted[2]);
}

/* test_exactness [PATTERN]: only the tests whose names match it (* and ?). */
int main(int argc, char **argv) {
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_saves_work_changes_a_text),
        cmocka_unit_test(each_variant_gives_the_published_bits),
        cmocka_unit_test(variants_threads_and_cuts_change_nothing),
        cmocka_unit_test(company_in_a_batch_changes_nothing),
        cmocka_unit_test(shared_and_saved_beginnings_change_nothing),
        cmocka_unit_test(real_shapes_give_the_same_bits_in_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
