/* test_completion.c - continuing a text by one call: against a loop over session and sampler, and
 * what each option does to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testworld.h"

enum { CTX = 40, N = 12 };

static struct testworld world;
static struct gpt2_sampler *sampler; /* draws from everything but the end */
static struct gpt2_error err;

static int open_world(void **state) {
    static const int32_t end[] = {END};
    sampler = gpt2_sampler_create(&(struct gpt2_sampler_options){.temperature = 1,
                                                                 .top_p = 1,
                                                                 .repeat_penalty = 1.3f,
                                                                 .last_n = 8,
                                                                 .seed = 5,
                                                                 .eos_ids = end,
                                                                 .n_eos = 1,
                                                                 .ignore_eos = true},
                                  V, &err);
    return sampler && testworld_open(&world, CTX, &err) ? 0 : -1;
}

static int close_world(void **state) {
    gpt2_sampler_free(sampler);
    testworld_close(&world);
    return 0;
}

static const struct gpt2_prompt prompt = {.text = "HelloABworld"};

/* What the callbacks saw. */
struct seen {
    char bytes[1024];
    size_t n_bytes;
    int32_t ids[CTX + 1];
    int n_ids, n_choices, end_after, fail_at;
    double logprobs[CTX + 1];
    double expected[CTX + 1]; /* of the first id of each choice */
    const char *message;      /* of the failure; NULL: none      */
};

static bool show(void *user, const struct gpt2_piece *piece, struct gpt2_error *error) {
    struct seen *seen = user;
    memcpy(seen->bytes + seen->n_bytes, piece->bytes, piece->n_bytes);
    seen->n_bytes += piece->n_bytes;
    assert_int_equal(piece->index, piece->id >= 0 ? seen->n_ids : 0);
    if (piece->id >= 0) {
        seen->logprobs[seen->n_ids] = piece->logprob;
        seen->ids[seen->n_ids++] = piece->id;
    }
    if (seen->n_ids != seen->fail_at)
        return true;
    if (seen->message) {
        error->status = GPT2_ERR_INPUT;
        strcpy(error->message, seen->message);
    }
    return false;
}

static bool go_on(void *user, const float *logits) {
    struct seen *seen = user;
    seen->expected[seen->n_choices] = (double)logits[0] - gpt2_logprobs_total(logits, V);
    return ++seen->n_choices != seen->end_after;
}

/* A completion that has run; it is to be freed. */
static struct gpt2_completion *run(const struct gpt2_prompt *from,
                                   struct gpt2_completion_options options) {
    if (!options.sampler)
        options.sampler = sampler;
    struct gpt2_completion *c =
        gpt2_completion_create(world.model, world.tokenizer, from, &options, &err);
    if (!c)
        fail_msg("%s", err.message);
    assert_false(gpt2_completion_done(c));
    if (!gpt2_completion_run(c, world.runtime, &err))
        fail_msg("%s", err.message);
    assert_true(gpt2_completion_done(c));
    return c;
}

/* The same by hand: one token after the other. */
static void draw_by_hand(int32_t *out, int n, uint64_t record, uint32_t sample) {
    struct gpt2_ids ids = {0};
    struct gpt2_session *session = gpt2_session_create(world.model, NULL, NULL);
    struct gpt2_batch *batch = gpt2_batch_create(world.model, world.runtime, NULL, NULL);
    struct gpt2_history *history = gpt2_history_create(sampler, NULL);
    assert_true(
        gpt2_tokenizer_encode(world.tokenizer, prompt.text, strlen(prompt.text), 0, &ids, NULL));
    assert_true(gpt2_history_push(history, ids.data, (int)ids.len, false, NULL));
    struct gpt2_span span = {
        .session = session, .ids = ids.data, .n_ids = (int)ids.len, .n_logits = 1};
    for (int i = 0; i < n; i++) {
        assert_true(gpt2_batch_run(batch, &span, 1, NULL));
        out[i] = gpt2_sampler_next(sampler, gpt2_batch_logits(batch, 0, 0),
                                   (struct gpt2_draw){.record = record,
                                                      .sample = sample,
                                                      .position = (uint32_t)ids.len + (uint32_t)i,
                                                      .history = history});
        assert_true(gpt2_history_push(history, &out[i], 1, true, NULL));
        span.ids = &out[i];
        span.n_ids = 1;
    }
    gpt2_history_free(history);
    gpt2_batch_free(batch);
    gpt2_session_free(session);
    gpt2_ids_free(&ids);
}

static void assert_text_of_ids(const char *bytes, size_t n_bytes, const int32_t *ids, int n_ids) {
    size_t at = 0, n;
    for (int i = 0; i < n_ids; i++, at += n) {
        const char *token = gpt2_tokenizer_token(world.tokenizer, ids[i], &n);
        assert_true(at + n <= n_bytes);
        assert_memory_equal(bytes + at, token, n);
    }
    assert_int_equal(at, n_bytes);
}

static void it_is_the_loop_by_hand(void **state) {
    struct seen seen = {0};
    int32_t expected[N];
    struct gpt2_completion_options options = {.max_tokens = N,
                                              .n_samples = 3,
                                              .record = 7,
                                              .first_sample = 2,
                                              .sampler = sampler,
                                              .user = &seen};
    struct gpt2_completion *c = run(&prompt, options);
    assert_int_equal(gpt2_completion_count(c), 3);
    for (int i = 0; i < 3; i++) {
        struct gpt2_sample text = gpt2_completion_get(c, i);
        draw_by_hand(expected, N, 7, 2 + (uint32_t)i);
        assert_int_equal(text.n_ids, N);
        assert_memory_equal(text.ids, expected, sizeof expected);
        assert_int_equal(text.finish, GPT2_FINISH_LENGTH);
        assert_int_equal(text.stop, GPT2_STOP_NONE);
        assert_null(text.logprobs);
        assert_text_of_ids(text.bytes, text.n_bytes, text.ids, text.n_ids);
    }
    assert_null(gpt2_completion_error(c));
    gpt2_completion_free(c);
    // one call, with and without a runtime
    options.n_samples = 0;
    options.show = show;
    draw_by_hand(expected, N, 7, 2);
    for (int own = 0; own < 2; own++) {
        seen = (struct seen){0};
        assert_true(gpt2_complete(world.model, world.tokenizer, own ? NULL : world.runtime, &prompt,
                                  &options, &err));
        assert_int_equal(seen.n_ids, N);
        assert_memory_equal(seen.ids, expected, sizeof expected);
        assert_text_of_ids(seen.bytes, seen.n_bytes, seen.ids, seen.n_ids);
    }
}

static void a_prompt_is_text_or_ids(void **state) {
    struct gpt2_ids ids = {0};
    int n_ids, n_read;
    assert_true(
        gpt2_tokenizer_encode(world.tokenizer, prompt.text, strlen(prompt.text), 0, &ids, NULL));
    struct gpt2_completion *a = run(&prompt, (struct gpt2_completion_options){.max_tokens = N});
    const struct gpt2_prompt as_ids = {.ids = ids.data, .n_ids = (int)ids.len};
    struct gpt2_completion *b = run(&as_ids, (struct gpt2_completion_options){.max_tokens = N});
    const int32_t *read = gpt2_completion_prompt(a, &n_ids, &n_read);
    assert_int_equal(n_ids, ids.len);
    assert_int_equal(n_read, n_ids);
    assert_memory_equal(read, ids.data, ids.len * sizeof *read);
    assert_memory_equal(gpt2_completion_get(a, 0).ids, gpt2_completion_get(b, 0).ids,
                        N * sizeof(int32_t));
    gpt2_completion_free(a);
    gpt2_completion_free(b);
    // without a tokenizer there are ids and no bytes
    struct seen seen = {0};
    struct gpt2_completion_options options = {
        .max_tokens = N, .sampler = sampler, .show = show, .user = &seen};
    assert_true(gpt2_complete(world.model, NULL, world.runtime, &as_ids, &options, &err));
    assert_int_equal(seen.n_ids, N);
    assert_int_equal(seen.n_bytes, 0);
    assert_false(gpt2_complete(world.model, NULL, world.runtime, &prompt, &options, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_ids_free(&ids);
    // nothing at all starts from the model's own token
    struct gpt2_completion *c =
        run(&(struct gpt2_prompt){0}, (struct gpt2_completion_options){.max_tokens = 1});
    assert_int_equal(*gpt2_completion_prompt(c, &n_ids, &n_read), END);
    assert_int_equal(n_ids, 1);
    gpt2_completion_free(c);
}

static void a_long_prompt_is_cut_or_refused(void **state) {
    int32_t ids[CTX + 5];
    int n_ids, n_read;
    for (int i = 0; i < CTX + 5; i++)
        ids[i] = i % LETTERS;
    const struct gpt2_prompt from = {.ids = ids, .n_ids = CTX + 5};
    struct gpt2_completion_options options = {.max_tokens = 1};
    assert_null(gpt2_completion_create(world.model, world.tokenizer, &from, &options, &err));
    assert_int_equal(err.status, GPT2_ERR_INPUT);
    assert_non_null(strstr(err.message, "45 tokens"));
    for (int left = 0; left < 2; left++) {
        options.truncate = left ? GPT2_TRUNCATE_LEFT : GPT2_TRUNCATE_RIGHT;
        struct gpt2_completion *c =
            gpt2_completion_create(world.model, world.tokenizer, &from, &options, &err);
        assert_int_equal(*gpt2_completion_prompt(c, &n_ids, &n_read), left ? 5 : 0);
        assert_int_equal(n_ids, CTX);
        gpt2_completion_free(c);
    }
}

static void stops_cut_the_text(void **state) {
    struct gpt2_completion *plain = run(&prompt, (struct gpt2_completion_options){.max_tokens = N});
    struct gpt2_sample all = gpt2_completion_get(plain, 0);
    // two letters from the middle, so that the first of them has to wait
    const struct gpt2_stop strings[] = {{"no such text", 12}, {all.bytes + 4, 2}};
    struct gpt2_stops *stops =
        gpt2_stops_create(&(struct gpt2_stops_options){.strings = strings, .n_strings = 2}, &err);
    struct seen seen = {0};
    struct gpt2_completion *c =
        run(&prompt, (struct gpt2_completion_options){
                         .max_tokens = N, .stops = stops, .show = show, .user = &seen});
    struct gpt2_sample text = gpt2_completion_get(c, 0);
    assert_int_equal(text.finish, GPT2_FINISH_STOP);
    assert_int_equal(text.stop, 1);
    assert_true(text.n_bytes <= 4 && text.n_ids < all.n_ids);
    assert_memory_equal(text.bytes, all.bytes, text.n_bytes);
    assert_int_equal(seen.n_bytes, text.n_bytes);
    assert_memory_equal(seen.bytes, text.bytes, text.n_bytes);
    gpt2_completion_free(c);
    // where the text ends before the rest of a stop, what waited is shown
    const struct gpt2_stop longer = {(char[]){all.bytes[all.n_bytes - 1], '\n', 0}, 2};
    struct gpt2_stops *waits =
        gpt2_stops_create(&(struct gpt2_stops_options){.strings = &longer, .n_strings = 1}, &err);
    seen = (struct seen){0};
    c = run(&prompt, (struct gpt2_completion_options){
                         .max_tokens = N, .stops = waits, .show = show, .user = &seen});
    assert_int_equal(gpt2_completion_get(c, 0).n_bytes, all.n_bytes);
    assert_int_equal(seen.n_bytes, all.n_bytes);
    assert_memory_equal(seen.bytes, all.bytes, all.n_bytes);
    gpt2_completion_free(c);
    gpt2_stops_free(waits);
    gpt2_stops_free(stops);
    gpt2_completion_free(plain);
}

static void a_choice_and_an_end_id_end_it(void **state) {
    static const int32_t yes[] = {5, 9, 11}, no[] = {7, 2};
    const struct gpt2_choice list[] = {{yes, 3}, {no, 2}};
    struct gpt2_choices *choices = gpt2_choices_create(list, 2, END, &err);
    struct gpt2_completion *c =
        run(&prompt, (struct gpt2_completion_options){.max_tokens = N, .choices = choices});
    struct gpt2_sample text = gpt2_completion_get(c, 0);
    bool is_yes = text.ids[0] == 5;
    assert_int_equal(text.finish, GPT2_FINISH_CHOICE);
    assert_int_equal(text.n_ids, is_yes ? 3 : 2);
    assert_memory_equal(text.ids, is_yes ? yes : no, (size_t)text.n_ids * sizeof *yes);
    gpt2_completion_free(c);
    gpt2_choices_free(choices);
    // a sampler that always takes the end id
    struct gpt2_bias bias = {END, 1000};
    struct gpt2_sampler *ends = gpt2_sampler_create(
        &(struct gpt2_sampler_options){.top_p = 1, .biases = &bias, .n_biases = 1}, V, &err);
    c = run(&prompt, (struct gpt2_completion_options){.max_tokens = N, .sampler = ends});
    assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_EOS);
    assert_int_equal(gpt2_completion_get(c, 0).n_ids, 0);
    struct gpt2_logprob end;
    const struct gpt2_logprob *top;
    assert_false(gpt2_completion_end_token(c, 0, &end, &top)); // not asked for
    gpt2_completion_free(c);
    // its log-probability, among those of all ids
    c = run(&prompt, (struct gpt2_completion_options){
                         .max_tokens = N, .sampler = ends, .logprobs = true, .n_top = V});
    assert_true(gpt2_completion_end_token(c, 0, &end, &top));
    assert_int_equal(end.id, END);
    assert_true(gpt2_completion_get(c, 0).sum == 0); // it is no part of the text
    bool found = false;
    for (int i = 0; i < V; i++)
        found |= top[i].id == END && top[i].logprob == end.logprob;
    assert_true(found);
    gpt2_completion_free(c);
    c = run(&prompt,
            (struct gpt2_completion_options){.max_tokens = N, .sampler = ends, .ignore_eos = true});
    assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_LENGTH);
    assert_int_equal(gpt2_completion_get(c, 0).ids[N - 1], END);
    gpt2_completion_free(c);
    gpt2_sampler_free(ends);
}

static void healing_gives_only_new_text(void **state) {
    const struct gpt2_prompt cut = {.text = "HelloA"};
    struct gpt2_healer *healer = gpt2_healer_create(world.tokenizer, &err);
    struct gpt2_completion *c =
        run(&cut, (struct gpt2_completion_options){.max_tokens = N, .healer = healer});
    struct gpt2_sample text = gpt2_completion_get(c, 0);
    int n_ids, n_read;
    gpt2_completion_prompt(c, &n_ids, &n_read);
    assert_int_equal(n_ids, 6);
    assert_int_equal(n_read, 5);
    char all[256] = "A";
    memcpy(all + 1, text.bytes, text.n_bytes);
    assert_text_of_ids(all, 1 + text.n_bytes, text.ids, text.n_ids);
    gpt2_completion_free(c);
    gpt2_healer_free(healer);
}

static void the_context_ends_slides_or_fails(void **state) {
    int n_ids, n_read;
    struct gpt2_completion *c = run(&prompt, (struct gpt2_completion_options){.max_tokens = -1});
    gpt2_completion_prompt(c, &n_ids, &n_read);
    assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_CONTEXT);
    assert_int_equal(gpt2_completion_get(c, 0).n_ids, CTX - n_ids + 1);
    gpt2_completion_free(c);
    c = run(&prompt, (struct gpt2_completion_options){.max_tokens = 2 * CTX,
                                                      .overflow = GPT2_OVERFLOW_SLIDE});
    assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_LENGTH);
    assert_int_equal(gpt2_completion_get(c, 0).n_ids, 2 * CTX);
    gpt2_completion_free(c);
    assert_false(gpt2_complete(world.model, world.tokenizer, world.runtime, &prompt,
                               &(struct gpt2_completion_options){.max_tokens = -1,
                                                                 .sampler = sampler,
                                                                 .overflow = GPT2_OVERFLOW_ERROR},
                               &err));
    assert_int_equal(err.status, GPT2_ERR_INPUT);
    c = run(&prompt, (struct gpt2_completion_options){.max_tokens = 0, .n_samples = 2});
    assert_int_equal(gpt2_completion_get(c, 1).finish, GPT2_FINISH_LENGTH);
    assert_int_equal(gpt2_completion_get(c, 1).n_ids, 0);
    assert_int_equal(gpt2_completion_get(c, 1).n_bytes, 0);
    gpt2_completion_free(c);
}

static void callbacks_end_it(void **state) {
    struct seen seen = {.end_after = 4};
    struct gpt2_completion_options options = {
        .max_tokens = N, .sampler = sampler, .show = show, .go_on = go_on, .user = &seen};
    struct gpt2_completion *c = run(&prompt, options);
    assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_STOPPED);
    assert_int_equal(gpt2_completion_get(c, 0).n_ids, 3);
    gpt2_completion_free(c);
    static const char *const messages[] = {NULL, "the disk is full"};
    for (int i = 0; i < 2; i++) {
        seen = (struct seen){.fail_at = 3, .message = messages[i]};
        c = gpt2_completion_create(world.model, world.tokenizer, &prompt, &options, &err);
        assert_false(gpt2_completion_run(c, world.runtime, &err));
        assert_int_equal(err.status, i ? GPT2_ERR_INPUT : GPT2_ERR_RUNTIME);
        assert_non_null(strstr(err.message, i ? "the disk is full" : "could not take the text"));
        assert_string_equal(gpt2_completion_error(c)->message, err.message);
        assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_FAILED);
        assert_int_equal(seen.n_ids, 3);
        gpt2_completion_free(c);
    }
    // with a time that is over at once, the first token is the last
    c = run(&prompt, (struct gpt2_completion_options){.max_tokens = N, .max_time = 1e-9f});
    assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_TIME);
    assert_int_equal(gpt2_completion_get(c, 0).n_ids, 1);
    gpt2_completion_free(c);
}

static void logprobs_are_the_models(void **state) {
    struct seen seen = {0};
    struct gpt2_completion *c = run(&prompt, (struct gpt2_completion_options){.max_tokens = N,
                                                                              .logprobs = true,
                                                                              .n_top = V + 3,
                                                                              .show = show,
                                                                              .go_on = go_on,
                                                                              .user = &seen});
    struct gpt2_sample text = gpt2_completion_get(c, 0);
    double sum = 0;
    assert_int_equal(text.n_top, V);
    assert_int_equal(seen.n_choices, N);
    for (int i = 0; i < N; i++) {
        const struct gpt2_logprob *top = text.top + (size_t)i * V;
        bool found = false;
        for (int k = 0; k < V; k++) {
            assert_true(k == 0 || top[k - 1].logprob >= top[k].logprob);
            if (top[k].id == 0)
                assert_true(top[k].logprob == seen.expected[i]);
            if (top[k].id == text.ids[i])
                found = top[k].logprob == text.logprobs[i];
        }
        assert_true(found);
        assert_true(text.logprobs[i] == seen.logprobs[i]);
        sum += text.logprobs[i];
    }
    assert_true(text.sum == sum);
    gpt2_completion_free(c);
}

static void beams_are_those_of_the_search(void **state) {
    struct gpt2_ids ids = {0};
    const int32_t end[] = {END};
    assert_true(
        gpt2_tokenizer_encode(world.tokenizer, prompt.text, strlen(prompt.text), 0, &ids, NULL));
    struct gpt2_generator *generator =
        gpt2_generator_create(world.model, world.runtime, NULL, &err);
    struct gpt2_beams *beams = gpt2_beams_create(world.model,
                                                 &(struct gpt2_beam_options){.n_beams = 4,
                                                                             .max_tokens = N,
                                                                             .length_penalty = 1,
                                                                             .eos_ids = end,
                                                                             .n_eos = 1,
                                                                             .n_top = 2,
                                                                             .rules = sampler},
                                                 &err);
    assert_true(gpt2_beams_run(beams, generator, ids.data, (int)ids.len, &err));
    struct gpt2_completion *c = run(&prompt, (struct gpt2_completion_options){.max_tokens = N,
                                                                              .n_samples = 3,
                                                                              .n_beams = 4,
                                                                              .length_penalty = 1,
                                                                              .logprobs = true,
                                                                              .n_top = 2});
    assert_int_equal(gpt2_completion_count(c), 3);
    for (int i = 0; i < 3; i++) {
        struct gpt2_sample text = gpt2_completion_get(c, i);
        struct gpt2_beam beam = gpt2_beams_get(beams, i);
        assert_int_equal(text.n_ids, beam.n_ids);
        assert_memory_equal(text.ids, beam.ids, (size_t)beam.n_ids * sizeof *beam.ids);
        assert_memory_equal(text.logprobs, beam.logprobs, (size_t)beam.n_ids * sizeof(double));
        for (int k = 0; k < 2 * beam.n_ids; k++)
            assert_int_equal(text.top[k].id, beam.top[k].id);
        assert_int_equal(text.finish, beam.ended ? GPT2_FINISH_EOS : GPT2_FINISH_LENGTH);
        assert_text_of_ids(text.bytes, text.n_bytes, text.ids, text.n_ids);
    }
    gpt2_completion_free(c);
    struct seen seen = {.end_after = 3};
    c = run(&prompt, (struct gpt2_completion_options){
                         .max_tokens = N, .n_beams = 2, .go_on = go_on, .user = &seen});
    assert_int_equal(gpt2_completion_get(c, 0).finish, GPT2_FINISH_STOPPED);
    gpt2_completion_free(c);
    gpt2_beams_free(beams);
    gpt2_generator_free(generator);
    gpt2_ids_free(&ids);
}

static void several_share_a_generator(void **state) {
    enum { MANY = 5 };
    static const char *const texts[MANY] = {"Hello", "A", "wonderful", "HelloAB", "zebra"};
    struct gpt2_completion *together[MANY];
    struct gpt2_generator *generator = gpt2_generator_create(
        world.model, world.runtime,
        &(struct gpt2_generator_options){.max_samples = 3, .max_rows = 4}, &err);
    struct gpt2_completion_options options = {.max_tokens = N, .n_samples = 2, .sampler = sampler};
    for (int i = 0; i < MANY; i++) {
        options.record = (uint64_t)i;
        together[i] = gpt2_completion_create(
            world.model, world.tokenizer, &(struct gpt2_prompt){.text = texts[i]}, &options, &err);
        assert_true(gpt2_completion_start(together[i], generator, &err));
    }
    while (gpt2_generator_busy(generator))
        assert_true(gpt2_generator_step(generator, &err));
    for (int i = 0; i < MANY; i++) {
        assert_true(gpt2_completion_done(together[i]));
        options.record = (uint64_t)i;
        struct gpt2_completion *alone = run(&(struct gpt2_prompt){.text = texts[i]}, options);
        for (int k = 0; k < 2; k++)
            assert_memory_equal(gpt2_completion_get(together[i], k).ids,
                                gpt2_completion_get(alone, k).ids, N * sizeof(int32_t));
        gpt2_completion_free(alone);
        gpt2_completion_free(together[i]);
    }
    gpt2_generator_free(generator);
}

static void its_own_sampler_is_the_default(void **state) {
    struct gpt2_sampler_options o;
    const int32_t end[] = {END};
    gpt2_sampler_defaults(&o, GPT2_COMPAT_NATIVE);
    o.eos_ids = end;
    o.n_eos = 1;
    struct gpt2_sampler *own = gpt2_sampler_create(&o, V, &err);
    struct gpt2_completion *a =
        run(&prompt, (struct gpt2_completion_options){.max_tokens = CTX / 2, .sampler = own});
    struct seen seen = {0};
    assert_true(gpt2_complete(
        world.model, world.tokenizer, world.runtime, &prompt,
        &(struct gpt2_completion_options){.max_tokens = CTX / 2, .show = show, .user = &seen},
        &err));
    struct gpt2_sample text = gpt2_completion_get(a, 0);
    assert_int_equal(seen.n_ids, text.n_ids);
    assert_memory_equal(seen.ids, text.ids, (size_t)text.n_ids * sizeof *text.ids);
    gpt2_completion_free(a);
    gpt2_sampler_free(own);
}

static void options_out_of_range_are_refused(void **state) {
    static const int32_t wrong[] = {V}, negative[] = {-1};
    struct gpt2_session *session = gpt2_session_create(world.model, NULL, NULL);
    const struct gpt2_completion_options bad[] = {
        {.max_tokens = -2},
        {.n_samples = -1},
        {.n_samples = 4097},
        {.n_top = -1},
        {.max_time = -1},
        {.max_time = NAN},
        {.truncate = (enum gpt2_truncate)3},
        {.overflow = (enum gpt2_overflow)3},
        {.n_beams = -1},
        {.n_beams = 5000, .max_tokens = 1},
        {.n_beams = 2, .n_samples = 3, .max_tokens = 1},
        {.n_beams = 2},
        {.n_beams = 2, .max_tokens = 1, .session = session},
        {.n_beams = 2, .max_tokens = 1, .overflow = GPT2_OVERFLOW_SLIDE},
        {.n_beams = 2, .max_tokens = 1, .length_penalty = NAN},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (struct gpt2_error){0};
        if (gpt2_completion_create(world.model, world.tokenizer, &prompt, &bad[i], &err))
            fail_msg("options %zu were accepted", i);
        assert_int_equal(err.status, GPT2_ERR_USAGE);
    }
    gpt2_session_free(session);
    const struct gpt2_completion_options good = {.max_tokens = 1};
    for (int i = 0; i < 2; i++) {
        assert_null(gpt2_completion_create(
            world.model, world.tokenizer,
            &(struct gpt2_prompt){.ids = i ? wrong : negative, .n_ids = 1}, &good, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        assert_non_null(strstr(err.message, i ? "token id 61" : "token id -1"));
    }
    gpt2_completion_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_loop_by_hand),
        cmocka_unit_test(a_prompt_is_text_or_ids),
        cmocka_unit_test(a_long_prompt_is_cut_or_refused),
        cmocka_unit_test(stops_cut_the_text),
        cmocka_unit_test(a_choice_and_an_end_id_end_it),
        cmocka_unit_test(healing_gives_only_new_text),
        cmocka_unit_test(the_context_ends_slides_or_fails),
        cmocka_unit_test(callbacks_end_it),
        cmocka_unit_test(logprobs_are_the_models),
        cmocka_unit_test(beams_are_those_of_the_search),
        cmocka_unit_test(several_share_a_generator),
        cmocka_unit_test(its_own_sampler_is_the_default),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
