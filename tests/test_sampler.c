/* test_sampler.c - filters against their definitions, draws against their distribution. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sampling/race.h"
#include <gpt2/sampler.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void philox_gives_the_known_answers(void **state) {
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        // Random123's kat_vectors
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        rng_philox(out, known[i].counter, known[i].key);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* Which ids come out of many draws: kept[id] counts. */
static void draw_many(int *kept, const float *logits, int n, struct gpt2_sampler_options options,
                      int draws) {
    struct gpt2_error err;
    struct gpt2_sampler *sampler = gpt2_sampler_create(&options, n, &err);
    if (!sampler)
        fail_msg("%s", err.message);
    memset(kept, 0, (size_t)n * sizeof *kept);
    for (int i = 0; i < draws; i++)
        kept[gpt2_sampler_next(sampler, logits, (struct gpt2_draw){.position = (uint32_t)i})]++;
    gpt2_sampler_free(sampler);
}

static void expect_kept(const float *logits, int n, struct gpt2_sampler_options options,
                        const char *which) {
    int kept[16];
    draw_many(kept, logits, n, options, 4000);
    for (int id = 0; id < n; id++)
        if ((kept[id] > 0) != (which[id] == 'x'))
            fail_msg("id %d was drawn %d times; expected set %s", id, kept[id], which);
}

#define SAMPLER(...) ((struct gpt2_sampler_options){.temperature = 1, .top_p = 1, __VA_ARGS__})

/* log of 0.4 0.3 0.15 0.1 0.05, in another order */
static const float five[] = {-1.8971200f, -0.9162907f, -2.9957323f, -1.2039728f, -2.3025851f};

static void filters_keep_what_they_define(void **state) {
    expect_kept(five, 5, SAMPLER(0), "xxxxx");
    expect_kept(five, 5, SAMPLER(.top_k = 2), ".x.x.");
    expect_kept(five, 5, SAMPLER(.top_k = 9), "xxxxx");
    // the prefix 0.4, 0.7, 0.85, 0.95, 1: the token that crosses p is kept
    expect_kept(five, 5, (struct gpt2_sampler_options){.temperature = 1, .top_p = 0.69f}, ".x.x.");
    expect_kept(five, 5, (struct gpt2_sampler_options){.temperature = 1, .top_p = 0.71f}, "xx.x.");
    expect_kept(five, 5, (struct gpt2_sampler_options){.temperature = 1, .top_p = 0.94f}, "xx.xx");
    expect_kept(five, 5, (struct gpt2_sampler_options){.temperature = 1, .top_p = 0}, ".x...");
    expect_kept(five, 5, SAMPLER(.min_p = 0.3f), "xx.x.");
    expect_kept(five, 5, SAMPLER(.min_p = 1), ".x...");
    // top-p sees what top-k left: 0.4 and 0.3 are 0.57 and 0.43 of it
    expect_kept(five, 5,
                (struct gpt2_sampler_options){.temperature = 1, .top_k = 2, .top_p = 0.56f},
                ".x...");
    // and what temperature made of it: at T = 0.5 the weights are .16 .09 .0225 .01 .0025 of 0.285
    expect_kept(five, 5, (struct gpt2_sampler_options){.temperature = 0.5f, .top_p = 0.55f},
                ".x...");
}

static void ties_go_to_the_lowest_id(void **state) {
    static const float tied[] = {1, 3, 2, 3, 3, 2};
    expect_kept(tied, 6, (struct gpt2_sampler_options){.temperature = 0, .top_p = 1}, ".x....");
    expect_kept(tied, 6, SAMPLER(.top_k = 2), ".x.x..");
    expect_kept(tied, 6, SAMPLER(.top_k = 4), ".xxxx.");
    expect_kept(tied, 6, (struct gpt2_sampler_options){.temperature = 1, .top_p = 0.01f}, ".x....");
}

static void banned_and_padded_ids_are_never_chosen(void **state) {
    static const float logits[] = {1, 9, 2, 8, 99};
    static const int32_t banned[] = {1, 1, -5, 77};
    expect_kept(logits, 4, SAMPLER(.banned = banned, .n_banned = 4, .top_k = 1), "...x");
    expect_kept(logits, 4,
                (struct gpt2_sampler_options){.top_p = 1, .banned = banned, .n_banned = 4}, "...x");
}

static void draws_follow_the_distribution(void **state) {
    static const double p[] = {0.15, 0.4, 0.05, 0.3, 0.1};
    int kept[5];
    const int draws = 50000;
    draw_many(kept, five, 5, SAMPLER(.seed = 12), draws);
    double chi2 = 0;
    for (int id = 0; id < 5; id++)
        chi2 += (kept[id] - draws * p[id]) * (kept[id] - draws * p[id]) / (draws * p[id]);
    assert_true(chi2 < 18.5); // 4 degrees of freedom, one in a thousand; the draws are fixed
}

/* Weights over six powers of ten, more ids than one run of Philox blocks, no filter: the draw that
 * looks at all ids at once. The rare ids are counted together. */
static void draws_follow_a_long_distribution(void **state) {
    enum { N = 1000, CELLS = 300, DRAWS = 60000 };
    float logits[N];
    double p[N], total = 0, expected[CELLS] = {0}, chi2 = 0;
    int kept[N], seen[CELLS] = {0};
    for (int id = 0; id < N; id++) {
        logits[id] = (float)(-14.0 * fmod(id * 0.618033988749895, 1.0)); // in no order
        total += p[id] = exp((double)logits[id]);
    }
    draw_many(kept, logits, N, SAMPLER(.seed = 5), DRAWS);
    for (int id = 0, cell = 0; id < N; id++) {
        const double share = DRAWS * p[id] / total;
        cell = share > 100 ? cell + 1 : cell;
        assert_true(cell < CELLS);
        const int to = share > 100 ? cell : 0;
        expected[to] += share;
        seen[to] += kept[id];
    }
    int n_cells = 0;
    for (int i = 0; i < CELLS && (i == 0 || expected[i] > 0); i++, n_cells++)
        chi2 += (seen[i] - expected[i]) * (seen[i] - expected[i]) / expected[i];
    // the mean of chi^2 is n - 1, its deviation sqrt(2 (n - 1)); the draws are fixed
    assert_true(n_cells > 20);
    assert_true(chi2 < n_cells - 1 + 3.5 * sqrt(2.0 * (n_cells - 1)));
}

/* The same logits to within a little noise: nearly always the same token. A draw by the cumulative
 * distribution gave 0.86 here. */
static void nearly_equal_logits_draw_the_same(void **state) {
    enum { N = 500, DRAWS = 4000 };
    float a[N], b[N];
    int same = 0;
    struct gpt2_sampler_options options = SAMPLER(.seed = 3);
    struct gpt2_sampler *sampler = gpt2_sampler_create(&options, N, NULL);
    double za = 0, zb = 0, overlap = 0;
    for (int id = 0; id < N; id++) {
        a[id] = (float)(6.0 * fmod(id * 0.618033988749895, 1.0));
        b[id] = a[id] + (float)(0.1 * (fmod(id * 0.414213562373095, 1.0) - 0.5));
        za += exp((double)a[id]);
        zb += exp((double)b[id]);
    }
    for (int id = 0; id < N; id++)
        overlap += fmin(exp((double)a[id]) / za, exp((double)b[id]) / zb);
    for (uint32_t i = 0; i < DRAWS; i++) {
        struct gpt2_draw draw = {.position = i};
        same += gpt2_sampler_next(sampler, a, draw) == gpt2_sampler_next(sampler, b, draw);
    }
    gpt2_sampler_free(sampler);
    assert_true(overlap > 0.985);
    assert_true(same > DRAWS * (2 * overlap - 1) - 3 * sqrt(DRAWS * (1 - overlap)));
}

/* Whatever may be skipped does not change who wins: the same ids in any order, one by one. */
static void the_race_over_all_ids_is_the_race_of_each(void **state) {
    enum { MOST = 50257 };
    static float logits[MOST];
    static unsigned char is_banned[MOST];
    static const int sizes[] = {1, 63, 64, 65, 255, 257, 1000, MOST};
    static const double temperatures[] = {1e-40, 0.01, 0.8, 1, 30, 1e30};
    for (uint32_t c = 0; c < 120; c++) {
        const int n = sizes[c % 8];
        for (int i = 0; i < n; i++) {
            uint32_t out[4];
            rng_philox(out, (uint32_t[4]){(uint32_t)i, c, 0, 0}, (uint32_t[2]){8, 8});
            logits[i] = c % 3 ? (float)(out[0] % 1000) * 0.02f : (float)(out[0] % 3);
            logits[i] = out[1] % 50 == 0 ? -INFINITY : logits[i];
            is_banned[i] = out[2] % 4 == 0;
        }
        is_banned[n / 2] = 0;
        logits[n / 2] = 4;
        double max = -INFINITY;
        for (int i = 0; i < n; i++)
            max = is_banned[i] ? max : fmax(max, (double)logits[i]);
        struct race all, each;
        struct gpt2_draw draw = {.position = c, .record = (uint64_t)c << 33};
        race_begin(&all, 7, &draw, max, temperatures[c % 6]);
        each = all;
        race_enter_all(&all, logits, is_banned, n);
        for (int i = 0; i < n; i++) {
            int id = (int)(((int64_t)i * 7919 + 11) % n); // 7919 divides none of the sizes
            if (!is_banned[id] && logits[id] > -INFINITY)
                race_enter(&each, id, logits[id]);
        }
        assert_int_equal(all.winner, each.winner);
        assert_true(all.winner >= 0 && !is_banned[all.winner]);
    }
}

static void a_draw_depends_on_its_key_alone(void **state) {
    struct gpt2_sampler_options options = SAMPLER(.seed = 99);
    struct gpt2_sampler *a = gpt2_sampler_create(&options, 5, NULL);
    struct gpt2_sampler *b = gpt2_sampler_create(&options, 5, NULL);
    int differs[4] = {0};
    for (uint32_t i = 0; i < 200; i++) {
        struct gpt2_draw draw = {.record = i * 7, .sample = i % 3, .position = i};
        int32_t id = gpt2_sampler_next(a, five, draw);
        for (uint32_t k = 0; k < i % 4; k++) // b has another history
            gpt2_sampler_next(b, five, (struct gpt2_draw){.position = k});
        assert_int_equal(gpt2_sampler_next(b, five, draw), id);
        draw.record += (uint64_t)1 << 32;
        differs[0] += gpt2_sampler_next(b, five, draw) != id;
        draw.record -= (uint64_t)1 << 32;
        draw.sample++;
        differs[1] += gpt2_sampler_next(b, five, draw) != id;
        draw.sample--;
        draw.position++;
        differs[2] += gpt2_sampler_next(b, five, draw) != id;
    }
    options.seed += (uint64_t)1 << 32;
    struct gpt2_sampler *c = gpt2_sampler_create(&options, 5, NULL);
    for (uint32_t i = 0; i < 200; i++)
        differs[3] += gpt2_sampler_next(a, five, (struct gpt2_draw){.position = i}) !=
                      gpt2_sampler_next(c, five, (struct gpt2_draw){.position = i});
    for (int i = 0; i < 4; i++)
        assert_true(differs[i] > 80); // about 0.71 of 200 when independent
    gpt2_sampler_free(a);
    gpt2_sampler_free(b);
    gpt2_sampler_free(c);
}

/* top-p over many tokens sorts only what can be kept: the set must be that of a full sort. */
static void top_p_of_a_large_vocabulary_is_the_full_sorts(void **state) {
    enum { N = 8000 };
    static float logits[N];
    static int kept[N];
    for (int i = 0; i < N; i++)
        logits[i] = (float)((i * 7919) % N) * 0.0005f;
    double total = 0;
    for (int i = 0; i < N; i++)
        total += exp((double)logits[i]);
    // in descending order the logits are 0.0005 * (N-1), 0.0005 * (N-2), ...
    double sum = 0;
    int prefix = 0;
    while (sum < 0.02 * total)
        sum += exp(0.0005 * (N - 1 - prefix++));
    draw_many(kept, logits, N, (struct gpt2_sampler_options){.temperature = 1, .top_p = 0.02f},
              2000);
    for (int i = 0; i < N; i++)
        if (kept[i])
            assert_true((i * 7919) % N >= N - prefix - 1);
    int missing = 0;
    for (int i = 0; i < N; i++)
        missing += (i * 7919) % N >= N - prefix && !kept[i];
    assert_int_equal(missing, 0);
    assert_true(prefix > 30);
}

static void hostile_options_are_refused(void **state) {
    static const int32_t all[] = {0, 1};
    const struct {
        struct gpt2_sampler_options options;
        const char *words;
    } cases[] = {
        {{.temperature = -1, .top_p = 1}, "temperature"},
        {{.temperature = NAN, .top_p = 1}, "temperature"},
        {{.temperature = INFINITY, .top_p = 1}, "temperature"},
        {{.temperature = 1, .top_p = 1.5f}, "top-p"},
        {{.temperature = 1, .top_p = NAN}, "top-p"},
        {{.temperature = 1, .top_p = 1, .min_p = -0.1f}, "min-p"},
        {{.temperature = 1, .top_p = 1, .top_k = -1}, "top-k"},
        {{.temperature = 1, .top_p = 1, .banned = all, .n_banned = 2}, "banned"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        assert_null(gpt2_sampler_create(&cases[i].options, 2, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        assert_non_null(strstr(err.message, cases[i].words));
    }
}

static void extreme_logits_and_temperatures_work(void **state) {
    static const float wide[] = {-3e38f, 3e38f, 0, 2.9e38f};
    expect_kept(wide, 4, SAMPLER(0), ".x..");
    expect_kept(wide, 4, (struct gpt2_sampler_options){.temperature = 1e-30f, .top_p = 1}, ".x..");
    static const float equal[] = {5, 5, 5, 5};
    expect_kept(equal, 4, (struct gpt2_sampler_options){.temperature = 1e6f, .top_p = 1}, "xxxx");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(filters_keep_what_they_define),
        cmocka_unit_test(ties_go_to_the_lowest_id),
        cmocka_unit_test(banned_and_padded_ids_are_never_chosen),
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(draws_follow_a_long_distribution),
        cmocka_unit_test(nearly_equal_logits_draw_the_same),
        cmocka_unit_test(the_race_over_all_ids_is_the_race_of_each),
        cmocka_unit_test(a_draw_depends_on_its_key_alone),
        cmocka_unit_test(top_p_of_a_large_vocabulary_is_the_full_sorts),
        cmocka_unit_test(hostile_options_are_refused),
        cmocka_unit_test(extreme_logits_and_temperatures_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
