/* test_presets.c - every preset's filters against models of that system, written from its
 * definition: which ids take part in the draw, with which probabilities, and so which one is drawn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include <gpt2/sampler.h>
#include <math.h>
#include <string.h>

enum { N = 24 };

/* A distribution being filtered: p[id] sums to 1 over the ids in it. */
struct dist {
    double logit[N], p[N];
    bool in[N];
    bool doubtful; /* something stood so near a limit that rounding could decide */
};

static void normalize(struct dist *d, double temperature) {
    double max = -INFINITY, total = 0;
    for (int i = 0; i < N; i++)
        if (d->in[i])
            max = fmax(max, d->logit[i] / temperature);
    for (int i = 0; i < N; i++)
        total += d->p[i] = d->in[i] ? exp(d->logit[i] / temperature - max) : 0;
    for (int i = 0; i < N; i++)
        d->p[i] /= total;
}

static bool less(struct dist *d, double a, double b) {
    d->doubtful |= fabs(a - b) < 1e-9;
    return a < b;
}

/* Keeps ids by how many come before them; ties: by how many are strictly likelier. */
static void model_top_k(struct dist *d, int k, bool ties) {
    bool keep[N];
    for (int i = 0; i < N; i++) {
        int ahead = 0;
        for (int j = 0; j < N; j++)
            ahead += d->in[j] &&
                     (d->logit[j] > d->logit[i] || (!ties && d->logit[j] == d->logit[i] && j < i));
        keep[i] = d->in[i] && (k == 0 || ahead < k);
    }
    memcpy(d->in, keep, sizeof keep);
}

/* Hugging Face, llama.cpp, nanoGPT: kept if what comes before it has not reached p. */
static void model_top_p(struct dist *d, double p) {
    bool keep[N];
    for (int i = 0; i < N; i++) {
        double ahead = 0;
        for (int j = 0; j < N; j++)
            if (d->logit[j] > d->logit[i] || (d->logit[j] == d->logit[i] && j < i))
                ahead += d->p[j];
        keep[i] = d->in[i] && (ahead == 0 || less(d, ahead, p));
    }
    memcpy(d->in, keep, sizeof keep);
}

/* OpenAI's sample.py: n = how many of the descending cumulative sums are <= p; the threshold is the
 * logit at max(n - 1, 0); everything not below it stays. */
static void model_top_p_openai(struct dist *d, double p) {
    double sorted_logit[N], sorted_p[N], sum = 0;
    int n = 0, count = 0;
    for (int i = 0; i < N; i++)
        if (d->in[i]) {
            int at = n++;
            for (; at > 0 && sorted_logit[at - 1] < d->logit[i]; at--) {
                sorted_logit[at] = sorted_logit[at - 1];
                sorted_p[at] = sorted_p[at - 1];
            }
            sorted_logit[at] = d->logit[i];
            sorted_p[at] = d->p[i];
        }
    for (int i = 0; i < n; i++)
        count += !less(d, p, sum += sorted_p[i]);
    double threshold = sorted_logit[count > 0 ? count - 1 : 0];
    for (int i = 0; i < N; i++)
        d->in[i] = d->in[i] && d->logit[i] >= threshold;
}

static void model_min_p(struct dist *d, double min_p) {
    double max = 0;
    for (int i = 0; i < N; i++)
        max = fmax(max, d->p[i]);
    for (int i = 0; i < N; i++)
        d->in[i] = d->in[i] && !less(d, d->p[i], min_p * max);
}

/* Kept if the more typical ones have not reached the mass. Distances are compared as logits, which
 * are alike exactly where the probabilities are. */
static void model_typical(struct dist *d, double mass, bool ties) {
    double entropy = 0, distance[N];
    bool keep[N];
    for (int i = 0; i < N; i++)
        if (d->in[i])
            entropy -= d->p[i] * log(d->p[i]);
    for (int i = 0; i < N; i++)
        distance[i] = d->in[i] ? fabs(-log(d->p[i]) - entropy) : INFINITY;
    for (int i = 0; i < N; i++) {
        double ahead = 0;
        for (int j = 0; d->in[i] && j < N; j++) {
            bool same = d->in[j] && d->logit[i] == d->logit[j];
            if (d->in[j] && !same && less(d, distance[j], distance[i]))
                ahead += d->p[j];
            else if (same && !ties && j < i)
                ahead += d->p[j];
        }
        keep[i] = d->in[i] && (ahead == 0 || less(d, ahead, mass));
    }
    memcpy(d->in, keep, sizeof keep);
}

/* The system's chain, as its own documentation has it (gpt2/sampler.h names each). */
static void model_chain(struct dist *d, const struct gpt2_sampler_options *o) {
    double t = (double)o->temperature;
    bool ties = o->compat == GPT2_COMPAT_HF || o->compat == GPT2_COMPAT_OPENAI ||
                o->compat == GPT2_COMPAT_NANOGPT;
    model_top_k(d, o->top_k, ties);
    if (o->compat == GPT2_COMPAT_LLAMA_CPP) {
        normalize(d, 1);
        if (o->typical_p < 1)
            model_typical(d, (double)o->typical_p, false);
        normalize(d, 1);
        if (o->top_p < 1)
            model_top_p(d, (double)o->top_p);
        normalize(d, 1);
        model_min_p(d, (double)o->min_p);
        normalize(d, t);
        return;
    }
    normalize(d, t);
    if (o->top_p < 1 && o->compat == GPT2_COMPAT_OPENAI)
        model_top_p_openai(d, (double)o->top_p);
    else if (o->top_p < 1)
        model_top_p(d, (double)o->top_p);
    normalize(d, t);
    model_min_p(d, (double)o->min_p);
    normalize(d, t);
    if (o->typical_p < 1)
        model_typical(d, (double)o->typical_p, o->compat == GPT2_COMPAT_HF);
    normalize(d, t);
}

/* An id's exponential variate, as src/sampling/race.h defines it. */
static double model_variate(const uint32_t counter[4], const uint32_t key[2], uint32_t id) {
    uint32_t r[4], upper[4], lower[4];
    rng_philox(r, counter, key);
    uint32_t block = id / 256 * 64 + id % 64, word = id / 64 % 4;
    rng_philox(upper, (uint32_t[4]){block, 0, r[2], r[3]}, (uint32_t[2]){r[0], r[1]});
    rng_philox(lower, (uint32_t[4]){block, 1, r[2], r[3]}, (uint32_t[2]){r[0], r[1]});
    return -log1p(-(upper[word] + (lower[word] >> 12) * 0x1p-20 + 0x1p-21) * 0x1p-32);
}

static int model_draw(struct dist *d, const uint32_t counter[4], const uint32_t key[2]) {
    double least = INFINITY;
    int winner = -1;
    for (int i = 0; i < N; i++) {
        double time = d->in[i] ? model_variate(counter, key, (uint32_t)i) / d->p[i] : INFINITY;
        if (d->in[i] && (winner < 0 || less(d, time, least))) {
            least = time;
            winner = i;
        }
    }
    return winner;
}

static uint32_t random_word(uint32_t a, uint32_t b) {
    uint32_t out[4];
    rng_philox(out, (uint32_t[4]){a, b, 0, 0}, (uint32_t[2]){77, 7});
    return out[0] >> 4;
}

static float pick(uint32_t word, const float *from, size_t n) {
    return from[word % n];
}
#define PICK(word, ...) \
    pick(word, (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float))

/* One random case; false where rounding could decide it. */
static bool compare(enum gpt2_compat compat, uint32_t c, bool restricted) {
    struct gpt2_sampler_options o = {
        .compat = compat,
        .temperature = PICK(random_word(c, 1), 0.4f, 0.8f, 1, 1.7f),
        .top_k = (int)PICK(random_word(c, 2), 0, 1, 3, 8, 15, N, 99),
        .top_p = PICK(random_word(c, 3), 0.1f, 0.45f, 0.8f, 0.97f, 1),
        .min_p = PICK(random_word(c, 4), 0, 0, 0.05f, 0.31f),
        .typical_p = PICK(random_word(c, 5), 1, 1, 0.2f, 0.63f, 0.93f),
        .seed = random_word(c, 6),
    };
    float logits[N];
    int32_t allowed[N];
    int n_allowed = 0;
    struct dist d = {0};
    for (uint32_t i = 0; i < N; i++) { // few values, so that there are ties everywhere
        logits[i] = 0.25f * (float)(random_word(c, 100 + i) % 18);
        d.logit[i] = (double)logits[i];
        d.in[i] = !restricted || i == 5 || random_word(c, 200 + i) % 3 == 0;
        if (d.in[i])
            allowed[n_allowed++] = (int32_t)i;
    }
    model_chain(&d, &o);
    uint32_t counter[4] = {c, 3, 9, 1}, key[2] = {(uint32_t)o.seed, 0};
    int expected = model_draw(&d, counter, key);
    if (d.doubtful)
        return false;
    struct gpt2_sampler *sampler = gpt2_sampler_create(&o, N, NULL);
    assert_non_null(sampler);
    struct gpt2_draw draw = {.record = 9 + ((uint64_t)1 << 32), .sample = 3, .position = c};
    if (restricted) {
        draw.allowed = allowed;
        draw.n_allowed = n_allowed;
    }
    int32_t id = gpt2_sampler_next(sampler, logits, draw);
    if (id != expected)
        fail_msg("%s, case %u: expected id %d, got %d", gpt2_compat_name(compat), (unsigned)c,
                 expected, (int)id);
    gpt2_sampler_free(sampler);
    return true;
}

static void every_preset_draws_as_its_model(void **state) {
    for (int compat = GPT2_COMPAT_NATIVE; compat <= GPT2_COMPAT_NANOGPT; compat++) {
        int compared = 0;
        for (uint32_t c = 0; c < 3000; c++)
            compared += compare((enum gpt2_compat)compat, c, c % 4 == 0);
        assert_true(compared > 2500);
    }
}

/* log of 0.4 0.3 0.15 0.1 0.05 in id order, and a sixth that ties with the last */
static const float six[] = {-0.9162907f, -1.2039728f, -1.8971200f,
                            -2.3025851f, -2.9957323f, -2.9957323f};

static void expect_set(struct gpt2_sampler_options options, const char *which) {
    char drawn[7] = "......";
    struct gpt2_sampler *sampler = gpt2_sampler_create(&options, 6, NULL);
    assert_non_null(sampler);
    for (uint32_t i = 0; i < 4000; i++)
        drawn[gpt2_sampler_next(sampler, six, (struct gpt2_draw){.position = i})] = 'x';
    gpt2_sampler_free(sampler);
    assert_string_equal(drawn, which);
}

/* The edges by hand, so that model and code cannot be wrong together. Probabilities are .381 .286
 * .143 .095 .048 .048 of the six. */
static void edges_by_hand(void **state) {
    struct gpt2_sampler_options o = {.temperature = 1, .top_p = 0.7f};
    expect_set(o, "xxx..."); // .381 .667 .810: the third crosses
    o.compat = GPT2_COMPAT_OPENAI;
    expect_set(o, "xx....");
    o.top_p = 0.2f;
    expect_set(o, "x.....");
    o = (struct gpt2_sampler_options){.temperature = 1, .top_p = 1, .top_k = 5};
    expect_set(o, "xxxxx.");
    o.compat = GPT2_COMPAT_LLAMA_CPP;
    expect_set(o, "xxxxx.");
    o.compat = GPT2_COMPAT_HF;
    expect_set(o, "xxxxxx");
    o.compat = GPT2_COMPAT_NANOGPT;
    expect_set(o, "xxxxxx");
    // at temperature 2 the distribution is flatter: top-p before it keeps fewer
    o = (struct gpt2_sampler_options){.temperature = 2, .top_p = 0.65f};
    expect_set(o, "xxx...");
    o.compat = GPT2_COMPAT_LLAMA_CPP;
    expect_set(o, "xx....");
}

/* Probabilities of exactly a quarter, so that sums reach p exactly. */
static void a_sum_that_is_just_p_is_enough(void **state) {
    static const float four[] = {2, 2, 2, 2};
    static const struct {
        enum gpt2_compat compat;
        float top_p;
        int kept;
    } cases[] = {
        {GPT2_COMPAT_NATIVE, 0.25f, 1},   {GPT2_COMPAT_NATIVE, 0.5f, 2},
        {GPT2_COMPAT_HF, 0.75f, 3},       {GPT2_COMPAT_LLAMA_CPP, 0.5f, 2},
        {GPT2_COMPAT_NATIVE, 0.5001f, 3}, {GPT2_COMPAT_OPENAI, 0.5f, 4},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct gpt2_sampler_options o = {
            .temperature = 1, .top_p = cases[c].top_p, .compat = cases[c].compat};
        struct gpt2_sampler *sampler = gpt2_sampler_create(&o, 4, NULL);
        int most = 0;
        for (uint32_t i = 0; i < 500; i++) {
            int id = gpt2_sampler_next(sampler, four, (struct gpt2_draw){.position = i});
            most = id > most ? id : most;
        }
        gpt2_sampler_free(sampler);
        assert_int_equal(most + 1, cases[c].kept);
    }
}

static void defaults_are_those_systems(void **state) {
    static const struct {
        enum gpt2_compat compat;
        const char *name;
        bool greedy, generated_only, ends;
        float temperature, top_p, min_p;
        int top_k, last_n, max_tokens, samples;
    } expected[] = {
        {GPT2_COMPAT_NATIVE, "native", 0, 0, 1, 0.8f, 0.95f, 0, 40, 64, 256, 1},
        {GPT2_COMPAT_HF, "hf", 1, 0, 1, 1, 1, 0, 50, -1, 20, 1},
        {GPT2_COMPAT_OPENAI, "openai", 0, 1, 0, 1, 1, 0, 0, -1, 512, 1},
        {GPT2_COMPAT_LLAMA_CPP, "llama.cpp", 0, 0, 1, 0.8f, 0.95f, 0.05f, 40, 64, -1, 1},
        {GPT2_COMPAT_NANOGPT, "nanogpt", 0, 0, 0, 0.8f, 1, 0, 200, -1, 500, 10},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct gpt2_sampler_options o;
        memset(&o, 0xFF, sizeof o);
        gpt2_sampler_defaults(&o, expected[i].compat);
        struct gpt2_compat_habits habits = gpt2_compat_habits(expected[i].compat, 1024);
        assert_string_equal(gpt2_compat_name(expected[i].compat), expected[i].name);
        assert_int_equal(o.compat, expected[i].compat);
        assert_int_equal(o.greedy, expected[i].greedy);
        assert_int_equal(o.generated_only, expected[i].generated_only);
        assert_true(o.temperature == expected[i].temperature && o.top_p == expected[i].top_p);
        assert_true(o.min_p == expected[i].min_p && o.typical_p == 1 && o.repeat_penalty == 1);
        assert_int_equal(o.top_k, expected[i].top_k);
        assert_int_equal(o.last_n, expected[i].last_n);
        assert_null(o.banned);
        assert_int_equal(habits.max_tokens, expected[i].max_tokens);
        assert_int_equal(habits.num_samples, expected[i].samples);
        assert_int_equal(habits.ends_at_eos, expected[i].ends);
        struct gpt2_sampler *sampler = gpt2_sampler_create(&o, 6, NULL);
        assert_non_null(sampler);
        gpt2_sampler_free(sampler);
    }
    assert_null(gpt2_compat_name((enum gpt2_compat)5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_draws_as_its_model),
        cmocka_unit_test(edges_by_hand),
        cmocka_unit_test(a_sum_that_is_just_p_is_enough),
        cmocka_unit_test(defaults_are_those_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
