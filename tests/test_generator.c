/* test_generator.c - many texts at once are, bit for bit, the texts that a session alone makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "testmodel.h"
#include <gpt2/generator.h>
#include <limits.h>

enum { N_CTX = 40, MAX_IDS = 200, MAX_JOBS = 12, MAX_SAMPLES = 9 };

static struct world {
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct gpt2_batch *batch;
    int n_vocab;
} world;

static int open_world(void **state) {
    char dir[TESTMODEL_PATH];
    testmodel_tempdir(dir);
    testmodel_write(dir, &(struct testmodel_options){.n_ctx = N_CTX});
    world.model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    world.runtime = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 2}, NULL);
    world.batch = gpt2_batch_create(world.model, world.runtime, NULL, NULL);
    world.n_vocab = gpt2_model_config(world.model)->n_vocab;
    return world.model && world.runtime && world.batch ? 0 : -1;
}

static int close_world(void **state) {
    gpt2_batch_free(world.batch);
    gpt2_runtime_free(world.runtime);
    gpt2_model_close(world.model);
    return 0;
}

/* ---- a chooser to which every bit of the logits matters ---- */

static int32_t choice_of(const float *logits, int sample, bool *last) {
    uint64_t hash = 0xCBF29CE484222325u + (uint64_t)sample;
    for (int i = 0; i < world.n_vocab; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001B3u;
    }
    hash ^= hash >> 29;
    *last = hash % 31 == 7;
    return hash % 29 == 5 ? -1 : (int32_t)(hash % (uint64_t)world.n_vocab);
}

struct text {
    int32_t ids[MAX_IDS]; /* the prompt, and what was chosen */
    int n_prompt, n;
    enum gpt2_end end;
    bool ended;
};

/* What a job's sample has to become: for each token a new session reads everything. */
static void expect_text(struct text *text, const struct gpt2_request *job, int sample) {
    int32_t context[N_CTX + 1];
    int n = job->n_ids;
    memcpy(context, job->ids, (size_t)n * sizeof *context);
    memcpy(text->ids, job->ids, (size_t)n * sizeof *context);
    text->n = text->n_prompt = n;
    for (text->ended = false; !text->ended;) {
        struct gpt2_session *session = gpt2_session_create(world.model, NULL, NULL);
        struct gpt2_span span = {session, context, n, 1};
        assert_non_null(session);
        assert_true(gpt2_batch_run(world.batch, &span, 1, NULL));
        bool last = false;
        int32_t id = choice_of(gpt2_batch_logits(world.batch, 0, 0), sample, &last);
        gpt2_session_free(session);
        text->ended = true;
        text->end = GPT2_END_CHOSEN;
        if (id < 0)
            return;
        text->ids[text->n++] = id;
        if (last)
            return;
        text->end = GPT2_END_LIMIT;
        if (text->n - text->n_prompt == job->max_tokens)
            return;
        text->end = GPT2_END_CONTEXT;
        if (n == N_CTX && job->overflow == GPT2_OVERFLOW_STOP)
            return;
        if (n == N_CTX) {
            int half = (N_CTX - job->keep) / 2;
            memmove(context + job->keep, context + N_CTX - half, (size_t)half * sizeof *context);
            n = job->keep + half;
        }
        context[n++] = id;
        text->ended = false;
    }
}

/* ---- jobs and what they became ---- */

struct record {
    struct gpt2_request job;
    int32_t prompt[N_CTX];
    struct text texts[MAX_SAMPLES];
};

static int32_t choose(void *user, const struct gpt2_step *step, bool *last) {
    struct record *record = user;
    struct text *text = &record->texts[step->sample];
    assert_false(text->ended);
    assert_int_equal(step->n_prompt, record->job.n_ids);
    assert_int_equal(step->n_ids, text->n);
    assert_memory_equal(step->ids, text->ids, (size_t)text->n * sizeof *text->ids);
    int32_t id = choice_of(step->logits, step->sample, last);
    if (id >= 0)
        text->ids[text->n++] = id;
    return id;
}

static void ended(void *user, int sample, enum gpt2_end end) {
    struct text *text = &((struct record *)user)->texts[sample];
    assert_false(text->ended);
    text->ended = true;
    text->end = end;
}

static void make_record(struct record *record, int number, int n_ids, int n_samples,
                        int max_tokens) {
    memset(record, 0, sizeof *record);
    for (int i = 0; i < n_ids; i++)
        record->prompt[i] = (number * 17 + i * 5) % world.n_vocab;
    record->job = (struct gpt2_request){.ids = record->prompt,
                                        .n_ids = n_ids,
                                        .n_samples = n_samples,
                                        .max_tokens = max_tokens,
                                        .user = record,
                                        .choose = choose,
                                        .ended = ended};
    for (int s = 0; s < n_samples; s++) {
        memcpy(record->texts[s].ids, record->prompt, sizeof record->prompt);
        record->texts[s].n = n_ids;
    }
}

static struct gpt2_generator *create(int max_samples, int max_rows, size_t cache_bytes) {
    struct gpt2_generator_options options = {
        .max_samples = max_samples, .max_rows = max_rows, .cache_bytes = cache_bytes};
    struct gpt2_generator *generator =
        gpt2_generator_create(world.model, world.runtime, &options, NULL);
    assert_non_null(generator);
    return generator;
}

static void run(struct gpt2_generator *generator) {
    while (gpt2_generator_busy(generator))
        assert_true(gpt2_generator_step(generator, NULL));
}

static void assert_expected(const struct record *record) {
    struct text expected;
    for (int s = 0; s < record->job.n_samples; s++) {
        const struct text *found = &record->texts[s];
        expect_text(&expected, &record->job, s);
        assert_true(found->ended);
        assert_int_equal(found->n, expected.n);
        assert_memory_equal(found->ids, expected.ids, (size_t)expected.n * sizeof *expected.ids);
        assert_int_equal(found->end, expected.end);
    }
}

static void company_and_limits_change_no_text(void **state) {
    static const struct {
        int max_samples, max_rows;
        size_t cache_bytes;
    } ways[] = {{0, 0, 0}, {1, 1, 0}, {3, 3, 0}, {5, 11, 0}, {64, 64, 1}, {4, 64, 40000}};
    static const struct {
        int n_ids, n_samples, max_tokens;
    } jobs[MAX_JOBS] = {{1, 1, 20}, {30, 1, 5}, {7, 9, 12}, {N_CTX, 2, 3}, {2, 1, 1},  {12, 3, 9},
                        {25, 1, 9}, {3, 2, 30}, {39, 1, 9}, {16, 4, 8},    {5, 1, 25}, {1, 5, 4}};
    static struct record records[MAX_JOBS];
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        struct gpt2_generator *generator =
            create(ways[w].max_samples, ways[w].max_rows, ways[w].cache_bytes);
        for (int j = 0; j < MAX_JOBS; j++) {
            make_record(&records[j], j, jobs[j].n_ids, jobs[j].n_samples, jobs[j].max_tokens);
            assert_true(gpt2_generator_add(generator, &records[j].job, NULL));
            if (j % 4 == 3) // some join while others run
                assert_true(gpt2_generator_step(generator, NULL));
        }
        run(generator);
        gpt2_generator_free(generator);
        for (int j = 0; j < MAX_JOBS; j++)
            assert_expected(&records[j]);
    }
}

static void a_full_context_slides(void **state) {
    static const int keeps[] = {0, 1, 7, N_CTX - 1};
    static struct record records[4];
    struct gpt2_generator *generator = create(8, 8, 0);
    for (int i = 0; i < 4; i++) {
        make_record(&records[i], 20 + i, i == 1 ? N_CTX : 30, i == 2 ? 3 : 1, 100);
        records[i].job.overflow = GPT2_OVERFLOW_SLIDE;
        records[i].job.keep = keeps[i];
        assert_true(gpt2_generator_add(generator, &records[i].job, NULL));
    }
    run(generator);
    gpt2_generator_free(generator);
    int longest = 0;
    for (int i = 0; i < 4; i++) {
        assert_expected(&records[i]);
        for (int s = 0; s < records[i].job.n_samples; s++)
            longest = records[i].texts[s].n > longest ? records[i].texts[s].n : longest;
    }
    assert_true(longest > 2 * N_CTX); // else nothing slid twice
}

/* ---- a text without end ---- */

enum { SLIDES = 100 };

struct endless {
    int32_t ids[N_CTX * (SLIDES + 2)];
    int n, n_prompt, n_slides, keep;
    int32_t context[N_CTX]; /* [n_context] what a fresh run reads for the next token */
    int n_context;
};

/* The token that follows is the one that a new session gives, which reads the context at once. */
static int32_t choose_endless(void *user, const struct gpt2_step *step, bool *last) {
    struct endless *text = user;
    struct gpt2_session *session = gpt2_session_create(world.model, NULL, NULL);
    struct gpt2_span span = {session, text->context, text->n_context, 1};
    assert_non_null(session);
    assert_true(gpt2_batch_run(world.batch, &span, 1, NULL));
    assert_memory_equal(step->logits, gpt2_batch_logits(world.batch, 0, 0),
                        (size_t)world.n_vocab * sizeof *step->logits);
    gpt2_session_free(session);
    assert_int_equal(step->n_ids, text->n);
    const int32_t id = abs(choice_of(step->logits, 0, last)) % world.n_vocab;
    if (text->n_context == N_CTX) {
        const int half = (N_CTX - text->keep) / 2;
        memmove(text->context + text->keep, text->context + N_CTX - half,
                (size_t)half * sizeof *text->context);
        text->n_context = text->keep + half;
        text->n_slides++;
    }
    text->context[text->n_context++] = id;
    text->ids[text->n++] = id;
    *last = text->n_slides == SLIDES && text->n_context == N_CTX;
    return id;
}

static void a_context_that_slid_100_times_is_that_of_fresh_runs(void **state) {
    static const int keeps[] = {0, 7};
    for (size_t i = 0; i < sizeof keeps / sizeof *keeps; i++) {
        static struct endless text;
        struct gpt2_generator *generator = create(8, 8, 0);
        text = (struct endless){.n = 3, .n_prompt = 3, .keep = keeps[i], .n_context = 3};
        for (int k = 0; k < text.n; k++)
            text.ids[k] = text.context[k] = (k * 11 + 5) % world.n_vocab;
        const struct gpt2_request request = {.ids = text.ids,
                                             .n_ids = text.n,
                                             .n_samples = 1,
                                             .max_tokens = INT32_MAX,
                                             .overflow = GPT2_OVERFLOW_SLIDE,
                                             .keep = text.keep,
                                             .choose = choose_endless,
                                             .user = &text};
        assert_true(gpt2_generator_add(generator, &request, NULL));
        run(generator);
        gpt2_generator_free(generator);
        assert_int_equal(text.n_slides, SLIDES);
    }
}

static void a_full_context_ends_the_text(void **state) {
    static struct record record;
    struct gpt2_generator *generator = create(2, 0, 0);
    bool seen = false;
    for (int i = 0; i < 40 && !seen; i++) { // until a text does not end by itself
        make_record(&record, i, N_CTX - 3, 1, INT_MAX);
        assert_true(gpt2_generator_add(generator, &record.job, NULL));
        run(generator);
        assert_expected(&record);
        seen = record.texts[0].end == GPT2_END_CONTEXT;
    }
    assert_true(seen);
    assert_int_equal(record.texts[0].n, N_CTX + 1); // the last one is chosen and never read
    gpt2_generator_free(generator);
}

static void room_counts_samples(void **state) {
    static struct record a, b;
    struct gpt2_generator *generator = create(6, 0, 0);
    make_record(&a, 1, 5, 4, 50);
    make_record(&b, 2, 5, 9, 3);
    assert_int_equal(gpt2_generator_room(generator), 6);
    assert_false(gpt2_generator_busy(generator));
    assert_true(gpt2_generator_add(generator, &a.job, NULL));
    assert_int_equal(gpt2_generator_room(generator), 2);
    assert_true(gpt2_generator_add(generator, &b.job, NULL)); // more than there is room for
    assert_int_equal(gpt2_generator_room(generator), 0);
    assert_true(gpt2_generator_busy(generator));
    run(generator);
    assert_int_equal(gpt2_generator_room(generator), 6);
    assert_expected(&a);
    assert_expected(&b);
    gpt2_generator_free(generator);
}

static void the_prompt_is_copied(void **state) {
    static struct record record, copy;
    struct gpt2_generator *generator = create(0, 0, 0);
    make_record(&record, 3, 9, 2, 9);
    copy = record;
    assert_true(gpt2_generator_add(generator, &record.job, NULL));
    memset(record.prompt, 0x7F, sizeof record.prompt);
    run(generator);
    gpt2_generator_free(generator);
    memcpy(record.prompt, copy.prompt, sizeof record.prompt);
    assert_expected(&record);
}

static void bad_jobs_are_refused_and_change_nothing(void **state) {
    static struct record record;
    struct gpt2_generator *generator = create(4, 0, 0);
    struct gpt2_error err;
    int32_t long_prompt[N_CTX + 1] = {0}, strange[] = {1, world.n_vocab}, negative[] = {-1};
    make_record(&record, 1, 5, 1, 5);
    struct gpt2_request jobs[9];
    for (int i = 0; i < 9; i++)
        jobs[i] = record.job;
    jobs[0].n_ids = 0;
    jobs[1].ids = long_prompt, jobs[1].n_ids = N_CTX + 1;
    jobs[2].ids = strange, jobs[2].n_ids = 2;
    jobs[3].ids = negative, jobs[3].n_ids = 1;
    jobs[4].n_samples = 0;
    jobs[5].max_tokens = 0;
    jobs[6].n_samples = -1;
    jobs[7].overflow = GPT2_OVERFLOW_SLIDE, jobs[7].keep = N_CTX;
    jobs[8].overflow = GPT2_OVERFLOW_SLIDE, jobs[8].keep = -1;
    for (int i = 0; i < 9; i++) {
        err.status = GPT2_OK;
        assert_false(gpt2_generator_add(generator, &jobs[i], &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
        assert_true(strstr(err.message, "expected") != NULL);
        assert_int_equal(gpt2_generator_room(generator), 4);
        assert_false(gpt2_generator_busy(generator));
    }
    gpt2_generator_free(generator);

    static const struct gpt2_generator_options options[] = {{.max_samples = -1},
                                                            {.max_samples = 5000},
                                                            {.max_samples = 8, .max_rows = 7},
                                                            {.max_draft = -1},
                                                            {.max_draft = 1025}};
    for (int i = 0; i < 5; i++) {
        assert_null(gpt2_generator_create(world.model, world.runtime, &options[i], &err));
        assert_int_equal(err.status, GPT2_ERR_USAGE);
    }
    gpt2_generator_free(NULL);
}

/* ---- speculation ---- */

static uint32_t dice(uint32_t *state, uint32_t n) {
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(*state >> 8) * n >> 24);
}

/* How a job is drafted for. */
enum drafting { RIGHT, WRONG, MIXED, TOO_LONG, STRANGE, N_DRAFTINGS };

/* A record with the texts that it becomes without drafts, and what its drafts were good for. */
struct drafted {
    struct record record, plain;
    enum drafting kind;
    uint32_t state;
    int n_drafted, n_passes;
};

static int32_t choose_drafted(void *user, const struct gpt2_step *step, bool *last) {
    return choose(&((struct drafted *)user)->record, step, last);
}

static void ended_drafted(void *user, int sample, enum gpt2_end end) {
    struct drafted *d = user;
    const struct record *r = &d->record;
    ended(&d->record, sample, end);
    if (r->job.session) // it has read all, or all but the last, and nothing that was only guessed
        assert_true(r->job.overflow == GPT2_OVERFLOW_SLIDE ||
                    gpt2_session_position(r->job.session) == r->texts[0].n ||
                    gpt2_session_position(r->job.session) == r->texts[0].n - 1);
}

/* Drafts from the text that the sample will become: right, with mistakes, beyond its end (which an
 * ending id may follow), beyond the context, or with ids that are none. */
static int draft(void *user, const struct gpt2_step *step, const struct gpt2_pass *last,
                 int32_t *ids, int max_draft) {
    struct drafted *d = user;
    const struct text *plain = &d->plain.texts[step->sample];
    assert_null(step->logits);
    assert_int_equal(step->n_ids, d->record.texts[step->sample].n);
    assert_true(last->n_rows >= 0 && last->n_rows <= 5 + 300 && last->ns > 0);
    d->n_passes++;
    int n = (int)dice(&d->state, (uint32_t)max_draft + 1);
    if (d->kind == RIGHT || d->kind == TOO_LONG)
        n = max_draft;
    for (int i = 0; i < n; i++) {
        int at = step->n_ids + i;
        bool known = at < plain->n;
        ids[i] = (int32_t)dice(&d->state, (uint32_t)world.n_vocab);
        if (known && (d->kind == RIGHT || d->kind == TOO_LONG ||
                      (d->kind != WRONG && dice(&d->state, 4) > 0)))
            ids[i] = plain->ids[at];
        if (d->kind == STRANGE && dice(&d->state, 5) == 0)
            ids[i] = dice(&d->state, 2) ? -1 : world.n_vocab;
    }
    d->n_drafted += n;
    return n;
}

static void run_jobs(struct gpt2_generator *generator, struct drafted *d, int n, bool drafts) {
    for (int i = 0; i < n; i++) {
        struct record *r = drafts ? &d[i].record : &d[i].plain;
        struct gpt2_request job = r->job;
        if (drafts) {
            job.user = &d[i];
            job.choose = choose_drafted;
            job.ended = ended_drafted;
            job.draft = draft;
        }
        assert_true(gpt2_generator_add(generator, &job, NULL));
        if (i % 2)
            assert_true(gpt2_generator_step(generator, NULL));
    }
    run(generator);
}

static void assert_same_texts(const struct drafted *d) {
    for (int s = 0; s < d->record.job.n_samples; s++) {
        const struct text *a = &d->plain.texts[s], *b = &d->record.texts[s];
        assert_true(b->ended);
        assert_int_equal(a->end, b->end);
        assert_int_equal(a->n, b->n);
        assert_memory_equal(a->ids, b->ids, (size_t)a->n * sizeof *a->ids);
    }
}

static int n_runs(void) {
    const char *runs = getenv("GPT2_TEST_RUNS"), *quick = getenv("QUICK");
    return runs ? atoi(runs) : quick && *quick ? 200 : 1000;
}

/* The chooser sees every bit of the logits, so that a row that depends on a guess shows. `make
 * torture` has 10,000 runs. */
static void drafts_change_no_text(void **state) {
    static struct drafted d[3];
    int n_saved = 0;
    for (int run = 0; run < n_runs(); run++) {
        uint32_t seed = (uint32_t)run * 7919u + 1;
        int n = 1 + (int)dice(&seed, 3), n_tokens = 0, n_passes = 0;
        struct gpt2_generator *generators[2];
        int max_samples = 1 + (int)dice(&seed, 5), more_rows = (int)dice(&seed, 30);
        int max_draft = 1 + (int)dice(&seed, run % 9 == 0 ? 300 : 12);
        for (int k = 0; k < 2; k++) {
            generators[k] = gpt2_generator_create(
                world.model, world.runtime,
                &(struct gpt2_generator_options){.max_samples = max_samples,
                                                 .max_rows = max_samples + more_rows,
                                                 .max_draft = k ? max_draft : 0,
                                                 .kv = (enum gpt2_kv)(run % 4)},
                NULL);
            assert_non_null(generators[k]);
        }
        for (int i = 0; i < n; i++) {
            int n_ids = 1 + (int)dice(&seed, N_CTX), n_samples = 1 + (int)dice(&seed, 3);
            int max_tokens = 1 + (int)dice(&seed, 60);
            make_record(&d[i].plain, run + i, n_ids, n_samples, max_tokens);
            d[i].plain.job.overflow = dice(&seed, 2) ? GPT2_OVERFLOW_SLIDE : GPT2_OVERFLOW_STOP;
            d[i].plain.job.keep = (int)dice(&seed, N_CTX);
            make_record(&d[i].record, run + i, n_ids, n_samples, max_tokens);
            d[i].record.job.overflow = d[i].plain.job.overflow;
            d[i].record.job.keep = d[i].plain.job.keep;
            d[i].kind = dice(&seed, N_DRAFTINGS);
            d[i].state = seed;
            d[i].n_drafted = d[i].n_passes = 0;
        }
        if (n == 1 && d[0].record.job.n_samples == 1 && d[0].record.job.n_ids > 1)
            d[0].record.job.session = gpt2_session_create(
                world.model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)(run % 4)}, NULL);
        run_jobs(generators[0], d, n, false);
        run_jobs(generators[1], d, n, true);
        for (int i = 0; i < n; i++) {
            assert_same_texts(&d[i]);
            for (int s = 0; s < d[i].record.job.n_samples; s++)
                n_tokens += d[i].record.texts[s].n - d[i].record.job.n_ids;
            n_passes += d[i].n_passes;
        }
        n_saved += n_tokens - n_passes;
        gpt2_generator_free(generators[0]);
        gpt2_generator_free(generators[1]);
        gpt2_session_free(d[0].record.job.session);
        d[0].record.job.session = NULL;
    }
    assert_true(n_saved > n_runs()); // passes were saved, so drafts were accepted
}

/* Token 7 is NaN, which only a text that has it may notice. */
static int draft_damaged(void *user, const struct gpt2_step *step, const struct gpt2_pass *last,
                         int32_t *ids, int max_draft) {
    for (int i = 0; i < max_draft; i++)
        ids[i] = i == 1 ? 7 : 3;
    return max_draft;
}

static int32_t choose_three(void *user, const struct gpt2_step *step, bool *last) {
    ++*(int *)user;
    return 3;
}

static void a_draft_of_a_damaged_token_changes_nothing(void **state) {
    char dir[TESTMODEL_PATH], path[TESTMODEL_PATH];
    const struct testmodel_options options = {.n_ctx = N_CTX, .head = TESTMODEL_HEAD_OWN};
    testmodel_tempdir(dir);
    testmodel_write(dir, &options);
    testmodel_path(path, dir, "model.safetensors");
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    uint64_t n_header;
    assert_int_equal(fread(&n_header, sizeof n_header, 1, file), 1);
    const float nan = NAN; // wte comes first, 16 features wide
    assert_int_equal(fseek(file, (long)(8 + n_header) + 7 * 16 * 4, SEEK_SET), 0);
    assert_int_equal(fwrite(&nan, sizeof nan, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    struct gpt2_model *model = gpt2_model_open(dir, NULL);
    testmodel_remove(dir);
    assert_non_null(model);
    struct gpt2_generator *generator = gpt2_generator_create(
        model, world.runtime, &(struct gpt2_generator_options){.max_draft = 4}, NULL);
    int n_chosen = 0;
    const int32_t prompt[] = {1, 2};
    struct gpt2_request job = {.ids = prompt,
                               .n_ids = 2,
                               .n_samples = 1,
                               .max_tokens = 9,
                               .user = &n_chosen,
                               .choose = choose_three,
                               .draft = draft_damaged};
    assert_true(gpt2_generator_add(generator, &job, NULL));
    run(generator);
    assert_int_equal(n_chosen, 9);
    gpt2_generator_free(generator);
    gpt2_model_close(model);
}

static int32_t choose_nonsense(void *user, const struct gpt2_step *step, bool *last) {
    return world.n_vocab;
}

static void an_id_that_is_none_fails_the_step(void **state) {
    static struct record record;
    struct gpt2_generator *generator = create(4, 0, 0);
    struct gpt2_error err;
    make_record(&record, 1, 5, 2, 5);
    record.job.choose = choose_nonsense;
    assert_true(gpt2_generator_add(generator, &record.job, NULL));
    assert_false(gpt2_generator_step(generator, &err));
    assert_int_equal(err.status, GPT2_ERR_USAGE);
    gpt2_generator_free(generator);
}

static void what_is_under_way_is_dropped_without_a_word(void **state) {
    static struct record a, b;
    struct gpt2_generator *generator = create(3, 3, 0);
    make_record(&a, 1, 5, 1, 50);
    make_record(&b, 2, 30, 9, 50); // some running, some not started, some prompt not read
    assert_true(gpt2_generator_add(generator, &a.job, NULL));
    assert_true(gpt2_generator_add(generator, &b.job, NULL));
    assert_true(gpt2_generator_step(generator, NULL));
    gpt2_generator_free(generator);
    for (int s = 0; s < 9; s++)
        assert_false(b.texts[s].ended);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(company_and_limits_change_no_text),
        cmocka_unit_test(a_full_context_slides),
        cmocka_unit_test(a_context_that_slid_100_times_is_that_of_fresh_runs),
        cmocka_unit_test(a_full_context_ends_the_text),
        cmocka_unit_test(room_counts_samples),
        cmocka_unit_test(the_prompt_is_copied),
        cmocka_unit_test(bad_jobs_are_refused_and_change_nothing),
        cmocka_unit_test(drafts_change_no_text),
        cmocka_unit_test(a_draft_of_a_damaged_token_changes_nothing),
        cmocka_unit_test(an_id_that_is_none_fails_the_step),
        cmocka_unit_test(what_is_under_way_is_dropped_without_a_word),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
