/* fingerprint.c - whether weights are whole and finite, and a fingerprint that names them. */
#define _XOPEN_SOURCE 700 // realpath

#include <gpt2/save.h>

#include "base/digest.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/path.h"
#include "export/weight_reader.h"
#include "kernels/panels.h"
#include "weights/block_check.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_u64(struct digest *digest, uint64_t value) {
    digest_add(digest, &value, sizeof value);
}

static void add_shape(struct digest *digest, const struct tensor_spec *spec) {
    const uint32_t rank = spec->kind == SPEC_VECTOR ? 1 : 2;
    digest_add(digest, spec->name, strlen(spec->name) + 1);
    digest_add(digest, &rank, sizeof rank);
    for (uint32_t i = 0; i < rank; i++)
        add_u64(digest, (uint64_t)spec->shape[i]);
}

static void count_bad(struct gpt2_check *check, const struct tensor_spec *spec, const float *values,
                      size_t n, size_t row) {
    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i]))
            continue;
        if (check->n_bad++)
            continue;
        if (spec->kind == SPEC_VECTOR)
            snprintf(check->first_bad, sizeof check->first_bad, "%s[%zu]", spec->name, i);
        else
            snprintf(check->first_bad, sizeof check->first_bad, "%s[%zu, %zu]", spec->name, row, i);
    }
}

/* Row after row, so that memory is that of one row whatever the model. */
static bool add_values(struct gpt2_check *check, struct digest *digest,
                       const struct tensor_spec *spec, struct gpt2_error *err) {
    const bool vector = spec->kind == SPEC_VECTOR;
    const size_t rows = vector ? 1 : (size_t)spec->shape[0],
                 cols = weight_reader_elements(spec) / rows;
    const enum dtype dtype = weight_reader_dtype(spec);
    unsigned char *row = os_alloc(cols, dtype_size(dtype), "a row", err);
    float *values = row ? os_alloc(cols, sizeof *values, "a row", err) : NULL;
    for (size_t i = 0; values && i < rows; i++) {
        weight_reader_rows(row, spec, i, 1);
        dtype_to_f32(values, row, dtype, cols);
        count_bad(check, spec, values, cols, i);
        digest_add(digest, values, cols * sizeof *values);
    }
    check->n_numbers += rows * cols;
    const bool ok = values != NULL;
    os_free(row);
    os_free(values);
    return ok;
}

static void add_panels(struct digest *digest, const struct tensor_spec *spec) {
    const struct matrix *m = spec->field;
    digest_add(digest, m->data,
               (size_t)panels_count(tensor_schema_outputs(spec)) *
                   panel_bytes(m->dtype, tensor_schema_inputs(spec)));
}

/* ---- hashes ---- */

static bool is_sha256(const char *name) {
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

/* Hugging Face's cache links snapshots/.../model.safetensors to blobs/SHA256. */
static bool check_name(const struct gpt2_model *model, const char **hash, struct gpt2_error *err) {
    const struct os_file *file = &model->tensors.file;
    char hex[DIGEST_HEX], *path = realpath(model->tensors.path, NULL);
    bool ok = path || !error_is_of_system(errno) ||
              error_errno(err, GPT2_ERR_MODEL, errno, "cannot look at %s", model->tensors.path);
    if (path && is_sha256(path_name(path)) && file->size) {
        struct digest digest;
        digest_start(&digest, DIGEST_SHA256);
        digest_add(&digest, file->data, file->size);
        digest_end(&digest, hex);
        *hash = "the SHA-256 that is the file's name";
        if (strcmp(hex, path_name(path)) != 0) {
            ok = error_set(err, GPT2_ERR_MODEL,
                           "%s: expected the SHA-256 that is its name, found %s: the file is "
                           "damaged",
                           path, hex);
            error_hint(err, "fetch the model again");
        }
    }
    free(path);
    return ok;
}

static bool check_hash(const struct gpt2_model *model, const char **hash, struct gpt2_error *err) {
    *hash = NULL;
    if (!model->tensors.checksums.sums)
        return check_name(model, hash, err);
    *hash = "the checksums in the file";
    return block_check_all(&model->tensors, err);
}

bool gpt2_model_check(const struct gpt2_model *model, struct gpt2_check *check,
                      gpt2_save_progress progress, void *user, struct gpt2_error *err) {
    struct digest digest;
    const size_t n = weight_reader_count(model);
    *check = (struct gpt2_check){.hash = NULL};
    if (!check_hash(model, &check->hash, err))
        return false;
    digest_start(&digest, DIGEST_SHA256);
    for (size_t i = 0; i < n; i++) {
        const struct tensor_spec spec = weight_reader_at(model, i);
        add_shape(&digest, &spec);
        if (dtype_is_quantized(weight_reader_dtype(&spec)))
            add_panels(&digest, &spec);
        else if (!add_values(check, &digest, &spec, err))
            return false;
        if (progress && !progress(user, i + 1, n))
            return error_set(err, GPT2_ERR_RUNTIME, "checking was interrupted");
    }
    digest_end(&digest, check->fingerprint);
    return true;
}
