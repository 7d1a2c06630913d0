/* test_inspect.c - inspections against computations of their own, in double, from the weights that
 * the test model was written with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/inspect.h>
#include <gpt2/session.h>

enum { N = 9, VOCAB = 61, EMBD = 16, LAYERS = 2, HEADS = 2, SITES = 2 * LAYERS + 1, CTX = 40 };

static const int32_t ids[N] = {5, 17, 17, 60, 0, 33, 5, 48, 21};

struct world {
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct gpt2_inspector *inspector;
    struct testmodel_list weights;
};

static int open_world(void **state) {
    static struct world world;
    char dir[TESTMODEL_PATH];
    struct testmodel_options options = {0};
    testmodel_tempdir(dir);
    testmodel_write(dir, &options);
    world.model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    world.weights = testmodel_list(&options);
    world.runtime = gpt2_runtime_create(NULL, NULL);
    world.inspector = gpt2_inspector_create(world.model, world.runtime, 0, NULL, NULL);
    *state = &world;
    return world.inspector ? 0 : -1;
}

static int close_world(void **state) {
    struct world *world = *state;
    gpt2_inspector_free(world->inspector);
    gpt2_runtime_free(world->runtime);
    gpt2_model_close(world->model);
    free(world->weights.items);
    return 0;
}

/* Element i of a tensor, as the file has it. */
static double weight(const struct world *world, const char *name, size_t i) {
    const struct testmodel_tensor *tensor = testmodel_find(&world->weights, name);
    assert_non_null(tensor);
    return (float)testmodel_value(tensor, 0, i);
}

static void near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.9g is not within %g of %.9g", a, tolerance, b);
}

/* ---- everything that a tap saw of one text ---- */

struct pass {
    float stream[SITES][N][EMBD]; /* in front of each site */
    float after[SITES][N][EMBD];
    float depth[LAYERS + 1][N][EMBD];
    float added[1 + 2 * LAYERS][N][EMBD];
    float *logits; /* [N][VOCAB] */
};

static void keep(float to[N][EMBD], int position, int n_rows, const float *data, size_t stride) {
    for (int r = 0; r < n_rows; r++)
        memcpy(to[position + r], data + (size_t)r * stride, EMBD * sizeof *data);
}

static void pass_tap(void *user, enum gpt2_site site, int layer, const struct gpt2_session *session,
                     int position, int n_rows, const float *data, int width, size_t stride) {
    struct pass *pass = user;
    switch (site) {
    case GPT2_SITE_EMBEDDING:
        keep(pass->stream[0], position, n_rows, data, stride);
        keep(pass->depth[0], position, n_rows, data, stride);
        keep(pass->added[0], position, n_rows, data, stride);
        break;
    case GPT2_SITE_LN_1:
    case GPT2_SITE_LN_F:
        keep(pass->after[2 * layer], position, n_rows, data, stride);
        break;
    case GPT2_SITE_LN_2:
        keep(pass->after[2 * layer + 1], position, n_rows, data, stride);
        break;
    case GPT2_SITE_RESID_MID:
        keep(pass->stream[2 * layer + 1], position, n_rows, data, stride);
        break;
    case GPT2_SITE_RESID:
        keep(pass->stream[2 * layer + 2], position, n_rows, data, stride);
        keep(pass->depth[layer + 1], position, n_rows, data, stride);
        break;
    case GPT2_SITE_ATTN:
        keep(pass->added[1 + 2 * layer], position, n_rows, data, stride);
        break;
    case GPT2_SITE_MLP:
        keep(pass->added[2 + 2 * layer], position, n_rows, data, stride);
        break;
    case GPT2_SITE_QKV:
        assert_int_equal(width, 3 * EMBD);
        break;
    case GPT2_SITE_HEADS:
    case GPT2_SITE_HIDDEN: // not looked at
        break;
    }
}

static struct pass *pass_under(const struct world *world, unsigned ablations,
                               const float *deviations) {
    struct pass *pass = calloc(1, sizeof *pass);
    struct gpt2_session *session =
        gpt2_session_create(world->model, &(struct gpt2_session_options){.kv = GPT2_KV_F32}, NULL);
    struct gpt2_batch *batch = gpt2_batch_create(
        world->model, world->runtime, &(struct gpt2_batch_options){.max_logits = N}, NULL);
    gpt2_batch_set_tap(batch, pass_tap, pass);
    gpt2_batch_set_ablations(batch, ablations, deviations);
    struct gpt2_span span = {session, ids, N, N};
    assert_true(gpt2_batch_run(batch, &span, 1, NULL));
    pass->logits = malloc(N * VOCAB * sizeof(float));
    memcpy(pass->logits, gpt2_batch_logits(batch, 0, 0), N * VOCAB * sizeof(float));
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    return pass;
}

static void pass_free(struct pass *pass) {
    free(pass->logits);
    free(pass);
}

/* ---- layer norm ---- */

static void norm_name(int site, const char *what, char name[64]) {
    if (site == 2 * LAYERS)
        snprintf(name, 64, "ln_f.%s", what);
    else
        snprintf(name, 64, "h.%d.ln_%d.%s", site / 2, 1 + site % 2, what);
}

static void expect_spread(const struct gpt2_spread *s, const double *x) {
    double sum = 0, square = 0, second = 0, fourth = 0, largest = 0;
    for (int i = 0; i < EMBD; i++) {
        sum += x[i];
        square += x[i] * x[i];
        largest = fmax(largest, fabs(x[i]));
    }
    for (int i = 0; i < EMBD; i++) {
        second += pow(x[i] - sum / EMBD, 2) / EMBD;
        fourth += pow(x[i] - sum / EMBD, 4) / EMBD;
    }
    near(s->mean, sum / EMBD, 1e-6);
    near(s->deviation, sqrt(second), 1e-6);
    near(s->norm, sqrt(square), 1e-5);
    near(s->kurtosis, fourth / (second * second), 1e-5);
    near(s->spike, largest / sqrt(square / EMBD), 1e-5);
    near(fabs(s->largest), largest, 1e-6);
    near(s->largest, x[s->feature], 1e-6);
}

static void statistics_of_every_norm(void **state) {
    struct world *world = *state;
    struct pass *pass = pass_under(world, 0, NULL);
    static struct gpt2_norm norms[SITES][N];
    assert_int_equal(gpt2_norm_sites(world->model), SITES);
    assert_true(gpt2_inspect_norms(world->inspector, ids, N, &norms[0][0], NULL));
    for (int site = 0; site < SITES; site++)
        for (int t = 0; t < N; t++) {
            const struct gpt2_norm *norm = &norms[site][t];
            double x[EMBD], z[EMBD], y[EMBD], mean = 0, var = 0, dot = 0, moved = 0, zz = 0;
            for (int i = 0; i < EMBD; i++)
                mean += (x[i] = pass->stream[site][t][i]) / EMBD;
            for (int i = 0; i < EMBD; i++)
                var += (x[i] - mean) * (x[i] - mean) / EMBD;
            for (int i = 0; i < EMBD; i++) {
                char gain[64], bias[64];
                norm_name(site, "weight", gain);
                norm_name(site, "bias", bias);
                z[i] = (x[i] - mean) / sqrt(var + 1e-5);
                y[i] = z[i] * weight(world, gain, (size_t)i) + weight(world, bias, (size_t)i);
                near(pass->after[site][t][i], y[i], 1e-5);
                dot += x[i] * z[i];
                zz += z[i] * z[i];
                moved += (y[i] - z[i]) * (y[i] - z[i]);
            }
            expect_spread(&norm->stream, x);
            expect_spread(&norm->normalized, z);
            expect_spread(&norm->branch, y);
            near(norm->cosine_stream, dot / norm->stream.norm / norm->normalized.norm, 1e-6);
            near(norm->change, sqrt(moved / zz), 1e-5);
            assert_true(norm->error < 1e-5);
        }
    pass_free(pass);
}

static void learned_gains_and_biases(void **state) {
    struct world *world = *state;
    for (int site = 0; site < SITES; site++) {
        struct gpt2_learned learned;
        char name[32], gain[64];
        double least = INFINITY, most = -INFINITY;
        gpt2_norm_learned(world->model, site, &learned);
        gpt2_norm_name(world->model, site, name);
        norm_name(site, "weight", gain);
        assert_int_equal(strncmp(gain, name, strlen(name)), 0);
        for (size_t i = 0; i < EMBD; i++) {
            least = fmin(least, weight(world, gain, i));
            most = fmax(most, weight(world, gain, i));
        }
        assert_true(learned.least_gain == least && learned.most_gain == most);
        assert_true(weight(world, gain, (size_t)learned.most_gain_feature) == most);
    }
}

static void statistics_are_each_tokens_own(void **state) {
    struct world *world = *state;
    for (int n = 1; n <= N; n++) {
        struct gpt2_independence own;
        assert_true(gpt2_inspect_independence(world->inspector, ids, n, &own, NULL));
        assert_int_equal(own.alone, SITES * n);
        assert_int_equal(own.alone_same, own.alone);
        assert_int_equal(own.company, SITES * n);
        assert_int_equal(own.company_same, own.company);
        assert_int_equal(own.before_change, (n + 1) / 2);
        assert_int_equal(own.change, SITES * own.before_change);
        assert_int_equal(own.change_same, own.change);
        assert_int_equal(own.distinct, SITES * n);
    }
    // a text longer than a pass, up to the end of the context
    int32_t full[CTX];
    struct gpt2_independence own;
    for (int i = 0; i < CTX; i++)
        full[i] = (i * 7) % VOCAB;
    assert_true(gpt2_inspect_independence(world->inspector, full, CTX, &own, NULL));
    assert_int_equal(own.alone_same, SITES * CTX);
    assert_int_equal(own.company_same, SITES * CTX);
    assert_int_equal(own.change_same, SITES * CTX / 2);
}

/* ---- ablations ---- */

static void ablations_leave_out_what_they_say(void **state) {
    struct world *world = *state;
    const float deviations[SITES] = {0.5f, 2, 3, 0.25f, 4};
    for (unsigned parts = 1; parts < 8; parts++) {
        struct pass *pass = pass_under(world, parts, deviations);
        for (int site = 0; site < SITES; site++)
            for (int t = 0; t < N; t++) {
                const float *x = pass->stream[site][t];
                double mean = 0, var = 0;
                for (int i = 0; i < EMBD; i++)
                    mean += (double)x[i] / EMBD;
                for (int i = 0; i < EMBD; i++)
                    var += (x[i] - mean) * (x[i] - mean) / EMBD;
                double scale = parts & GPT2_ABLATE_LN_SCALE ? 1 / (double)deviations[site]
                                                            : 1 / sqrt(var + 1e-5);
                for (size_t i = 0; i < EMBD; i++) {
                    char gain[64], bias[64];
                    norm_name(site, "weight", gain);
                    norm_name(site, "bias", bias);
                    double g = parts & GPT2_ABLATE_LN_GAIN ? 1 : weight(world, gain, i);
                    double b = parts & GPT2_ABLATE_LN_BIAS ? 0 : weight(world, bias, i);
                    double y = (x[i] - mean) * scale * g + b;
                    near(pass->after[site][t][i], y, 1e-5 * (1 + fabs(y)));
                }
            }
        pass_free(pass);
    }
}

static double log_sum(const float *logits) {
    double sum = 0;
    for (int v = 0; v < VOCAB; v++)
        sum += exp(logits[v]);
    return log(sum);
}

static void next_token_and_divergence(void **state) {
    struct world *world = *state;
    struct pass *plain = pass_under(world, 0, NULL);
    struct pass *other = pass_under(world, GPT2_ABLATE_LN_GAIN, NULL);
    struct gpt2_inspector *inspector =
        gpt2_inspector_create(world->model, world->runtime, GPT2_ABLATE_LN_GAIN, NULL, NULL);
    double p[VOCAB], q[VOCAB], kl = 0;
    assert_true(gpt2_inspect_next(world->inspector, ids, N, p, NULL));
    assert_true(gpt2_inspect_next(inspector, ids, N, q, NULL));
    const float *a = plain->logits + (N - 1) * VOCAB, *b = other->logits + (N - 1) * VOCAB;
    for (int v = 0; v < VOCAB; v++) {
        near(p[v], a[v] - log_sum(a), 1e-9);
        near(q[v], b[v] - log_sum(b), 1e-9);
        kl += exp(p[v]) * (p[v] - q[v]);
    }
    assert_true(kl > 1e-3); // the ablation does something
    near(gpt2_inspect_kl(p, q, VOCAB), kl, 1e-9);
    near(gpt2_inspect_kl(p, p, VOCAB), 0, 0);
    gpt2_inspector_free(inspector);
    pass_free(other);
    pass_free(plain);
}

/* ---- lens ---- */

/* The logits of a stream, by hand. */
static void read_out(const struct world *world, const float *x, double logits[VOCAB]) {
    double mean = 0, var = 0;
    for (int i = 0; i < EMBD; i++)
        mean += (double)x[i] / EMBD;
    for (int i = 0; i < EMBD; i++)
        var += (x[i] - mean) * (x[i] - mean) / EMBD;
    for (size_t v = 0; v < VOCAB; v++) {
        logits[v] = 0;
        for (size_t i = 0; i < EMBD; i++)
            logits[v] += ((x[i] - mean) / sqrt(var + 1e-5) * weight(world, "ln_f.weight", i) +
                          weight(world, "ln_f.bias", i)) *
                         weight(world, "wte.weight", v * EMBD + i);
    }
}

static void the_lens_reads_every_depth(void **state) {
    struct world *world = *state;
    struct pass *pass = pass_under(world, 0, NULL);
    static struct gpt2_lens lens[LAYERS + 1][N];
    assert_true(gpt2_inspect_lens(world->inspector, ids, N, &lens[0][0], NULL));
    for (int d = 0; d <= LAYERS; d++)
        for (int t = 0; t < N; t++) {
            double logits[VOCAB], sum = 0;
            const struct gpt2_lens *l = &lens[d][t];
            read_out(world, pass->depth[d][t], logits);
            for (int v = 0; v < VOCAB; v++)
                sum += exp(logits[v]);
            assert_int_equal(l->next, t + 1 < N ? ids[t + 1] : lens[LAYERS][N - 1].top[0]);
            near(l->p_next, exp(logits[l->next]) / sum, 1e-5);
            int better = 0;
            for (int v = 0; v < VOCAB; v++)
                better += logits[v] > logits[l->next] + 1e-5;
            assert_true(l->rank >= better + 1 && l->rank <= VOCAB);
            for (int i = 0; i < GPT2_LENS_TOP; i++) {
                near(l->p[i], exp(logits[l->top[i]]) / sum, 1e-5);
                assert_true(i == 0 || l->p[i] <= l->p[i - 1]);
                int above = 0;
                for (int v = 0; v < VOCAB; v++)
                    above += logits[v] > logits[l->top[i]] + 1e-5;
                assert_true(above <= i);
            }
            assert_true(l->rank > GPT2_LENS_TOP || l->top[l->rank - 1] == l->next);
        }
    pass_free(pass);
}

static void the_last_depth_is_the_models_own_logits(void **state) {
    struct world *world = *state;
    struct pass *pass = pass_under(world, 0, NULL);
    struct gpt2_batch *batch = gpt2_batch_create(
        world->model, world->runtime, &(struct gpt2_batch_options){.max_logits = N}, NULL);
    struct gpt2_error err = {0};
    assert_true(gpt2_batch_unembed(batch, pass->depth[LAYERS][0], EMBD, N, &err));
    for (int t = 0; t < N; t++)
        assert_memory_equal(gpt2_batch_logits(batch, 0, t), pass->logits + t * VOCAB,
                            VOCAB * sizeof(float));
    assert_false(gpt2_batch_unembed(batch, pass->depth[0][0], EMBD, N + 1, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_false(gpt2_batch_unembed(batch, pass->depth[0][0], EMBD, 0, &err));
    gpt2_batch_free(batch);
    pass_free(pass);
}

/* ---- the numbers of the pass ---- */

static void captures_are_what_a_tap_sees(void **state) {
    struct world *world = *state;
    struct pass *pass = pass_under(world, 0, NULL);
    float embedding[N][EMBD], resid[N][EMBD], ln_2[N][EMBD], ln_f[N][EMBD], logits[N][VOCAB];
    struct gpt2_capture captures[] = {{GPT2_SITE_EMBEDDING, 7, &embedding[0][0]}, // of no layer
                                      {GPT2_SITE_RESID, 1, &resid[0][0]},
                                      {GPT2_SITE_LN_2, 0, &ln_2[0][0]},
                                      {GPT2_SITE_LN_F, 0, &ln_f[0][0]}};
    assert_true(gpt2_inspect_capture(world->inspector, ids, N, captures, 4, &logits[0][0], NULL));
    assert_memory_equal(embedding, pass->depth[0], sizeof embedding);
    assert_memory_equal(resid, pass->depth[2], sizeof resid);
    assert_memory_equal(ln_2, pass->after[1], sizeof ln_2);
    assert_memory_equal(ln_f, pass->after[2 * LAYERS], sizeof ln_f);
    assert_memory_equal(logits, pass->logits, sizeof logits);
    memset(ln_f, 0, sizeof ln_f); // ln_f has all rows without logits, too
    assert_true(gpt2_inspect_capture(world->inspector, ids, N, captures + 3, 1, NULL, NULL));
    assert_memory_equal(ln_f, pass->after[2 * LAYERS], sizeof ln_f);
    assert_true(gpt2_inspect_unembed(world->inspector, &resid[0][0], N, &logits[0][0], NULL));
    assert_memory_equal(logits, pass->logits, sizeof logits);
    assert_int_equal(gpt2_site_width(world->model, GPT2_SITE_QKV), 3 * EMBD);
    assert_int_equal(gpt2_site_width(world->model, GPT2_SITE_HIDDEN), 4 * EMBD);

    struct gpt2_error err = {0};
    captures[1].layer = LAYERS;
    assert_false(gpt2_inspect_capture(world->inspector, ids, N, captures, 4, NULL, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    pass_free(pass);
}

/* More tokens than one pass takes: every row is at its place. */
static void captures_of_several_passes(void **state) {
    struct world *world = *state;
    int32_t long_ids[CTX];
    float all[CTX][EMBD], part[CTX][EMBD], weights[LAYERS][HEADS][CTX][CTX];
    float logits[CTX][VOCAB], again[CTX][VOCAB];
    for (int i = 0; i < CTX; i++)
        long_ids[i] = (i * 7) % VOCAB;
    const struct gpt2_capture one = {GPT2_SITE_RESID, 1, &all[0][0]};
    assert_true(
        gpt2_inspect_capture(world->inspector, long_ids, CTX, &one, 1, &logits[0][0], NULL));
    assert_true(gpt2_inspect_unembed(world->inspector, &all[0][0], CTX, &again[0][0], NULL));
    assert_memory_equal(logits, again, sizeof logits);
    const struct gpt2_capture begin = {GPT2_SITE_RESID, 1, &part[0][0]};
    assert_true(gpt2_inspect_capture(world->inspector, long_ids, 33, &begin, 1, NULL, NULL));
    assert_memory_equal(all, part, 33 * sizeof *all); // later tokens change nothing
    assert_true(
        gpt2_inspect_weights(world->inspector, long_ids, CTX, -1, &weights[0][0][0][0], NULL));
    for (int layer = 0; layer < LAYERS; layer++) {
        float of_layer[HEADS][CTX][CTX];
        assert_true(
            gpt2_inspect_weights(world->inspector, long_ids, CTX, layer, &of_layer[0][0][0], NULL));
        assert_memory_equal(of_layer, weights[layer], sizeof of_layer);
        for (int head = 0; head < HEADS; head++) {
            double exact[CTX][CTX];
            assert_true(gpt2_inspect_attention(world->inspector, long_ids, CTX, layer, head, NULL,
                                               &exact[0][0], NULL));
            for (int t = 0; t < CTX; t++)
                for (int j = 0; j < CTX; j++)
                    assert_true(weights[layer][head][t][j] == (float)exact[t][j]);
        }
    }
    struct gpt2_error err = {0};
    assert_false(
        gpt2_inspect_weights(world->inspector, long_ids, CTX, LAYERS, &weights[0][0][0][0], &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
}

/* ---- attention ---- */

/* Feature c of query (0) or key (1) of a row that a branch read. */
static double project(const struct world *world, const float *a, int layer, int which, int c) {
    char name[64];
    snprintf(name, sizeof name, "h.%d.attn.c_attn.bias", layer);
    size_t column = (size_t)(which * EMBD + c);
    double sum = weight(world, name, column);
    snprintf(name, sizeof name, "h.%d.attn.c_attn.weight", layer);
    for (size_t i = 0; i < EMBD; i++)
        sum += a[i] * weight(world, name, i * 3 * EMBD + column);
    return sum;
}

static void attention_weights(void **state) {
    struct world *world = *state;
    struct pass *pass = pass_under(world, 0, NULL);
    const int head_dim = EMBD / HEADS;
    for (int layer = 0; layer < LAYERS; layer++)
        for (int head = 0; head < HEADS; head++) {
            double weights[N][N], first = 0, own = 0, previous = 0, entropy = 0;
            struct gpt2_head heads[LAYERS][HEADS];
            assert_true(gpt2_inspect_attention(world->inspector, ids, N, layer, head, &heads[0][0],
                                               &weights[0][0], NULL));
            for (int t = 0; t < N; t++) {
                double expected[N] = {0}, sum = 0;
                for (int j = 0; j <= t; j++) {
                    double dot = 0;
                    for (int c = head * head_dim; c < (head + 1) * head_dim; c++)
                        dot += project(world, pass->after[2 * layer][t], layer, 0, c) *
                               project(world, pass->after[2 * layer][j], layer, 1, c);
                    sum += expected[j] = exp(dot / sqrt(head_dim));
                }
                for (int j = 0; j < N; j++) {
                    near(weights[t][j], expected[j] / sum, j <= t ? 1e-4 : 0);
                    if (t > 0 && weights[t][j] > 0)
                        entropy -= weights[t][j] * log2(weights[t][j]) / (N - 1);
                }
                if (t > 0) {
                    first += weights[t][0] / (N - 1);
                    own += weights[t][t] / (N - 1);
                    previous += weights[t][t - 1] / (N - 1);
                }
            }
            near(heads[layer][head].first, first, 1e-9);
            near(heads[layer][head].own, own, 1e-9);
            near(heads[layer][head].previous, previous, 1e-9);
            near(heads[layer][head].entropy, entropy, 1e-9);
        }
    pass_free(pass);
}

/* ---- residual ---- */

static void contributions_add_up_to_the_logits(void **state) {
    struct world *world = *state;
    enum { PARTS = 2 * LAYERS + 2 };
    const float deviations[SITES] = {1, 1, 1, 1, 2};
    int32_t tokens[VOCAB];
    for (int v = 0; v < VOCAB; v++)
        tokens[v] = v;
    for (unsigned ablations = 0; ablations < 8; ablations++) {
        struct pass *pass = pass_under(world, ablations, deviations);
        struct gpt2_inspector *inspector =
            gpt2_inspector_create(world->model, world->runtime, ablations, deviations, NULL);
        struct gpt2_part parts[PARTS];
        static double contributions[VOCAB][PARTS], logits[VOCAB];
        assert_int_equal(gpt2_residual_parts(world->model), PARTS);
        assert_true(gpt2_inspect_residual(inspector, ids, N, tokens, VOCAB, parts,
                                          &contributions[0][0], logits, NULL));
        const float *all = pass->logits + (N - 1) * VOCAB;
        double mean = 0, over[PARTS] = {0};
        for (int v = 0; v < VOCAB; v++)
            mean += (double)all[v] / VOCAB;
        for (int v = 0; v < VOCAB; v++) {
            double sum = 0;
            for (int p = 0; p < PARTS; p++) {
                sum += contributions[v][p];
                over[p] += contributions[v][p];
            }
            near(logits[v], all[v] - mean, 1e-6);
            near(sum, logits[v], 1e-4);
        }
        for (int p = 0; p < PARTS; p++)
            near(over[p], 0, 1e-9); // they count from the mean
        for (int p = 0; p + 1 < PARTS; p++) {
            double square = 0;
            for (int i = 0; i < EMBD; i++)
                square += pow(pass->added[p][N - 1][i], 2);
            near(parts[p].norm, sqrt(square), 1e-5);
        }
        gpt2_inspector_free(inspector);
        pass_free(pass);
    }
}

/* ---- refusals, and that nothing depends on the runtime ---- */

static void wrong_arguments_are_refused(void **state) {
    struct world *world = *state;
    struct gpt2_error err = {0};
    static struct gpt2_norm norms[SITES][N];
    double p[VOCAB];
    int32_t bad[2] = {3, VOCAB}, negative[1] = {-1}, many[CTX + 1] = {0};
    assert_false(gpt2_inspect_norms(world->inspector, ids, 0, &norms[0][0], &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_false(gpt2_inspect_norms(world->inspector, bad, 2, &norms[0][0], &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_false(gpt2_inspect_next(world->inspector, negative, 1, p, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_false(gpt2_inspect_next(world->inspector, many, CTX + 1, p, &err));
    assert_int_equal(err.status, GPT2_ERR_INPUT);
    assert_false(gpt2_inspect_attention(world->inspector, ids, N, LAYERS, 0, NULL, NULL, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_false(gpt2_inspect_attention(world->inspector, ids, N, 0, -1, NULL, NULL, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    struct gpt2_part parts[2 * LAYERS + 2];
    double contributions[2 * LAYERS + 2], logit;
    assert_false(gpt2_inspect_residual(world->inspector, ids, N, &bad[1], 1, parts, contributions,
                                       &logit, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
}

static void results_do_not_depend_on_the_runtime(void **state) {
    struct world *world = *state;
    static struct gpt2_norm expected[SITES][N], norms[SITES][N];
    assert_true(gpt2_inspect_norms(world->inspector, ids, N, &expected[0][0], NULL));
    for (int i = 0; gpt2_cpu_variant(i); i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            struct gpt2_runtime *runtime = gpt2_runtime_create(
                &(struct gpt2_runtime_options){.n_threads = threads, .cpu = gpt2_cpu_variant(i)},
                NULL);
            struct gpt2_inspector *inspector =
                gpt2_inspector_create(world->model, runtime, 0, NULL, NULL);
            assert_true(gpt2_inspect_norms(inspector, ids, N, &norms[0][0], NULL));
            for (int s = 0; s < SITES; s++)
                for (int t = 0; t < N; t++) {
                    assert_true(norms[s][t].branch.norm == expected[s][t].branch.norm);
                    assert_true(norms[s][t].stream.kurtosis == expected[s][t].stream.kurtosis);
                }
            gpt2_inspector_free(inspector);
            gpt2_runtime_free(runtime);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_of_every_norm),
        cmocka_unit_test(learned_gains_and_biases),
        cmocka_unit_test(statistics_are_each_tokens_own),
        cmocka_unit_test(ablations_leave_out_what_they_say),
        cmocka_unit_test(next_token_and_divergence),
        cmocka_unit_test(the_lens_reads_every_depth),
        cmocka_unit_test(the_last_depth_is_the_models_own_logits),
        cmocka_unit_test(captures_are_what_a_tap_sees),
        cmocka_unit_test(captures_of_several_passes),
        cmocka_unit_test(attention_weights),
        cmocka_unit_test(contributions_add_up_to_the_logits),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(results_do_not_depend_on_the_runtime),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
