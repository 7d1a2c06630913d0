/* save.c - a model as a Hugging Face directory: model.safetensors and config.json. */
#include <gpt2/save.h>

#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/outfile.h"
#include "base/path.h"
#include "export/save_file.h"
#include "model/config.h"
#include "model/generation_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)1 << 20) /* bytes of rows that are copied at a time, at least one row */
#define ALIGN 64                /* where the data begins */

/* GPT2LMHeadModel saves its parts like this; lm_head is beside them. */
static const char *prefix_of(const struct tensor_spec *spec) {
    return spec->kind == SPEC_HEAD ? "" : "transformer.";
}

/* The JSON of the header, padded, with its length in front. */
static char *print_header(size_t *size, const struct gpt2_model *model, struct gpt2_error *err) {
    struct buffer buffer = {0}, *out = &buffer;
    uint64_t at = 0;
    buffer_format(out, "........{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < weight_reader_count(model); i++) {
        const struct tensor_spec spec = weight_reader_at(model, i);
        const enum dtype dtype = weight_reader_dtype(&spec);
        const uint64_t end = at + weight_reader_elements(&spec) * dtype_size(dtype);
        buffer_format(out, ",\"%s%s\":{\"dtype\":\"%s\",\"shape\":[%" PRId64, prefix_of(&spec),
                      spec.name, dtype_name(dtype), spec.shape[0]);
        if (spec.kind != SPEC_VECTOR)
            buffer_format(out, ",%" PRId64, spec.shape[1]);
        buffer_format(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, end);
        at = end;
    }
    buffer_byte(out, '}');
    buffer_pad(out, ALIGN, ' ');
    char *text = buffer_take(out, size);
    if (!text) {
        error_memory(err, "the header", 0);
        return NULL;
    }
    const uint64_t length = *size - 8;
    memcpy(text, &length, sizeof length);
    return text;
}

static bool write_part(struct outfile *file, const struct tensor_spec *spec, const void *writer,
                       struct gpt2_error *err) {
    const bool vector = spec->kind == SPEC_VECTOR;
    const size_t rows = vector ? 1 : (size_t)spec->shape[0];
    const size_t row = weight_reader_elements(spec) / rows * dtype_size(weight_reader_dtype(spec));
    const size_t step = row < CHUNK ? CHUNK / row : 1;
    unsigned char *buffer = os_alloc(step < rows ? step : rows, row, "rows", err);
    bool ok = buffer != NULL;
    for (size_t i = 0; ok && i < rows; i += step) {
        const size_t n = rows - i < step ? rows - i : step;
        weight_reader_rows(buffer, spec, i, n);
        ok = outfile_write(file, buffer, n * row, err);
    }
    os_free(buffer);
    return ok;
}

static bool write_weights(const struct gpt2_model *model, const char *path,
                          gpt2_save_progress progress, void *user, struct gpt2_error *err) {
    size_t n_header;
    char *header = print_header(&n_header, model, err);
    const struct save_contents contents = {.model = model,
                                           .front = header,
                                           .n_front = n_header,
                                           .n_tensors = weight_reader_count(model),
                                           .write = write_part,
                                           .progress = progress,
                                           .user = user};
    bool ok = header && save_file(&contents, path, err);
    free(header);
    return ok;
}

static bool write_config(const struct gpt2_model *model, const char *path, struct gpt2_error *err) {
    static const char front[] = "{\n  \"architectures\": [\"GPT2LMHeadModel\"],";
    struct outfile file = {0};
    struct gpt2_config config = model->config;
    config.generation = generation_config_unsaid(); // in a file of its own
    char *text = config_print(&config, gpt2_model_head_is_tied(model), err);
    bool ok = text && outfile_create(&file, path, err) &&
              outfile_write(&file, front, sizeof front - 1, err) &&
              outfile_write(&file, text + 1, strlen(text + 1), err) && outfile_commit(&file, err);
    outfile_discard(&file);
    free(text);
    return ok;
}

/* Writes no file where nothing is recommended. Hugging Face looks for the ids in this file, too. */
static bool write_generation_config(const struct gpt2_model *model, const char *path,
                                    struct gpt2_error *err) {
    const struct gpt2_config *config = &model->config;
    struct buffer said = {0}, text = {0};
    struct outfile file = {0};
    bool ok = true;
    if (generation_config_print(&said, &config->generation)) {
        if (config->bos_id >= 0)
            buffer_format(&text, "{\"bos_token_id\": %" PRId32 ", ", config->bos_id);
        else
            buffer_text(&text, "{\"bos_token_id\": null, ");
        buffer_text(&text, "\"eos_token_id\": [");
        for (int i = 0; i < config->n_eos; i++)
            buffer_format(&text, "%s%" PRId32, i ? ", " : "", config->eos_ids[i]);
        buffer_text(&text, "], ");
        buffer_bytes(&text, said.data ? said.data + 1 : "", said.len ? said.len - 1 : 0);
        buffer_text(&text, "\n");
        ok = said.failed || text.failed
                 ? error_memory(err, "the configuration", 0)
                 : outfile_create(&file, path, err) &&
                       outfile_write(&file, text.data, text.len, err) && outfile_commit(&file, err);
    }
    outfile_discard(&file);
    buffer_free(&said);
    buffer_free(&text);
    return ok;
}

bool gpt2_model_save(const struct gpt2_model *model, const char *directory,
                     gpt2_save_progress progress, void *user, struct gpt2_error *err) {
    char *weights = path_join(directory, "model.safetensors", err);
    char *config = weights ? path_join(directory, "config.json", err) : NULL;
    char *generation = config ? path_join(directory, "generation_config.json", err) : NULL;
    bool ok =
        generation &&
        weight_reader_check_plain(model, "safetensors as others read it has no such type", err) &&
        write_weights(model, weights, progress, user, err) && write_config(model, config, err) &&
        write_generation_config(model, generation, err);
    free(weights);
    free(config);
    free(generation);
    return ok;
}
