/* test_score.c - scores of given text: beside the fp64 reference, in any company, by any protocol;
 * text cut for streaming; the benchmarks' records. Goldens: tests/data/score.txt (README.md there).
 *
 * With $GPT2_WEIGHTS, the directory of the published gpt2 (124M), its published log-probabilities,
 * texts and losses are reproduced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include "testtext.h"
#include "text/tokenizer_internal.h"
#include <gpt2/score.h>
#include <gpt2/session.h>
#include <gpt2/task.h>
#include <math.h>
#include <string.h>

#define GOLDENS "tests/data/score.txt"
#define BOUND   2e-5 /* |log-probability - reference|; a logit of these models is within 1e-5 */

enum { MAX_TOKENS = 512 };

struct fixture {
    char dir[TESTMODEL_PATH];
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
};

static void open_model(struct fixture *f, const struct testmodel_options *options, int n_threads) {
    struct gpt2_error err = {0};
    testmodel_tempdir(f->dir);
    testmodel_write(f->dir, options);
    f->model = gpt2_model_open(f->dir, &err);
    if (!f->model)
        fail_msg("%s", err.message);
    f->runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = n_threads}, &err);
    assert_non_null(f->runtime);
}

static void close_model(struct fixture *f) {
    gpt2_runtime_free(f->runtime);
    gpt2_model_close(f->model);
    testmodel_remove(f->dir);
}

static struct gpt2_scorer *create(const struct fixture *f,
                                  const struct gpt2_scorer_options *options) {
    struct gpt2_error err = {0};
    struct gpt2_scorer *scorer = gpt2_scorer_create(f->model, f->runtime, options, &err);
    if (!scorer)
        fail_msg("%s", err.message);
    return scorer;
}

/* ---- against double precision ---- */

struct golden {
    int32_t ids[MAX_TOKENS];
    int n;
    double logprob[MAX_TOKENS], entropy[MAX_TOKENS]; /* [i]: of ids[i], i >= 1 */
    int rank[MAX_TOKENS];
};

static void read_golden(struct golden *golden, const char *name) {
    static char line[8192];
    FILE *file = fopen(GOLDENS, "r");
    if (!file)
        fail_msg("%s is missing: run `make goldens`", GOLDENS);
    bool found = false;
    golden->n = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "model ", 6)) {
            found = !strcmp(line + 6, name);
        } else if (found && !strncmp(line, "ids ", 4)) {
            for (char *p = line + 3, *end; golden->n < MAX_TOKENS; p = end) {
                long id = strtol(p, &end, 10);
                if (end == p)
                    break;
                golden->ids[golden->n++] = (int32_t)id;
            }
        } else if (found) {
            int i, rank;
            double logprob, entropy;
            assert_int_equal(sscanf(line, "token %d %lf %lf %d", &i, &logprob, &entropy, &rank), 4);
            assert_in_range(i, 1, golden->n - 1);
            golden->logprob[i] = logprob;
            golden->entropy[i] = entropy;
            golden->rank[i] = rank;
        }
    }
    fclose(file);
    assert_true(golden->n > 1);
}

static void agrees(const char *name, const struct testmodel_options *options) {
    struct golden golden;
    struct gpt2_score scores[MAX_TOKENS];
    struct gpt2_error err = {0};
    struct fixture f;
    read_golden(&golden, name);
    open_model(&f, options, 2);
    struct gpt2_scorer *scorer = create(&f, NULL);
    struct gpt2_window window = {golden.ids, golden.n, 1};
    if (!gpt2_scorer_run(scorer, &window, 1, scores, NULL, &err))
        fail_msg("%s", err.message);
    for (int i = 1; i < golden.n; i++) {
        const struct gpt2_score *score = &scores[i - 1];
        assert_int_equal(score->id, golden.ids[i]);
        if (!(fabs(score->logprob - golden.logprob[i]) < BOUND))
            fail_msg("token %d: log-probability %.9g, reference %.9g", i, score->logprob,
                     golden.logprob[i]);
        if (!(fabs(score->entropy - golden.entropy[i]) < BOUND))
            fail_msg("token %d: entropy %.9g, reference %.9g", i, score->entropy,
                     golden.entropy[i]);
        assert_int_equal(score->rank, golden.rank[i]);
    }
    gpt2_scorer_free(scorer);
    close_model(&f);
}

static void scores_agree_with_the_reference(void **state) {
    (void)state;
    // the models of tests/test_accuracy.c with these names
    agrees("vocab_203",
           &(struct testmodel_options){.n_vocab = 203, .n_embd = 36, .n_head = 3, .seed = 18});
    agrees("context_300", &(struct testmodel_options){.n_vocab = 29, .n_ctx = 300, .seed = 17});
}

/* ---- the same bits in any company ---- */

static void random_ids(int32_t *ids, int n, int n_vocab, uint64_t seed) {
    for (int i = 0; i < n; i++)
        ids[i] = (int32_t)random_below(&seed, (size_t)n_vocab);
}

static void windows_score_the_same_alone_and_together(void **state) {
    (void)state;
    enum { N = 70, VOCAB = 61, TOP = 3 };
    static int32_t ids[N][41];
    static struct gpt2_score together[N * 40], alone[40];
    static struct gpt2_alternative top[N * 40 * TOP], top_alone[40 * TOP];
    struct gpt2_window windows[N];
    struct gpt2_error err = {0};
    struct fixture f, g;
    open_model(&f, &(struct testmodel_options){.seed = 3}, 3);
    open_model(&g, &(struct testmodel_options){.seed = 3}, 1);
    struct gpt2_scorer *a = create(&f, &(struct gpt2_scorer_options){.n_top = TOP});
    struct gpt2_scorer *b =
        create(&g, &(struct gpt2_scorer_options){.n_top = TOP, .max_windows = 1});
    for (int i = 0; i < N; i++) {
        int n = 2 + i % 40; // up to one more than the context
        random_ids(ids[i], n, VOCAB, (uint64_t)i);
        windows[i] = (struct gpt2_window){ids[i], n, 1 + i % n};
    }
    assert_true(gpt2_scorer_run(a, windows, N, together, top, &err));
    const struct gpt2_score *at = together;
    const struct gpt2_alternative *top_at = top;
    for (int i = 0; i < N; i++) {
        int n = windows[i].n_ids - windows[i].first;
        assert_true(gpt2_scorer_run(b, &windows[i], 1, alone, top_alone, &err));
        for (int k = 0; k < n; k++, at++) {
            assert_memory_equal(&at->logprob, &alone[k].logprob, sizeof(double));
            assert_memory_equal(&at->entropy, &alone[k].entropy, sizeof(double));
            assert_int_equal(at->rank, alone[k].rank);
            for (int t = 0; t < TOP; t++, top_at++) {
                assert_int_equal(top_at->id, top_alone[k * TOP + t].id);
                // an alternative that is the token itself has its rank and probability
                if (top_at->id == at->id) {
                    assert_int_equal(at->rank, t);
                    assert_memory_equal(&at->logprob, &top_at->logprob, sizeof(double));
                }
                if (t > 0)
                    assert_true(top_at->logprob <= top_at[-1].logprob);
            }
        }
    }
    gpt2_scorer_free(b);
    gpt2_scorer_free(a);
    close_model(&g);
    close_model(&f);
}

static void a_prefix_is_as_good_as_its_tokens(void **state) {
    (void)state;
    int32_t ids[30], other[30];
    struct gpt2_score whole[58], split[58];
    struct gpt2_error err = {0};
    struct fixture f;
    open_model(&f, &(struct testmodel_options){.seed = 4}, 2);
    struct gpt2_scorer *scorer = create(&f, NULL);
    random_ids(ids, 30, 61, 1);
    random_ids(other, 30, 61, 2);
    memcpy(other, ids, 20 * sizeof *ids);
    struct gpt2_window windows[] = {{ids, 30, 20}, {other, 30, 20}};
    assert_true(gpt2_scorer_run(scorer, windows, 2, whole, NULL, &err));
    assert_true(gpt2_scorer_prefix(scorer, ids, 15, &err));
    struct gpt2_window rest[] = {{ids + 15, 15, 5}, {other + 15, 15, 5}};
    for (int again = 0; again < 2; again++) {
        assert_true(gpt2_scorer_run(scorer, rest, 2, split, NULL, &err));
        for (int i = 0; i < 20; i++)
            assert_memory_equal(&whole[i].logprob, &split[i].logprob, sizeof(double));
    }
    assert_true(gpt2_scorer_prefix(scorer, NULL, 0, &err));
    assert_true(gpt2_scorer_run(scorer, windows, 2, split, NULL, &err));
    assert_memory_equal(&whole[7].logprob, &split[7].logprob, sizeof(double));
    gpt2_scorer_free(scorer);
    close_model(&f);
}

/* Contexts that begin alike are read once, in whatever order and company, and so are prefixes: no
 * score changes. */
static void shared_contexts_change_no_score(void **state) {
    (void)state;
    enum { N = 150, LONGEST = 290, VOCAB = 61 };
    static int32_t ids[N][LONGEST];
    static struct gpt2_score apart[N * LONGEST], shared[N * LONGEST];
    struct gpt2_window windows[N];
    struct gpt2_error err = {0};
    for (enum gpt2_kv kv = GPT2_KV_F32; kv <= GPT2_KV_Q8; kv++) {
        struct fixture f;
        open_model(&f, &(struct testmodel_options){.seed = 5, .n_ctx = 300}, 2);
        struct gpt2_scorer *a = create(&f, &(struct gpt2_scorer_options){.kv = kv});
        struct gpt2_scorer *b =
            create(&f, &(struct gpt2_scorer_options){.kv = kv, .prefix_bytes = SIZE_MAX});
        struct gpt2_scorer *c = create(
            &f, &(struct gpt2_scorer_options){.kv = kv, .prefix_bytes = 200000, .max_windows = 3});
        size_t n_scores = 0;
        for (int i = 0; i < N; i++) {
            static const int lengths[] = {1, 2, 20, 63, 64, 65, 200, 280};
            int n_context = lengths[i % 8], n = n_context + i % 7;
            random_ids(ids[i], n_context, VOCAB, (uint64_t)(i % 3));
            random_ids(ids[i] + n_context, n - n_context, VOCAB, (uint64_t)i);
            windows[i] = (struct gpt2_window){ids[i], n, i % 11 == 10 ? 1 : n_context};
            n_scores += (size_t)(n - windows[i].first);
        }
        assert_true(gpt2_scorer_run(a, windows, N, apart, NULL, &err));
        struct gpt2_scorer *sharing[] = {b, c, b}; // the last one finds what the first has kept
        for (int s = 0; s < 3; s++) {
            memset(shared, 0, sizeof shared);
            assert_true(gpt2_scorer_run(sharing[s], windows, N, shared, NULL, &err));
            for (size_t i = 0; i < n_scores; i++) {
                assert_int_equal(shared[i].id, apart[i].id);
                assert_memory_equal(&shared[i].logprob, &apart[i].logprob, sizeof(double));
            }
        }
        for (int n = 100; n < 250; n += 30) { // prefixes that grow and shrink
            struct gpt2_window rest = {ids[7] + n, 20, 3};
            assert_true(gpt2_scorer_prefix(a, ids[7], n, &err));
            assert_true(gpt2_scorer_prefix(b, ids[7], n, &err));
            assert_true(gpt2_scorer_run(a, &rest, 1, apart, NULL, &err));
            assert_true(gpt2_scorer_run(b, &rest, 1, shared, NULL, &err));
            assert_memory_equal(&shared[5].logprob, &apart[5].logprob, sizeof(double));
        }
        gpt2_scorer_free(c);
        gpt2_scorer_free(b);
        gpt2_scorer_free(a);
        close_model(&f);
    }
}

static void marked_and_unmarked_share_all_probability(void **state) {
    (void)state;
    unsigned char marked[50] = {0};
    int32_t ids[12];
    struct gpt2_score scores[11];
    struct gpt2_alternative all[11 * 50];
    struct gpt2_error err = {0};
    struct fixture f;
    for (int i = 0; i < 50; i += 3)
        marked[i] = 1;
    open_model(&f, &(struct testmodel_options){.seed = 5}, 1);
    // only 50 of 61 rows are tokens: the rest is padding and has no probability
    struct gpt2_scorer *scorer =
        create(&f, &(struct gpt2_scorer_options){.n_vocab = 50, .n_top = 50, .marked = marked});
    random_ids(ids, 12, 50, 9);
    assert_true(gpt2_scorer_run(scorer, &(struct gpt2_window){ids, 12, 1}, 1, scores, all, &err));
    for (int i = 0; i < 11; i++) {
        double sum = 0, sum_marked = 0, entropy = 0;
        for (int t = 0; t < 50; t++) {
            double p = exp(all[i * 50 + t].logprob);
            sum += p;
            entropy -= p * all[i * 50 + t].logprob;
            sum_marked += marked[all[i * 50 + t].id] ? p : 0;
        }
        assert_true(fabs(sum - 1) < 1e-6);
        assert_true(fabs(exp(scores[i].marked) - sum_marked) < 1e-6);
        assert_true(fabs(exp(scores[i].unmarked) - (1 - sum_marked)) < 1e-6);
        assert_true(fabs(scores[i].entropy - entropy) < 1e-5);
    }
    gpt2_scorer_free(scorer);
    close_model(&f);
}

static void bad_windows_are_refused(void **state) {
    (void)state;
    int32_t ids[50] = {0};
    struct gpt2_score scores[50];
    struct gpt2_error err = {0};
    struct fixture f;
    open_model(&f, &(struct testmodel_options){.seed = 6}, 1);
    struct gpt2_scorer *scorer = create(&f, &(struct gpt2_scorer_options){.n_vocab = 50});
    const struct gpt2_window bad[] = {{ids, 0, 1}, {ids, 5, 0}, {ids, 5, 6}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(gpt2_scorer_run(scorer, &bad[i], 1, scores, NULL, &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
    }
    assert_false(gpt2_scorer_run(scorer, &(struct gpt2_window){ids, 42, 1}, 1, scores, NULL, &err));
    assert_int_equal(err.status, GPT2_ERR_INPUT);
    ids[2] = 50; // a row of wte, but of no token
    assert_false(gpt2_scorer_run(scorer, &(struct gpt2_window){ids, 5, 1}, 1, scores, NULL, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    assert_null(
        gpt2_scorer_create(f.model, f.runtime, &(struct gpt2_scorer_options){.n_vocab = 62}, &err));
    assert_null(
        gpt2_scorer_create(f.model, f.runtime, &(struct gpt2_scorer_options){.n_top = 62}, &err));
    gpt2_scorer_free(scorer);
    close_model(&f);
}

/* ---- protocols ---- */

/* Plans a text of n tokens that come `step` at a time. Checks what holds for every protocol. */
static struct gpt2_plan plan_all(struct gpt2_plan plan, int64_t n, int64_t step,
                                 int64_t *n_scored) {
    struct gpt2_plan_window w;
    int64_t known = 0, next = 0;
    *n_scored = 0;
    for (bool finished = false; !finished;) {
        known = known + step < n ? known + step : n;
        finished = known == n;
        for (int64_t keep = plan.keep; gpt2_plan_next(&plan, known, finished, &w);
             keep = plan.keep) {
            assert_true(w.begin >= keep && w.begin >= 0);
            assert_true(w.first >= next && w.first <= w.end && w.end <= known);
            assert_true(w.first > w.begin || (w.bos && w.first == w.begin));
            assert_true(w.end - w.begin + w.bos <= plan.n_ctx + 1);
            *n_scored += w.end - w.first;
            next = w.end;
        }
    }
    return plan;
}

/* How many of n tokens a protocol scores. */
static int64_t expected_scored(const struct gpt2_plan *plan, int64_t n) {
    int64_t w = plan->n_ctx, all = n + plan->bos;
    if (plan->protocol == GPT2_PROTOCOL_LLAMA_CPP)
        return n < 2 * w ? 0 : n / w * (w - 1 - w / 2);
    if (plan->protocol == GPT2_PROTOCOL_STRIDE && plan->stride == w)
        return all - (all + w - 1) / w; // all but the first of each window
    if (plan->protocol == GPT2_PROTOCOL_DISJOINT && !plan->bos)
        return n - (n + w - 1) / w;
    return plan->bos || n == 0 ? n : n - 1;
}

static void plans_score_each_token_once(void **state) {
    (void)state;
    for (int protocol = GPT2_PROTOCOL_STRIDE; protocol <= GPT2_PROTOCOL_LM_EVAL; protocol++) {
        for (int n_ctx = 2; n_ctx <= 9; n_ctx++) {
            for (int stride = 1; stride <= n_ctx; stride++) {
                for (int64_t n = 0; n <= 40; n++) {
                    for (int bos = 0; bos < 2; bos++) {
                        struct gpt2_plan plan = {.protocol = (enum gpt2_protocol)protocol,
                                                 .n_ctx = n_ctx,
                                                 .stride = stride,
                                                 .bos = bos};
                        int64_t scored, streamed;
                        struct gpt2_plan a = plan_all(plan, n, n + 1, &scored);
                        struct gpt2_plan b = plan_all(plan, n, 3, &streamed);
                        assert_int_equal(scored, streamed);
                        assert_int_equal(a.n_windows, b.n_windows);
                        assert_int_equal(scored, expected_scored(&plan, n));
                    }
                }
            }
        }
    }
}

/* A context in front: all that comes after it is scored once, and nothing of it. */
static void plans_do_not_score_a_context(void **state) {
    (void)state;
    static const enum gpt2_protocol protocols[] = {GPT2_PROTOCOL_STRIDE, GPT2_PROTOCOL_DISJOINT,
                                                   GPT2_PROTOCOL_LM_EVAL};
    for (int p = 0; p < 3; p++)
        for (int n_ctx = 4; n_ctx <= 9; n_ctx++)
            for (int bos = 0; bos < 2; bos++)
                for (int context = 1; context + bos < n_ctx; context++)
                    for (int64_t n = context; n <= 40; n++) {
                        struct gpt2_plan plan = {.protocol = protocols[p],
                                                 .n_ctx = n_ctx,
                                                 .stride = n_ctx / 2,
                                                 .bos = bos,
                                                 .scored = context};
                        struct gpt2_plan copy = plan;
                        struct gpt2_plan_window w;
                        int64_t scored, streamed;
                        if (gpt2_plan_next(&copy, n, true, &w)) {
                            assert_int_equal(w.begin, 0);
                            assert_int_equal(w.first, context);
                            assert_int_equal(w.bos, bos);
                        }
                        plan_all(plan, n, n + 1, &scored);
                        plan_all(plan, n, 3, &streamed);
                        assert_int_equal(scored, streamed);
                        const bool starts_anew = protocols[p] == GPT2_PROTOCOL_DISJOINT && !bos;
                        const int64_t unscored = starts_anew ? (n - 1) / n_ctx : 0;
                        assert_int_equal(scored, n - context - unscored);
                    }
}

/* lm-eval's windows, as get_rolling_token_windows of its utils.py gives them for ten tokens, four
 * at a time: contexts [bos 0 1 2], [3 4 5 6], [5 6 7 8] predicting 0-3, 4-7, 8-9. */
static void lm_eval_gives_the_last_window_a_whole_context(void **state) {
    (void)state;
    const struct gpt2_plan_window expected[] = {
        {0, 4, 0, true}, {3, 8, 4, false}, {5, 10, 8, false}};
    struct gpt2_plan plan = {.protocol = GPT2_PROTOCOL_LM_EVAL, .n_ctx = 4, .bos = true};
    struct gpt2_plan_window w;
    for (int i = 0; i < 3; i++) {
        assert_true(gpt2_plan_next(&plan, 10, true, &w));
        assert_int_equal(w.begin, expected[i].begin);
        assert_int_equal(w.end, expected[i].end);
        assert_int_equal(w.first, expected[i].first);
        assert_int_equal(w.bos, expected[i].bos);
    }
    assert_false(gpt2_plan_next(&plan, 10, true, &w));
}

/* ---- text that comes in parts ---- */

static void encode(const struct gpt2_tokenizer *t, const char *text, size_t n, unsigned flags,
                   struct gpt2_ids *ids) {
    struct gpt2_error err = {0};
    if (!gpt2_tokenizer_encode(t, text, n, flags, ids, &err))
        fail_msg("%s", err.message);
}

static void text_cut_anywhere_certain_has_the_ids_of_the_whole(void **state) {
    (void)state;
    static const char *const parts[] = {
        "a",   "b",    "'s",   "'",        " ",    "\n",       "1",
        ".",   "\xC3", "\xA9", "\xC3\xA9", "\xFF", "\xC2\xA0", "\xE2\x80\x83",
        "'ll", "l",    "  ",   "abab ab"};
    uint64_t seed = 11;
    int n_cuts = 0;
    for (int round = 0; round < 8; round++) {
        struct gpt2_error err = {0};
        struct gpt2_tokenizer *t = tokenizer_create(make_vocab((uint64_t)round, 60, false), &err);
        assert_non_null(t);
        for (int i = 0; i < 300; i++) {
            char text[400];
            size_t n = 0;
            while (n < 60) {
                const char *part = parts[random_below(&seed, sizeof parts / sizeof *parts)];
                memcpy(text + n, part, strlen(part));
                n += strlen(part);
            }
            size_t known = 1 + random_below(&seed, n - 1);
            size_t cut = gpt2_tokenizer_cut(t, text, known, GPT2_ENCODE_TEXT);
            assert_true(cut < known);
            n_cuts += cut > 0;
            struct gpt2_ids whole = {0}, halves = {0};
            encode(t, text, n, GPT2_ENCODE_TEXT, &whole);
            encode(t, text, cut, GPT2_ENCODE_TEXT, &halves);
            encode(t, text + cut, n - cut, GPT2_ENCODE_TEXT, &halves);
            assert_int_equal(whole.len, halves.len);
            assert_memory_equal(whole.data, halves.data, whole.len * sizeof *whole.data);
            gpt2_ids_free(&whole);
            gpt2_ids_free(&halves);
        }
        gpt2_tokenizer_close(t);
    }
    assert_true(n_cuts > 1500);
}

/* The whole of a file, or NULL. */
static char *read_data(const char *name, size_t *n) {
    char path[TESTMODEL_PATH];
    if (!data_path(path, sizeof path, name))
        return NULL;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = malloc(4 << 20);
    assert_non_null(text);
    *n = fread(text, 1, 4 << 20, file);
    fclose(file);
    return text;
}

static void special_tokens_are_never_cut(void **state) {
    (void)state;
    char path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    if (!data_path(path, sizeof path, "gpt2")) {
        print_message("no GPT-2 vocabulary in the test data\n");
        skip();
    }
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(path, &err);
    assert_non_null(t);
    const char *text = "some words<|endoftext|>and <|endoftext|><|endoftext|> more<|endof text";
    size_t n = strlen(text);
    struct gpt2_ids whole = {0};
    encode(t, text, n, GPT2_ENCODE_SPECIAL, &whole);
    for (size_t known = 1; known <= n; known++) {
        struct gpt2_ids halves = {0};
        size_t cut = gpt2_tokenizer_cut(t, text, known, GPT2_ENCODE_SPECIAL);
        encode(t, text, cut, GPT2_ENCODE_SPECIAL, &halves);
        encode(t, text + cut, n - cut, GPT2_ENCODE_SPECIAL, &halves);
        assert_int_equal(whole.len, halves.len);
        assert_memory_equal(whole.data, halves.data, whole.len * sizeof *whole.data);
        gpt2_ids_free(&halves);
    }
    gpt2_ids_free(&whole);
    gpt2_tokenizer_close(t);
}

/* 287,644 tokens; windows at stride 512 as Hugging Face's loop counts them, range(0, n, 512): 562,
 * of which the loop runs 561, as the 561st reaches the end. */
static void wikitext_has_its_published_tokens_and_windows(void **state) {
    (void)state;
    char path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    size_t n = 0, at = 0, block = 10007;
    char *text = read_data("text/wikitext-2-raw.hf-joined.txt", &n);
    if (!text || !data_path(path, sizeof path, "gpt2")) {
        print_message("no WikiText-2 or GPT-2 vocabulary in the test data\n");
        free(text);
        skip();
    }
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(path, &err);
    assert_non_null(t);
    struct gpt2_ids ids = {0};
    while (at < n) { // streamed
        size_t known = at + block < n ? block : n - at;
        size_t cut = at + known == n ? known : gpt2_tokenizer_cut(t, text + at, known, 0);
        assert_true(cut > 0);
        encode(t, text + at, cut, 0, &ids);
        at += cut;
    }
    assert_int_equal(ids.len, 287644);
    int64_t scored;
    struct gpt2_plan plan = {.protocol = GPT2_PROTOCOL_STRIDE, .n_ctx = 1024, .stride = 512};
    assert_int_equal(plan_all(plan, 287644, 5000, &scored).n_windows, 561);
    assert_int_equal(scored, 287643);
    plan.stride = 1024;
    assert_int_equal(plan_all(plan, 287644, 5000, &scored).n_windows, 281);
    assert_int_equal(scored, 287363);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
    free(text);
}

/* ---- records of benchmarks ---- */

static bool parse(struct gpt2_task_item *item, enum gpt2_task task, enum gpt2_task_form form,
                  const char *line, struct gpt2_error *err) {
    return gpt2_task_parse(item, task, form, line, strlen(line), "record 7", err);
}

static void records_become_the_texts_of_the_harness(void **state) {
    (void)state;
    struct gpt2_task_item item;
    struct gpt2_error err = {0};
    assert_true(parse(&item, GPT2_TASK_LAMBADA, GPT2_FORM_LM_EVAL,
                      "{\"text\": \"he said it  again to signs\"}", &err));
    assert_string_equal(item.context, "he said it  again to");
    assert_string_equal(item.choices[0], " signs");
    gpt2_task_free(&item);
    const char *line = "{\"ctx_a\": \"A man [header] sits [title] x.\", \"ctx_b\": \"then He\", "
                       "\"ctx\": \"A man sits. then He\", \"activity_label\": \"Sitting\", "
                       "\"endings\": [\" runs [step] off. \", \"sits.\"], \"label\": \"1\"}";
    assert_true(parse(&item, GPT2_TASK_HELLASWAG, GPT2_FORM_LM_EVAL, line, &err));
    assert_string_equal(item.context, "Sitting: A man sits. x. Then he");
    assert_int_equal(item.n_choices, 2);
    assert_string_equal(item.choices[0], " runs off.");
    assert_int_equal(item.label, 1);
    gpt2_task_free(&item);
    assert_true(parse(&item, GPT2_TASK_HELLASWAG, GPT2_FORM_LLM_C, line, &err));
    assert_string_equal(item.context, "A man sits. then He");
    assert_string_equal(item.choices[0], "  runs [step] off. ");
    gpt2_task_free(&item);
}

static void bad_records_are_named(void **state) {
    (void)state;
    static const struct {
        enum gpt2_task task;
        const char *line, *says;
    } cases[] = {
        {GPT2_TASK_LAMBADA, "nonsense", "record 7"},
        {GPT2_TASK_LAMBADA, "[1]", "expected an object"},
        {GPT2_TASK_LAMBADA, "{}", "\"text\""},
        {GPT2_TASK_LAMBADA, "{\"text\": \"word\"}", "separated by spaces"},
        {GPT2_TASK_HELLASWAG, "{\"ctx\": \"a\"}", "\"endings\""},
        {GPT2_TASK_HELLASWAG, "{\"ctx\": \"a\", \"endings\": [1], \"label\": 0}", "strings"},
        {GPT2_TASK_HELLASWAG, "{\"ctx\": \"a\", \"endings\": [\"b\"], \"label\": 1}", "\"label\""},
        {GPT2_TASK_HELLASWAG, "{\"ctx\": \"a\", \"endings\": [], \"label\": \"x\"}", "\"label\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gpt2_task_item item;
        struct gpt2_error err = {0};
        enum gpt2_task_form form =
            cases[i].task == GPT2_TASK_LAMBADA ? GPT2_FORM_LM_EVAL : GPT2_FORM_LLM_C;
        assert_false(parse(&item, cases[i].task, form, cases[i].line, &err));
        assert_int_equal(err.status, GPT2_ERR_INPUT);
        if (!strstr(err.message, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].says);
    }
}

/* ---- the published weights, where they are ---- */

struct published {
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct gpt2_scorer *scorer;
};

static void open_published(struct published *p) {
    struct gpt2_error err = {0};
    const char *path = getenv("GPT2_WEIGHTS");
    if (!path || !*path) {
        print_message("$GPT2_WEIGHTS does not name the published gpt2\n");
        skip();
    }
    p->model = gpt2_model_open(path, &err);
    if (!p->model)
        fail_msg("%s", err.message);
    p->runtime = gpt2_runtime_create(NULL, &err);
    p->scorer = gpt2_scorer_create(p->model, p->runtime, NULL, &err);
    assert_non_null(p->scorer);
}

static void close_published(struct published *p) {
    gpt2_scorer_free(p->scorer);
    gpt2_runtime_free(p->runtime);
    gpt2_model_close(p->model);
}

/* "Today is" and its greedy continuation, with the log-probabilities of Hugging Face's
 * documentation of compute_transition_scores. */
static void published_log_probabilities(void **state) {
    (void)state;
    static const int32_t ids[] = {8888, 318, 262, 1110, 618, 356, 460};
    static const double expected[] = {-1.414, -2.609, -2.010, -1.859, -2.508};
    struct published p;
    struct gpt2_score scores[5];
    struct gpt2_error err = {0};
    open_published(&p);
    assert_true(gpt2_scorer_run(p.scorer, &(struct gpt2_window){ids, 7, 2}, 1, scores, NULL, &err));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(scores[i].rank, 0);
        assert_true(fabs(scores[i].logprob - expected[i]) < 1.5e-3);
    }
    close_published(&p);
}

/* Greedy texts of Hugging Face's test and of picoGPT's README: every token is the likeliest. */
static void published_greedy_texts(void **state) {
    (void)state;
    static const int32_t dog[] = {464, 3290, 373, 1043, 287,   257, 2214, 1474, 262, 16246,
                                  286, 2688, 290, 2688, 27262, 13,  198,  198,  464, 3290};
    static const int32_t turing[] = {
        36235, 39141, 18765, 1143,  326,  9061, 561, 530,  1110, 1716, 262,   749,  3665,
        8217,  319,   262,   5440,  13,   198,  198, 464,  3644, 318,  257,   4572, 326,
        460,   1620,  3716,  16765, 11,   290,  340, 460,  1620, 777,  16765, 287,  257,
        835,   326,   318,   845,   2092, 284,  262, 1692, 3632, 13,   198};
    struct published p;
    struct gpt2_score scores[60];
    struct gpt2_error err = {0};
    open_published(&p);
    struct gpt2_window windows[] = {{dog, 20, 2}, {turing, 50, 10}};
    assert_true(gpt2_scorer_run(p.scorer, windows, 2, scores, NULL, &err));
    for (int i = 0; i < 18 + 40; i++)
        assert_int_equal(scores[i].rank, 0);
    close_published(&p);
}

/* The loss of llm.c's test_gpt2.c: the first 257 ids of its tiny_shakespeare_val as four rows of
 * 64; published is 5.270007133. The ids are made from the text as its tinyshakespeare.py does. */
static void published_loss_of_llm_c(void **state) {
    (void)state;
    char path[TESTMODEL_PATH];
    struct gpt2_error err = {0};
    struct published p;
    size_t n = 0;
    open_published(&p);
    char *text = read_data("text/tinyshakespeare.txt", &n);
    if (!text || !data_path(path, sizeof path, "gpt2")) {
        print_message("no TinyShakespeare or GPT-2 vocabulary in the test data\n");
        free(text);
        close_published(&p);
        skip();
    }
    struct gpt2_tokenizer *t = gpt2_tokenizer_open(path, &err);
    struct gpt2_ids ids = {0};
    for (size_t at = 0; at < n && ids.len < 257;) {
        size_t end = at;
        while (end + 1 < n && !(text[end] == '\n' && text[end + 1] == '\n'))
            end++;
        assert_true(gpt2_ids_push(&ids, 50256, &err));
        encode(t, text + at, end + 2 - at, 0, &ids);
        at = end + 2;
    }
    assert_true(ids.len >= 257);
    struct gpt2_window windows[4];
    struct gpt2_score scores[256];
    for (int i = 0; i < 4; i++)
        windows[i] = (struct gpt2_window){ids.data + 64 * i, 65, 1};
    assert_true(gpt2_scorer_run(p.scorer, windows, 4, scores, NULL, &err));
    double sum = 0;
    for (int i = 0; i < 256; i++)
        sum -= scores[i].logprob;
    assert_true(fabs(sum / 256 - 5.270007133) < 1e-4);
    gpt2_ids_free(&ids);
    gpt2_tokenizer_close(t);
    free(text);
    close_published(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_agree_with_the_reference),
        cmocka_unit_test(windows_score_the_same_alone_and_together),
        cmocka_unit_test(a_prefix_is_as_good_as_its_tokens),
        cmocka_unit_test(shared_contexts_change_no_score),
        cmocka_unit_test(marked_and_unmarked_share_all_probability),
        cmocka_unit_test(bad_windows_are_refused),
        cmocka_unit_test(plans_score_each_token_once),
        cmocka_unit_test(plans_do_not_score_a_context),
        cmocka_unit_test(lm_eval_gives_the_last_window_a_whole_context),
        cmocka_unit_test(text_cut_anywhere_certain_has_the_ids_of_the_whole),
        cmocka_unit_test(special_tokens_are_never_cut),
        cmocka_unit_test(wikitext_has_its_published_tokens_and_windows),
        cmocka_unit_test(records_become_the_texts_of_the_harness),
        cmocka_unit_test(bad_records_are_named),
        cmocka_unit_test(published_log_probabilities),
        cmocka_unit_test(published_greedy_texts),
        cmocka_unit_test(published_loss_of_llm_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
