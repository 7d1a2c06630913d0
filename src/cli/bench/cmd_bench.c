/* cmd_bench.c - `gpt2 bench`: measures how fast a model runs, and the limits of the machine.
 *
 * Each number of threads has its own runtime, sessions and limits. Its tests run in rounds, and the
 * limits are measured before every test, so that a slow phase of the machine affects both alike.
 * The first round warms up and does not count.
 *
 *     position   0 ............ depth ............ depth + n
 *                 read before        read, timed               in each of `batch` sessions
 *
 * The token at a position is always the same random one. So a session is brought to a depth by a
 * rewind if it is past it, and else by a copy of a session that has been there. */
#include "base/os.h"
#include "base/plural.h"
#include "cli/bench/bench_report.h"
#include "cli/bench/bench_speculate.h"
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/command/sandbox.h"
#include "cli/command/weights_options.h"
#include "cli/io/find_model.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/io/terminal.h"

#include <gpt2/session.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PROMPT 512
#define DEFAULT_DECODE 128
#define MAX_BATCH      1024
#define MANY_PASSES    1000000 /* tests stand for long runs: weights are moved unless --mmap */
#define MAX_ROWS       512     /* tokens of a prompt in one pass */

/* Far larger than any cache; a larger buffer would show the same bandwidth. */
#define MAX_BUFFER ((uint64_t)1 << 30)

struct bench_arguments {
    struct sandbox sandbox;
    const char *model, *cpu, *output;
    struct model_options opening;
    struct int_list prompt, decode, depth, batch, threads;
    int rounds, kv, format;
    bool profile;
    struct weights_options weights;
    const char *speculate, *file;
    float temperature;
    int top_k;
    bool greedy;
};

/* Everything that is allocated; freed by close_all. */
struct bench_run {
    struct bench_arguments args;
    bool fits; /* no format is asked for: tables fit a terminal */
    char *path;
    struct gpt2_model *model;
    const struct gpt2_config *config;
    struct bench_context context;
    int32_t *ids; /* [n_ctx] the token of each position */

    struct bench_result *results; /* [n_results] all tests, group after group */
    int n_results;
    int max_batch, max_depth, max_tokens; /* max_tokens: depth + n */

    /* of the current group */
    struct gpt2_runtime *runtime;
    struct gpt2_roofline *roofline;
    struct gpt2_batch *batch;
    struct gpt2_session *source;    /* has read max_depth tokens          */
    struct gpt2_session **sessions; /* [max_batch]                        */
    struct gpt2_span *spans;        /* [max_batch] one for each session   */
};

/* Rewrites the status line on a terminal, else prints nothing. Round 0 warms up, -1 prepares. */
static void progress(const struct bench_result *test, int round, int rounds) {
    char name[64];
    char threads[32] = "", text[200];
    bench_name(name, sizeof name, test);
    if (test->threads)
        snprintf(threads, sizeof threads, "%d thread%s, ", test->threads, plural(test->threads));
    if (round < 0)
        snprintf(text, sizeof text, "%spreparing", threads);
    else if (round == 0)
        snprintf(text, sizeof text, "%swarm-up: %s", threads, name);
    else
        snprintf(text, sizeof text, "%sround %d of %d: %s", threads, round, rounds, name);
    terminal_status(text);
}

/* SplitMix64 (Steele, Lea, Flood 2014): the same tokens each time. */
static void fill_ids(int32_t *ids, int n, int n_vocab) {
    uint64_t state = 0;
    for (int i = 0; i < n; i++) {
        uint64_t z = state += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        ids[i] = (int32_t)((z ^ z >> 31) % (uint64_t)n_vocab);
    }
}

/* The least that one run of a test multiplies, and reads of the weights. Of a prompt only the last
 * token has logits. */
static void count_work(const struct bench_run *run, struct bench_result *test) {
    const struct gpt2_cost *blocks = &run->context.blocks, *head = &run->context.head;
    double tokens = (double)(test->n_prompt + test->n_decode) * test->batch;
    double logits = test->n_prompt ? 1 : tokens;
    test->f32_operations =
        2 * (tokens * (double)blocks->f32_products + logits * (double)head->f32_products);
    test->int8_operations =
        2 * (tokens * (double)blocks->int8_products + logits * (double)head->int8_products);
    test->read_bytes = (double)test->n_decode * (double)(blocks->bytes + head->bytes);
}

/* Adds what it reads of the KV cache: keys and values of each earlier token. */
static void count_cache(struct bench_result *test, size_t token_bytes) {
    for (int i = 0; i < test->n_decode; i++)
        test->read_bytes += (double)(test->depth + i) * (double)token_bytes * test->batch;
}

static bool add_test(struct bench_run *run, struct bench_result test, struct gpt2_error *err) {
    int n = test.n_prompt + test.n_decode;
    if (n > run->config->n_ctx - test.depth)
        return usage_error(err, "--%s: %d tokens at depth %d do not fit the model's context of %d",
                           test.n_prompt ? "n-prompt" : "n-gen", n, test.depth, run->config->n_ctx);
    struct bench_result *more =
        realloc(run->results, (size_t)(run->n_results + 1) * sizeof *run->results);
    if (!more)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    run->results = more;
    test.rates = calloc((size_t)run->args.rounds, sizeof *test.rates);
    if (!test.rates)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    count_work(run, &test);
    run->results[run->n_results++] = test;
    run->max_batch = test.batch > run->max_batch ? test.batch : run->max_batch;
    run->max_depth = test.depth > run->max_depth ? test.depth : run->max_depth;
    run->max_tokens = test.depth + n > run->max_tokens ? test.depth + n : run->max_tokens;
    return true;
}

/* The given list; without one, `fallback` or `room`, whichever is less. */
static struct int_list list_or(const struct int_list *given, int fallback, int room) {
    return given->n ? *given : (struct int_list){1, {fallback < room ? fallback : room}};
}

/* Makes a test for each combination of the lists. */
static bool list_tests(struct bench_run *run, struct gpt2_error *err) {
    const struct bench_arguments *a = &run->args;
    struct int_list depths = list_or(&a->depth, 0, 0), batches = list_or(&a->batch, 1, 1);
    struct int_list threads = list_or(&a->threads, 0, 0);
    for (int t = 0; t < threads.n; t++) {
        for (int d = 0; d < depths.n; d++) {
            struct bench_result test = {
                .group = t, .threads = threads.values[t], .depth = depths.values[d], .batch = 1};
            int room = run->config->n_ctx - test.depth;
            if (room < 1)
                return usage_error(err,
                                   "--n-depth: %d tokens leave no room in the model's context "
                                   "of %d",
                                   test.depth, run->config->n_ctx);
            struct int_list prompts = list_or(&a->prompt, DEFAULT_PROMPT, room);
            struct int_list decodes = list_or(&a->decode, DEFAULT_DECODE, room);
            for (int i = 0; i < prompts.n; i++) {
                test.n_prompt = prompts.values[i];
                if (test.n_prompt && !add_test(run, test, err))
                    return false;
            }
            test.n_prompt = 0;
            for (int i = 0; i < decodes.n; i++)
                for (int b = 0; b < batches.n; b++) {
                    test.n_decode = decodes.values[i];
                    test.batch = batches.values[b];
                    if (test.n_decode && !add_test(run, test, err))
                        return false;
                }
        }
    }
    return run->n_results || usage_error(err, "nothing to measure: --n-prompt and --n-gen are 0");
}

static struct gpt2_session *create_session(struct bench_run *run, struct gpt2_error *err) {
    return gpt2_session_create(
        run->model,
        &(struct gpt2_session_options){.n_ctx = run->max_tokens, .kv = (enum gpt2_kv)run->args.kv},
        err);
}

static void close_group(struct bench_run *run) {
    for (int i = 0; run->sessions && i < run->max_batch; i++)
        gpt2_session_free(run->sessions[i]);
    free(run->sessions);
    free(run->spans);
    gpt2_session_free(run->source);
    gpt2_batch_free(run->batch);
    gpt2_roofline_free(run->roofline);
    gpt2_runtime_free(run->runtime);
    run->sessions = NULL;
    run->spans = NULL;
    run->source = NULL;
    run->batch = NULL;
    run->roofline = NULL;
    run->runtime = NULL;
}

/* Of a group of tests: n_buffer bytes are read to measure the limit. */
static bool check_memory(const struct bench_run *run, int n_rows, size_t n_buffer,
                         struct gpt2_error *err) {
    struct memory_use use = {.other = gpt2_roofline_bytes(n_buffer)};
    memory_model(&use, run->model);
    memory_sessions(&use, run->model,
                    &(struct memory_sessions){.kv = (enum gpt2_kv)run->args.kv,
                                              .n = run->max_batch + 1,
                                              .n_ctx = run->max_tokens});
    memory_batch(&use, run->model, run->runtime, n_rows, run->max_batch);
    return memory_check(&use, run->args.opening.max_memory, err);
}

/* Creates what a group of tests shares; the source reads max_depth tokens. */
static bool open_group(struct bench_run *run, int n_threads, int n_tests, struct gpt2_error *err) {
    const struct bench_arguments *args = &run->args;
    uint64_t bytes = run->context.blocks.bytes + run->context.head.bytes;
    int rows = run->max_tokens < MAX_ROWS ? run->max_tokens : MAX_ROWS;
    run->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = n_threads, .cpu = args->cpu}, err);
    if (!run->runtime)
        return false;
    if (!check_memory(run, rows > run->max_batch ? rows : run->max_batch,
                      (size_t)(bytes < MAX_BUFFER ? bytes : MAX_BUFFER), err))
        return false;
    if (args->profile)
        gpt2_runtime_profile(run->runtime);
    run->roofline =
        gpt2_roofline_create(run->runtime, (size_t)(bytes < MAX_BUFFER ? bytes : MAX_BUFFER),
                             args->rounds * n_tests, err);
    if (!run->roofline)
        return false;
    run->batch = gpt2_batch_create(
        run->model, run->runtime,
        &(struct gpt2_batch_options){.max_rows = rows > run->max_batch ? rows : run->max_batch,
                                     .max_logits = run->max_batch},
        err);
    if (!run->batch)
        return false;
    run->source = create_session(run, err);
    run->sessions = calloc((size_t)run->max_batch, sizeof(struct gpt2_session *));
    run->spans = calloc((size_t)run->max_batch, sizeof *run->spans);
    if (!run->source)
        return false;
    if (!run->sessions || !run->spans)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    for (int i = 0; i < run->max_batch; i++) {
        run->sessions[i] = create_session(run, err);
        if (!run->sessions[i])
            return false;
    }
    struct gpt2_span span = {run->source, run->ids, run->max_depth, 0};
    return run->max_depth == 0 || gpt2_batch_run(run->batch, &span, 1, err);
}

/* Brings the sessions of a test to its depth by copy or rewind. */
static bool prepare(struct bench_run *run, const struct bench_result *test,
                    struct gpt2_error *err) {
    for (int i = 0; i < test->batch; i++) {
        struct gpt2_session *session = run->sessions[i];
        if (gpt2_session_position(session) < test->depth &&
            (!gpt2_session_fork(session, run->source, err) || !gpt2_session_unshare(session, err)))
            return false;
        if (!gpt2_session_rewind(session, test->depth, err))
            return false;
    }
    return true;
}

/* Runs a test once; *rate is in tokens per second. Also true if a signal ended it early. */
static bool measure(struct bench_run *run, struct bench_result *test, double *rate,
                    struct gpt2_error *err) {
    int n_steps = test->n_prompt ? 1 : test->n_decode;
    int n_ids = test->n_prompt ? test->n_prompt : 1;
    gpt2_profile_clear();
    uint64_t start = os_now_ns();
    for (int step = 0; step < n_steps && !signals_caught(); step++) {
        for (int i = 0; i < test->batch; i++)
            run->spans[i] =
                (struct gpt2_span){run->sessions[i], run->ids + test->depth + step, n_ids, 1};
        if (!gpt2_batch_run(run->batch, run->spans, test->batch, err))
            return false;
    }
    uint64_t spent = os_now_ns() - start;
    *rate = (double)n_steps * n_ids * test->batch / ((double)(spent ? spent : 1) * 1e-9);
    return true;
}

/* Adds what the kernels counted during a run at `rate`. */
static void add_profile(struct bench_result *test, double rate) {
    struct gpt2_profile kind;
    int n = 0;
    for (; n < BENCH_KINDS && gpt2_profile_kind(n, &kind); n++) {
        test->profile[n].name = kind.name;
        test->profile[n].calls += kind.calls;
        test->profile[n].seconds += kind.seconds;
    }
    test->n_kinds = n;
    test->thread_seconds +=
        test->threads * (double)(test->n_prompt + test->n_decode) * test->batch / rate;
}

/* Runs all rounds of n tests that share a runtime. */
static bool run_group(struct bench_run *run, struct bench_result *tests, int n,
                      struct gpt2_error *err) {
    int rounds = run->args.rounds;
    for (int round = 0; round <= rounds; round++) {
        for (int i = 0; i < n && !signals_caught(); i++) {
            double rate;
            progress(&tests[i], round, rounds);
            if (!prepare(run, &tests[i], err))
                return false;
            if (round > 0)
                gpt2_roofline_round(run->roofline);
            if (!measure(run, &tests[i], &rate, err))
                return false;
            if (round > 0)
                tests[i].rates[round - 1] = rate;
            if (round > 0 && run->args.profile)
                add_profile(&tests[i], rate);
        }
    }
    run->context.kv = kv_types[gpt2_session_kv(run->source)];
    for (int i = 0; i < n; i++) {
        gpt2_roofline_rates(run->roofline, &tests[i].limits);
        count_cache(&tests[i], gpt2_session_token_bytes(run->source));
    }
    return true;
}

static bool run_all(struct bench_run *run, struct gpt2_error *err) {
    for (int first = 0, n; first < run->n_results && !signals_caught(); first += n) {
        struct bench_result *tests = run->results + first;
        for (n = 1; first + n < run->n_results && tests[n].group == tests->group;)
            n++;
        progress(tests, -1, 0);
        bool ok = open_group(run, tests->threads, n, err);
        for (int i = 0; ok && i < n; i++) {
            tests[i].threads = gpt2_runtime_threads(run->runtime);
            tests[i].kernels = gpt2_runtime_cpu(run->runtime);
        }
        ok = ok && run_group(run, tests, n, err);
        close_group(run);
        if (!ok)
            return false;
    }
    return true;
}

static bool open_model(struct bench_run *run, struct gpt2_error *err) {
    struct bench_context *context = &run->context;
    run->path = find_model(run->args.model, err);
    run->model = run->path ? model_options_open(run->path, &run->args.opening, NULL, err) : NULL;
    if (!run->model)
        return false;
    if (!weights_prepare(run->model, &run->args.weights, MANY_PASSES, err))
        return false;
    run->config = gpt2_model_config(run->model);
    context->model = run->path;
    context->config = run->config;
    context->parameters = gpt2_model_parameters(run->model);
    context->rounds = run->args.rounds;
    gpt2_model_cost(run->model, &context->blocks, &context->head);
    gpt2_machine_describe(&context->machine);
    run->ids = malloc((size_t)run->config->n_ctx * sizeof *run->ids);
    if (!run->ids)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    fill_ids(run->ids, run->config->n_ctx, run->config->n_vocab);
    return true;
}

/* --speculate, in place of the tests. */
static int speculate(struct bench_run *run, struct output *out) {
    const struct bench_arguments *a = &run->args;
    struct gpt2_error err;
    const struct bench_speculate bench = {.args = {.speculate = a->speculate},
                                          .file = a->file,
                                          .temperature = a->temperature,
                                          .top_k = a->top_k,
                                          .greedy = a->greedy,
                                          .path = run->path,
                                          .model = run->model,
                                          .cpu = a->cpu,
                                          .max_memory = a->opening.max_memory,
                                          .kv = (enum gpt2_kv)a->kv,
                                          .threads = a->threads.n ? a->threads.values[0] : 0,
                                          .n_decode = a->decode.n ? a->decode.values[0] : 128,
                                          .rounds = a->rounds};
    if (a->threads.n > 1 || a->decode.n > 1 || bench.n_decode < 1) {
        usage_error(&err,
                    "--speculate: expected one number of threads and one of tokens, at least 1");
        return report(&err);
    }
    bool ok = output_begin(out, a->output, &err);
    if (run->fits)
        output_fit(out);
    ok = ok && bench_speculate(&bench, out, &err);
    if (ok && signals_caught()) {
        output_discard(out);
        return 128 + signals_caught();
    }
    ok = ok && output_end(out, &err);
    output_discard(out);
    return ok ? 0 : output_failed(out, &err);
}

static int execute(struct bench_run *run) {
    static struct output out;
    struct gpt2_error err;
    sandbox_begin(&run->args.sandbox, (const char *const[]){run->args.output}, 1);
    if (!open_model(run, &err) || !list_tests(run, &err))
        return report(&err);
    sandbox_enter(&run->args.sandbox, CONFINE_READS); // what the system tells of the machine
    for (size_t i = 0; gpt2_model_warning(run->model, i); i++)
        report_note("%s", gpt2_model_warning(run->model, i));
    signals_catch();
    if (run->args.speculate)
        return speculate(run, &out);
    bool ok = run_all(run, &err);
    terminal_clear_status();
    if (!ok)
        return report(&err);
    if (signals_caught())
        return 128 + signals_caught();
    ok = output_begin(&out, run->args.output, &err);
    if (run->fits)
        output_fit(&out);
    ok = ok &&
         bench_report(&out, (enum bench_format)run->args.format, &run->context, run->results,
                      run->n_results, &err) &&
         output_end(&out, &err);
    output_discard(&out);
    return ok ? 0 : output_failed(&out, &err);
}

static void close_all(struct bench_run *run) {
    for (int i = 0; i < run->n_results; i++)
        free(run->results[i].rates);
    free(run->results);
    free(run->ids);
    gpt2_model_close(run->model);
    free(run->path);
}

static int run_bench(int argc, char **argv) {
    static const char *const formats[] = {"md", "csv", "json", NULL};
    const int unset = (int)(sizeof formats / sizeof *formats) - 1;
    struct bench_run run = {
        .args = {.rounds = 5, .format = unset, .temperature = NAN, .top_k = INT_MIN}};
    struct bench_arguments *a = &run.args;
    const struct option table[] = {
        OPT_SECTION("What is measured (lists are tried in every combination)"),
        OPT_INTS("n-prompt", 'p', &a->prompt, 0, 1e6, "N,...",
                 "tokens of a prompt, read at once (default 512, or\n"
                 "what fits; 0: no such test)"),
        OPT_INTS("n-gen", 'n', &a->decode, 0, 1e6, "N,...",
                 "tokens that are read one by one, each for its\n"
                 "logits (default 128, or what fits; 0: no such test)"),
        OPT_INTS("n-depth", 'd', &a->depth, 0, 1e6, "N,...",
                 "tokens in the context before (default 0)", .aliases = "depth"),
        OPT_INTS("batch", 'b', &a->batch, 1, MAX_BATCH, "N,...",
                 "sequences decoded side by side (default 1)", .aliases = "batch-size",
                 .not_with = "n-gen=0"),
        OPT_INT("repetitions", 'r', &a->rounds, 1, 1000, "N", "rounds that count (default 5)",
                .aliases = "rounds"),
        OPT_STRING("speculate", 0, &a->speculate, "lookup|self|MODEL",
                   "in place of these tests: one text with guesses and\n"
                   "without (generate --help), -n tokens of it",
                   .not_with = "n-prompt n-depth batch profile format=csv format=json"),
        OPT_STRING("file", 'f', &a->file, "FILE", "its prompt (default \"Once upon a time\")",
                   .flags = OPTION_READS, .needs = "speculate"),
        OPT_FLOAT("temp", 0, &a->temperature, 0, 1e6, "F",
                  "its temperature (default: as gpt2 generate)", .aliases = "temperature",
                  .needs = "speculate", .not_with = "greedy"),
        OPT_INT("top-k", 0, &a->top_k, 0, INT_MAX, "K",
                "only the K likeliest tokens (default: as gpt2\n"
                "generate; 0: off)",
                .aliases = "k", .needs = "speculate", .not_with = "greedy temp=0"),
        OPT_FLAG("greedy", 0, &a->greedy, "always the likeliest token", .aliases = "no-sample",
                 .needs = "speculate"),
        OPT_FLAG("profile", 0, &a->profile,
                 "the share of each kind of kernel, too; it makes\n"
                 "the tests some percent slower"),
        OPT_SECTION("Model and machine"),
        OPT_MODEL_WORD(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_INTS("threads", 't', &a->threads, 1, 1024, "N,...",
                 "threads (default: all processors this process may use)", .aliases = "n-threads"),
        OPT_CPU(&a->cpu),
        OPT_KV(&a->kv),
        OPT_WEIGHTS(&a->weights),
        OPT_SANDBOX(&a->sandbox),
        OPT_SECTION("Output"),
        OPT_OUTPUT(&a->output),
        OPT_CHOICE("format", 0, &a->format, formats, "md|csv|json",
                   "tables in Markdown (default; on a terminal they fit\n"
                   "it), or all figures"),
        OPT_VALUE("csv", &a->format, formats, "csv", "short for --format csv"),
        OPT_VALUE("json", &a->format, formats, "json", "short for --format json"),
        OPT_END,
    };
    int n_words, code;
    if (command_begin(&command_bench, table, argc, argv, 0, &n_words, &code)) {
        run.fits = a->format == unset;
        a->format = run.fits ? BENCH_MD : a->format;
        code = execute(&run);
    }
    close_all(&run);
    return code;
}

const struct command command_bench = {
    .name = "bench",
    .summary = "measure speed as a share of what the machine can do",
    .usage = "[OPTIONS] [MODEL]",
    .details =
        "Tests: pp512 reads a prompt of 512 tokens, tg128 decodes 128, tg128@d896 after 896\n"
        "others, tg128 b16 in 16 sequences at once. Before every test in every round the limits\n"
        "are measured with the same threads: how fast memory can be read, in a buffer as large\n"
        "as the weights (at most 1 GiB), and how fast the kernels' instructions can multiply.\n"
        "A second buffer, 4 times as large (at most 1 GiB), shows how much of that is a cache.\n"
        "Decoding is bounded by reading, prompts by multiplying, batches by one or the other.\n"
        "Numbers are medians. A share above 102 % or rounds that differ by more than 20 % are\n"
        "said not to be believed. With --speculate the rate may exceed what reading allows: a\n"
        "pass then yields several tokens. -p 16,64,512 -b 1,2,4,8,16,32 shows the curves.\n",
    .examples = EXAMPLES(
        {"gpt2 bench", "the model that comes along, as a share of the machine's limits"},
        {"gpt2 bench gpt2 -p 512 -n 32 -t 1,2", "prompts and decoding, with one thread and two"},
        {"gpt2 bench -p 16,64 -n 0 -r 3 --csv", "a curve, for a program"},
        {"gpt2 bench --speculate lookup -n 64", "what guessing tokens brings"}),
    .common = "model n-prompt n-gen n-depth batch repetitions threads profile speculate json",
    .related = "info compare",
    .run = run_bench,
};
