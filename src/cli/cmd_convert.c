/* cmd_convert.c - `gpt2 convert`: writes a model in a format that other programs read. */
#include "base/error_internal.h"
#include "base/os.h"
#include "base/path.h"
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/io/find_model.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/terminal/bar.h"

#include <dirent.h>
#include <errno.h>
#include <gpt2/quantize.h>
#include <gpt2/save.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum convert_format { SAFETENSORS, GGUF, PACKED, UNSAID };
static const char *const types[] = {"as-is", "f32", "f16", "bf16", "q8_0", "q4_0", NULL};
static const char *const formats[] = {"safetensors", "gguf", "packed", NULL};

struct convert_arguments {
    const char *model, *output, *cpu;
    struct model_options opening;
    const char *name;
    int to, type, threads;
    bool no_tokenizer, tied;
};

struct convert_run {
    struct gpt2_model *model;
    struct gpt2_tokenizer *tokenizer; /* NULL: --no-tokenizer */
    struct bar bar;
};

static bool go_on(void *user, size_t done, size_t total) {
    bar_show(user, done, total);
    return !signals_caught();
}

/* ---- a directory ---- */

/* The files that gpt2_tokenizer_save and gpt2_model_save write. */
static const char *const written[] = {"vocab.json",        "merges.txt",
                                      "added_tokens.json", "tokenizer_config.json",
                                      "model.safetensors", "config.json"};

/* Creates the directory, or takes an empty one. In any other, files of the model that is there
 * would be read as part of the new one. */
static bool make_directory(bool *made, const char *path, struct gpt2_error *err) {
    *made = mkdir(path, 0777) == 0;
    if (*made)
        return true;
    if (errno != EEXIST)
        return error_errno(err, GPT2_ERR_RUNTIME, errno, "%s: cannot create", path);
    DIR *folder = opendir(path);
    if (!folder)
        return command_error(err, GPT2_ERR_USAGE, NULL,
                             "-o %s: expected a directory to write, got something else", path);
    const char *name;
    const bool ok = os_next_entry(&name, folder, path, err);
    const bool empty = ok && !name;
    closedir(folder);
    if (!ok)
        return false;
    return empty ||
           command_error(err, GPT2_ERR_USAGE,
                         "files of two models must not mix: give another name, or remove "
                         "it first",
                         "-o %s: expected a new or empty directory, found files in it", path);
}

/* Removes what was written, after a failure. */
static void remove_directory(const char *path, bool made) {
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        char file[4096];
        if (snprintf(file, sizeof file, "%s/%s", path, written[i]) < (int)sizeof file)
            unlink(file);
    }
    if (made)
        rmdir(path);
}

static bool write_directory(struct convert_run *run, const char *path, struct gpt2_error *err) {
    bool made = false;
    if (!make_directory(&made, path, err))
        return false;
    if ((!run->tokenizer || gpt2_tokenizer_save(run->tokenizer, path, err)) &&
        gpt2_model_save(run->model, path, go_on, &run->bar, err))
        return true;
    remove_directory(path, made);
    return false;
}

/* ---- files ---- */

/* What a model is called: --name, else the last part of its name or path, without an ending. */
static void name_model(char name[200], const struct convert_arguments *args) {
    const char *given = args->name ? args->name : model_or_default(args->model);
    size_t n = strlen(given);
    while (!args->name && n > 1 && given[n - 1] == '/')
        n--;
    const char *start = given;
    for (size_t i = 0; !args->name && i + 1 < n; i++)
        if (given[i] == '/')
            start = given + i + 1;
    snprintf(name, 200, "%.*s", (int)(given + n - start), start);
    char *dot = args->name ? NULL : strrchr(name, '.');
    if (dot && dot > name && strlen(dot) > 3) // ".gguf", but not a version
        *dot = 0;
}

static bool write_gguf(struct convert_run *run, const struct convert_arguments *args,
                       struct gpt2_error *err) {
    struct gpt2_gguf_pairs pairs = {0};
    char name[200];
    name_model(name, args);
    const int n_vocab = gpt2_model_config(run->model)->n_vocab;
    const struct gpt2_gguf_options options = {
        .type = (enum gpt2_gguf_type)args->type,
        .tied = args->tied,
        .name = name,
        .tokenizer = run->tokenizer ? &pairs : NULL,
        .progress = go_on,
        .user = &run->bar,
    };
    bool ok = (!run->tokenizer || gpt2_tokenizer_gguf(run->tokenizer, n_vocab, &pairs, err)) &&
              gpt2_model_save_gguf(run->model, &options, args->output, err);
    free(pairs.bytes);
    return ok;
}

static bool write_packed(struct convert_run *run, const struct convert_arguments *args,
                         struct gpt2_error *err) {
    unsigned char *tokenizer = NULL;
    size_t n_tokenizer = 0;
    struct gpt2_runtime *runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = args->threads, .cpu = args->cpu}, err);
    bool ok = runtime && (!run->tokenizer ||
                          gpt2_tokenizer_pack(run->tokenizer, &tokenizer, &n_tokenizer, err));
    if (ok) {
        const struct gpt2_quantize_options options = {
            .type = GPT2_AS_IS,
            .tokenizer = tokenizer,
            .n_tokenizer = n_tokenizer,
            .progress = go_on,
            .user = &run->bar,
        };
        ok = gpt2_quantize(run->model, runtime, &options, args->output, err);
    }
    free(tokenizer);
    gpt2_runtime_free(runtime);
    return ok;
}

/* ---- the work ---- */

/* Integers of a GGUF file have a place in the format that is written. */
static bool keeps_integers(const struct convert_arguments *args) {
    return args->to == PACKED || (args->to == GGUF && args->type == GPT2_GGUF_AS_IS);
}

static bool open_run(struct convert_run *run, const struct convert_arguments *args,
                     const char *path, struct gpt2_error *err) {
    run->model = keeps_integers(args) ? model_options_open(path, &args->opening, NULL, err)
                                      : model_options_open_numbers(path, &args->opening, NULL, err);
    if (!run->model || !model_options_fit(run->model, &args->opening, MEMORY_FILE, err))
        return false;
    for (size_t i = 0; gpt2_model_warning(run->model, i); i++)
        report_note("%s", gpt2_model_warning(run->model, i));
    if (args->no_tokenizer)
        return true;
    run->tokenizer = gpt2_tokenizer_open(path, err);
    if (!run->tokenizer)
        error_hint(err, "--no-tokenizer writes the weights alone, for use with --ids");
    return run->tokenizer != NULL;
}

static int convert(const struct convert_arguments *args) {
    struct gpt2_error err;
    struct convert_run run = {.bar = bar_begin()};
    const uint64_t start = os_now_ns();
    char *path = find_model(args->model, &err);
    bool ok = path && open_run(&run, args, path, &err);
    signals_catch();
    if (ok && args->to == SAFETENSORS)
        ok = write_directory(&run, args->output, &err);
    else if (ok && args->to == GGUF)
        ok = write_gguf(&run, args, &err);
    else if (ok)
        ok = write_packed(&run, args, &err);
    bar_hide(&run.bar);
    if (ok)
        report_done("%s: written as %s in %.1f s", args->output, formats[args->to],
                    (double)(os_now_ns() - start) * 1e-9);
    int code = ok ? 0 : signals_caught() ? 128 + signals_caught() : report(&err);
    gpt2_tokenizer_close(run.tokenizer);
    gpt2_model_close(run.model);
    free(path);
    return code;
}

static int run_convert(int argc, char **argv) {
    struct convert_arguments args = {.to = UNSAID};
    struct gpt2_error err;
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL_WORD(&args.model),
        OPT_NUMBERS_OPTIONS(&args.opening),
        OPT_EXPAND_KEPT(&args.opening.expand),
        OPT_STRING("output", 'o', &args.output, "DIR|FILE",
                   "a new directory for safetensors, else a file; one that is\n"
                   "there is replaced",
                   .aliases = "out", .flags = OPTION_RESULT),
        OPT_CHOICE("to", 0, &args.to, formats, "safetensors|gguf|packed",
                   "the format (default: gguf where -o ends in .gguf,\n"
                   "else with --lora safetensors)",
                   .aliases = "format"),
        OPT_CHOICE("type", 0, &args.type, types, "as-is|f32|f16|bf16|q8_0|q4_0",
                   "of the matrices of a GGUF file (default as-is: no\n"
                   "number is rounded); q4_0 has embeddings and head q8_0",
                   .aliases = "outtype"),
        OPT_FLAG("tied", 0, &args.tied,
                 "GGUF: write a head that is wte once. Without it\n"
                 "output.weight has it again, which older programs need"),
        OPT_STRING("name", 0, &args.name, "NAME", "GGUF: general.name (default: the model's name)"),
        OPT_FLAG("no-tokenizer", 0, &args.no_tokenizer, "leave the tokenizer out"),
        OPT_INT("threads", 't', &args.threads, 0, 1024, "N",
                "threads that pack (default 0: all processors this\n"
                "process may use)",
                .aliases = "n-threads", .needs = "to=packed"),
        OPT_STRING("cpu", 0, &args.cpu, "VARIANT", options_cpu_help(), .needs = "to=packed"),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_convert, table, argc, argv, 0, &n_words, &code))
        return code;
    bool ok = true;
    if (!args.output || !*args.output)
        ok = command_error(&err, GPT2_ERR_USAGE, NULL, "expected --output DIR or FILE to write");
    else if (!strcmp(args.output, "-"))
        ok = command_error(
            &err, GPT2_ERR_USAGE, NULL,
            "--output: expected a directory or a file, got \"-\": a model cannot be a "
            "stream");
    if (ok && args.to == UNSAID && path_ends_in(args.output, ".gguf"))
        args.to = GGUF;
    if (ok && args.to == UNSAID && args.opening.lora.n)
        args.to = SAFETENSORS;
    if (ok && args.to == UNSAID)
        ok = command_error(&err, GPT2_ERR_USAGE, NULL,
                           "expected --to safetensors, gguf or packed: -o %s names no format",
                           args.output);
    if (ok && args.to != GGUF && (args.type || args.tied || args.name))
        ok = usage_error(&err, "--%s is about GGUF files, the format here is %s",
                         args.type   ? "type"
                         : args.tied ? "tied"
                                     : "name",
                         formats[args.to]);
    if (ok && args.opening.expand && !keeps_integers(&args))
        ok =
            usage_error(&err, "--expand is about --to packed and about GGUF files of --type as-is: "
                              "elsewhere all weights become numbers");
    return ok ? convert(&args) : report(&err);
}

const struct command command_convert = {
    .name = "convert",
    .summary = "write a model of any format as safetensors, GGUF or packed",
    .usage = "[OPTIONS] [MODEL] --to FORMAT -o DIR|FILE",
    .details =
        "safetensors is a Hugging Face directory: model.safetensors, config.json, vocab.json and\n"
        "merges.txt. gguf is one file with all of it, for llama.cpp and its kin. packed is this\n"
        "program's own, which starts quickest; `gpt2 quantize` makes smaller ones.\n\n"
        "Unless --type asks for it no number is rounded: the model gives the same logits bits "
        "before and after. `gpt2 "
        "verify`\nprints the same fingerprint for both.\n\n"
        "The integers of a GGUF file that is quantized are kept in a packed file, and in a GGUF\n"
        "file that is made of it or of that; --expand makes F32 of them. Everywhere else they\n"
        "are the numbers that they stand for.\n",
    .examples =
        EXAMPLES({"gpt2 convert gpt2 -o gpt2.gguf", "for llama.cpp, no number rounded"},
                 {"gpt2 convert gpt2 --to safetensors -o gpt2-hf",
                  "a directory for Hugging Face's programs"},
                 {"gpt2 convert gpt2 --type q8_0 -o gpt2.q8_0.gguf", "for llama.cpp, quantized"},
                 {"gpt2 convert gpt2 --lora adapter -o merged", "a model and an adapter as one"}),
    .common = "model lora output to type tied no-tokenizer threads",
    .related = "quantize verify",
    .run = run_convert,
};
