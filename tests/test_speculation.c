/* test_speculation.c - guesses: where lookup finds them, how many pay, and that a text with stops,
 * healing and whatever else a tokenizer is needed for stays the same. (Ids, logits and samplers:
 * test_exactness.c. Random guesses: test_generator.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode/draft_lookup.h"
#include "decode/draft_policy.h"
#include "testworld.h"

static struct gpt2_error err;

/* ---- lookup ---- */

static void the_longest_of_the_latest_matches_is_found(void **state) {
    struct draft_lookup lookup = {.gram = 2};
    static const int32_t ids[] = {1, 2, 3, 9, 1, 2, 4, 8, 5, 2, 7, 1, 2};
    size_t place;
    int length;
    assert_false(draft_lookup_find(&lookup, ids, 2, &place, &length)); // nothing is in it
    assert_true(draft_lookup_push(&lookup, ids, 11, &err));
    assert_false(draft_lookup_find(&lookup, ids, 1, &place, &length)); // shorter than a gram
    assert_false(draft_lookup_find(&lookup, (int32_t[]){4, 9}, 2, &place, &length));
    assert_true(draft_lookup_find(&lookup, ids, 13, &place, &length)); // the later of two
    assert_int_equal(place, 6);
    assert_int_equal(length, 2);
    assert_true(draft_lookup_find(&lookup, (int32_t[]){0, 9, 1, 2}, 4, &place, &length));
    assert_int_equal(place, 6);
    assert_int_equal(length, 3);
    assert_true(draft_lookup_find(&lookup, (int32_t[]){7, 2, 3}, 3, &place, &length));
    assert_int_equal(place, 3); // longer than one earlier
    draft_lookup_clear(&lookup);
    assert_false(draft_lookup_find(&lookup, ids, 13, &place, &length));
    draft_lookup_free(&lookup);
}

static void a_match_is_as_long_in_a_long_text(void **state) {
    struct draft_lookup lookup = {.gram = 2};
    int32_t ids[5000];
    size_t place;
    int length;
    for (int i = 0; i < 5000; i++)
        ids[i] = (int32_t)((unsigned)i * 2654435761u >> 20) % 3000;
    for (int i = 0; i < 5000; i += 100)
        assert_true(draft_lookup_push(&lookup, ids + i, 100, &err));
    for (int at = 40; at < 4900; at += 37) {
        assert_true(draft_lookup_find(&lookup, ids + at - 40, 40, &place, &length));
        assert_int_equal(place, at);
        assert_int_equal(length, LOOKUP_MATCH);
    }
    draft_lookup_free(&lookup);
}

static void a_copy_ends_with_a_corpus_and_goes_on_in_a_text(void **state) {
    struct draft_lookup lookup = {.gram = 2};
    static const int32_t ids[] = {1, 2, 3, 4}, on[] = {3, 4, 3, 4, 3};
    int32_t out[5];
    assert_true(draft_lookup_push(&lookup, ids, 4, &err));
    assert_int_equal(draft_lookup_copy(&lookup, 2, false, out, 5), 2);
    assert_memory_equal(out, ids + 2, 2 * sizeof *ids);
    assert_int_equal(draft_lookup_copy(&lookup, 2, true, out, 5), 5);
    assert_memory_equal(out, on, sizeof on);
    assert_int_equal(draft_lookup_copy(&lookup, 0, false, out, 3), 3);
    draft_lookup_free(&lookup);
}

/* ---- how many pay ---- */

static struct draft_policy measured(double ns_of_a_row_more) {
    struct draft_policy policy = {0};
    for (int i = 0; i < 4; i++)
        for (int rows = 1; rows <= DRAFT_ROWS; rows += 4)
            draft_policy_note(&policy, rows, (uint64_t)(1e6 + ns_of_a_row_more * (rows - 1)));
    return policy;
}

static int best(const struct draft_policy *policy, double right, double guess_ns) {
    double all[GPT2_MAX_DRAFT];
    for (int i = 0; i < GPT2_MAX_DRAFT; i++)
        all[i] = right;
    return draft_policy_length(policy, all, 16, guess_ns);
}

static void as_many_guesses_are_made_as_pay(void **state) {
    const struct draft_policy free = measured(0), dear = measured(9e5), usual = measured(5e4);
    assert_int_equal(best(&free, 0.9, 0), 16);
    assert_int_equal(best(&free, 0, 0), 0);
    assert_int_equal(best(&dear, 0.85, 0), 0);
    assert_in_range(best(&usual, 0.7, 0), 2, 6);
    assert_in_range(best(&usual, 0.95, 0), 8, 16);
    assert_true(best(&usual, 0.9, 2e5) < best(&usual, 0.9, 0));
    assert_int_equal(best(&usual, 0.9, 2e6), 0);
    assert_true(draft_policy_cost(&usual, 3) > draft_policy_cost(&usual, 1)); // between 1 and 5
    assert_true(draft_policy_cost(&usual, 3) < draft_policy_cost(&usual, 5));
}

static void one_slow_pass_does_not_count(void **state) {
    struct draft_policy policy = measured(1e4);
    const int before = best(&policy, 0.9, 0);
    for (int rows = 1; rows <= DRAFT_ROWS; rows++)
        draft_policy_note(&policy, rows, rows % 4 == 1 ? 900000000 : 1000000);
    assert_in_range(best(&policy, 0.9, 0), before - 1, before);
    // many do, and are forgotten when nothing like it was tried for long
    for (int i = 0; i < 3; i++)
        for (int rows = 2; rows <= DRAFT_ROWS; rows++)
            draft_policy_note(&policy, rows, 900000000);
    assert_int_equal(best(&policy, 0.9, 0), 0);
    for (int i = 0; i < 100; i++)
        draft_policy_note(&policy, 1, 1000000);
    assert_true(best(&policy, 0.9, 0) > 4);
}

static void odds_follow_the_last_trials(void **state) {
    struct draft_odds odds = draft_policy_odds_of(0.3);
    assert_true(draft_policy_odds(&odds) == 0.3);
    for (int i = 0; i < 60; i++)
        draft_policy_odds_note(&odds, true);
    assert_true(draft_policy_odds(&odds) > 0.95);
    for (int i = 0; i < 60; i++)
        draft_policy_odds_note(&odds, false);
    assert_true(draft_policy_odds(&odds) < 0.1);
}

/* ---- texts ---- */

enum { CTX = 64 };

static struct testworld world;

static int open_world(void **state) {
    return testworld_open(&world, CTX, &err) ? 0 : -1;
}

static int close_world(void **state) {
    testworld_close(&world);
    return 0;
}

/* Everything that callbacks saw, in their order. */
struct seen {
    char text[8192];
    size_t n;
    int n_choices;
};

static bool show(void *user, const struct gpt2_piece *piece, struct gpt2_error *error) {
    struct seen *seen = user;
    seen->n += (size_t)snprintf(seen->text + seen->n, sizeof seen->text - seen->n,
                                "%d.%d %d \"%.*s\" %a\n", piece->sample, piece->index,
                                (int)piece->id, (int)piece->n_bytes, piece->bytes, piece->logprob);
    return true;
}

static bool go_on(void *user, const float *logits) {
    return ++((struct seen *)user)->n_choices > 0;
}

static void write_text(struct seen *seen, struct gpt2_completion_options options,
                       const char *prompt, float temperature,
                       struct gpt2_speculation *speculation) {
    *seen = (struct seen){0};
    struct gpt2_sampler *sampler = gpt2_sampler_create(
        &(struct gpt2_sampler_options){.top_p = 1, .temperature = temperature}, V, &err);
    options.sampler = sampler;
    options.show = show;
    options.go_on = go_on;
    options.user = seen;
    options.logprobs = true;
    options.speculation = speculation;
    struct gpt2_completion *c = gpt2_completion_create(
        world.model, world.tokenizer, &(struct gpt2_prompt){.text = prompt}, &options, &err);
    if (!c || !gpt2_completion_run(c, world.runtime, &err))
        fail_msg("%s", err.message);
    struct gpt2_sample text = gpt2_completion_get(c, 0);
    seen->n += (size_t)snprintf(seen->text + seen->n, sizeof seen->text - seen->n,
                                "finish %d, stop %d, %d choices\n", (int)text.finish, text.stop,
                                seen->n_choices);
    gpt2_completion_free(c);
    gpt2_sampler_free(sampler);
}

static struct gpt2_speculation *guesses_of(int way) {
    const struct gpt2_speculation_options options = {.lookup = way != 1,
                                                     .model = way == 1 ? world.model : NULL,
                                                     .runtime = world.runtime,
                                                     .always = way < 2,
                                                     .max_draft = way == 1 ? 7 : 0};
    struct gpt2_speculation *speculation = gpt2_speculation_create(&options, &err);
    if (!speculation)
        fail_msg("%s", err.message);
    return speculation;
}

static void callbacks_see_the_same_in_the_same_order(void **state) {
    static struct seen plain, guessed;
    static const struct gpt2_stop strings[] = {{"xQ", 2}, {"l", 1}, {"ABA", 3}};
    struct gpt2_stops *stops =
        gpt2_stops_create(&(struct gpt2_stops_options){.strings = strings, .n_strings = 3}, &err);
    struct gpt2_healer *healer = gpt2_healer_create(world.tokenizer, &err);
    const struct gpt2_completion_options all[] = {
        {.max_tokens = 40},
        {.max_tokens = -1},
        {.max_tokens = 40, .stops = stops},
        {.max_tokens = 40, .healer = healer},
        {.max_tokens = 40, .healer = healer, .stops = stops},
        {.max_tokens = 130, .overflow = GPT2_OVERFLOW_SLIDE, .keep = 3, .ignore_eos = true},
    };
    static const char *const prompts[] = {"HelloA", "ABCABCAB", "z"};
    static const float temperatures[] = {0, 0.5f, 1};
    struct gpt2_speculation_counts n[3] = {{0}};
    for (int way = 0; way < 3; way++) {
        struct gpt2_speculation *speculation = guesses_of(way);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            for (int k = 0; k < 9; k++) {
                if (all[i].overflow != GPT2_OVERFLOW_SLIDE)
                    n[way] = gpt2_speculation_counts(speculation);
                write_text(&plain, all[i], prompts[k % 3], temperatures[k / 3], NULL);
                write_text(&guessed, all[i], prompts[k % 3], temperatures[k / 3], speculation);
                assert_string_equal(plain.text, guessed.text);
            }
        assert_null(gpt2_speculation_error(speculation));
        gpt2_speculation_free(speculation);
    }
    assert_true(n[0].n_accepted > 0 && n[0].n_accepted < n[0].n_drafted);
    // what the model itself guesses by the same rules and keys is right, unless the context slid
    assert_true(n[1].n_accepted == n[1].n_drafted);
    assert_true(n[1].n_tokens > 4 * n[1].n_passes);
    gpt2_healer_free(healer);
    gpt2_stops_free(stops);
}

static void options_out_of_range_are_refused(void **state) {
    const int32_t id = 1;
    const struct gpt2_speculation_options bad[] = {
        {0},
        {.lookup = true, .model = world.model, .runtime = world.runtime},
        {.model = world.model},
        {.model = world.model, .runtime = world.runtime, .corpus = &id, .n_corpus = 1},
        {.lookup = true, .max_draft = -1},
        {.lookup = true, .max_draft = GPT2_MAX_DRAFT + 1},
        {.lookup = true, .reserved = {0, 1}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(gpt2_speculation_create(&bad[i], &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
    }
    struct gpt2_speculation *speculation = guesses_of(0);
    const struct gpt2_completion_options beams = {
        .max_tokens = 3, .n_beams = 2, .speculation = speculation};
    assert_null(gpt2_completion_create(world.model, world.tokenizer,
                                       &(struct gpt2_prompt){.text = "A"}, &beams, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_speculation_free(speculation);
    gpt2_speculation_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_of_the_latest_matches_is_found),
        cmocka_unit_test(a_match_is_as_long_in_a_long_text),
        cmocka_unit_test(a_copy_ends_with_a_corpus_and_goes_on_in_a_text),
        cmocka_unit_test(as_many_guesses_are_made_as_pay),
        cmocka_unit_test(one_slow_pass_does_not_count),
        cmocka_unit_test(odds_follow_the_last_trials),
        cmocka_unit_test(callbacks_see_the_same_in_the_same_order),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
