/* model_options.c - opens a model as --expand says, within --max-memory, and merges what --lora was
 * given. */
#include "cli/command/model_options.h"
#include "base/look.h"
#include "cli/io/report.h"

#include <gpt2/lora.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Merges one: DIR, or DIR:SCALE. */
static bool merge_item(struct gpt2_model *model, const char *item, struct gpt2_runtime *runtime,
                       struct gpt2_error *err) {
    bool exists;
    if (!look_exists(&exists, item, GPT2_ERR_MODEL, err))
        return false;
    const char *colon = exists ? NULL : strrchr(item, ':');
    const size_t len = colon ? (size_t)(colon - item) : strlen(item);
    char *end = NULL;
    const double scale = colon ? strtod(colon + 1, &end) : 1;
    if (colon && (end == colon + 1 || *end || !isfinite(scale)))
        return command_error(err, GPT2_ERR_USAGE, NULL,
                             "--lora: expected DIR or DIR:SCALE with a number, got \"%s\"", item);
    char *path = strndup(item, len);
    if (!path)
        return command_error(err, GPT2_ERR_MEMORY, NULL, "out of memory while reading --lora");
    const bool ok = gpt2_model_adapt(model, path, scale, runtime, err);
    free(path);
    return ok;
}

bool model_options_merge(struct gpt2_model *model, const struct string_list *adapters,
                         struct gpt2_runtime *runtime, struct gpt2_error *err) {
    const int n = adapters ? adapters->n : 0;
    struct gpt2_runtime *own = NULL;
    if (n && !runtime) {
        runtime = own = gpt2_runtime_create(&(struct gpt2_runtime_options){.n_threads = 0}, err);
        if (!own)
            return false;
    }
    bool ok = true;
    for (int i = 0; ok && i < n; i++)
        ok = merge_item(model, adapters->items[i], runtime, err);
    gpt2_runtime_free(own);
    return ok;
}

static bool has_expanded(const struct gpt2_model *model) {
    struct gpt2_tensor_info info;
    for (size_t i = 0; gpt2_model_tensor(model, i, &info); i++)
        if (info.expanded)
            return true;
    return false;
}

bool model_options_keeps(const struct gpt2_model *model) {
    struct gpt2_tensor_info info;
    for (size_t i = 0; gpt2_model_tensor(model, i, &info); i++)
        if (info.form && !info.expanded)
            return true;
    return false;
}

struct gpt2_model *model_options_expand(const char *path, struct gpt2_error *err) {
    struct gpt2_model *model = gpt2_model_open_expanded(path, err);
    if (!model || has_expanded(model))
        return model;
    gpt2_model_close(model);
    command_error(err, GPT2_ERR_USAGE, "leave --expand out: the model runs as it does without",
                  "--expand: expected a GGUF file with quantized weights, or a packed file of one, "
                  "found none in %s",
                  path);
    return NULL;
}

static struct gpt2_model *merged(struct gpt2_model *model, const struct model_options *options,
                                 struct gpt2_runtime *runtime, struct gpt2_error *err) {
    if (model && model_options_merge(model, &options->lora, runtime, err))
        return model;
    gpt2_model_close(model);
    return NULL;
}

struct gpt2_model *model_options_open(const char *path, const struct model_options *options,
                                      struct gpt2_runtime *runtime, struct gpt2_error *err) {
    return merged(options->expand ? model_options_expand(path, err) : gpt2_model_open(path, err),
                  options, runtime, err);
}

struct gpt2_model *model_options_open_numbers(const char *path, const struct model_options *options,
                                              struct gpt2_runtime *runtime,
                                              struct gpt2_error *err) {
    return merged(gpt2_model_open_expanded(path, err), options, runtime, err);
}

bool model_options_fit(const struct gpt2_model *model, const struct model_options *options,
                       uint64_t other, struct gpt2_error *err) {
    struct memory_use use = {.other = other};
    memory_model(&use, model);
    return !options->max_memory || memory_check(&use, options->max_memory, err);
}
