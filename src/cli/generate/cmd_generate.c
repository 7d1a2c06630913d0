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
        {.name = "Prompt", .type = OPTION_SECTION},
        {"prompt", 'p', "prefix start", OPTION_STRING, &a->source.option, 0, 0, NULL, "TEXT",
         "the text to continue (also as a plain argument;\n\"-\" or a pipe is standard input)"},
        {"file", 'f', "prompt-file", OPTION_STRING, &a->source.file, 0, 0, NULL, "FILE",
         "read the prompt from a file; one newline at its end\nis dropped"},
        {"keep-newline", 0, NULL, OPTION_FLAG, &a->source.keep_newline, 0, 0, NULL, NULL,
         "keep that newline"},
        {"interactive", 'i', NULL, OPTION_FLAG, &a->interactive, 0, 0, NULL, NULL,
         "a session: each line you type is added to the text\nand continued; /help lists its "
         "commands (default on\na terminal, without a prompt)"},
        {"ids", 0, NULL, OPTION_STRING, &a->ids, 0, 0, NULL, "1,2,3", "the prompt as token ids"},
        {.name = "Model", .type = OPTION_SECTION},
        OPTION_MODEL(&a->model),
        OPTION_THREADS(&a->threads),
        OPTION_CPU(&a->cpu),
        OPTION_KV(&a->kv),
        OPTIONS_WEIGHTS(&a->weights),
    };
    const struct option tail[] = {
        {.name = "Output", .type = OPTION_SECTION},
        {"out", 'o', "output-file", OPTION_STRING, &a->out_file, 0, 0, NULL, "FILE",
         "write to a file, which is there whole or not at all"},
        {"output", 0, NULL, OPTION_STRING, &a->output_name, 0, 0, NULL, "text|ids",
         "text, or token ids separated by spaces; with --input\nthe file for the results, \"-\" "
         "(default) is stdout"},
        {"json", 0, NULL, OPTION_FLAG, &a->json, 0, 0, NULL, NULL,
         "one object, as OpenAI's completions have it"},
        {"jsonl", 0, NULL, OPTION_FLAG, &a->jsonl, 0, 0, NULL, NULL,
         "one object for each token, as it comes"},
        {"color", 0, NULL, OPTION_CHOICE, &a->color, 0, 0, colors, "surprisal",
         "on a terminal: tint tokens by how surprising they\nwere, in bits"},
        {"stats", 0, NULL, OPTION_FLAG, &a->stats, 0, 0, NULL, NULL,
         "times, rates, seed and a hash of all logits on\nstandard error"},
        {.name = "Many prompts", .type = OPTION_SECTION},
        {"input", 0, NULL, OPTION_STRING, &a->bulk.input, 0, 0, NULL, "FILE",
         "a prompt on each line, plain or as an object of JSON\nwith \"prompt\" and options of "
         "its own; \"-\" is stdin"},
        {"input-format", 0, NULL, OPTION_CHOICE, &a->bulk.format, 0, 0, formats, "KIND",
         "jsonl or lines (default auto: by the first line)"},
        {"parallel", 0, "np", OPTION_INT, &a->parallel, 1, 4096, NULL, "N",
         "texts under way at once (default 64); the result is\nthe same for any"},
        {"resume", 0, NULL, OPTION_FLAG, &a->bulk.resume, 0, 0, NULL, NULL,
         "go on where the output ends"},
        {"shard", 0, NULL, OPTION_STRING, &a->bulk.shard, 0, 0, NULL, "I/N",
         "only lines whose number modulo N is I, from 0"},
        {"fail-fast", 0, NULL, OPTION_FLAG, &a->bulk.fail_fast, 0, 0, NULL, NULL,
         "end with the first record that fails"},
        {"progress-json", 0, NULL, OPTION_FLAG, &a->bulk.progress_json, 0, 0, NULL, NULL,
         "progress as lines of JSON on standard error"},
        {"quiet", 'q', NULL, OPTION_FLAG, &a->bulk.quiet, 0, 0, NULL, NULL, "no progress"},
        {0},
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
