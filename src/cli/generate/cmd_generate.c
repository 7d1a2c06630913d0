/* cmd_generate.c - the options of generate; what they ask for is in generate_once.c and bulk.c. */
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/generate/bulk.h"
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
    bool is_optional, failed; /* only ids go in and out: it says which of them are tokens */
    atomic_bool done;
};

static void *open_tokenizer(void *data) {
    struct opening *opening = data;
    if (!opening->is_optional)
        opening->tokenizer = gpt2_tokenizer_open(opening->path, &opening->err);
    else if (!gpt2_tokenizer_open_if_any(&opening->tokenizer, opening->path, &opening->err))
        opening->failed = true;
    atomic_store(&opening->done, true);
    return NULL;
}

static bool open_model(struct generate_run *run, struct gpt2_error *err) {
    const struct generate_arguments *args = &run->args;
    run->model = args->opening.expand ? model_options_expand(run->path, err)
                                      : gpt2_model_open_lazy(run->path, err);
    if (!run->model)
        return false;
    run->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = args->threads, .cpu = args->cpu}, err);
    return run->runtime && model_options_merge(run->model, &args->opening.lora, run->runtime, err);
}

static bool open_all(struct generate_run *run, struct gpt2_error *err) {
    const struct generate_arguments *args = &run->args;
    run->path = find_model(args->model, err);
    if (!run->path)
        return false;
    struct opening opening = {.path = run->path};
    opening.is_optional = args->ids && args->format == FORMAT_IDS;
    pthread_t thread;
    bool threaded = os_thread(&thread, open_tokenizer, &opening) == 0;
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
    if (ok && opening.failed) {
        report_note("%s", opening.err.message);
        report_note("ids that are no token may be chosen");
    }
    if (ok && !run->tokenizer && !opening.is_optional)
        *err = opening.err;
    return ok && (run->tokenizer || opening.is_optional);
}

static void close_all(struct generate_run *run) {
    generate_run_free(run);
    gpt2_runtime_free(run->runtime);
    gpt2_model_close(run->model);
    gpt2_tokenizer_close(run->tokenizer);
    free(run->path);
}

static int run_bulk(struct generate_run *run) {
    struct generate_arguments *args = &run->args;
    struct gpt2_error err;
    if (!weights_prepare(run->model, &args->weights, 1000, &err))
        return report(&err);
    args->bulk.output = args->output ? args->output : "-";
    return bulk_run(&(struct bulk_job){.options = &args->bulk,
                                       .settings = &args->settings,
                                       .model = run->model,
                                       .tokenizer = run->tokenizer,
                                       .runtime = run->runtime,
                                       .model_name = model_or_default(args->model),
                                       .kv = (enum gpt2_kv)args->kv,
                                       .max_samples = args->parallel,
                                       .sandbox = &args->sandbox,
                                       .max_memory = args->opening.max_memory,
                                       .cache_memory = args->cache_memory});
}

static void begin_sandbox(struct generate_arguments *args) {
    const char *const outputs[] = {args->output, args->logits, args->save_session,
                                   args->prompt_cache};
    if (interactive_wanted(args))
        sandbox_begin_session(&args->sandbox);
    else
        sandbox_begin(&args->sandbox, outputs, sizeof outputs / sizeof *outputs);
}

static int execute(struct generate_run *run) {
    struct gpt2_error err;
    uint64_t start = os_now_ns();
    begin_sandbox(&run->args);
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
    struct generate_run *run = calloc(1, sizeof *run);
    struct gpt2_error err;
    if (!run) {
        command_error(&err, GPT2_ERR_MEMORY, NULL, "out of memory");
        return report(&err);
    }
    struct generate_arguments *a = &run->args;
    a->settings = settings_unset();
    a->parallel = 64;
    a->cache_memory = CACHE_MEMORY;
    static const char *const inputs[] = {"auto", "jsonl", "lines", NULL};
    static const char *const formats[] = {"text", "ids", "json", "jsonl", NULL};
    static const char *const tints[] = {"none", "surprisal", NULL};
    const struct option head[] = {
        OPT_SECTION("Prompt"),
        OPT_STRING("prompt", 'p', &a->source.option, "TEXT",
                   "the text to continue (also as a plain argument,\n"
                   "where \"-\", or a pipe if nothing is given, is standard\n"
                   "input; -p - is a text)",
                   .aliases = "prefix start", .not_with = "ids input"),
        OPT_STRING("file", 'f', &a->source.file, "FILE",
                   "read the prompt from a file, without one newline at\n"
                   "its end; what --prompt gives follows it",
                   .flags = OPTION_READS, .aliases = "prompt-file", .not_with = "ids input"),
        OPT_FLAG("keep-newline", 0, &a->source.exact,
                 "keep that newline, \"\\r\\n\" and a byte order mark: the\n"
                 "bytes as they are",
                 .not_with = "prompt+!file @+!file ids input"),
        OPT_FLAG("escape", 'e', &a->source.escape,
                 "\\n, \\r, \\t, \\\\ and \\xHH in the prompt are those bytes",
                 .needs = "prompt @"),
        OPT_FLAG("interactive", 'i', &a->interactive,
                 "a session: each line you type is added to the text\n"
                 "and continued; /help lists its commands (default on\n"
                 "a terminal, without a prompt)",
                 .not_with = "input output format=ids format=json format=jsonl beams ids echo "
                             "best-of logprobs num-samples"),
        OPT_STRING("ids", 0, &a->ids, "1,2,3", "the prompt as token ids", .not_with = "@ input"),
        OPT_SECTION("Model"),
        OPT_MODEL(&a->model),
        OPT_MODEL_OPTIONS(&a->opening),
        OPT_THREADS(&a->threads),
        OPT_CPU(&a->cpu),
        OPT_KV(&a->kv),
        OPT_WEIGHTS(&a->weights),
        OPT_SPECULATE(&a->speculate),
        OPT_SANDBOX(&a->sandbox),
    };
    const struct option tail[] = {
        OPT_SECTION("Output"),
        OPT_JOB_OUTPUT(&a->output),
        OPT_RENAMED("out", "--output"),
        OPT_CHOICE("format", 0, &a->format, formats, "text|ids|json|jsonl",
                   "text (default), token ids separated by spaces, one\n"
                   "object as OpenAI's completions have it, or one for\n"
                   "each token as it comes; with --input always jsonl",
                   .not_with = "input+!format=jsonl"),
        OPT_VALUE("json", &a->format, formats, "json", "short for --format json"),
        OPT_VALUE("jsonl", &a->format, formats, "jsonl", "short for --format jsonl"),
        OPT_CHOICE("tint", 0, &a->tint, tints, "none|surprisal",
                   "text on a background that shows how surprising each\n"
                   "token was, in bits, and what the colours mean\n"
                   "(default none)",
                   .not_with = "input format=ids format=json format=jsonl"),
        OPT_COLOR(&a->color, .hint = "--tint surprisal shows how surprising tokens were"),
        OPT_FLAG("stats", 0, &a->stats,
                 "times, rates, seed and a hash of all logits on\n"
                 "standard error",
                 .not_with = "input"),
        OPT_STRING("logits", 0, &a->logits, "FILE",
                   "write the logits that each token was chosen from, as\n"
                   "an array of NumPy's (.npy): [tokens, n_vocab], f32,\n"
                   "before temperature and filters",
                   .flags = OPTION_WRITES | OPTION_FILE_ONLY,
                   .not_with = "input interactive beams num-samples best-of"),
        OPT_SECTION("Saved sessions"),
        OPT_STRING("save-session", 0, &a->save_session, "FILE",
                   "write the text's tokens and what was computed of them,\n"
                   "for --load-session; --stats says the size first",
                   .flags = OPTION_WRITES | OPTION_FILE_ONLY | OPTION_UPDATES,
                   .not_with = "input interactive prompt-cache on-overflow=slide"),
        OPT_STRING("load-session", 0, &a->load_session, "FILE",
                   "go on from there as if never stopped; a prompt has to\n"
                   "begin with the saved tokens, only its rest is read",
                   .flags = OPTION_READS | OPTION_FILE_ONLY | OPTION_UPDATES,
                   .not_with = "input interactive prompt-cache"),
        OPT_STRING("prompt-cache", 0, &a->prompt_cache, "FILE",
                   "take what the prompt and the saved one begin with, if\n"
                   "the file is there, and save the prompt",
                   .flags = OPTION_WRITES | OPTION_FILE_ONLY, .not_with = "input interactive"),
        OPT_SECTION("Many prompts"),
        OPT_STRING("input", 0, &a->bulk.input, "FILE",
                   "a prompt on each line, plain or as an object of JSON\n"
                   "with \"prompt\" and options of its own; \"-\" is stdin",
                   .flags = OPTION_READS, .not_with = "@"),
        OPT_CHOICE("input-format", 0, &a->bulk.format, inputs, "KIND",
                   "jsonl or lines (default auto: by the first line that\n"
                   "is not blank)",
                   .needs = "input"),
        OPT_INT("parallel", 0, &a->parallel, 1, 4096, "N",
                "texts in progress at once (default 64); the result is\n"
                "the same for any",
                .aliases = "np", .needs = "input"),
        OPT_CACHE_MEMORY(&a->cache_memory, .needs = "input"),
        OPT_FLAG("resume", 0, &a->bulk.resume,
                 "go on where the output ends: what is there is compared\n"
                 "with the input, the model and the options",
                 .needs = "input+output"),
        OPT_STRING("shard", 0, &a->bulk.shard, "I/N",
                   "only lines whose number modulo N is I, from 0", .needs = "input"),
        OPT_FLAG("fail-fast", 0, &a->bulk.fail_fast, "end with the first record that fails",
                 .needs = "input"),
        OPT_FLAG("progress-json", 0, &a->bulk.progress_json,
                 "progress as lines of JSON on standard error, which says\n"
                 "nothing else about records",
                 .needs = "input", .not_with = "quiet"),
        OPT_FLAG("quiet", 'q', &a->bulk.quiet,
                 "no progress, and nothing on standard error about bad\n"
                 "records",
                 .needs = "input"),
        OPT_END,
    };
    enum { N_HEAD = sizeof head / sizeof *head, N_TAIL = sizeof tail / sizeof *tail };
    struct option table[N_HEAD + SETTINGS_MAX + N_TAIL];
    memcpy(table, head, sizeof head);
    int n = settings_table(table + N_HEAD, &a->settings);
    for (int i = 0; i < n; i++) // what records and the lines of a session go without
        table[N_HEAD + i].free_with = "input interactive";
    memcpy(table + N_HEAD + n, tail, sizeof tail);
    int n_words, code;
    if (command_begin(&command_generate, table, argc, argv, 1, &n_words, &code)) {
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
        "The text ends at <|endoftext|> (--compat openai and nanogpt: goes on after it), at -n, "
        "or\n"
        "where the context is full. Standard output gets the new text and one newline, nothing\n"
        "else. An empty prompt starts from <|endoftext|>.\n"
        "Standard input is read if nothing else gives a prompt, or if \"-\" names it, and never\n"
        "otherwise: cat article | gpt2 generate -f - -e \"\\nTL;DR:\"\n"
        "What is read is UTF-8, and what is not are bytes as they stand; a byte order mark is "
        "skipped, and \"\\r\\n\" is a line end. A "
        "prompt\n"
        "has at most 64 MiB, a line of --input 16 MiB. A job answers what it has before it waits.\n"
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
    .examples =
        EXAMPLES({"gpt2 generate \"Once upon a time\"", "continue a text"},
                 {"gpt2 generate -f story.txt -n 40 --temp 0.6",
                  "continue what a file holds, 40 tokens, less random"},
                 {"cat article.txt | gpt2 generate -f - -e \"\\nTL;DR:\" --until sentence",
                  "a summary in one sentence: the text is standard input, a prompt follows it"},
                 {"gpt2 generate -s random --num-samples 3 \"The wolf\"",
                  "three texts, different in each run"},
                 {"gpt2 generate --json --logprobs 2 -n 8 \"Once\"",
                  "an object as OpenAI has it, with log-probabilities"},
                 {"gpt2 generate --input prompts.jsonl -o texts.jsonl --resume",
                  "many prompts; after a crash the same command goes on"}),
    .common = "prompt file model max-tokens temp seed stop json input output",
    .related = "score choose serve bench",
    .run = run_generate,
};
