/* test_choices.c - the trie against a model that compares with every choice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include <gpt2/choices.h>
#include <gpt2/sampler.h>
#include <string.h>

enum { MOST = 12, LONGEST = 6, N_IDS = 5, END = 2 }; // END lies among the ids on purpose

static uint32_t random_word(uint32_t a, uint32_t b) {
    uint32_t out[4];
    rng_philox(out, (uint32_t[4]){a, b, 0, 0}, (uint32_t[2]){6, 6});
    return out[0] >> 4;
}

static bool begins(const struct gpt2_choice *c, const int32_t *ids, int n) {
    return c->n_ids >= n && memcmp(c->ids, ids, (size_t)n * sizeof *ids) == 0;
}

/* Walks everywhere from `at`, where ids[0..n) led to, comparing allowed ids and the choice made. */
static void compare(const struct gpt2_choices *choices, int at, const struct gpt2_choice *list,
                    int n_list, int32_t *ids, int n) {
    bool allowed[N_IDS] = {false};
    int made = -1, longer = 0;
    for (int i = 0; i < n_list; i++) {
        if (!begins(&list[i], ids, n))
            continue;
        if (list[i].n_ids == n)
            made = i;
        else {
            allowed[list[i].ids[n]] = true;
            longer++;
        }
    }
    allowed[END] = made >= 0 && longer > 0;
    assert_int_equal(gpt2_choices_made(choices, at), made);
    int count, k = 0;
    const int32_t *got = gpt2_choices_allowed(choices, at, &count);
    assert_int_equal(got == NULL, count == 0);
    for (int32_t id = -1; id <= N_IDS; id++) {
        int next = gpt2_choices_step(choices, at, id);
        bool expected = id >= 0 && id < N_IDS && allowed[id];
        assert_int_equal(next >= 0, expected);
        if (!expected)
            continue;
        assert_true(k < count && got[k] == id);
        k++;
        int none;
        if (id == END) {
            assert_null(gpt2_choices_allowed(choices, next, &none));
            assert_int_equal(gpt2_choices_made(choices, next), made);
            continue;
        }
        ids[n] = id;
        compare(choices, next, list, n_list, ids, n + 1);
    }
    assert_int_equal(k, count);
}

static void the_trie_is_the_list(void **state) {
    int accepted = 0;
    for (uint32_t c = 0; c < 2000; c++) {
        int32_t ids[MOST][LONGEST], path[LONGEST + 1];
        struct gpt2_choice list[MOST];
        int n = 1 + (int)(random_word(c, 0) % MOST);
        bool same = false;
        for (int i = 0; i < n; i++) {
            list[i].ids = ids[i];
            list[i].n_ids = 1 + (int)(random_word(c, 1 + (uint32_t)i) % LONGEST);
            for (int k = 0; k < list[i].n_ids; k++) { // 0 1 3 4, mostly 0
                uint32_t word = random_word(c, 100 + (uint32_t)(i * LONGEST + k)) % 8;
                ids[i][k] = word == 6 ? 4 : word == 5 ? 3 : word >= 3;
            }
            for (int k = 0; k < i; k++)
                same |= list[k].n_ids == list[i].n_ids && begins(&list[k], ids[i], list[i].n_ids);
        }
        struct gpt2_error err = {0};
        struct gpt2_choices *choices = gpt2_choices_create(list, n, END, &err);
        assert_int_equal(choices == NULL, same);
        if (!choices) {
            assert_non_null(strstr(err.message, "are the same"));
            continue;
        }
        accepted++;
        compare(choices, 0, list, n, path, 0);
        gpt2_choices_free(choices);
    }
    assert_true(accepted > 500);
}

/* With the sampler: the likeliest token that leads on, not the likeliest of all. */
static void the_sampler_stays_on_the_list(void **state) {
    static const int32_t yes[] = {3}, yes_please[] = {3, 4}, no[] = {1, 0};
    static const struct gpt2_choice list[] = {{yes, 1}, {yes_please, 2}, {no, 2}};
    static const float logits[] = {9, 1, 3, 2, 1};
    struct gpt2_choices *choices = gpt2_choices_create(list, 3, END, NULL);
    struct gpt2_sampler *sampler =
        gpt2_sampler_create(&(struct gpt2_sampler_options){.top_p = 1}, 5, NULL);
    struct gpt2_draw draw = {0};
    int at = 0, steps = 0;
    while ((draw.allowed = gpt2_choices_allowed(choices, at, &draw.n_allowed)) != NULL) {
        at = gpt2_choices_step(choices, at, gpt2_sampler_next(sampler, logits, draw));
        steps++;
    }
    assert_int_equal(gpt2_choices_made(choices, at), 0); // 3, then END is likelier than 4
    assert_int_equal(steps, 2);
    gpt2_sampler_free(sampler);
    gpt2_choices_free(choices);
}

static void bad_lists_are_refused(void **state) {
    static const int32_t a[] = {0, 1}, b[] = {0, END}, c[] = {-1};
    const struct {
        struct gpt2_choice list[2];
        int n;
        int32_t end_id;
        const char *words;
    } cases[] = {
        {{{a, 2}}, 0, END, "at least one"},
        {{{a, 2}, {a, 0}}, 2, END, "choice 2 is empty"},
        {{{a, 2}, {b, 2}}, 2, END, "choice 2: id 2"},
        {{{c, 1}}, 1, END, "id -1"},
        {{{a, 2}, {a, 2}}, 2, END, "choices 1 and 2 are the same"},
        {{{a, 2}, {a, 1}}, 2, -1, "choice 1 begins with choice 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_error err = {0};
        assert_null(gpt2_choices_create(cases[i].list, cases[i].n, cases[i].end_id, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        if (!strstr(err.message, cases[i].words))
            fail_msg("case %zu: %s", i, err.message);
    }
    gpt2_choices_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_trie_is_the_list),
        cmocka_unit_test(the_sampler_stays_on_the_list),
        cmocka_unit_test(bad_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
