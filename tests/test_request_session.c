/* test_request_session.c - a request of the generator that brings a session: what is read, kept,
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/generator.h>

#define N_CTX 24

struct world {
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct gpt2_generator *generator;
    struct gpt2_session *session;
    int n_vocab;
};

static int open_world(void **state) {
    static struct world world;
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = N_CTX});
    world.model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    world.runtime = gpt2_runtime_create(NULL, NULL);
    world.generator = gpt2_generator_create(
        world.model, world.runtime,
        &(struct gpt2_generator_options){.max_samples = 2, .max_rows = 3}, NULL);
    world.session = gpt2_session_create(world.model, NULL, NULL);
    world.n_vocab = gpt2_model_config(world.model)->n_vocab;
    *state = &world;
    return world.model && world.runtime && world.generator && world.session ? 0 : -1;
}

static int close_world(void **state) {
    struct world *world = *state;
    gpt2_generator_free(world->generator);
    gpt2_session_free(world->session);
    gpt2_runtime_free(world->runtime);
    gpt2_model_close(world->model);
    return 0;
}

/* What a request gave. */
struct made {
    int n_vocab, n, n_ended;
    int32_t ids[2 * N_CTX];
    float last[4]; /* of the last logits */
};

/* Any function of all logits will do: the place of the largest, moved on by one. */
static int32_t choose(void *user, const struct gpt2_step *turn, bool *last) {
    struct made *made = user;
    int best = 0;
    for (int i = 1; i < made->n_vocab; i++)
        if (turn->logits[i] > turn->logits[best])
            best = i;
    memcpy(made->last, turn->logits, sizeof made->last);
    return made->ids[made->n++] = (best + 1) % made->n_vocab;
}

static void ended(void *user, int sample, enum gpt2_end end) {
    struct made *made = user;
    made->n_ended++;
}

static struct gpt2_request request_of(struct made *made, const int32_t *ids, int n_ids,
                                      int n_more) {
    return (struct gpt2_request){.ids = ids,
                                 .n_ids = n_ids,
                                 .n_samples = 1,
                                 .max_tokens = n_more,
                                 .user = made,
                                 .choose = choose,
                                 .ended = ended};
}

static struct made run(struct world *world, struct gpt2_session *session, const int32_t *ids,
                       int n_ids, int n_more, enum gpt2_overflow overflow) {
    struct made made = {.n_vocab = world->n_vocab};
    struct gpt2_request request = request_of(&made, ids, n_ids, n_more);
    request.session = session;
    request.overflow = overflow;
    assert_true(gpt2_generator_add(world->generator, &request, NULL));
    while (gpt2_generator_busy(world->generator))
        assert_true(gpt2_generator_step(world->generator, NULL));
    assert_int_equal(made.n_ended, 1);
    return made;
}

static void assert_same(const struct made *a, const struct made *b) {
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->ids, b->ids, (size_t)a->n * sizeof *a->ids);
    assert_memory_equal(a->last, b->last, sizeof a->last);
}

static void a_text_that_grows_is_read_once(void **state) {
    struct world *world = *state;
    int32_t text[N_CTX] = {3, 1, 4, 1, 5};
    int n = 5;
    assert_true(gpt2_session_rewind(world->session, 0, NULL));
    for (int turn = 0; turn < 3; turn++) {
        struct made fresh = run(world, NULL, text, n, 3, GPT2_OVERFLOW_STOP);
        struct made grown = run(world, world->session, text, n, 3, GPT2_OVERFLOW_STOP);
        assert_same(&fresh, &grown);
        memcpy(text + n, grown.ids, 3 * sizeof *text);
        n += 3;
        assert_int_equal(gpt2_session_position(world->session), n - 1); // all but the last
        text[n++] = turn;                                               // what the user adds
    }
    // back to the first five tokens, and on from there
    assert_true(gpt2_session_rewind(world->session, 4, NULL));
    struct made fresh = run(world, NULL, text, 5, 6, GPT2_OVERFLOW_STOP);
    struct made again = run(world, world->session, text, 5, 6, GPT2_OVERFLOW_STOP);
    assert_same(&fresh, &again);
}

static void a_session_slides_as_another_does(void **state) {
    struct world *world = *state;
    int32_t text[N_CTX] = {2, 7, 1, 8};
    assert_true(gpt2_session_rewind(world->session, 0, NULL));
    struct made fresh = run(world, NULL, text, 4, N_CTX + 9, GPT2_OVERFLOW_SLIDE);
    struct made slid = run(world, world->session, text, 4, N_CTX + 9, GPT2_OVERFLOW_SLIDE);
    assert_same(&fresh, &slid);
}

static void a_session_outlives_the_generator(void **state) {
    struct world *world = *state;
    struct gpt2_generator *generator = gpt2_generator_create(
        world->model, world->runtime,
        &(struct gpt2_generator_options){.max_samples = 1, .max_rows = 2}, NULL);
    assert_non_null(generator);
    int32_t text[5] = {1, 2, 3, 4, 5};
    struct made made = {.n_vocab = world->n_vocab};
    struct gpt2_request request = request_of(&made, text, 5, 2);
    request.session = world->session;
    assert_true(gpt2_session_rewind(world->session, 0, NULL));
    assert_true(gpt2_generator_add(generator, &request, NULL));
    assert_true(gpt2_generator_step(generator, NULL)); // two rows of five
    gpt2_generator_free(generator);
    assert_int_equal(made.n + made.n_ended, 0);
    assert_int_equal(gpt2_session_position(world->session), 2);
    struct made fresh = run(world, NULL, text, 5, 2, GPT2_OVERFLOW_STOP);
    struct made rest = run(world, world->session, text, 5, 2, GPT2_OVERFLOW_STOP);
    assert_same(&fresh, &rest);
}

static void expect_refusal(struct world *world, const struct gpt2_request *request) {
    struct gpt2_error err = {0};
    assert_false(gpt2_generator_add(world->generator, request, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_non_null(strstr(err.message, "session"));
}

static void sessions_that_cannot_be_used_are_refused(void **state) {
    struct world *world = *state;
    int32_t text[3] = {1, 2, 3};
    struct made made = {.n_vocab = world->n_vocab};
    assert_true(gpt2_session_rewind(world->session, 0, NULL));
    run(world, world->session, text, 3, 1, GPT2_OVERFLOW_STOP);
    struct gpt2_request request = request_of(&made, text, 3, 1);
    request.session = world->session;
    expect_refusal(world, &request); // it has read all of the prompt
    assert_true(gpt2_session_rewind(world->session, 2, NULL));
    request.n_samples = 2;
    expect_refusal(world, &request);
    request.n_samples = 1;
    request.session =
        gpt2_session_create(world->model, &(struct gpt2_session_options){.n_ctx = N_CTX - 1}, NULL);
    assert_non_null(request.session);
    expect_refusal(world, &request); // too small
    gpt2_session_free(request.session);
    assert_false(gpt2_generator_busy(world->generator));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_that_grows_is_read_once),
        cmocka_unit_test(a_session_slides_as_another_does),
        cmocka_unit_test(a_session_outlives_the_generator),
        cmocka_unit_test(sessions_that_cannot_be_used_are_refused),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
