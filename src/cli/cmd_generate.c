/* cmd_generate.c - a prompt goes in, text comes out, token by token. */
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/weights.h"

#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <gpt2/sampler.h>
#include <gpt2/session.h>
#include <gpt2/tokenizer.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum output_kind { OUTPUT_TEXT, OUTPUT_IDS };

struct arguments {
    struct text_source source;
    const char *ids;
    const char *model;
    int max_tokens;
    float temperature, top_p, min_p;
    int top_k;
    uint64_t seed;
    bool greedy, ignore_eos, special, echo, stats;
    int output, kv;
    struct weights_options weights;
    int threads;
    const char *cpu;
};

/* Everything a run holds; freed in one place. */
struct run {
    struct arguments args;
    char *path;
    struct gpt2_tokenizer *tokenizer; /* NULL where only ids go in and out */
    struct gpt2_model *model;
    struct gpt2_runtime *runtime;
    struct gpt2_session *session;
    struct gpt2_batch *batch;
    struct gpt2_sampler *sampler;
    struct text prompt;
    struct gpt2_ids ids;    /* the prompt's */
    struct gpt2_ids banned; /* never chosen */
    struct output out;

    /* for --stats */
    uint64_t load_ns, prompt_ns, decode_ns, hash;
    int n_generated;
    const char *stop;
};

/* FNV-1a over the bits of the logits: two runs that print the same hash computed the same numbers.
 */
static uint64_t hash_logits(uint64_t hash, const float *logits, int n) {
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001B3;
    }
    return hash;
}

/* A tokenizer that is opened on a thread of its own, as its files take as long as the model's. */
struct opening {
    const char *path;
    struct gpt2_tokenizer *tokenizer;
    struct gpt2_error err;
    atomic_bool done;
};

static void *open_tokenizer(void *data) {
    struct opening *opening = data;
    opening->tokenizer = gpt2_tokenizer_open(opening->path, &opening->err);
    atomic_store(&opening->done, true);
    return NULL;
}

static bool open_model(struct run *run, struct gpt2_error *err) {
    const struct arguments *args = &run->args;
    run->model = gpt2_model_open(run->path, err);
    if (!run->model)
        return false;
    run->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = args->threads, .cpu = args->cpu}, err);
    return run->runtime != NULL;
}

static bool open_all(struct run *run, struct gpt2_error *err) {
    const struct arguments *args = &run->args;
    run->path = find_model(args->model, err);
    if (!run->path)
        return false;
    if (args->ids && args->output != OUTPUT_TEXT)
        return open_model(run, err);
    struct opening opening = {.path = run->path};
    pthread_t thread;
    bool threaded = pthread_create(&thread, NULL, open_tokenizer, &opening) == 0;
    bool ok = open_model(run, err);
    size_t position = 0; // JSON takes its time, which is then not lost
    while (ok && threaded && !atomic_load(&opening.done) &&
           gpt2_model_prefetch(run->model, &position))
        ;
    if (threaded)
        pthread_join(thread, NULL);
    else if (ok)
        open_tokenizer(&opening);
    run->tokenizer = opening.tokenizer;
    if (ok && !run->tokenizer)
        *err = opening.err;
    return ok && run->tokenizer;
}

/* Reads the prompt into run->ids. */
static bool read_prompt(struct run *run, struct gpt2_error *err) {
    const struct arguments *args = &run->args;
    const struct gpt2_config *config = gpt2_model_config(run->model);
    if (args->ids) {
        if (args->source.option || args->source.word || args->source.file)
            return usage_error(err, "the prompt is given more than once: --ids and text");
        if (!text_parse_ids(args->ids, strlen(args->ids), "--ids", &run->ids, err)) {
            err->status = GPT2_ERR_USAGE;
            return false;
        }
    } else {
        if (!text_read(&run->prompt, &args->source, err))
            return false;
        unsigned flags = args->special ? GPT2_ENCODE_SPECIAL : GPT2_ENCODE_TEXT;
        if (!gpt2_tokenizer_encode(run->tokenizer, run->prompt.data, run->prompt.len, flags,
                                   &run->ids, err))
            return false;
    }
    for (size_t i = 0; i < run->ids.len; i++)
        if (run->ids.data[i] >= config->n_vocab)
            return command_error(err, args->ids ? GPT2_ERR_USAGE : GPT2_ERR_MODEL, NULL,
                                 "token id %" PRId32 ": the model's vocabulary ends at %d",
                                 run->ids.data[i], config->n_vocab - 1);
    if (run->ids.len == 0) {
        if (config->bos_id < 0)
            return command_error(err, GPT2_ERR_INPUT, "give a prompt",
                                 "the prompt is empty and the model has no token to start from");
        return gpt2_ids_push(&run->ids, config->bos_id, err);
    }
    if (run->ids.len > (size_t)config->n_ctx)
        return command_error(err, GPT2_ERR_INPUT, "shorten the prompt",
                             "the prompt has %zu tokens, the model's context holds %d",
                             run->ids.len, config->n_ctx);
    return true;
}

/* Rows of wte that stand for no token (padding behind the vocabulary, gaps in it) are never chosen,
 * nor, with --ignore-eos, is the end of the text. */
static bool ban_ids(struct run *run, int n_vocab, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(run->model);
    size_t n;
    for (int32_t id = 0; run->tokenizer && id < n_vocab; id++)
        if (!gpt2_tokenizer_token(run->tokenizer, id, &n) && !gpt2_ids_push(&run->banned, id, err))
            return false;
    for (int i = 0; run->args.ignore_eos && i < config->n_eos; i++)
        if (!gpt2_ids_push(&run->banned, config->eos_ids[i], err))
            return false;
    return true;
}

static bool create_sampler(struct run *run, struct gpt2_error *err) {
    const struct arguments *args = &run->args;
    int n_vocab = gpt2_model_config(run->model)->n_vocab;
    if (!ban_ids(run, n_vocab, err))
        return false;
    struct gpt2_sampler_options options = {
        .temperature = args->greedy ? 0 : args->temperature,
        .top_k = args->top_k,
        .top_p = args->top_p,
        .min_p = args->min_p,
        .seed = args->seed,
        .banned = run->banned.data,
        .n_banned = (int)run->banned.len,
    };
    run->sampler = gpt2_sampler_create(&options, n_vocab, err);
    return run->sampler != NULL;
}

static bool is_end(const struct gpt2_config *config, int32_t id) {
    for (int i = 0; i < config->n_eos; i++)
        if (config->eos_ids[i] == id)
            return true;
    return false;
}

/* Shows one token. Text goes out as whole characters. */
static bool emit(struct run *run, int32_t id, bool first, struct gpt2_error *err) {
    if (run->args.output == OUTPUT_IDS)
        return output_format(&run->out, err, "%s%" PRId32, first ? "" : " ", id) &&
               output_flush(&run->out, err);
    size_t n;
    const char *bytes = gpt2_tokenizer_token(run->tokenizer, id, &n);
    return output_bytes(&run->out, bytes, n, err) && output_flush_text(&run->out, err);
}

static bool emit_prompt(struct run *run, struct gpt2_error *err) {
    for (size_t i = 0; i < run->ids.len; i++)
        if (!emit(run, run->ids.data[i], i == 0, err))
            return false;
    return true;
}

/* Moves the session by n tokens and returns the logits of the last, or NULL. */
static const float *advance(struct run *run, const int32_t *ids, int n, uint64_t *spent_ns,
                            struct gpt2_error *err) {
    uint64_t start = clock_ns();
    struct gpt2_span span = {.session = run->session, .ids = ids, .n_ids = n, .n_logits = 1};
    if (!gpt2_batch_run(run->batch, &span, 1, err))
        return NULL;
    *spent_ns += clock_ns() - start;
    const float *logits = gpt2_batch_logits(run->batch, 0, 0);
    if (run->args.stats)
        run->hash = hash_logits(run->hash, logits, gpt2_model_config(run->model)->n_vocab);
    return logits;
}

/* The loop: sample, show, read the token, again. */
static bool generate(struct run *run, struct gpt2_error *err) {
    const struct gpt2_config *config = gpt2_model_config(run->model);
    int limit = run->args.max_tokens < 0 ? INT32_MAX : run->args.max_tokens;
    if (run->args.echo && !emit_prompt(run, err))
        return false;
    run->stop = "-n reached";
    if (limit == 0)
        return true;
    const float *logits = advance(run, run->ids.data, (int)run->ids.len, &run->prompt_ns, err);
    while (logits) {
        if (signals_caught()) {
            run->stop = "interrupted";
            return true;
        }
        int position = gpt2_session_position(run->session);
        uint64_t start = clock_ns();
        int32_t id = gpt2_sampler_next(run->sampler, logits,
                                       (struct gpt2_draw){.position = (uint32_t)position});
        run->decode_ns += clock_ns() - start;
        if (is_end(config, id)) {
            run->stop = "end of text";
            return true;
        }
        if (!emit(run, id, run->n_generated == 0 && !run->args.echo, err))
            return false;
        if (++run->n_generated == limit)
            return true;
        if (position == gpt2_session_capacity(run->session)) {
            run->stop = "context full";
            return true;
        }
        logits = advance(run, &id, 1, &run->decode_ns, err);
    }
    return false;
}

static double rate(int n, uint64_t ns) {
    return ns ? (double)n / ((double)ns * 1e-9) : 0;
}

static void print_stats(const struct run *run) {
    int decoded = run->n_generated > 1 ? run->n_generated - 1 : 0; // the first came with the prompt
    fprintf(stderr, "load    %9.1f ms\n", (double)run->load_ns * 1e-6);
    fprintf(stderr, "prompt  %9.1f ms  %6zu tokens  %10.1f tok/s\n", (double)run->prompt_ns * 1e-6,
            run->ids.len, rate((int)run->ids.len, run->prompt_ns));
    fprintf(stderr, "decode  %9.1f ms  %6d tokens  %10.1f tok/s\n", (double)run->decode_ns * 1e-6,
            decoded, rate(decoded, run->decode_ns));
    fprintf(stderr, "stop    %s\n", run->stop);
    fprintf(stderr, "seed    %" PRIu64 "\n", run->args.seed);
    fprintf(stderr, "cache   %s\n", kv_types[gpt2_session_kv(run->session)]);
    fprintf(stderr, "machine %d threads, kernels %s\n", gpt2_runtime_threads(run->runtime),
            gpt2_runtime_cpu(run->runtime));
    size_t huge, moved = gpt2_model_moved(run->model, &huge);
    if (moved)
        fprintf(stderr, "weights moved, %.1f MiB, %.0f %% on huge pages\n",
                (double)moved / (1 << 20), 100 * (double)huge / (double)moved);
    else
        fprintf(stderr, "weights in the mapped file\n");
    fprintf(stderr, "logits  %016" PRIx64 "\n", run->hash);
}

static void close_all(struct run *run) {
    gpt2_sampler_free(run->sampler);
    gpt2_batch_free(run->batch);
    gpt2_session_free(run->session);
    gpt2_runtime_free(run->runtime);
    gpt2_model_close(run->model);
    gpt2_tokenizer_close(run->tokenizer);
    gpt2_ids_free(&run->banned);
    gpt2_ids_free(&run->ids);
    text_free(&run->prompt);
    free(run->path);
}

static int execute(struct run *run) {
    struct gpt2_error err;
    uint64_t start = clock_ns();
    if (!open_all(run, &err))
        return report(&err);
    run->load_ns = clock_ns() - start;
    for (size_t i = 0; gpt2_model_note(run->model, i); i++)
        report_note("%s", gpt2_model_note(run->model, i));
    if (!read_prompt(run, &err) || !create_sampler(run, &err))
        return report(&err);
    long long n_passes =
        run->args.max_tokens < 0 ? gpt2_model_config(run->model)->n_ctx : run->args.max_tokens;
    if (!weights_prepare(run->model, &run->args.weights, n_passes, &err))
        return report(&err);
    // room for what will be read, and no more activations than the prompt needs
    int max_rows = run->ids.len < 512 ? (int)run->ids.len : 512;
    run->session = gpt2_session_create(
        run->model, &(struct gpt2_session_options){.kv = (enum gpt2_kv)run->args.kv}, &err);
    if (!run->session)
        return report(&err);
    run->batch = gpt2_batch_create(run->model, run->runtime,
                                   &(struct gpt2_batch_options){.max_rows = max_rows}, &err);
    if (!run->batch)
        return report(&err);

    signals_catch();
    run->hash = 0xCBF29CE484222325;
    bool ok = generate(run, &err);
    struct gpt2_error write_err;
    bool written =
        output_string(&run->out, "\n", &write_err) && output_flush(&run->out, &write_err);
    if (!ok)
        return output_failed(&run->out, &err);
    if (!written)
        return output_failed(&run->out, &write_err);
    if (run->args.stats)
        print_stats(run);
    return signals_caught() ? 128 + signals_caught() : 0;
}

static int run_generate(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    struct gpt2_error err;
    if (!run) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    struct arguments *a = &run->args;
    *a = (struct arguments){.max_tokens = 256, .temperature = 0.8f, .top_k = 40, .top_p = 0.95f};
    static const char *const kinds[] = {"text", "ids", NULL};
    const struct option table[] = {
        {.name = "Prompt", .type = OPTION_SECTION},
        {"prompt", 'p', "prefix start input", OPTION_STRING, &a->source.option, 0, 0, NULL, "TEXT",
         "the text to continue (also as a plain argument;\n\"-\" or a pipe is standard input)"},
        {"file", 'f', "prompt-file", OPTION_STRING, &a->source.file, 0, 0, NULL, "FILE",
         "read the prompt from a file; one newline at its end\nis dropped"},
        {"keep-newline", 0, NULL, OPTION_FLAG, &a->source.keep_newline, 0, 0, NULL, NULL,
         "keep that newline"},
        {"ids", 0, NULL, OPTION_STRING, &a->ids, 0, 0, NULL, "1,2,3", "the prompt as token ids"},
        {"special", 0, NULL, OPTION_FLAG, &a->special, 0, 0, NULL, NULL,
         "<|endoftext|> in the prompt is the special token;\nelse it is text like any other"},
        {.name = "Model", .type = OPTION_SECTION},
        OPTION_MODEL(&a->model),
        OPTION_THREADS(&a->threads),
        OPTION_CPU(&a->cpu),
        OPTION_KV(&a->kv),
        OPTIONS_WEIGHTS(&a->weights),
        {.name = "Sampling (in this order: temperature, top-k, top-p, min-p)",
         .type = OPTION_SECTION},
        {"max-tokens", 'n', "n-predict predict max-new-tokens length num-predict sample-len",
         OPTION_INT, &a->max_tokens, -1, INT32_MAX, NULL, "N",
         "how many tokens at most (default 256; -1: until the\ncontext is full)"},
        {"temp", 0, "temperature", OPTION_FLOAT, &a->temperature, 0, 1e6, NULL, "F",
         "temperature (default 0.8); 0 is greedy"},
        {"top-k", 0, NULL, OPTION_INT, &a->top_k, 0, INT32_MAX, NULL, "K",
         "only the K likeliest tokens (default 40; 0: off)"},
        {"top-p", 0, NULL, OPTION_FLOAT, &a->top_p, 0, 1, NULL, "P",
         "only the likeliest tokens that together reach P\n(default 0.95; 1: off)"},
        {"min-p", 0, NULL, OPTION_FLOAT, &a->min_p, 0, 1, NULL, "P",
         "only tokens at least P times as likely as the\nlikeliest (default 0: off)"},
        {"greedy", 0, "no-sample", OPTION_FLAG, &a->greedy, 0, 0, NULL, NULL,
         "always the likeliest token, of equals the lowest id"},
        {"seed", 's', "random-seed", OPTION_SEED, &a->seed, 0, 0, NULL, "SEED",
         "a number (default 0), or \"random\" for another text\neach time"},
        {"ignore-eos", 0, NULL, OPTION_FLAG, &a->ignore_eos, 0, 0, NULL, NULL,
         "never choose the token that ends a text"},
        {.name = "Output", .type = OPTION_SECTION},
        {"echo", 0, "display-prompt include-prefix return-full-text", OPTION_FLAG, &a->echo, 0, 0,
         NULL, NULL, "print the prompt first"},
        {"output", 0, NULL, OPTION_CHOICE, &a->output, 0, 0, kinds, "text|ids",
         "text, or token ids separated by spaces"},
        {"stats", 0, NULL, OPTION_FLAG, &a->stats, 0, 0, NULL, NULL,
         "times, rates, seed and a hash of all logits on\nstandard error"},
        {0},
    };
    int n_words, code;
    if (options_begin(&command_generate, table, argc, argv, 1, &n_words, &code)) {
        a->source.word = n_words ? argv[0] : NULL;
        code = execute(run);
    }
    close_all(run);
    free(run);
    return code;
}

const struct command command_generate = {
    .name = "generate",
    .summary = "continue a text",
    .usage = "[OPTIONS] [PROMPT]",
    .details =
        "The text ends at <|endoftext|>, at -n, or where the context is full. Standard output "
        "gets\n"
        "the new text and one newline, nothing else. An empty prompt starts from <|endoftext|>.\n"
        "The same model, prompt, options and seed give the same text, on any machine, with any\n"
        "number of threads.\n",
    .run = run_generate,
};
