/* save.c - a model as a Hugging Face directory: model.safetensors and config.json. */
#include <gpt2/save.h>

#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/outfile.h"
#include "base/path.h"
#include "export/save_file.h"
#include "model/config.h"

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

static bool write_part(struct outfile *file, const struct tensor_spec *spec,
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
    bool ok = header && save_file(model, path, header, n_header, write_part, progress, user, err);
    free(header);
    return ok;
}

static bool write_config(const struct gpt2_model *model, const char *path, struct gpt2_error *err) {
    static const char front[] = "{\n  \"architectures\": [\"GPT2LMHeadModel\"],";
    struct outfile file = {0};
    char *text = config_print(&model->config, model->head_is_tied, err);
    bool ok = text && outfile_create(&file, path, err) &&
              outfile_write(&file, front, sizeof front - 1, err) &&
              outfile_write(&file, text + 1, strlen(text + 1), err) && outfile_commit(&file, err);
    outfile_discard(&file);
    free(text);
    return ok;
}

bool gpt2_model_save(const struct gpt2_model *model, const char *directory,
                     gpt2_save_progress progress, void *user, struct gpt2_error *err) {
    char *weights = path_join(directory, "model.safetensors", err);
    char *config = weights ? path_join(directory, "config.json", err) : NULL;
    bool ok =
        config &&
        weight_reader_check_plain(model, "safetensors as others read it has no such type", err) &&
        write_weights(model, weights, progress, user, err) && write_config(model, config, err);
    free(weights);
    free(config);
    return ok;
}
