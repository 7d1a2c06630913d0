/* bench_speculate.c - decodes one text plainly and with guesses, A B A B, and compares. */
#include "cli/bench/bench_speculate.h"
#include "base/os.h"
#include "base/plural.h"
#include "cli/bench/bench_table.h"
#include "cli/command/draws.h"
#include "cli/command/memory_limit.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"

#include <gpt2/completion.h>
#include <gpt2/roofline.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BUFFER ((uint64_t)1 << 30)

/* Everything that is allocated. */
struct speculation_bench {
    const struct bench_speculate *bench;
    struct gpt2_tokenizer *tokenizer;
    struct gpt2_runtime *runtime;
    struct gpt2_roofline *roofline;
    struct speculate speculate;
    struct gpt2_sampler *sampler;
    struct buffer draws;          /* for the legend */
    struct gpt2_ids prompt, text; /* text: of the first run */
    double *rates[2];             /* [rounds] tokens a second, plain and guessed */
    uint64_t first_ns;            /* when the first token was chosen; 0: not yet */
};

/* The prompt's pass is not part of decoding. */
static bool note_first(void *user, const float *logits) {
    struct speculation_bench *w = user;
    if (!w->first_ns)
        w->first_ns = os_now_ns();
    return !signals_caught();
}

static bool check_same(struct speculation_bench *w, const struct gpt2_sample *made,
                       struct gpt2_error *err) {
    for (int i = 0; w->text.len < (size_t)made->n_ids && i < made->n_ids; i++)
        if (!gpt2_ids_push(&w->text, made->ids[i], err))
            return false;
    return memcmp(w->text.data, made->ids, w->text.len * sizeof *made->ids) == 0 ||
           command_error(err, GPT2_ERR_RUNTIME, NULL, "--speculate: the texts differ");
}

static bool decode(struct speculation_bench *w, bool guess, double *rate, struct gpt2_error *err) {
    const struct gpt2_prompt prompt = {.ids = w->prompt.data, .n_ids = (int)w->prompt.len};
    const struct gpt2_completion_options options = {.max_tokens = w->bench->n_decode + 1,
                                                    .ignore_eos = true,
                                                    .sampler = w->sampler,
                                                    .kv = w->bench->kv,
                                                    .speculation =
                                                        guess ? w->speculate.speculation : NULL,
                                                    .go_on = note_first,
                                                    .user = w};
    struct gpt2_completion *c =
        gpt2_completion_create(w->bench->model, w->tokenizer, &prompt, &options, err);
    w->first_ns = 0;
    bool ok = c && gpt2_completion_run(c, w->runtime, err);
    if (ok && !signals_caught()) {
        struct gpt2_sample made = gpt2_completion_get(c, 0);
        *rate = (made.n_ids - 1) / ((double)(os_now_ns() - w->first_ns) * 1e-9);
        ok = check_same(w, &made, err);
    }
    gpt2_completion_free(c);
    return ok;
}

static bool read_prompt(struct speculation_bench *w, struct gpt2_error *err) {
    struct text text = {0};
    const struct text_source source = {.option = w->bench->file ? NULL : "Once upon a time",
                                       .file = w->bench->file};
    const int n_ctx = gpt2_model_config(w->bench->model)->n_ctx;
    bool ok =
        text_read(&text, &source, err) &&
        gpt2_tokenizer_encode(w->tokenizer, text.data, text.len, GPT2_ENCODE_TEXT, &w->prompt, err);
    text_free(&text);
    if (ok && w->prompt.len + (size_t)w->bench->n_decode + 1 > (size_t)n_ctx)
        ok = usage_error(err,
                         "--speculate: %d tokens after a prompt of %zu do not fit the model's "
                         "context of %d",
                         w->bench->n_decode, w->prompt.len, n_ctx);
    return ok;
}

/* The draws of all runs, and how the legend names them. */
static bool make_sampler(struct speculation_bench *w, struct gpt2_error *err) {
    const struct bench_speculate *b = w->bench;
    const struct gpt2_config *config = gpt2_model_config(b->model);
    struct gpt2_sampler_options o;
    struct gpt2_ids banned = {0};
    gpt2_completion_defaults(&o, config);
    o.ignore_eos = true;
    o.greedy = b->greedy || (o.greedy && isnan(b->temperature) && b->top_k == INT_MIN);
    if (!isnan(b->temperature))
        o.temperature = b->temperature;
    if (b->top_k != INT_MIN)
        o.top_k = b->top_k;
    draws_print(&w->draws, &o);
    if (w->draws.failed)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    if (gpt2_tokenizer_lacks(w->tokenizer, config->n_vocab, &banned, err)) {
        o.banned = banned.data;
        o.n_banned = (int)banned.len;
        w->sampler = gpt2_sampler_create(&o, config->n_vocab, err);
    }
    gpt2_ids_free(&banned);
    return w->sampler != NULL;
}

/* The draft is there already, but for one that is made of the model's own weights. */
static bool check_memory(const struct speculation_bench *w, size_t n_buffer,
                         struct gpt2_error *err) {
    const struct bench_speculate *b = w->bench;
    struct memory_use use = {.other = gpt2_roofline_bytes(n_buffer)};
    memory_model(&use, b->model);
    memory_sessions(&use, b->model, &(struct memory_sessions){.kv = b->kv, .n = 1});
    memory_batch(&use, b->model, w->runtime, 512, 32);
    if (strcmp(b->args.speculate, "lookup") != 0)
        memory_draft(&use, b->model, NULL, w->runtime);
    return memory_check(&use, b->max_memory, err);
}

static bool prepare(struct speculation_bench *w, struct gpt2_error *err) {
    const struct bench_speculate *b = w->bench;
    struct gpt2_cost blocks, head;
    gpt2_model_cost(b->model, &blocks, &head);
    const uint64_t bytes = blocks.bytes + head.bytes;
    w->tokenizer = gpt2_tokenizer_open(b->path, err);
    if (!w->tokenizer || !read_prompt(w, err) || !make_sampler(w, err))
        return false;
    w->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = b->threads, .cpu = b->cpu}, err);
    const size_t n_buffer = (size_t)(bytes < MAX_BUFFER ? bytes : MAX_BUFFER);
    if (!w->runtime || !check_memory(w, n_buffer, err))
        return false;
    w->roofline = gpt2_roofline_create(w->runtime, n_buffer, b->rounds, err);
    for (int i = 0; i < 2; i++) {
        w->rates[i] = calloc((size_t)b->rounds, sizeof(double));
        if (!w->rates[i])
            return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory");
    }
    return w->roofline && speculate_create(&w->speculate, &b->args, b->model, w->tokenizer,
                                           w->runtime, 1, false, err);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *rates, int n) {
    qsort(rates, (size_t)n, sizeof *rates, compare);
    return (rates[(n - 1) / 2] + rates[n / 2]) / 2;
}

/* Two lines of eight cells, as programs may know them: no cell is padded. */
static bool print_markdown(struct output *out, const struct bench_line *lines,
                           struct gpt2_error *err) {
    bool ok = output_string(out, "\n", err);
    for (int r = 0; ok && r < 2; r++) {
        for (int c = 0; ok && c < 8; c++)
            ok = output_format(out, err, "| %s ", lines[r].cell[c]);
        ok = ok && output_string(out, "|\n", err);
        if (r == 0)
            ok = ok && output_string(
                           out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n", err);
    }
    return ok;
}

/* Of the guesses that the counted rounds made. */
static bool print(struct speculation_bench *w, struct gpt2_speculation_counts before,
                  struct output *out, struct gpt2_error *err) {
    struct gpt2_speculation_counts n = {0};
    if (w->speculate.speculation)
        n = gpt2_speculation_counts(w->speculate.speculation);
    struct gpt2_rates limits;
    struct gpt2_cost blocks, head;
    gpt2_model_cost(w->bench->model, &blocks, &head);
    gpt2_roofline_rates(w->roofline, &limits);
    const double read = limits.read_huge > limits.read_small ? limits.read_huge : limits.read_small;
    const double wall = read / (double)(blocks.bytes + head.bytes);
    const double plain = median(w->rates[0], w->bench->rounds);
    const double guessed = median(w->rates[1], w->bench->rounds);
    const double drafted = (double)(n.n_drafted - before.n_drafted);
    const double passes = (double)(n.n_passes - before.n_passes);
    struct bench_line lines[] = {
        {.cell = {"guesses", "threads", "plain tok/s", "tok/s", "ratio", "right", "tokens a pass",
                  "of read"}},
        {.cell = {""}},
    };
    const double shares[] = {
        plain,
        guessed,
        guessed / plain,
        drafted > 0 ? 100 * (double)(n.n_accepted - before.n_accepted) / drafted : 0,
        passes > 0 ? (double)(n.n_tokens - before.n_tokens) / passes : 1,
        100 * guessed / wall};
    static const char *const forms[] = {"%.1f", "%.1f", "%.2f", "%.1f %%", "%.2f", "%.1f %%"};
    snprintf(lines[1].cell[0], sizeof *lines->cell, "%s", w->speculate.mode);
    snprintf(lines[1].cell[1], sizeof *lines->cell, "%d", gpt2_runtime_threads(w->runtime));
    for (int i = 0; i < 6; i++)
        snprintf(lines[1].cell[2 + i], sizeof *lines->cell, forms[i], shares[i]);
    char legend[512];
    snprintf(
        legend, sizeof legend,
        "The same %d token%s with guesses and without, in turns; %s.\nof read: what reading all "
        "weights for each token would allow is 100 %%; plain: %.1f %%.\n",
        w->bench->n_decode, plural(w->bench->n_decode), w->draws.data, 100 * plain / wall);
    return (out->width ? bench_table(out, lines, 2, 8, err) : print_markdown(out, lines, err)) &&
           output_string(out, "\n", err) && bench_prose(out, legend, err);
}

bool bench_speculate(const struct bench_speculate *bench, struct output *out,
                     struct gpt2_error *err) {
    struct speculation_bench w = {.bench = bench};
    struct gpt2_speculation_counts before = {0};
    bool ok = prepare(&w, err);
    for (int round = 0; ok && round <= bench->rounds && !signals_caught(); round++) {
        if (round == 1 && w.speculate.speculation)
            before = gpt2_speculation_counts(w.speculate.speculation);
        if (round > 0)
            gpt2_roofline_round(w.roofline);
        for (int guess = 0; ok && guess < 2; guess++) {
            double rate = 0;
            ok = decode(&w, guess, &rate, err);
            if (round > 0)
                w.rates[guess][round - 1] = rate;
        }
    }
    if (ok && !signals_caught())
        ok = print(&w, before, out, err);
    free(w.rates[0]);
    free(w.rates[1]);
    speculate_free(&w.speculate);
    gpt2_sampler_free(w.sampler);
    buffer_free(&w.draws);
    gpt2_ids_free(&w.prompt);
    gpt2_ids_free(&w.text);
    gpt2_roofline_free(w.roofline);
    gpt2_runtime_free(w.runtime);
    gpt2_tokenizer_close(w.tokenizer);
    return ok;
}
