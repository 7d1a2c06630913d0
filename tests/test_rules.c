/* test_rules.c - penalties, n-grams, bias and bans against models that look at the whole text anew
 * for every token; histories that slide, are copied and cleared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include <float.h>
#include <gpt2/sampler.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 12, LONG = 700 };

static uint32_t random_word(uint32_t a, uint32_t b) {
    uint32_t out[4];
    rng_philox(out, (uint32_t[4]){a, b, 0, 0}, (uint32_t[2]){5, 8});
    return out[0] >> 4;
}

struct text {
    int32_t ids[LONG];
    int len, prompt; /* of which the first `prompt` were given */
};

static float model_penalized(const struct gpt2_sampler_options *o, const struct text *t, int id,
                             float score) {
    int from = o->generated_only ? t->prompt : 0, count = 0;
    if (o->last_n >= 0 && t->len - o->last_n > from)
        from = t->len - o->last_n;
    for (int i = from; i < t->len; i++)
        count += t->ids[i] == id;
    if (count == 0)
        return score;
    score = score < 0 ? score * o->repeat_penalty : score / o->repeat_penalty;
    return score - ((float)count * o->frequency_penalty + o->presence_penalty);
}

static bool model_repeats(const struct text *t, int n, int id) {
    for (int at = 0; n > 0 && at + n <= t->len; at++) {
        bool same = t->ids[at + n - 1] == id;
        for (int i = 0; i + 1 < n; i++)
            same = same && t->ids[at + i] == t->ids[t->len - n + 1 + i];
        if (same)
            return true;
    }
    return false;
}

static void model_scores(float *out, const struct gpt2_sampler_options *o, const struct text *t,
                         const float *logits) {
    for (int id = 0; id < N; id++) {
        float score = logits[id];
        bool banned = model_repeats(t, o->no_repeat_ngram, id);
        for (int i = 0; i < o->n_biases; i++)
            if (o->biases[i].id == id)
                score += o->biases[i].bias;
        score = model_penalized(o, t, id, score);
        for (int i = 0; i < o->n_eos; i++)
            banned |= o->eos_ids[i] == id && (o->ignore_eos || t->len - t->prompt < o->min_tokens);
        for (int i = 0; i < o->n_banned; i++)
            banned |= o->banned[i] == id;
        out[id] = banned ? -INFINITY : score;
    }
}

static const int32_t eos[] = {3, 99}, banned_ids[] = {7};
static const struct gpt2_bias biases[] = {
    {1, 2.5f}, {4, -1.25f}, {1, 0.5f}, {6, -INFINITY}, {-1, 1}};

static struct gpt2_sampler_options random_options(uint32_t c) {
    static const float penalties[] = {1, 1, 1.3f, 0.7f}, minus[] = {0, 0, 0.5f, -0.75f};
    static const int windows[] = {0, 1, 7, 64, 500, -1};
    bool some_eos = random_word(c, 6) % 2;
    return (struct gpt2_sampler_options){
        .top_p = 1,
        .greedy = true,
        .repeat_penalty = penalties[random_word(c, 1) % 4],
        .presence_penalty = minus[random_word(c, 2) % 4],
        .frequency_penalty = minus[random_word(c, 3) % 4],
        .last_n = windows[random_word(c, 4) % 6],
        .generated_only = random_word(c, 5) % 3 == 0,
        .no_repeat_ngram = (int)(random_word(c, 7) % 5),
        .eos_ids = eos,
        .n_eos = some_eos ? 2 : 0,
        .min_tokens = some_eos ? (int)(random_word(c, 8) % 30) : 0,
        .ignore_eos = random_word(c, 9) % 5 == 0,
        .biases = biases,
        .n_biases = random_word(c, 10) % 2 ? 5 : 0,
        .banned = banned_ids,
        .n_banned = (int)(random_word(c, 11) % 2),
    };
}

static void random_logits(float *logits, uint32_t c, uint32_t at) {
    for (uint32_t id = 0; id < N; id++)
        logits[id] = (float)(random_word(c, 1000 * (at + 1) + id) % 64) * 0.125f - 4;
}

static void compare_scores(struct gpt2_sampler *sampler, const struct gpt2_history *history,
                           const struct gpt2_sampler_options *o, const struct text *t, uint32_t c) {
    float logits[N], scores[N], expected[N];
    random_logits(logits, c, (uint32_t)t->len);
    memcpy(scores, logits, sizeof scores);
    model_scores(expected, o, t, logits);
    gpt2_sampler_apply_rules(sampler, scores, history);
    int best = -1;
    for (int id = 0; id < N; id++) {
        if (scores[id] != expected[id])
            fail_msg("case %u, %d tokens, id %d: expected %g, got %g", (unsigned)c, t->len, id,
                     (double)expected[id], (double)scores[id]);
        if (expected[id] > -INFINITY && (best < 0 || expected[id] > expected[best]))
            best = id;
    }
    struct gpt2_draw draw = {.history = history};
    assert_int_equal(gpt2_sampler_next(sampler, logits, draw), best);
}

static void push(struct gpt2_history *history, struct text *t, int n, uint32_t c) {
    int from = t->len;
    for (int i = 0; i < n; i++) { // few ids, so that much repeats; some outside the vocabulary
        uint32_t word = random_word(c, 500000 + (uint32_t)t->len);
        t->ids[t->len++] = word % 50 == 0 ? 1000 + (int32_t)(word % 70) : (int32_t)(word % 9);
    }
    assert_true(gpt2_history_push(history, t->ids + from, n, from >= t->prompt, NULL));
}

/* One text under one set of options, checked after each push; then a copy goes its own way. */
static void run_case(uint32_t c) {
    struct gpt2_sampler_options o = random_options(c);
    struct gpt2_sampler *sampler = gpt2_sampler_create(&o, N, NULL);
    assert_non_null(sampler);
    struct gpt2_history *history = gpt2_history_create(sampler, NULL);
    struct gpt2_history *other = gpt2_history_create(sampler, NULL);
    struct text t = {.prompt = (int)(random_word(c, 20) % 90)};
    push(history, &t, t.prompt, c);
    for (int i = 0; t.len < (c % 10 ? 150 : LONG - 20); i++) {
        compare_scores(sampler, history, &o, &t, c);
        push(history, &t, 1 + i % 3, c);
    }
    push(other, &(struct text){.prompt = 5}, 5, c + 1); // overwritten
    assert_true(gpt2_history_copy(other, history, NULL));
    struct text u = t;
    push(other, &u, 9, c + 2);
    compare_scores(sampler, other, &o, &u, c);
    compare_scores(sampler, history, &o, &t, c);
    gpt2_history_clear(other);
    struct text v = {0};
    compare_scores(sampler, other, &o, &v, c);
    for (int i = 0; i < 40; i++) {
        push(other, &v, 1, c + 3);
        compare_scores(sampler, other, &o, &v, c);
    }
    compare_scores(sampler, NULL, &o, &(struct text){0}, c);
    gpt2_history_free(other);
    gpt2_history_free(history);
    gpt2_sampler_free(sampler);
}

static void rules_are_those_of_the_models(void **state) {
    for (uint32_t c = 0; c < 300; c++)
        run_case(c);
}

static struct gpt2_history *history_of(struct gpt2_sampler *sampler, int n, const int32_t *ids,
                                       bool generated) {
    struct gpt2_history *history = gpt2_history_create(sampler, NULL);
    assert_true(gpt2_history_push(history, ids, n, generated, NULL));
    return history;
}

/* By hand, so that model and code cannot be wrong together. */
static void rules_by_hand(void **state) {
    static const int32_t said[] = {0, 1, 2, 0, 1};
    struct gpt2_sampler_options o = {.top_p = 1,
                                     .repeat_penalty = 2,
                                     .frequency_penalty = 0.5f,
                                     .presence_penalty = 0.25f,
                                     .last_n = -1};
    struct gpt2_sampler *sampler = gpt2_sampler_create(&o, 4, NULL);
    assert_true(gpt2_sampler_needs_history(sampler));
    struct gpt2_history *history = history_of(sampler, 5, said, true);
    float scores[4] = {4, -4, 0, 1};
    gpt2_sampler_apply_rules(sampler, scores, history);
    assert_true(scores[0] == 0.75f && scores[1] == -9.25f && scores[2] == -0.75f && scores[3] == 1);
    gpt2_history_free(history);
    gpt2_sampler_free(sampler);

    o = (struct gpt2_sampler_options){.top_p = 1, .no_repeat_ngram = 3};
    sampler = gpt2_sampler_create(&o, 4, NULL);
    history = history_of(sampler, 5, said, false); // 0 1 2 0 1: another 2 would repeat 0 1 2
    float three[4] = {1, 1, 9, 1};
    gpt2_sampler_apply_rules(sampler, three, history);
    assert_true(three[2] == -INFINITY && three[0] == 1 && three[1] == 1 && three[3] == 1);
    gpt2_history_free(history);
    gpt2_sampler_free(sampler);

    o = (struct gpt2_sampler_options){.temperature = 1, .top_p = 0.9f};
    sampler = gpt2_sampler_create(&o, 4, NULL);
    assert_false(gpt2_sampler_needs_history(sampler));
    gpt2_sampler_free(sampler);
}

static void no_id_left_is_minus_one(void **state) {
    static const float logits[] = {1, 2, 3};
    static const int32_t all[] = {0, 1, 2}, one[] = {1}, outside[] = {-4, -1, 3, 9};
    struct gpt2_sampler_options o = {.temperature = 1, .top_p = 1, .no_repeat_ngram = 1};
    struct gpt2_sampler *sampler = gpt2_sampler_create(&o, 3, NULL);
    struct gpt2_history *history = history_of(sampler, 2, all, true);
    struct gpt2_draw draw = {.history = history};
    assert_int_equal(gpt2_sampler_next(sampler, logits, draw), 2);
    draw.allowed = one;
    draw.n_allowed = 1;
    assert_int_equal(gpt2_sampler_next(sampler, logits, draw), -1);
    draw.history = NULL;
    assert_int_equal(gpt2_sampler_next(sampler, logits, draw), 1);
    draw.n_allowed = 0;
    assert_int_equal(gpt2_sampler_next(sampler, logits, draw), -1);
    draw.allowed = outside;
    draw.n_allowed = 4;
    assert_int_equal(gpt2_sampler_next(sampler, logits, draw), -1);
    gpt2_history_free(history);
    history = history_of(sampler, 3, all, true);
    assert_int_equal(gpt2_sampler_next(sampler, logits, (struct gpt2_draw){.history = history}),
                     -1);
    gpt2_history_free(history);
    gpt2_sampler_free(sampler);
}

static void extreme_penalties_do_not_ban(void **state) {
    static const float logits[] = {3e38f, -3e38f, -3.4e38f, 0};
    static const int32_t said[] = {0, 1, 2, 3};
    struct gpt2_bias bias[] = {{1, -3e38f}, {0, 3e38f}};
    struct gpt2_sampler_options o = {.temperature = 1,
                                     .top_p = 1,
                                     .repeat_penalty = 1e-6f,
                                     .last_n = -1,
                                     .biases = bias,
                                     .n_biases = 2};
    struct gpt2_sampler *sampler = gpt2_sampler_create(&o, 4, NULL);
    struct gpt2_history *history = history_of(sampler, 4, said, true);
    float scores[4];
    memcpy(scores, logits, sizeof scores);
    gpt2_sampler_apply_rules(sampler, scores, history);
    for (int id = 0; id < 4; id++)
        assert_true(isfinite(scores[id]));
    assert_true(scores[0] == FLT_MAX);
    struct gpt2_draw draw = {.history = history};
    assert_int_equal(gpt2_sampler_next(sampler, logits, draw), 0);
    gpt2_history_free(history);
    gpt2_sampler_free(sampler);
}

static void hostile_options_are_refused(void **state) {
    static const struct gpt2_bias wrong[] = {{0, NAN}}, up[] = {{0, INFINITY}};
    static const struct gpt2_bias all[] = {{0, -INFINITY}, {1, -INFINITY}};
    static const int32_t ends[] = {0, 1};
    const struct {
        struct gpt2_sampler_options options;
        const char *words;
    } cases[] = {
        {{.typical_p = -0.1f}, "typical-p"},
        {{.typical_p = NAN}, "typical-p"},
        {{.repeat_penalty = -1}, "repeat-penalty"},
        {{.repeat_penalty = INFINITY}, "repeat-penalty"},
        {{.presence_penalty = NAN}, "presence-penalty"},
        {{.frequency_penalty = -INFINITY}, "frequency-penalty"},
        {{.last_n = -2}, "repeat-last-n"},
        {{.no_repeat_ngram = -1}, "no-repeat-ngram"},
        {{.min_tokens = -1}, "min-tokens"},
        {{.compat = (enum gpt2_compat)9}, "compat"},
        {{.biases = wrong, .n_biases = 1}, "bias"},
        {{.biases = up, .n_biases = 1}, "bias"},
        {{.biases = all, .n_biases = 2}, "banned"},
        {{.eos_ids = ends, .n_eos = 2, .ignore_eos = true}, "banned"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        assert_null(gpt2_sampler_create(&cases[i].options, 2, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        if (!strstr(err.message, cases[i].words))
            fail_msg("case %zu: %s", i, err.message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_those_of_the_models),
        cmocka_unit_test(rules_by_hand),
        cmocka_unit_test(no_id_left_is_minus_one),
        cmocka_unit_test(extreme_penalties_do_not_ban),
        cmocka_unit_test(hostile_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
