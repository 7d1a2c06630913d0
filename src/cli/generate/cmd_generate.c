/* cmd_generate.c - the options of generate; what they ask for is in generate_once.c and bulk.c. */
#include "cli/command/commands.h"
#include "cli/generate/generate_once.h"
#include "cli/generate/interactive.h"
#include "cli/io/find_model.h"
#include "cli/io/report.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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
    run->model = gpt2_model_open_lazy(run->path, err);
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
    if (args->ids && args->output == OUTPUT_IDS && !args->json && !args->jsonl)
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

static void close_all(struct run *run) {
    generate_run_free(run);
    gpt2_runtime_free(run->runtime);
    gpt2_model_close(run->model);
    gpt2_tokenizer_close(run->tokenizer);
    free(run->path);
}

static int run_bulk(struct run *run) {
    struct arguments *args = &run->args;
    struct gpt2_error err;
    if (args->ids || args->source.option || args->source.word || args->source.file) {
        usage_error(&err, "--input has the prompts: expected no other prompt");
        return report(&err);
    }
    if (!weights_prepare(run->model, &args->weights, 1000, &err))
        return report(&err);
    if (!args->bulk.output)
        args->bulk.output = "-";
    return bulk_run(&(struct bulk){.options = &args->bulk,
                                   .settings = &args->settings,
                                   .model = run->model,
                                   .tokenizer = run->tokenizer,
                                   .runtime = run->runtime,
                                   .model_name = args->model ? args->model : "tales",
                                   .kv = (enum gpt2_kv)args->kv,
                                   .max_samples = args->parallel});
}

static int execute(struct run *run) {
    struct gpt2_error err;
    uint64_t start = os_now_ns();
    if (!open_all(run, &err))
        return report(&err);
    run->load_ns = os_now_ns() - start;
    for (size_t i = 0; gpt2_model_warning(run->model, i); i++)
        report_note("%s", gpt2_model_warning(run->model, i));
    if (interactive_wanted(&run->args))
        return interactive_run(run);
    return run->args.bulk.input ? run_bulk(run) : generate_once(run);
}

static int run_generate(int argc, char **argv) {
    struct run *run = calloc(1, sizeof *run);
    struct gpt2_error err;
    if (!run) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    struct arguments *a = &run->args;
    a->settings = settings_unset();
    a->parallel = 64;
    static const char *const formats[] = {"auto", "jsonl", "lines", NULL};
    static const char *const colors[] = {"never", "surprisal", NULL};
    const struct option head[] = {
        OPT_SECTION("Prompt"),
        OPT_STRING("prompt", 'p', &a->source.option, "TEXT",
                   "the text to continue (also as a plain argument;\n"
                   "\"-\" or a pipe is standard input)",
                   .aliases = "prefix start"),
        OPT_STRING("file", 'f', &a->source.file, "FILE",
                   "read the prompt from a file; one newline at its end\n"
                   "is dropped",
                   .aliases = "prompt-file"),
        OPT_FLAG("keep-newline", 0, &a->source.keep_newline, "keep that newline"),
        OPT_FLAG("interactive", 'i', &a->interactive,
                 "a session: each line you type is added to the text\n"
                 "and continued; /help lists its commands (default on\n"
                 "a terminal, without a prompt)"),
        OPT_STRING("ids", 0, &a->ids, "1,2,3", "the prompt as token ids"),
        OPT_SECTION("Model"),
        OPT_MODEL(&a->model),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_KV(&a->kv),
        OPT_WEIGHTS(&a->weights),
    };
    const struct option tail[] = {
        OPT_SECTION("Output"),
        OPT_STRING("out", 'o', &a->out_file, "FILE",
                   "write to a file, which is there whole or not at all", .aliases = "output-file"),
        OPT_STRING("output", 0, &a->output_name, "text|ids",
                   "text, or token ids separated by spaces; with --input\n"
                   "the file for the results, \"-\" (default) is stdout"),
        OPT_FLAG("json", 0, &a->json, "one object, as OpenAI's completions have it"),
        OPT_FLAG("jsonl", 0, &a->jsonl, "one object for each token, as it comes"),
        OPT_CHOICE("color", 0, &a->color, colors, "surprisal",
                   "on a terminal: tint tokens by how surprising they\n"
                   "were, in bits"),
        OPT_FLAG("stats", 0, &a->stats,
                 "times, rates, seed and a hash of all logits on\n"
                 "standard error"),
        OPT_SECTION("Many prompts"),
        OPT_STRING("input", 0, &a->bulk.input, "FILE",
                   "a prompt on each line, plain or as an object of JSON\n"
                   "with \"prompt\" and options of its own; \"-\" is stdin"),
        OPT_CHOICE("input-format", 0, &a->bulk.format, formats, "KIND",
                   "jsonl or lines (default auto: by the first line)"),
        OPT_INT("parallel", 0, &a->parallel, 1, 4096, "N",
                "texts under way at once (default 64); the result is\n"
                "the same for any",
                .aliases = "np"),
        OPT_FLAG("resume", 0, &a->bulk.resume, "go on where the output ends"),
        OPT_STRING("shard", 0, &a->bulk.shard, "I/N",
                   "only lines whose number modulo N is I, from 0"),
        OPT_FLAG("fail-fast", 0, &a->bulk.fail_fast, "end with the first record that fails"),
        OPT_FLAG("progress-json", 0, &a->bulk.progress_json,
                 "progress as lines of JSON on standard error"),
        OPT_FLAG("quiet", 'q', &a->bulk.quiet, "no progress"),
        OPT_END,
    };
    enum { N_HEAD = sizeof head / sizeof *head, N_TAIL = sizeof tail / sizeof *tail };
    struct option table[N_HEAD + SETTINGS_ROWS + N_TAIL];
    memcpy(table, head, sizeof head);
    int n = settings_table(table + N_HEAD, &a->settings);
    memcpy(table + N_HEAD + n, tail, sizeof tail);
    int n_words, code;
    if (options_begin(&command_generate, table, argc, argv, 1, &n_words, &code)) {
        a->source.word = n_words ? argv[0] : NULL;
        a->bulk.output = a->output_name;
        bool ids = a->output_name && !strcmp(a->output_name, "ids");
        a->output = ids ? OUTPUT_IDS : OUTPUT_TEXT;
        if (!a->bulk.input && a->output_name && !ids && strcmp(a->output_name, "text")) {
            usage_error(&err, "--output: expected one of text, ids, got \"%s\"", a->output_name);
            code = report(&err);
        } else {
            code = execute(run);
        }
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
        "The text ends at <|endoftext|> (--compat openai and nanogpt: goes on behind it), at -n, "
        "or\n"
        "where the context is full. Standard output gets the new text and one newline, nothing\n"
        "else. An empty prompt starts from <|endoftext|>.\n"
        "The same model, prompt, options and seed give the same text, on any machine, with any\n"
        "number of threads.\n"
        "\n"
        "In a session (-i) the text so far and the line that is typed are the prompt, so that\n"
        "generate -p gives the same for the whole text. /set NAME VALUE sets an option of\n"
        "sampling, repetition or length, /again tries the next seed, /undo takes a turn back.\n"
        "Lines are kept in $GPT2_HISTORY (empty: nowhere; default gpt2/history in\n"
        "$XDG_STATE_HOME, else in ~/.local/state).\n"
        "\n"
        "With --input each line of output is an object with the record's \"id\" (without one: the\n"
        "number of its line) and \"choices\", or \"error\". Names of options in a record are "
        "those\n"
        "above. What is drawn depends on the id, not on order, shards or restarts. gpt2-bulk(5) "
        "has\n"
        "the fields, and commands for GNU parallel, ssh, Slurm and Kubernetes.\n",
    .run = run_generate,
};
