/* cmd_info.c - `gpt2 info`: prints a model's configuration, tensors and layer-norm sites. */
#include "base/plural.h"
#include "cli/command/commands.h"
#include "cli/command/model_options.h"
#include "cli/io/find_model.h"
#include "cli/io/output.h"
#include "cli/io/report.h"

#include <gpt2/lora.h>
#include <gpt2/model.h>
#include <gpt2/runtime.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct info_arguments {
    const char *model, *cpu, *output;
    struct model_options opening;
    bool tensors;
    int threads, format; /* format: 0 text, 1 JSON */
};

/* The types of the weights with their sizes, and as what products read the integers of a GGUF file:
 * "Q8_0 128.1 MiB as Q8_32, F32 3.4 MiB", "Q8_0 128.1 MiB expanded to F32, F32 3.4 MiB". */
static bool print_types(struct output *out, const struct gpt2_model *model,
                        struct gpt2_error *err) {
    struct gpt2_tensor_info info, other;
    bool ok = output_string(out, "weights      ", err), first = true;
    for (size_t i = 0; ok && gpt2_model_tensor(model, i, &info); i++) {
        size_t bytes = 0;
        bool seen = false, expanded = false;
        const char *form = NULL;
        for (size_t k = 0; gpt2_model_tensor(model, k, &other); k++) {
            if (strcmp(info.dtype, other.dtype) == 0) {
                bytes += other.n_bytes;
                seen |= k < i;
                expanded |= other.expanded;
                form = other.form ? other.form : form;
            }
        }
        if (!seen) {
            ok = output_format(out, err, "%s %s %.1f MiB%s%s", first ? "" : ",", info.dtype,
                               (double)bytes / (1 << 20),
                               expanded ? " expanded to "
                               : form   ? " as "
                                        : "",
                               form ? form : "");
            first = false;
        }
    }
    return ok && output_string(out, "\n", err);
}

/* The numbers that the model's files recommend for drawing text; no line where there are none. */
static bool print_recommended(struct output *out, const struct gpt2_model *model,
                              struct gpt2_error *err) {
    const char *name;
    double value;
    size_t n = 0;
    bool ok = true;
    for (; ok && gpt2_model_recommends(model, n, &name, &value); n++)
        ok = output_format(out, err, "%s%s %.7g",
                           n == 0       ? "recommended   "
                           : n % 4 == 0 ? ",\n              "
                                        : ", ",
                           name, value);
    return ok && (n == 0 || output_string(out, "\n", err));
}

static bool print_config(struct output *out, const struct gpt2_model *model, const char *path,
                         struct gpt2_error *err) {
    const struct gpt2_config *c = gpt2_model_config(model);
    size_t bytes = 0, n = 0;
    struct gpt2_tensor_info info;
    for (; gpt2_model_tensor(model, n, &info); n++)
        bytes += info.n_bytes;
    int sites = 2 * c->n_layer + 1;
    bool ok = output_string(out, "model         ", err) && output_shown(out, path, err) &&
              output_string(out, "\n", err) &&
              output_format(out, err, "parameters    %" PRIu64 " in %zu tensor%s, %.1f MiB\n",
                            gpt2_model_parameters(model), n, plural((int64_t)n),
                            (double)bytes / (1 << 20)) &&
              print_types(out, model, err) &&
              output_format(out, err, "n_layer       %d\n", c->n_layer) &&
              output_format(out, err, "n_embd        %d\n", c->n_embd) &&
              output_format(out, err, "n_head        %d of %d feature%s\n", c->n_head,
                            c->n_embd / c->n_head, plural(c->n_embd / c->n_head)) &&
              output_format(out, err, "n_inner       %d\n", c->n_inner) &&
              output_format(out, err, "n_ctx         %d\n", c->n_ctx) &&
              output_format(out, err, "n_vocab       %d\n", c->n_vocab) &&
              output_format(out, err, "activation    %s\n", c->activation) &&
              output_format(out, err, "head          %s\n",
                            gpt2_model_head_is_tied(model) ? "wte (tied)" : "lm_head (its own)") &&
              output_format(out, err, "attention     scores %s%s\n",
                            c->scale_attn_weights ? "/ sqrt(head size)" : "not scaled",
                            c->scale_attn_by_inverse_layer_idx ? " / (layer + 1)" : "");
    struct gpt2_adapter_info adapter;
    for (size_t i = 0; ok && gpt2_model_adapter(model, i, &adapter); i++)
        ok = output_format(out, err,
                           "adapter       %s, scale %.9g: rank %d on %zu %s, %zu tensor%s "
                           "whole\n",
                           adapter.path, adapter.scale, adapter.max_rank, adapter.n_pairs,
                           adapter.n_pairs == 1 ? "matrix" : "matrices", adapter.n_whole,
                           plural((int64_t)adapter.n_whole));
    ok = ok && output_string(out, "end of text  ", err);
    for (int i = 0; ok && i < c->n_eos; i++)
        ok = output_format(out, err, " %" PRId32, c->eos_ids[i]);
    ok = ok && output_string(out, c->n_eos ? "\n" : " none\n", err) &&
         print_recommended(out, model, err);
    return ok && output_format(
                     out, err,
                     "layer norm    %d sites: ln_1 and ln_2 of %d block%s, ln_f\n"
                     "              %d statistics per token: one mean and one deviation at each "
                     "site,\n"
                     "              over the token's own %d feature%s, epsilon %g;\n"
                     "              shared with no other token\n"
                     "              %d learned numbers: a gain and a bias per feature and site\n",
                     sites, c->n_layer, plural(c->n_layer), 2 * sites, c->n_embd, plural(c->n_embd),
                     (double)c->layer_norm_epsilon, 2 * sites * c->n_embd);
}

static bool print_tensors(struct output *out, const struct gpt2_model *model,
                          struct gpt2_error *err) {
    struct gpt2_tensor_info info;
    for (size_t i = 0; gpt2_model_tensor(model, i, &info); i++) {
        char shape[64];
        if (info.rank == 1)
            snprintf(shape, sizeof shape, "[%" PRId64 "]", info.shape[0]);
        else
            snprintf(shape, sizeof shape, "[%" PRId64 ", %" PRId64 "]", info.shape[0],
                     info.shape[1]);
        if (!output_format(out, err, "  %-28s %-5s %-16s %12zu bytes\n", info.name, info.dtype,
                           shape, info.n_bytes)) // names are GPT-2's
            return false;
    }
    return true;
}

static bool print_machine(struct output *out, const struct gpt2_runtime *runtime,
                          struct gpt2_error *err) {
    bool ok = output_format(
        out, err, "machine       %d thread%s, kernels %s\n              (this CPU can run:",
        gpt2_runtime_threads(runtime), plural(gpt2_runtime_threads(runtime)),
        gpt2_runtime_cpu(runtime));
    for (int i = 0; ok && gpt2_cpu_variant(i); i++)
        ok = output_format(out, err, " %s", gpt2_cpu_variant(i));
    return ok && output_string(out, ")\n", err);
}

/* ---- JSON ---- */

static bool json_tensors(struct output *out, const struct gpt2_model *model,
                         struct gpt2_error *err) {
    struct gpt2_tensor_info info;
    bool ok = output_string(out, ", \"tensors\": [", err);
    for (size_t i = 0; ok && gpt2_model_tensor(model, i, &info); i++) {
        ok =
            output_string(out, i ? ", {\"name\": " : "{\"name\": ", err) &&
            output_json_string(out, info.name, strlen(info.name), err) &&
            output_format(out, err, ", \"type\": \"%s\", \"shape\": [%" PRId64, info.dtype,
                          info.shape[0]) &&
            (info.rank == 1 || output_format(out, err, ", %" PRId64, info.shape[1])) &&
            output_format(out, err, "], \"bytes\": %zu, \"expanded\": %s, \"form\": ", info.n_bytes,
                          info.expanded ? "true" : "false") &&
            (info.form ? output_format(out, err, "\"%s\"}", info.form)
                       : output_string(out, "null}", err));
    }
    return ok && output_string(out, "]", err);
}

static bool json_config(struct output *out, const struct gpt2_model *model,
                        struct gpt2_error *err) {
    const struct gpt2_config *c = gpt2_model_config(model);
    bool ok =
        output_format(out, err,
                      ", \"n_layer\": %d, \"n_embd\": %d, \"n_head\": %d, \"n_inner\": %d, "
                      "\"n_ctx\": %d, \"n_vocab\": %d, \"activation\": \"%s\", "
                      "\"tied_head\": %s, \"scale_attn_weights\": %s, "
                      "\"scale_attn_by_inverse_layer_idx\": %s, \"layer_norm_epsilon\": %.9g, ",
                      c->n_layer, c->n_embd, c->n_head, c->n_inner, c->n_ctx, c->n_vocab,
                      c->activation, gpt2_model_head_is_tied(model) ? "true" : "false",
                      c->scale_attn_weights ? "true" : "false",
                      c->scale_attn_by_inverse_layer_idx ? "true" : "false",
                      (double)c->layer_norm_epsilon) &&
        output_string(out, "\"eos_ids\": [", err);
    for (int i = 0; ok && i < c->n_eos; i++)
        ok = output_format(out, err, "%s%" PRId32, i ? ", " : "", c->eos_ids[i]);
    const char *name;
    double value;
    ok = ok && output_string(out, "], \"generation_config\": {", err);
    for (size_t i = 0; ok && gpt2_model_recommends(model, i, &name, &value); i++)
        ok = output_format(out, err, "%s\"%s\": %.7g", i ? ", " : "", name, value);
    return ok && output_string(out, "}", err);
}

static bool json_adapters(struct output *out, const struct gpt2_model *model,
                          struct gpt2_error *err) {
    struct gpt2_adapter_info adapter;
    bool ok = output_string(out, ", \"adapters\": [", err);
    for (size_t i = 0; ok && gpt2_model_adapter(model, i, &adapter); i++)
        ok = output_string(out, i ? ", {\"path\": " : "{\"path\": ", err) &&
             output_json_string(out, adapter.path, strlen(adapter.path), err) &&
             output_format(out, err,
                           ", \"scale\": %.17g, \"rank\": %d, \"matrices\": %zu, \"whole\": "
                           "%zu}",
                           adapter.scale, adapter.max_rank, adapter.n_pairs, adapter.n_whole);
    return ok && output_string(out, "]", err);
}

static bool print_json(struct output *out, const struct gpt2_model *model, const char *path,
                       const struct gpt2_runtime *runtime, bool tensors, struct gpt2_error *err) {
    size_t bytes = 0;
    struct gpt2_tensor_info info;
    struct gpt2_cost blocks, head;
    for (size_t i = 0; gpt2_model_tensor(model, i, &info); i++)
        bytes += info.n_bytes;
    gpt2_model_cost(model, &blocks, &head);
    bool ok =
        output_string(out, "{\"model\": ", err) &&
        output_json_string(out, path, strlen(path), err) &&
        output_format(out, err, ", \"parameters\": %" PRIu64 ", \"bytes\": %zu, \"type\": \"%s\"",
                      gpt2_model_parameters(model), bytes, blocks.type) &&
        json_config(out, model, err) && json_adapters(out, model, err) &&
        output_format(out, err, ", \"threads\": %d, \"kernels\": \"%s\", \"notes\": [",
                      gpt2_runtime_threads(runtime), gpt2_runtime_cpu(runtime));
    for (size_t i = 0; ok && gpt2_model_warning(model, i); i++)
        ok = output_string(out, i ? ", " : "", err) &&
             output_json_string(out, gpt2_model_warning(model, i),
                                strlen(gpt2_model_warning(model, i)), err);
    ok = ok && output_string(out, "]", err);
    return ok && (!tensors || json_tensors(out, model, err)) && output_string(out, "}\n", err);
}

static bool print_text(struct output *out, const struct gpt2_model *model, const char *path,
                       const struct gpt2_runtime *runtime, bool tensors, struct gpt2_error *err) {
    output_fit(out);
    bool ok = print_config(out, model, path, err) && print_machine(out, runtime, err);
    for (size_t i = 0; ok && gpt2_model_warning(model, i); i++)
        ok = output_string(out, "note          ", err) &&
             output_shown(out, gpt2_model_warning(model, i), err) && output_string(out, "\n", err);
    return ok && (!tensors || print_tensors(out, model, err));
}

static int info(const struct info_arguments *args) {
    struct gpt2_error err;
    static struct output out;
    struct gpt2_runtime *runtime = gpt2_runtime_create(
        &(struct gpt2_runtime_options){.n_threads = args->threads, .cpu = args->cpu}, &err);
    char *path = runtime ? find_model(args->model, &err) : NULL;
    struct gpt2_model *model =
        path ? model_options_open(path, &args->opening, runtime, &err) : NULL;
    int code = 0;
    if (!model || !model_options_fit(model, &args->opening, 0, &err)) {
        code = report(&err);
    } else {
        bool ok = output_begin(&out, args->output, &err) &&
                  (args->format ? print_json : print_text)(&out, model, path, runtime,
                                                           args->tensors, &err);
        if (!ok || !output_end(&out, &err))
            code = output_failed(&out, &err);
        output_discard(&out);
    }
    gpt2_model_close(model);
    free(path);
    gpt2_runtime_free(runtime);
    return code;
}

static int run_info(int argc, char **argv) {
    struct info_arguments args = {0};
    static const char *const formats[] = {"text", "json", NULL};
    const struct option table[] = {
        OPT_SECTION("Options"),
        OPT_MODEL_WORD(&args.model),
        OPT_MODEL_OPTIONS(&args.opening),
        OPT_FLAG("tensors", 0, &args.tensors, "list every tensor with its type and shape"),
        OPT_OUTPUT(&args.output),
        OPT_CHOICE("format", 0, &args.format, formats, "text|json",
                   "lines to read (default), or one JSON object"),
        OPT_VALUE("json", &args.format, formats, "json", "short for --format json"),
        OPT_THREADS(&args.threads),
        OPT_CPU(&args.cpu),
        OPT_END,
    };
    int n_words, code;
    if (!command_begin(&command_info, table, argc, argv, 0, &n_words, &code))
        return code;
    return info(&args);
}

const struct command command_info = {
    .name = "info",
    .summary = "describe a model: configuration, tensors, layer-norm sites",
    .usage = "[OPTIONS] [MODEL]",
    .details = NULL,
    .examples = EXAMPLES({"gpt2 info", "what the model is that comes along"},
                         {"gpt2 info gpt2 --tensors", "another one, with each tensor"},
                         {"gpt2 info --json", "all of it as one object"}),
    .related = "verify models",
    .run = run_info,
};
