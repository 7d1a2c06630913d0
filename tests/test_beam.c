/* test_beam.c - beam search against a model of Hugging Face's tensors, which reads every beam anew
 * each step, and against published results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include "testtext.h"
#include <gpt2/beam.h>
#include <math.h>
#include <string.h>

static struct {
    char dir[TESTMODEL_PATH];
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct gpt2_session *session; /* the model's */
    struct gpt2_batch *batch;
    struct gpt2_generator *generator;
    struct gpt2_tokenizer *tokenizer; /* id i is the letter 'A' + i */
} world;

enum { V = 61, CTX = 40, MOST_BEAMS = 6, MOST_POOL = 4 * MOST_BEAMS };

static int open_world(void **state) {
    testmodel_tempdir(world.dir);
    testmodel_write(world.dir, &(struct testmodel_options){.n_vocab = V, .n_ctx = CTX});
    world.model = gpt2_model_open(world.dir, NULL);
    world.runtime = gpt2_runtime_create(NULL, NULL);
    world.session = gpt2_session_create(world.model, NULL, NULL);
    world.batch = gpt2_batch_create(world.model, world.runtime, NULL, NULL);
    world.generator = gpt2_generator_create(world.model, world.runtime, NULL, NULL);
    char vocab[16 * V] = "{";
    for (int i = 0; i < V; i++)
        snprintf(vocab + strlen(vocab), sizeof vocab - strlen(vocab), "%s\"%s%c\": %d",
                 i ? ", " : "", 'A' + i == '\\' ? "\\" : "", 'A' + i, i);
    strcat(vocab, "}");
    testmodel_write_file(world.dir, "vocab.json", vocab, strlen(vocab));
    testmodel_write_file(world.dir, "merges.txt", "#version: 0.2\n", 14);
    world.tokenizer = gpt2_tokenizer_open(world.dir, NULL);
    return world.batch && world.generator && world.tokenizer ? 0 : -1;
}

static int close_world(void **state) {
    gpt2_tokenizer_close(world.tokenizer);
    gpt2_generator_free(world.generator);
    gpt2_batch_free(world.batch);
    gpt2_session_free(world.session);
    gpt2_runtime_free(world.runtime);
    gpt2_model_close(world.model);
    testmodel_remove(world.dir);
    return 0;
}

/* ---- the model: rows of whole sequences, as the tensors are ---- */

struct row {
    int32_t ids[CTX + 1];
    double score;
    bool done;
};

static void log_softmax(double *out, const int32_t *ids, int n) {
    struct gpt2_span span = {.session = world.session, .ids = ids, .n_ids = n, .n_logits = 1};
    assert_true(gpt2_session_rewind(world.session, 0, NULL));
    assert_true(gpt2_batch_run(world.batch, &span, 1, NULL));
    const float *logits = gpt2_batch_logits(world.batch, 0, 0);
    long double sum = 0;
    for (int i = 0; i < V; i++)
        sum += expl((long double)logits[i]);
    for (int i = 0; i < V; i++)
        out[i] = (double)((long double)logits[i] - logl(sum));
}

/* Indices of the k largest, of equal ones the lowest first. */
static void top_k(int *index, int k, const double *values, int n) {
    bool used[MOST_BEAMS * V] = {false};
    for (int r = 0; r < k; r++) {
        index[r] = -1;
        for (int i = 0; i < n; i++)
            if (!used[i] && (index[r] < 0 || values[i] > values[index[r]]))
                index[r] = i;
        used[index[r]] = true;
    }
}

/* Two stops, as text and as ids. */
static const struct gpt2_stop stop_texts[] = {{"H", 1}, {"_O", 2}};
static const int32_t stop_ids[2][2] = {{7, -1}, {'_' - 'A', 'O' - 'A'}};

/* True where ids[0..n) end with a stop. */
static bool is_stop(const struct gpt2_beam_options *o, const int32_t *ids, int n) {
    bool one = n > 0 && ids[n - 1] == stop_ids[0][0];
    bool two = n > 1 && ids[n - 2] == stop_ids[1][0] && ids[n - 1] == stop_ids[1][1];
    return o->stops && (one || two);
}

static bool is_end(const struct gpt2_beam_options *o, int32_t id) {
    for (int i = 0; i < o->n_eos; i++)
        if (o->eos_ids[i] == id)
            return true;
    return false;
}

/* `_beam_search` of transformers, for one prompt: `finished` is what it returns, with end ids. */
static int model_search(const struct gpt2_beam_options *o, const int32_t *prompt, int n_prompt,
                        int max_length, struct row *finished, int *lengths) {
    int nb = o->n_beams, k = (o->n_eos > 1 ? 1 + o->n_eos : 2) * nb, cur = n_prompt;
    struct row running[MOST_BEAMS] = {0}, pool[MOST_POOL] = {0};
    double lp = (double)o->length_penalty;
    for (int b = 0; b < nb; b++) {
        memcpy(running[b].ids, prompt, (size_t)n_prompt * sizeof *prompt);
        running[b].score = b ? -1e9 : 0;
        finished[b] = (struct row){.score = -1e9};
    }
    for (bool go_on = true; go_on;) {
        static double all[MOST_BEAMS * V];
        int best[MOST_POOL], next[MOST_BEAMS], merged[MOST_BEAMS];
        bool hits[MOST_POOL], all_hit = true, full = true;
        for (int b = 0; b < nb; b++) {
            log_softmax(all + b * V, running[b].ids, cur);
            for (int i = 0; i < V; i++)
                all[b * V + i] += running[b].score;
        }
        top_k(best, k, all, nb * V);
        double open[MOST_POOL] = {0}, close[MOST_BEAMS + MOST_POOL] = {0};
        struct row rows[MOST_BEAMS + MOST_POOL];
        int lens[MOST_BEAMS + MOST_POOL];
        for (int r = 0; r < k; r++) {
            pool[r] = running[best[r] / V];
            pool[r].ids[cur] = best[r] % V;
            pool[r].score = all[best[r]];
            hits[r] = is_end(o, best[r] % V) || cur + 1 == max_length ||
                      is_stop(o, pool[r].ids + n_prompt, cur + 1 - n_prompt);
            all_hit = all_hit && hits[r];
            open[r] = pool[r].score + (hits[r] ? -1e9 : 0);
        }
        top_k(next, nb, open, k);
        for (int b = 0; b < nb; b++) {
            running[b] = pool[next[b]];
            running[b].score = open[next[b]];
        }
        for (int b = 0; b < nb; b++) {
            rows[b] = finished[b];
            close[b] = finished[b].score;
            lens[b] = lengths[b];
        }
        for (int r = 0; r < k; r++) {
            bool counts = hits[r] && r < nb;
            rows[nb + r] = pool[r];
            rows[nb + r].done = counts;
            rows[nb + r].score = pool[r].score / pow(cur + 1 - n_prompt, lp) + (counts ? 0 : -1e9);
            close[nb + r] = rows[nb + r].score;
            lens[nb + r] = cur + 1;
        }
        top_k(merged, nb, close, nb + k);
        double worst = INFINITY;
        for (int b = 0; b < nb; b++) {
            finished[b] = rows[merged[b]];
            lengths[b] = lens[merged[b]];
            worst = fmin(worst, finished[b].score);
            full = full && finished[b].done;
        }
        cur++;
        int reach = o->early_stopping == GPT2_EARLY_NEVER && lp > 0 ? max_length : cur;
        bool improvable = !full || running[0].score / pow(reach - n_prompt, lp) > worst;
        go_on = improvable && !(full && o->early_stopping == GPT2_EARLY_TRUE) && !all_hit;
    }
    int n = 0;
    while (n < nb && finished[n].done)
        n++;
    return n;
}

static void compare(struct gpt2_beam_options o, uint32_t c) {
    int32_t prompt[12];
    uint64_t random = c * 77777 + 5;
    int n_prompt = 1 + (int)random_below(&random, 12);
    for (int i = 0; i < n_prompt; i++)
        prompt[i] = (int32_t)random_below(&random, V);
    int max_length =
        o.max_tokens > 0 && n_prompt + o.max_tokens <= CTX ? n_prompt + o.max_tokens : CTX + 1;
    struct row rows[MOST_BEAMS];
    int lengths[MOST_BEAMS] = {0};
    int n = model_search(&o, prompt, n_prompt, max_length, rows, lengths);
    struct gpt2_error err;
    struct gpt2_beams *beams = gpt2_beams_create(world.model, &o, &err);
    if (!beams || !gpt2_beams_run(beams, world.generator, prompt, n_prompt, &err))
        fail_msg("%s", err.message);
    assert_int_equal(gpt2_beams_count(beams), n);
    for (int i = 0; i < n; i++) {
        struct gpt2_beam beam = gpt2_beams_get(beams, i);
        assert_int_equal(beam.n_ids + beam.ended, lengths[i] - n_prompt);
        assert_memory_equal(beam.ids, rows[i].ids + n_prompt,
                            (size_t)beam.n_ids * sizeof *beam.ids);
        if (beam.ended)
            assert_int_equal(beam.end_id, rows[i].ids[lengths[i] - 1]);
        assert_int_equal(beam.stopped, is_stop(&o, beam.ids, beam.n_ids));
        assert_true(fabs(beam.score - rows[i].score) < 1e-9 * fmax(1, fabs(rows[i].score)));
    }
    gpt2_beams_free(beams);
}

static void searches(const struct gpt2_stops *stops) {
    static const int32_t eos[] = {7, 30, 44, 2, 19, 55};
    static const float penalties[] = {1, 0, 2, -1, 0.6f};
    for (uint32_t c = 0; c < 90; c++) {
        uint64_t random = c;
        struct gpt2_beam_options o = {
            .n_beams = 1 + (int)random_below(&random, 5),
            .max_tokens = c % 9 == 0 ? -1 : 1 + (int)random_below(&random, 14),
            .length_penalty = penalties[random_below(&random, 5)],
            .early_stopping = (enum gpt2_early_stopping)(c % 3),
            .eos_ids = eos,
            .n_eos = (int)random_below(&random, 4),
            .tokenizer = world.tokenizer,
            .stops = stops,
        };
        compare(o, c);
    }
}

static void searches_as_the_model_does(void **state) {
    searches(NULL);
}

static void a_stop_ends_a_beam_as_an_end_id_does(void **state) {
    struct gpt2_stops *stops = gpt2_stops_create(
        &(struct gpt2_stops_options){.strings = stop_texts, .n_strings = 2}, NULL);
    searches(stops);
    gpt2_stops_free(stops);
}

/* ---- beside others ---- */

static int32_t the_likeliest(void *user, const struct gpt2_step *step, bool *last) {
    struct gpt2_logprob top;
    gpt2_logprobs_top(step->logits, V, 0, &top, 1);
    ((int32_t *)user)[step->n_ids - step->n_prompt] = top.id;
    return top.id;
}

static bool same_beams(const struct gpt2_beams *a, const struct gpt2_beams *b) {
    bool same = gpt2_beams_count(a) == gpt2_beams_count(b) && gpt2_beams_count(a) > 0;
    for (int i = 0; same && i < gpt2_beams_count(a); i++) {
        struct gpt2_beam x = gpt2_beams_get(a, i), y = gpt2_beams_get(b, i);
        same = x.n_ids == y.n_ids && x.score == y.score &&
               !memcmp(x.ids, y.ids, (size_t)x.n_ids * sizeof *x.ids) &&
               !memcmp(x.logprobs, y.logprobs, (size_t)x.n_ids * sizeof *x.logprobs);
    }
    return same;
}

/* The i-th of some searches of different sizes. */
static struct gpt2_beam_options search_of(int i) {
    static const int32_t eos[] = {30};
    return (struct gpt2_beam_options){.n_beams = i == 3 ? 8 : 1 + i % 4,
                                      .max_tokens = 3 + i,
                                      .length_penalty = 1,
                                      .eos_ids = eos,
                                      .n_eos = 1};
}

/* Searches of several sizes, one of them larger than what fits beside others, and a text that is
 * not searched for: all as if they were alone. With little memory they wait for each other. */
static void searches_side_by_side(void **state) {
    for (int memory = 0; memory < 2; memory++) {
        struct gpt2_generator *g = gpt2_generator_create(
            world.model, world.runtime,
            &(struct gpt2_generator_options){
                .max_samples = 6, .max_search = 8, .max_rows = 9, .cache_bytes = memory ? 1 : 0},
            NULL);
        struct gpt2_beams *beams[8];
        int32_t prompts[8][10], greedy[2][12] = {{0}};
        uint64_t random = 5;
        struct gpt2_request job = {.n_samples = 1, .max_tokens = 12, .choose = the_likeliest};
        for (int i = 0; i < 8; i++) {
            struct gpt2_beam_options o = search_of(i);
            for (int k = 0; k < 10; k++)
                prompts[i][k] = (int32_t)random_below(&random, V);
            beams[i] = gpt2_beams_create(world.model, &o, NULL);
            if (i == 5) {
                job.ids = prompts[0];
                job.n_ids = 7;
                job.user = greedy[0];
                assert_true(gpt2_generator_add(g, &job, NULL));
            }
            assert_true(gpt2_beams_start(beams[i], g, prompts[i], 1 + i, NULL));
        }
        while (gpt2_generator_busy(g))
            assert_true(gpt2_generator_step(g, NULL));
        for (int i = 0; i < 8; i++) {
            struct gpt2_beam_options o = search_of(i);
            struct gpt2_beams *alone = gpt2_beams_create(world.model, &o, NULL);
            assert_true(gpt2_beams_run(alone, world.generator, prompts[i], 1 + i, NULL));
            assert_true(same_beams(beams[i], alone));
            gpt2_beams_free(alone);
            gpt2_beams_free(beams[i]);
        }
        job.user = greedy[1];
        assert_true(gpt2_generator_add(world.generator, &job, NULL));
        while (gpt2_generator_busy(world.generator))
            assert_true(gpt2_generator_step(world.generator, NULL));
        assert_memory_equal(greedy[0], greedy[1], sizeof greedy[0]);
        gpt2_generator_free(g);
    }
}

/* Of choices a wide search finds all, each with the probability that the model gives it. */
static void choices_are_ranked_by_their_probability(void **state) {
    static const int32_t prompt[] = {5, 9, 33},
                         lists[4][3] = {{4, 8, 15}, {4, 8, 16}, {23}, {42, 9}};
    static const int lengths[] = {3, 3, 1, 2};
    struct gpt2_choice list[4];
    double scores[4];
    for (int i = 0; i < 4; i++) {
        int32_t ids[6] = {5, 9, 33};
        list[i] = (struct gpt2_choice){lists[i], lengths[i]};
        scores[i] = 0;
        for (int k = 0; k < lengths[i]; k++) {
            double all[V];
            log_softmax(all, ids, 3 + k);
            scores[i] += all[lists[i][k]] / lengths[i];
            ids[3 + k] = lists[i][k];
        }
    }
    struct gpt2_choices *choices = gpt2_choices_create(list, 4, -1, NULL);
    struct gpt2_beam_options o = {
        .n_beams = 6, .max_tokens = 9, .length_penalty = 1, .choices = choices};
    struct gpt2_beams *beams = gpt2_beams_create(world.model, &o, NULL);
    assert_true(gpt2_beams_run(beams, world.generator, prompt, 3, NULL));
    assert_int_equal(gpt2_beams_count(beams), 4);
    for (int i = 0; i < 4; i++) {
        struct gpt2_beam beam = gpt2_beams_get(beams, i);
        int which = 0, better = 0;
        while (which < 4 && (beam.n_ids != lengths[which] ||
                             memcmp(beam.ids, lists[which], (size_t)beam.n_ids * sizeof *beam.ids)))
            which++;
        assert_true(which < 4 && beam.stopped);
        assert_true(fabs(beam.score - scores[which]) < 1e-9);
        for (int k = 0; k < 4; k++)
            better += scores[k] > scores[which];
        assert_int_equal(better, i);
    }
    gpt2_beams_free(beams);
    gpt2_choices_free(choices);
}

/* What is noted of each token is what the model says at its place, whatever the rules did. */
static void likelihoods_are_of_the_unmodified_logits(void **state) {
    static const int32_t prompt[] = {5, 9, 33};
    struct gpt2_sampler *rules = gpt2_sampler_create(
        &(struct gpt2_sampler_options){.top_p = 1, .repeat_penalty = 3, .last_n = -1}, V, NULL);
    struct gpt2_beam_options o = {
        .n_beams = 3, .max_tokens = 9, .length_penalty = 1, .n_top = 4, .rules = rules};
    struct gpt2_beams *beams = gpt2_beams_create(world.model, &o, NULL);
    assert_true(gpt2_beams_run(beams, world.generator, prompt, 3, NULL));
    for (int i = 0; i < 3; i++) {
        struct gpt2_beam beam = gpt2_beams_get(beams, i);
        int32_t ids[12] = {5, 9, 33};
        assert_int_equal(beam.n_top, 4);
        for (int k = 0; k < beam.n_ids; k++) {
            double all[V];
            int top[4];
            log_softmax(all, ids, 3 + k);
            top_k(top, 4, all, V);
            assert_true(fabs(beam.logprobs[k] - all[beam.ids[k]]) < 1e-9);
            for (int t = 0; t < 4; t++) {
                assert_int_equal(beam.top[4 * k + t].id, top[t]);
                assert_true(fabs(beam.top[4 * k + t].logprob - all[top[t]]) < 1e-9);
            }
            ids[3 + k] = beam.ids[k];
        }
    }
    gpt2_beams_free(beams);
    gpt2_sampler_free(rules);
}

/* The same beams with any number of threads, and when the object is used again. */
static void results_do_not_depend_on_threads_or_history(void **state) {
    static const int32_t prompt[] = {5, 9, 33, 1}, other[] = {8, 8};
    static const int32_t eos[] = {30};
    struct gpt2_beam_options o = {
        .n_beams = 4, .max_tokens = 12, .length_penalty = 1, .eos_ids = eos, .n_eos = 1};
    struct gpt2_runtime *three =
        gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 3}, NULL);
    struct gpt2_generator *g = gpt2_generator_create(world.model, three, NULL, NULL);
    struct gpt2_beams *a = gpt2_beams_create(world.model, &o, NULL);
    struct gpt2_beams *b = gpt2_beams_create(world.model, &o, NULL);
    assert_true(gpt2_beams_run(b, g, other, 2, NULL));
    assert_true(gpt2_beams_run(a, world.generator, prompt, 4, NULL));
    assert_true(gpt2_beams_run(b, g, prompt, 4, NULL));
    assert_int_equal(gpt2_beams_count(a), 4);
    assert_true(same_beams(a, b));
    for (int i = 1; i < 4; i++)
        assert_true(gpt2_beams_get(a, i - 1).score >= gpt2_beams_get(a, i).score);
    gpt2_beams_free(a);
    gpt2_beams_free(b);
    gpt2_generator_free(g);
    gpt2_runtime_free(three);
}

/* With rules: no id twice, in prompt or output, and a ban is kept. */
static void rules_hold_in_every_beam(void **state) {
    static const int32_t prompt[] = {5, 9, 33, 1}, banned[] = {12, 40};
    struct gpt2_sampler *rules = gpt2_sampler_create(
        &(struct gpt2_sampler_options){
            .top_p = 1, .no_repeat_ngram = 1, .banned = banned, .n_banned = 2},
        V, NULL);
    struct gpt2_beam_options o = {
        .n_beams = 3, .max_tokens = 20, .length_penalty = 1, .rules = rules};
    struct gpt2_beams *beams = gpt2_beams_create(world.model, &o, NULL);
    for (int run = 0; run < 2; run++) {
        assert_true(gpt2_beams_run(beams, world.generator, prompt, 4, NULL));
        assert_int_equal(gpt2_beams_count(beams), 3);
        for (int i = 0; i < 3; i++) {
            struct gpt2_beam beam = gpt2_beams_get(beams, i);
            int seen[V] = {[5] = 1, [9] = 1, [33] = 1, [1] = 1, [12] = 1, [40] = 1};
            assert_int_equal(beam.n_ids, 20);
            for (int k = 0; k < beam.n_ids; k++)
                assert_int_equal(seen[beam.ids[k]]++, 0);
        }
    }
    gpt2_beams_free(beams);
    gpt2_sampler_free(rules);
}

static bool two_steps(void *user, const struct gpt2_step *steps, int n_steps) {
    assert_true(n_steps >= 1 && steps[n_steps - 1].n_ids - steps->n_prompt == *(int *)user);
    return ++*(int *)user < 3;
}

static void go_on_ends_the_search(void **state) {
    static const int32_t prompt[] = {5, 9};
    int asked = 0;
    struct gpt2_beam_options o = {
        .n_beams = 2, .max_tokens = -1, .length_penalty = 1, .go_on = two_steps, .user = &asked};
    struct gpt2_beams *beams = gpt2_beams_create(world.model, &o, NULL);
    assert_true(gpt2_beams_run(beams, world.generator, prompt, 2, NULL));
    assert_int_equal(gpt2_beams_count(beams), 2);
    assert_int_equal(gpt2_beams_get(beams, 0).n_ids, 3);
    gpt2_beams_free(beams);
}

static void bad_arguments_are_refused(void **state) {
    static const struct {
        struct gpt2_beam_options options;
        const char *words;
    } cases[] = {
        {{.n_beams = 0, .max_tokens = 1}, "beams"},
        {{.n_beams = 1, .max_tokens = 0}, "token"},
        {{.n_beams = 1, .max_tokens = -2}, "token"},
        {{.n_beams = 1, .max_tokens = 1, .length_penalty = NAN}, "length penalty"},
        {{.n_beams = 1, .max_tokens = 1, .early_stopping = (enum gpt2_early_stopping)3}, "early"},
        {{.n_beams = 1, .max_tokens = 1, .n_vocab = V + 1}, "vocabulary"},
        {{.n_beams = 1, .max_tokens = 1, .n_top = -1}, "likeliest"},
    };
    struct gpt2_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(gpt2_beams_create(world.model, &cases[i].options, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        if (!strstr(err.message, cases[i].words))
            fail_msg("case %zu: %s", i, err.message);
    }
    int32_t prompt[CTX + 1] = {V};
    struct gpt2_beam_options o = {.n_beams = 2, .max_tokens = 3, .length_penalty = 1};
    struct gpt2_beams *beams = gpt2_beams_create(world.model, &o, NULL);
    assert_false(gpt2_beams_run(beams, world.generator, prompt, 1, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    prompt[0] = 0;
    assert_false(gpt2_beams_run(beams, world.generator, prompt, CTX + 1, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_int_equal(gpt2_beams_count(beams), 0);
    assert_true(gpt2_beams_run(beams, world.generator, prompt, CTX,
                               NULL)); // one more token fits: it is not read
    assert_int_equal(gpt2_beams_get(beams, 0).n_ids, 1);
    gpt2_beams_free(beams);
    o.n_beams = 65; // of a generator for 64
    beams = gpt2_beams_create(world.model, &o, NULL);
    assert_false(gpt2_beams_run(beams, world.generator, prompt, 1, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_beams_free(beams);
}

/* Where the rules leave nothing: an error, and the generator goes on. */
static void a_search_without_a_way_fails_alone(void **state) {
    static const int32_t prompt[] = {5, 9}, banned[] = {8};
    static const struct gpt2_choice only = {banned, 1};
    struct gpt2_sampler *rules = gpt2_sampler_create(
        &(struct gpt2_sampler_options){.top_p = 1, .banned = banned, .n_banned = 1}, V, NULL);
    struct gpt2_choices *choices = gpt2_choices_create(&only, 1, -1, NULL);
    struct gpt2_beam_options o = {.n_beams = 2, .max_tokens = 4, .length_penalty = 1};
    struct gpt2_beams *good = gpt2_beams_create(world.model, &o, NULL);
    o.rules = rules;
    o.choices = choices;
    struct gpt2_beams *bad = gpt2_beams_create(world.model, &o, NULL);
    assert_true(gpt2_beams_start(bad, world.generator, prompt, 2, NULL));
    assert_true(gpt2_beams_run(good, world.generator, prompt, 2, NULL));
    assert_true(gpt2_beams_done(bad));
    assert_int_equal(gpt2_beams_count(bad), 0);
    assert_int_equal(gpt2_beams_error(bad)->status, GPT2_ERR_USAGE);
    assert_int_equal(gpt2_beams_count(good), 2);
    gpt2_beams_free(good);
    gpt2_beams_free(bad);
    gpt2_choices_free(choices);
    gpt2_sampler_free(rules);
}

/* ---- published results: ONNX Runtime's tests of its GPT-2 beam search ---- */

static void published_beams_are_reproduced(void **state) {
    static const struct {
        int32_t prompt[12], output[8];
    } cases[] = {
        {{0, 0, 0, 0, 0, 52, 195, 731, 321, 301, 734, 620},
         {131, 131, 131, 181, 638, 638, 638, 638}},
        {{41, 554, 74, 622, 206, 222, 75, 223, 221, 198, 224, 572},
         {292, 292, 292, 292, 292, 292, 292, 292}},
        {{0, 0, 0, 52, 328, 219, 328, 206, 288, 227, 896, 328},
         {328, 669, 669, 669, 669, 669, 669, 669}},
    };
    static const int32_t eos[] = {98};
    char path[4096];
    if (!data_path(path, sizeof path, "fixtures/tiny-random-gpt2"))
        skip();
    struct gpt2_model *model = gpt2_model_open(path, NULL);
    assert_non_null(model);
    struct gpt2_generator *g = gpt2_generator_create(model, world.runtime, NULL, NULL);
    struct gpt2_beam_options o = {
        .n_beams = 4, .max_tokens = 8, .length_penalty = 1, .eos_ids = eos, .n_eos = 1};
    struct gpt2_beams *beams = gpt2_beams_create(model, &o, NULL);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        assert_true(gpt2_beams_run(beams, g, cases[c].prompt, 12, NULL));
        struct gpt2_beam best = gpt2_beams_get(beams, 0);
        assert_int_equal(best.n_ids, 8);
        for (int i = 0; i < 8; i++)
            assert_int_equal(best.ids[i], cases[c].output[i]);
    }
    gpt2_beams_free(beams);
    gpt2_generator_free(g);
    gpt2_model_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_as_the_model_does),
        cmocka_unit_test(a_stop_ends_a_beam_as_an_end_id_does),
        cmocka_unit_test(searches_side_by_side),
        cmocka_unit_test(choices_are_ranked_by_their_probability),
        cmocka_unit_test(likelihoods_are_of_the_unmodified_logits),
        cmocka_unit_test(results_do_not_depend_on_threads_or_history),
        cmocka_unit_test(rules_hold_in_every_beam),
        cmocka_unit_test(go_on_ends_the_search),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(a_search_without_a_way_fails_alone),
        cmocka_unit_test(published_beams_are_reproduced),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
