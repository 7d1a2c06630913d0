/* test_logprobs.c - log-probabilities against libm in long double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include <gpt2/logprobs.h>
#include <math.h>

enum { MOST = 5000 };

static void fill(float *logits, int n, uint32_t stream, float step) {
    for (int i = 0; i < n; i++) {
        uint32_t out[4];
        rng_philox(out, (uint32_t[4]){(uint32_t)i, stream, 0, 0}, (uint32_t[2]){1, 2});
        logits[i] = (float)(out[0] % 4000) * step - 60;
    }
}

static void totals_and_entropies_are_the_definitions(void **state) {
    static const int sizes[] = {1, 2, 15, 16, 17, 1000, MOST};
    static float logits[MOST];
    for (uint32_t c = 0; c < 7; c++) {
        int n = sizes[c];
        fill(logits, n, c, c % 2 ? 0.01f : 0.03f);
        long double sum = 0, entropy = 0;
        for (int i = 0; i < n; i++)
            sum += expl((long double)logits[i]);
        long double total = logl(sum);
        for (int i = 0; i < n; i++)
            entropy -= expl((long double)logits[i] - total) * ((long double)logits[i] - total);
        double mine = gpt2_logprobs_total(logits, n);
        assert_true(fabsl((long double)mine - total) < 1e-13L * 100);
        assert_true(fabsl((long double)gpt2_logprobs_entropy(logits, n, mine) - entropy) < 1e-11L);
    }
}

static void top_and_rank_are_the_order(void **state) {
    static float logits[MOST];
    fill(logits, MOST, 9, 0.02f); // 4000 values for 5000 ids: many ties
    struct gpt2_logprob top[40];
    double total = gpt2_logprobs_total(logits, MOST);
    assert_int_equal(gpt2_logprobs_top(logits, MOST, total, top, 40), 40);
    for (int i = 0; i < 40; i++) {
        int ahead = 0;
        for (int id = 0; id < MOST; id++)
            ahead += logits[id] > logits[top[i].id] ||
                     (logits[id] == logits[top[i].id] && id < top[i].id);
        assert_int_equal(ahead, i);
        assert_int_equal(gpt2_logprobs_rank(logits, MOST, top[i].id), i);
        assert_true(top[i].logprob == (double)logits[top[i].id] - total);
    }
    assert_int_equal(gpt2_logprobs_top(logits, 3, total, top, 40), 3);
    assert_int_equal(gpt2_logprobs_top(logits, MOST, total, top, 0), 0);
}

static void extremes(void **state) {
    static const float wide[] = {3e38f, -3e38f, 3e38f};
    double total = gpt2_logprobs_total(wide, 3);
    assert_true(total == (double)3e38f + 0.6931471805599453 && isfinite(total));
    assert_true((double)wide[1] - total < -1e38);
    static const float alike[] = {7, 7, 7, 7};
    total = gpt2_logprobs_total(alike, 4);
    assert_true(fabs(gpt2_logprobs_entropy(alike, 4, total) - log(4)) < 1e-14);
    assert_true(gpt2_logprobs_total(alike, 1) == 7);
    assert_true(gpt2_logprobs_entropy(alike, 1, 7) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_and_entropies_are_the_definitions),
        cmocka_unit_test(top_and_rank_are_the_order),
        cmocka_unit_test(extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
