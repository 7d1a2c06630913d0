/* cmd_quantize.c - `gpt2 quantize`: writes a model as one packed file. */
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/io/find_model.h"
#include "cli/io/output.h"
#include "cli/io/prompt_source.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/terminal/bar.h"

#include <gpt2/quantize.h>
#include <gpt2/tokenizer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const types[] = {"f16", "bf16", "q8", "q4", NULL}; // enum gpt2_weight_type
#define UNSAID ((int)(sizeof types / sizeof *types) - 1)

struct quantize_arguments {
    const char *model, *output, *calibrate, *cpu;
    struct model_options opening;
    int type, threads;
    bool no_tokenizer;
};

/* False once a signal has arrived. */
static bool show_progress(void *user, size_t done, size_t total) {
    bar_show(user, done, total);
    return !signals_caught();
}

/* ---- the work ---- */

struct quantize_run {
    struct gpt2_runtime *runtime;
    struct gpt2_model *model;
    struct gpt2_tokenizer *tokenizer;
    enum gpt2_weight_type type;
    struct gpt2_ids calibration;
    unsigned char *packed; /* the tokenizer as bytes; NULL: none */
    size_t n_packed;
};

static bool read_calibration(struct quantize_run *run, const char *path, struct gpt2_error *err) {
    struct text text;
    if (!text_read(&text, &(struct text_source){.file = path, .keep_newline = true}, err))
        return false;
    bool ok = gpt2_tokenizer_encode(run->tokenizer, text.data, text.len, GPT2_ENCODE_SPECIAL,
                                    &run->calibration, err);
    text_free(&text);
    if (ok && run->calibration.len == 0)
        return command_error(err, GPT2_ERR_INPUT, NULL, "%s: expected a text, found it empty",
                             path);
    return ok;
}

/* A text for --calibrate goes through the model. */
static bool check_memory(const struct quantize_run *run, const struct quantize_arguments *args,
                         struct gpt2_error *err) {
    struct memory_use use = {.other = MEMORY_FILE};
    memory_model(&use, run->model);
    if (args->calibrate) {
        memory_sessions(&use, run->model, &(struct memory_sessions){.kv = GPT2_KV_F32, .n = 1});
        memory_batch(&use, run->model, run->runtime, 64, 64); // as gpt2_quantize has it
    }
    return memory_check(&use, args->opening.max_memory, err);
}

/* Without --type the integers of a GGUF file are kept; a model without any becomes Q8. */
static bool choose_type(struct quantize_run *run, const struct quantize_arguments *args,
                        const char *path, struct gpt2_error *err) {
    const bool keeps = model_options_keeps(run->model);
    run->type = args->type != UNSAID ? (enum gpt2_weight_type)args->type
                : keeps              ? GPT2_AS_IS
                                     : GPT2_Q8;
    return !keeps || !args->calibrate ||
           command_error(err, GPT2_ERR_USAGE,
                         "leave it out to keep the integers; --expand makes F32 of them first",
                         "--calibrate: expected weights that are to be quantized, found them "
                         "quantized already in %s",
                         path);
}

static bool prepare(struct quantize_run *run, const struct quantize_arguments *args,
                    const char *path, struct gpt2_error *err) {
    run->runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = args->threads, .cpu = args->cpu}, err);
    if (!run->runtime)
        return false;
    run->model = model_options_open(path, &args->opening, run->runtime, err);
    if (!run->model || !choose_type(run, args, path, err) || !check_memory(run, args, err))
        return false;
    if (!args->no_tokenizer || args->calibrate) {
        run->tokenizer = gpt2_tokenizer_open(path, err);
        if (!run->tokenizer) {
            if (!err->hint[0])
                error_hint(err, "--no-tokenizer makes a file that works with --ids alone");
            return false;
        }
    }
    if (!args->no_tokenizer &&
        !gpt2_tokenizer_pack(run->tokenizer, &run->packed, &run->n_packed, err))
        return false;
    return !args->calibrate || read_calibration(run, args->calibrate, err);
}

static void close_run(struct quantize_run *run) {
    free(run->packed);
    gpt2_ids_free(&run->calibration);
    gpt2_tokenizer_close(run->tokenizer);
    gpt2_model_close(run->model);
    gpt2_runtime_free(run->runtime);
}

/* "wrote gpt2.q8: 128.3 MiB, 27 % of the 474.7 MiB of weights, 2.1 s" */
static void print_sizes(const struct quantize_arguments *args, const struct gpt2_model *model,
                        double seconds) {
    struct gpt2_tensor_info info;
    struct stat file;
    const bool known = look_at(&file, args->output, LOOK_THROUGH, GPT2_ERR_RUNTIME, NULL);
    double before = 0, after = (double)file.st_size;
    for (size_t i = 0; gpt2_model_tensor(model, i, &info); i++)
        before += (double)info.n_bytes;
    if (!known) {
        report_done("wrote %s, %.1f s", args->output, seconds);
        return;
    }
    report_done("wrote %s: %.1f MiB, %.0f %% of the %.1f MiB of weights, %.1f s", args->output,
                after / (1 << 20), 100 * after / before, before / (1 << 20), seconds);
}

static int quantize(const struct quantize_arguments *args) {
    struct gpt2_error err;
    struct quantize_run run = {0};
    struct bar bar = bar_begin();
    uint64_t start = os_now_ns();
    char *path = find_model(args->model, &err);
    bool ok = path && prepare(&run, args, path, &err);
    if (ok) {
        signals_catch();
        const struct gpt2_quantize_options options = {
            .type = run.type,
            .calibration = run.calibration.data,
            .n_calibration = run.calibration.len,
            .tokenizer = run.packed,
            .n_tokenizer = run.n_packed,
            .progress = show_progress,
            .user = &bar,
        };
        ok = gpt2_quantize(run.model, run.runtime, &options, args->output, &err);
        bar_hide(&bar);
    }
    if (ok)
        print_sizes(args, run.model, (double)(os_now_ns() - start) * 1e-9);
    int code = ok ? 0 : signals_caught() ? 128 + signals_caught() : report(&err);
    close_run(&run);
    free(path);
    return code;
}

static int run_quantize(int argc, char **argv) {
    struct quantize_arguments args = {.type = UNSAID};
    struct gpt2_error err;
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL_WORD(&args.model),
        OPT_NUMBERS_OPTIONS(&args.opening),
        OPT_EXPAND_KEPT(&args.opening.expand),
        OPT_STRING("output", 'o', &args.output, "FILE",
                   "the file to write; one that is there is replaced", .aliases = "out",
                   .flags = OPTION_RESULT),
        OPT_CHOICE("type", 0, &args.type, types, "f16|bf16|q8|q4",
                   "what the matrices become (default q8; a quantized\n"
                   "GGUF file keeps its integers)",
                   .aliases = "dtype"),
        OPT_STRING("calibrate", 0, &args.calibrate, "FILE",
                   "a text like those the model will see: q8 and q4 then\n"
                   "are most precise where it matters for such texts;\n"
                   "100 KB are enough",
                   .flags = OPTION_READS, .needs = "type=q8 type=q4 !type"),
        OPT_FLAG("no-tokenizer", 0, &args.no_tokenizer, "leave the tokenizer out"),
        OPT_THREADS(&args.threads),
        OPT_CPU(&args.cpu),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_quantize, table, argc, argv, 0, &n_words, &code))
        return code;
    bool ok = true;
    if (!args.output)
        ok = command_error(&err, GPT2_ERR_USAGE, NULL, "expected --output FILE, the file to write");
    else if (!strcmp(args.output, "-"))
        ok = command_error(
            &err, GPT2_ERR_USAGE, NULL,
            "--output: expected a file, got \"-\": a packed model cannot be a stream");
    return ok ? quantize(&args) : report(&err);
}

const struct command command_quantize = {
    .name = "quantize",
    .summary = "make one packed, smaller and faster file of a model",
    .usage = "[OPTIONS] [MODEL] -o FILE",
    .details =
        "The file holds everything: weights as the kernels read them, configuration, tokenizer.\n"
        "`-m FILE` uses it wherever a model is expected. It is safetensors, so other tools can\n"
        "open it. A later version of gpt2 may ask for a new one: keep the model it was made "
        "from.\n"
        "\n"
        "A GGUF file that is quantized keeps its integers where no --type is given: the packed\n"
        "file gives the same bits, and starts without bringing them into order. With a --type it\n"
        "is refused, as rounding twice costs more than once; --expand makes F32 of it first.\n",
    .examples = EXAMPLES(
        {"gpt2 quantize gpt2 -o gpt2.q8", "8 bits: a quarter of F32, and faster"},
        {"gpt2 quantize gpt2 --type q4 --calibrate story.txt -o gpt2.q4",
         "4 bits, most precise for texts like this one"},
        {"gpt2 quantize gpt2 --type f16 -o gpt2.f16", "16 bits"},
        {"gpt2 quantize gpt2.q4_0.gguf -o gpt2.q4_0", "the integers of a GGUF file, as they are"}),
    .related = "convert compare",
    .run = run_quantize,
};
