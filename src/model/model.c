/* model.c - opens and closes a model, and answers what it is.
 *
 * directory.c finds the files, weights/ reads them into a table of tensors, config.c reads the
 * shape, loader.c binds the tensors to GPT-2's parts. */
#include "base/error_internal.h"
#include "base/look.h"
#include "base/os.h"
#include "model/adapt.h"
#include "model/config.h"
#include "model/directory.h"
#include "model/generation_config.h"
#include "model/loader.h"
#include "model/relocate.h"
#include "model/tensor_names.h"
#include "model/tie.h"
#include "model/weights.h"
#include "weights/block_check.h"

#include <stdio.h>
#include <stdlib.h>

/* The configuration that the weights have inside. */
static bool read_inner_config(struct gpt2_model *model, enum config_tie *tie,
                              struct gpt2_error *err) {
    const struct tensors *tensors = &model->tensors;
    char what[sizeof err->message];
    snprintf(what, sizeof what, "%s: %s", tensors->path, tensors->config_name);
    return config_parse(&model->config, tie, &model->notes, tensors->config, tensors->config_len,
                        what, err);
}

/* Compares the data with the checksums that the container carries, or has passes do so as they read
 * it. */
static bool check_data(struct gpt2_model *model, bool lazy, struct gpt2_error *err) {
    if (!lazy)
        return block_check_all(&model->tensors, err);
    return !model->tensors.checksums.sums ||
           (model->check = block_check_create(&model->tensors, err));
}

/* A LoRA adapter can lie beside a whole model, which may be its base or have it merged. */
static bool note_adapter(struct gpt2_model *model, const char *path, struct gpt2_error *err) {
    return !path || warnings_add(&model->notes, err,
                                 "%s: a LoRA adapter lies beside the model and is not applied: "
                                 "--lora applies it",
                                 path);
}

/* A config.json is read before the weights: a model of another type is refused as that. The names
 * of tensors come before a config.json that is missing, and before any other fault of theirs. */
static bool open_files(struct gpt2_model *model, const char *path, struct given *given, bool lazy,
                       bool expand, struct gpt2_error *err) {
    enum config_tie tie = CONFIG_TIE_UNSAID;
    struct directory files;
    if (!directory_find(&files, path, given, err))
        return false;
    const bool beside = files.config && !(files.format && files.format->config == CONFIG_INSIDE);
    bool ok = (!beside || config_open(&model->config, &tie, &model->notes, files.config,
                                      files.generation, err)) &&
              directory_check_weights(&files, err) &&
              containers_open(&model->tensors, files.format, &files.file, files.weights, err) &&
              tensor_names_check(&model->tensors, err) &&
              (beside || model->tensors.config || directory_refuse_without_config(&files, err)) &&
              (beside || read_inner_config(model, &tie, err)) && check_data(model, lazy, err) &&
              loader_bind(model, tie, expand, err) && note_adapter(model, files.adapter, err);
    directory_free(&files);
    return ok;
}

static struct gpt2_model *open_model(const char *path, bool lazy, bool expand,
                                     struct gpt2_error *err) {
    struct given given;
    if (!containers_identify(&given, path, err))
        return NULL;
    struct gpt2_model *model = os_alloc(1, sizeof *model, "the model", err);
    const bool ok = model && open_files(model, path, &given, lazy, expand, err);
    containers_close(&given);
    if (ok)
        return model;
    gpt2_model_close(model);
    return NULL;
}

struct gpt2_model *model_open_packed(void *bytes, size_t n_bytes, const char *name,
                                     struct gpt2_error *err) {
    enum config_tie tie = CONFIG_TIE_UNSAID;
    struct gpt2_model *model = os_alloc(1, sizeof *model, "the model", err);
    if (!model || !container_packed.parse(&model->tensors, bytes, n_bytes, name, err) ||
        !tensors_adopt(&model->tensors, bytes, err)) {
        os_free(bytes);
        gpt2_model_close(model);
        return NULL;
    }
    if (read_inner_config(model, &tie, err) && loader_bind(model, tie, false, err))
        return model;
    gpt2_model_close(model);
    return NULL;
}

bool gpt2_model_recognise(const char *path, const char **what, struct gpt2_error *err) {
    struct gpt2_error why = {0};
    struct given given;
    *what = NULL;
    if (!look_may_read(path, GPT2_ERR_MODEL, err))
        return false;
    if (containers_identify(&given, path, &why)) {
        const struct container *format = given.format;
        char *file = NULL;
        if (given.kind == GIVEN_DIRECTORY)
            containers_in_directory(&format, &file, path, &why);
        if (format && format->parse)
            *what = format->what;
        free(file);
        containers_close(&given);
    }
    if (why.status == GPT2_OK || (why.status == GPT2_ERR_MODEL && !given.refused))
        return true;
    if (err)
        *err = why;
    return false;
}

struct gpt2_model *gpt2_model_open(const char *path, struct gpt2_error *err) {
    return open_model(path, false, false, err);
}

struct gpt2_model *gpt2_model_open_expanded(const char *path, struct gpt2_error *err) {
    return open_model(path, false, true, err);
}

struct gpt2_model *gpt2_model_open_lazy(const char *path, struct gpt2_error *err) {
    return open_model(path, true, false, err);
}

bool gpt2_model_prefetch(const struct gpt2_model *model, size_t *position) {
    const struct os_file *file = &model->tensors.file;
    if (*position >= file->size || model->tensors.n_copies || model->made) // in memory already
        return false;
    // in small steps: the caller looks between them whether what it waits for is there
    const size_t step = (size_t)256 << 10;
    size_t n_bytes = file->size - *position < step ? file->size - *position : step;
    bool done = os_populate(file, *position, n_bytes);
    *position += n_bytes;
    return done;
}

void gpt2_model_close(struct gpt2_model *model) {
    if (!model)
        return;
    relocate_free(model);
    adapt_free(model);
    block_check_free(model->check);
    for (size_t i = 0; i < model->n_converted; i++)
        os_free(model->converted[i]);
    os_free(model->converted);
    os_free_huge(model->made, model->n_made);
    os_free(model->infos);
    os_free(model->h);
    warnings_free(&model->notes);
    tensors_close(&model->tensors);
    os_free(model);
}

const struct gpt2_config *gpt2_model_config(const struct gpt2_model *model) {
    return &model->config;
}

bool gpt2_model_recommends(const struct gpt2_model *model, size_t i, const char **name,
                           double *value) {
    const struct generation_config_key *key;
    for (size_t at = 0; (key = generation_config_key(at)); at++)
        if (generation_config_get(key, &model->config.generation, value) && i-- == 0) {
            *name = key->name;
            return true;
        }
    return false;
}

bool gpt2_model_tensor(const struct gpt2_model *model, size_t i, struct gpt2_tensor_info *info) {
    // comparing a head with wte can wait until its turn
    if (i >= model->n_infos || (i + 1 == model->n_infos && i >= tie_n_tensors(model)))
        return false;
    *info = model->infos[i];
    return true;
}

uint64_t gpt2_model_parameters(const struct gpt2_model *model) {
    uint64_t n = 0;
    for (size_t i = 0, n_tensors = tie_n_tensors(model); i < n_tensors; i++)
        n += (uint64_t)model->infos[i].shape[0] * (uint64_t)model->infos[i].shape[1];
    return n;
}

const char *gpt2_model_warning(const struct gpt2_model *model, size_t i) {
    return i < model->notes.count ? model->notes.items[i] : NULL;
}
