/* cmd_verify.c - `gpt2 verify`: checks a model's files and prints its weights' fingerprint. */
#include "base/plural.h"
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/io/find_model.h"
#include "cli/io/output.h"
#include "cli/io/report.h"
#include "cli/io/signals.h"
#include "cli/terminal/bar.h"

#include <gpt2/save.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verify_arguments {
    const char *model, *output;
    struct model_options opening;
    int format; /* 0 text, 1 JSON */
};

static bool go_on(void *user, size_t done, size_t total) {
    bar_show(user, done, total);
    return !signals_caught();
}

static bool print_check(struct output *out, const struct gpt2_model *model, const char *path,
                        const struct gpt2_check *check, struct gpt2_error *err) {
    struct gpt2_tensor_info info;
    size_t n = 0;
    while (gpt2_model_tensor(model, n, &info))
        n++;
    output_fit(out);
    bool ok =
        output_string(out, "model         ", err) && output_shown(out, path, err) &&
        output_string(out, "\n", err) &&
        output_format(out, err, "shapes        %zu tensor%s, each as the configuration says\n", n,
                      plural((int64_t)n));
    if (check->hash)
        ok = ok && output_format(out, err, "hash          right: %s\n", check->hash);
    else
        ok = ok && output_string(out, "hash          none: this file does not carry one\n", err);
    if (check->n_bad)
        ok = ok && output_format(out, err,
                                 "numbers       %" PRIu64 " of %" PRIu64
                                 " are NaN or infinite, the first %s\n",
                                 check->n_bad, check->n_numbers, check->first_bad);
    else
        ok = ok &&
             output_format(
                 out, err, "numbers       %" PRIu64 " are finite%s\n", check->n_numbers,
                 check->n_numbers < gpt2_model_parameters(model) ? ", the rest is quantized" : "");
    return ok && output_format(out, err, "fingerprint   %s\n", check->fingerprint);
}

static bool print_json(struct output *out, const struct gpt2_model *model, const char *path,
                       const struct gpt2_check *check, struct gpt2_error *err) {
    struct gpt2_tensor_info info;
    size_t n = 0;
    while (gpt2_model_tensor(model, n, &info))
        n++;
    bool ok = output_string(out, "{\"model\": ", err) &&
              output_json_string(out, path, strlen(path), err) &&
              output_format(out, err, ", \"tensors\": %zu, \"hash\": ", n) &&
              (check->hash ? output_json_string(out, check->hash, strlen(check->hash), err)
                           : output_string(out, "null", err)) &&
              output_format(out, err,
                            ", \"numbers\": %" PRIu64 ", \"not_finite\": %" PRIu64
                            ", \"first_not_finite\": ",
                            check->n_numbers, check->n_bad);
    ok = ok &&
         (check->n_bad ? output_json_string(out, check->first_bad, strlen(check->first_bad), err)
                       : output_string(out, "null", err));
    return ok && output_format(out, err, ", \"fingerprint\": \"%s\"}\n", check->fingerprint);
}

static int verify(const struct verify_arguments *args) {
    struct gpt2_error err;
    struct gpt2_check check;
    static struct output out;
    char *path = find_model(args->model, &err);
    struct gpt2_model *model =
        path ? model_options_open_numbers(path, &args->opening, NULL, &err) : NULL;
    signals_catch();
    int code = 0;
    struct bar bar = bar_begin();
    bool read = model && model_options_fit(model, &args->opening, 0, &err) &&
                gpt2_model_check(model, &check, go_on, &bar, &err);
    bar_hide(&bar);
    if (!read) {
        code = signals_caught() ? 128 + signals_caught() : report(&err);
    } else if (!output_begin(&out, args->output, &err) ||
               !(args->format ? print_json : print_check)(&out, model, path, &check, &err) ||
               !output_end(&out, &err)) {
        code = output_failed(&out, &err);
    } else if (check.n_bad) {
        command_error(&err, GPT2_ERR_MODEL, "the model is damaged, or its training went wrong",
                      "%s: expected finite weights, found %" PRIu64
                      " that are NaN or infinite, the first %s",
                      path, check.n_bad, check.first_bad);
        code = report(&err);
    }
    output_discard(&out);
    gpt2_model_close(model);
    free(path);
    return code;
}

static int run_verify(int argc, char **argv) {
    struct verify_arguments args = {0};
    static const char *const formats[] = {"text", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL_WORD(&args.model),
        OPT_NUMBERS_OPTIONS(&args.opening),
        OPT_OUTPUT(&args.output),
        OPT_CHOICE("format", 0, &args.format, formats, "text|json",
                   "lines to read (default), or one JSON object"),
        OPT_VALUE("json", &args.format, formats, "json", "short for --format json"),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_verify, table, argc, argv, 0, &n_words, &code))
        return code;
    return verify(&args);
}

const struct command command_verify = {
    .name = "verify",
    .summary = "check a model's weights and print their fingerprint",
    .usage = "[OPTIONS] [MODEL]",
    .details =
        "Checked are the container, the shapes, the hash where the file carries one (packed "
        "files,\n"
        "files in Hugging Face's cache), and that every number is finite: else exit code 4.\n"
        "The fingerprint is a SHA-256 of the numbers, not of the file: it is the same for the "
        "same\n"
        "weights in any format, and in F32, F16 or BF16 where these hold the same numbers.\n",
    .examples = EXAMPLES({"gpt2 verify", "check the model that comes along"},
                         {"gpt2 verify gpt2 --json", "another one, as an object"},
                         {"gpt2 verify gpt2 -o fingerprint.txt", "keep the fingerprint"}),
    .related = "info convert",
    .run = run_verify,
};
