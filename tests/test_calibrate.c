/* test_calibrate.c - moments of inputs, what quantizing gains by them, and how far distributions
 * are apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "export/calibrate.h"
#include "kernels/panels.h"
#include "testmodel.h"
#include <gpt2/divergence.h>
#include <gpt2/quantize.h>
#include <gpt2/session.h>

#define N_IDS 150

static const struct testmodel_options shape = {
    .n_embd = 70, .n_head = 5, .n_inner = 130, .seed = 3};

static char dir[TESTMODEL_PATH], file[TESTMODEL_PATH], other[TESTMODEL_PATH];
static int32_t ids[N_IDS];

static int setup(void **state) {
    testmodel_tempdir(dir);
    testmodel_path(file, dir, "packed");
    testmodel_path(other, dir, "other");
    testmodel_write(dir, &shape);
    for (int i = 0; i < N_IDS; i++)
        ids[i] = (i * i * 7 + i / 3) % 61;
    return 0;
}

static int teardown(void **state) {
    testmodel_remove(dir);
    return 0;
}

static struct gpt2_model *open_model(const char *path) {
    struct gpt2_error err;
    struct gpt2_model *model = gpt2_model_open(path, &err);
    if (!model)
        fail_msg("%s", err.message);
    return model;
}

static struct gpt2_runtime *create_runtime(const char *cpu, int threads) {
    struct gpt2_error err;
    struct gpt2_runtime *runtime =
        gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = threads, .cpu = cpu}, &err);
    assert_non_null(runtime);
    return runtime;
}

/* ---- moments ---- */

/* Everything that block 1 and ln_f showed, row by row. */
struct seen {
    float ln_1[N_IDS][70], heads[N_IDS][70], ln_2[N_IDS][70], hidden[N_IDS][130], ln_f[N_IDS][70];
    int first; /* row of the window's first token */
};

static void see(void *user, enum gpt2_site site, int layer, const struct gpt2_session *session,
                int position, int n_rows, const float *data, int width, size_t stride) {
    struct seen *seen = user;
    for (int r = 0; r < n_rows; r++) {
        const float *row = data + (size_t)r * stride;
        const int at = seen->first + position + r;
        if (site == GPT2_SITE_LN_F)
            memcpy(seen->ln_f[at], row, sizeof seen->ln_f[0]);
        if (layer != 1)
            continue;
        if (site == GPT2_SITE_LN_1)
            memcpy(seen->ln_1[at], row, sizeof seen->ln_1[0]);
        if (site == GPT2_SITE_HEADS)
            memcpy(seen->heads[at], row, sizeof seen->heads[0]);
        if (site == GPT2_SITE_LN_2)
            memcpy(seen->ln_2[at], row, sizeof seen->ln_2[0]);
        if (site == GPT2_SITE_HIDDEN)
            memcpy(seen->hidden[at], row, sizeof seen->hidden[0]);
    }
}

static void watch_windows(struct seen *seen, const struct gpt2_model *model,
                          struct gpt2_runtime *runtime) {
    struct gpt2_error err;
    const int n_ctx = gpt2_model_config(model)->n_ctx;
    for (seen->first = 0; seen->first < N_IDS; seen->first += n_ctx) {
        const int n = N_IDS - seen->first < n_ctx ? N_IDS - seen->first : n_ctx;
        struct gpt2_batch *batch = gpt2_batch_create(
            model, runtime, &(struct gpt2_batch_options){.max_logits = N_IDS}, &err);
        struct gpt2_session *session = gpt2_session_create(model, NULL, &err);
        gpt2_batch_set_tap(batch, see, seen);
        assert_true(
            gpt2_batch_run(batch, &(struct gpt2_span){session, ids + seen->first, n, n}, 1, &err));
        gpt2_session_free(session);
        gpt2_batch_free(batch);
    }
}

static void expect_moments(const struct moments *m, const float *rows, int K) {
    assert_non_null(m);
    assert_int_equal(m->K, K);
    for (int k = 0; k < panels_groups(DTYPE_Q8, K) * GROUP; k++) {
        const int group = k / GROUP;
        double mean = 0;
        int n = 0;
        for (int r = 0; r < N_IDS; r++)
            if (r % 40 != 0 && ++n && k < K) // n_ctx is 40
                mean += rows[r * K + k];
        assert_true(fabs(m->mean[k] - mean / n) < 1e-5);
        for (int j = 0; j < GROUP; j++) {
            double sum = 0;
            for (int r = 0; r < N_IDS; r++)
                if (r % 40 != 0 && k < K && group * GROUP + j < K)
                    sum += (double)rows[r * K + k] * rows[r * K + group * GROUP + j];
            const float found = m->second[(size_t)k * GROUP + (size_t)j];
            assert_true(fabs(found - sum / n) < 1e-5 * (1 + fabs(found)));
        }
    }
}

static void moments_are_those_of_the_inputs(void **state) {
    struct gpt2_error err;
    struct seen *seen = calloc(1, sizeof *seen);
    assert_non_null(seen);
    struct gpt2_model *model = open_model(dir);
    struct gpt2_runtime *runtime = create_runtime(NULL, 2);
    struct calibration *c = calibrate(model, runtime, ids, N_IDS, NULL, NULL, &err);
    assert_non_null(c);
    watch_windows(seen, model, runtime);
    const struct block *h = &model->h[1];
    expect_moments(calibrate_moments(c, &h->attn.c_attn.weight), seen->ln_1[0], 70);
    expect_moments(calibrate_moments(c, &h->attn.c_proj.weight), seen->heads[0], 70);
    expect_moments(calibrate_moments(c, &h->mlp.c_fc.weight), seen->ln_2[0], 70);
    expect_moments(calibrate_moments(c, &h->mlp.c_proj.weight), seen->hidden[0], 130);
    expect_moments(calibrate_moments(c, &model->head), seen->ln_f[0], 70);
    assert_ptr_equal(calibrate_moments(c, &model->wte), calibrate_moments(c, &model->head)); // tied
    assert_null(calibrate_moments(c, &model->wpe));
    calibrate_free(c);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
    free(seen);
}

static bool stop_at_once(void *user, size_t n_tokens) {
    return false;
}

static void bad_texts_are_refused(void **state) {
    struct gpt2_error err;
    struct gpt2_model *model = open_model(dir);
    struct gpt2_runtime *runtime = create_runtime(NULL, 1);
    const int32_t outside[] = {1, 2, 61};
    assert_null(calibrate(model, runtime, outside, 3, NULL, NULL, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_null(calibrate(model, runtime, ids, 1, NULL, NULL, &err)); // a first position only
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_null(calibrate(model, runtime, ids, N_IDS, stop_at_once, NULL, &err));
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
}

/* ---- what they are good for ---- */

static void quantize(const struct gpt2_model *model, struct gpt2_runtime *runtime,
                     enum gpt2_weight_type type, size_t n_calibration, const char *path) {
    struct gpt2_error err;
    const struct gpt2_quantize_options options = {
        .type = type, .calibration = ids, .n_calibration = n_calibration};
    if (!gpt2_quantize(model, runtime, &options, path, &err))
        fail_msg("%s", err.message);
}

static unsigned char *slurp(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *data = malloc(*size);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

static void rows_and_threads_write_the_same_file(void **state) {
    struct gpt2_model *model = open_model(dir);
    size_t size, found_size;
    for (enum gpt2_weight_type type = GPT2_Q8; type <= GPT2_Q4; type++) {
        struct gpt2_runtime *runtime = create_runtime("generic", 1);
        quantize(model, runtime, type, N_IDS, file);
        gpt2_runtime_free(runtime);
        unsigned char *expected = slurp(file, &size);
        for (int v = 0; gpt2_cpu_variant(v); v++)
            for (int threads = 1; threads <= 5; threads += 2) {
                runtime = create_runtime(gpt2_cpu_variant(v), threads);
                quantize(model, runtime, type, N_IDS, other);
                gpt2_runtime_free(runtime);
                unsigned char *found = slurp(other, &found_size);
                assert_int_equal(found_size, size);
                assert_memory_equal(found, expected, size);
                free(found);
            }
        free(expected);
    }
    gpt2_model_close(model);
}

/* The mean divergence over the text, its windows as calibration has them. */
static double divergence(const struct gpt2_model *a, const struct gpt2_model *b,
                         struct gpt2_runtime *runtime) {
    const struct gpt2_model *models[] = {a, b};
    struct gpt2_session *sessions[2];
    struct gpt2_batch *batches[2];
    struct gpt2_error err;
    double sum = 0;
    const int n_vocab = gpt2_model_config(a)->n_vocab;
    for (int i = 0; i < 2; i++) {
        sessions[i] =
            gpt2_session_create(models[i], &(struct gpt2_session_options){.kv = GPT2_KV_F32}, &err);
        batches[i] = gpt2_batch_create(models[i], runtime, NULL, &err);
    }
    for (int t = 0; t + 1 < N_IDS; t++) {
        for (int i = 0; i < 2; i++) {
            if (t % 40 == 0)
                assert_true(gpt2_session_rewind(sessions[i], 0, &err));
            assert_true(gpt2_batch_run(batches[i], &(struct gpt2_span){sessions[i], ids + t, 1, 1},
                                       1, &err));
        }
        sum += gpt2_divergence(gpt2_batch_logits(batches[0], 0, 0),
                               gpt2_batch_logits(batches[1], 0, 0), n_vocab, ids[t + 1])
                   .kl;
    }
    for (int i = 0; i < 2; i++) {
        gpt2_session_free(sessions[i]);
        gpt2_batch_free(batches[i]);
    }
    return sum / (N_IDS - 1);
}

static void a_calibrated_model_is_closer_to_its_reference(void **state) {
    struct gpt2_model *model = open_model(dir);
    struct gpt2_runtime *runtime = create_runtime(NULL, 1);
    quantize(model, runtime, GPT2_Q4, 0, file);
    quantize(model, runtime, GPT2_Q4, N_IDS, other);
    struct gpt2_model *plain = open_model(file), *calibrated = open_model(other);
    assert_true(divergence(model, model, runtime) == 0);
    const double without = divergence(model, plain, runtime);
    const double with = divergence(model, calibrated, runtime);
    if (!(with < 0.8 * without && with > 0))
        fail_msg("divergence %g with calibration, %g without", with, without);
    gpt2_model_close(plain);
    gpt2_model_close(calibrated);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
}

static bool stop_after(void *user, size_t done, size_t total) {
    assert_true(done <= total);
    size_t *calls = user;
    return (*calls)-- > 0;
}

static void calibration_can_be_interrupted(void **state) {
    struct gpt2_model *model = open_model(dir);
    struct gpt2_runtime *runtime = create_runtime(NULL, 1);
    struct gpt2_error err;
    size_t calls = 1;
    const struct gpt2_quantize_options options = {.type = GPT2_Q4,
                                                  .calibration = ids,
                                                  .n_calibration = N_IDS,
                                                  .progress = stop_after,
                                                  .user = &calls};
    assert_false(gpt2_quantize(model, runtime, &options, file, &err));
    assert_int_equal(err.status, GPT2_ERR_RUNTIME);
    assert_int_not_equal(access(file, F_OK), 0);
    gpt2_runtime_free(runtime);
    gpt2_model_close(model);
}

/* ---- divergence, by the formula ---- */

static void divergence_is_that_of_the_formula(void **state) {
    enum { N = 130 };
    float p[N], q[N];
    for (uint32_t trial = 0; trial < 20; trial++) {
        double zp = 0, zq = 0, kl = 0;
        const int n = trial == 0 ? 1 : trial == 1 ? 64 : N;
        for (int i = 0; i < n; i++) {
            uint32_t words[4], counter[4] = {(uint32_t)i, trial, 0, 0}, key[2] = {1, 2};
            rng_philox(words, counter, key);
            p[i] = (float)words[0] * 0x1p-28f - 300; // a common offset changes nothing
            q[i] = p[i] + (float)words[1] * 0x1p-31f + 200;
            zp += exp((double)p[i] + 300);
            zq += exp((double)q[i] + 100);
        }
        for (int i = 0; i < n; i++) {
            const double a = exp((double)p[i] + 300) / zp, b = exp((double)q[i] + 100) / zq;
            kl += a * log(a / b);
        }
        const struct gpt2_divergence d = gpt2_divergence(p, q, n, n / 2);
        assert_true(fabs(d.kl - kl) < 1e-9);
        assert_true(fabs(d.reference_log_prob - ((double)p[n / 2] + 300 - log(zp))) < 1e-9);
        assert_true(fabs(d.log_prob - ((double)q[n / 2] + 100 - log(zq))) < 1e-9);
    }
}

static void divergence_finds_the_likeliest_and_stands_extremes(void **state) {
    const float ties[] = {1, 5, 5, 2}, apart[] = {3e38f, -3e38f, 0, 3e38f};
    struct gpt2_divergence d = gpt2_divergence(ties, ties, 4, 3);
    assert_int_equal(d.top, 1);
    assert_int_equal(d.reference_top, 1);
    assert_true(d.kl == 0);
    d = gpt2_divergence(ties, apart, 4, 0);
    assert_int_equal(d.top, 0);
    assert_true(d.kl > 1e38 && isfinite(d.kl));
    assert_true(gpt2_divergence(apart, ties, 4, 0).kl > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(moments_are_those_of_the_inputs),
        TEST(bad_texts_are_refused),
        TEST(rows_and_threads_write_the_same_file),
        TEST(a_calibrated_model_is_closer_to_its_reference),
        TEST(calibration_can_be_interrupted),
        TEST(divergence_is_that_of_the_formula),
        TEST(divergence_finds_the_likeliest_and_stands_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
