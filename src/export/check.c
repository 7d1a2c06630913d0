/* check.c - are these weights whole and sane, and which ones are they? */
#define _XOPEN_SOURCE 700 // realpath

#include <gpt2/save.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/os.h"
#include "base/path.h"
#include "export/stored.h"
#include "kernels/panels.h"
#include "weights/packed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_u64(struct digest *digest, uint64_t value) {
    digest_add(digest, &value, sizeof value);
}

static void add_shape(struct digest *digest, const struct part *part) {
    const uint32_t rank = part->kind == PART_VECTOR ? 1 : 2;
    digest_add(digest, part->name, strlen(part->name) + 1);
    digest_add(digest, &rank, sizeof rank);
    for (uint32_t i = 0; i < rank; i++)
        add_u64(digest, (uint64_t)part->shape[i]);
}

static void count_bad(struct gpt2_check *check, const struct part *part, const float *values,
                      size_t n, size_t row) {
    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i]))
            continue;
        if (check->n_bad++)
            continue;
        if (part->kind == PART_VECTOR)
            snprintf(check->first_bad, sizeof check->first_bad, "%s[%zu]", part->name, i);
        else
            snprintf(check->first_bad, sizeof check->first_bad, "%s[%zu, %zu]", part->name, row, i);
    }
}

/* Row after row, so that memory is that of one row whatever the model. */
static bool add_values(struct gpt2_check *check, struct digest *digest, const struct part *part,
                       struct gpt2_error *err) {
    const bool vector = part->kind == PART_VECTOR;
    const size_t rows = vector ? 1 : (size_t)part->shape[0], cols = stored_elements(part) / rows;
    const enum dtype dtype = stored_dtype(part);
    unsigned char *row = os_alloc(cols, dtype_size(dtype), "a row", err);
    float *values = row ? os_alloc(cols, sizeof *values, "a row", err) : NULL;
    for (size_t i = 0; values && i < rows; i++) {
        stored_rows(row, part, i, 1);
        dtype_to_f32(values, row, dtype, cols);
        count_bad(check, part, values, cols, i);
        digest_add(digest, values, cols * sizeof *values);
    }
    check->n_numbers += rows * cols;
    const bool ok = values != NULL;
    os_free(row);
    os_free(values);
    return ok;
}

static void add_panels(struct digest *digest, const struct part *part) {
    const struct matrix *m = part->field;
    digest_add(digest, m->data,
               (size_t)panels_count(parts_outputs(part)) *
                   panel_bytes(m->dtype, parts_inputs(part)));
}

/* ---- hashes ---- */

static bool is_sha256(const char *name) {
    return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

/* Hugging Face's cache links snapshots/.../model.safetensors to blobs/SHA256. */
static bool check_name(const struct gpt2_model *model, const char **hash, struct gpt2_error *err) {
    const struct os_file *file = &model->tensors.file;
    char hex[DIGEST_HEX], *path = realpath(model->tensors.path, NULL);
    bool ok = true;
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
    if (!packed_recognise(model->tensors.file.data, model->tensors.file.size))
        return check_name(model, hash, err);
    *hash = "the checksums in the file";
    return packed_verify(&model->tensors, NULL, err);
}

bool gpt2_model_check(const struct gpt2_model *model, struct gpt2_check *check,
                      gpt2_save_progress progress, void *user, struct gpt2_error *err) {
    struct digest digest;
    const size_t n = stored_count(model);
    *check = (struct gpt2_check){.hash = NULL};
    if (!check_hash(model, &check->hash, err))
        return false;
    digest_start(&digest, DIGEST_SHA256);
    for (size_t i = 0; i < n; i++) {
        const struct part part = stored_at(model, i);
        add_shape(&digest, &part);
        if (dtype_is_quantized(stored_dtype(&part)))
            add_panels(&digest, &part);
        else if (!add_values(check, &digest, &part, err))
            return false;
        if (progress && !progress(user, i + 1, n))
            return error_set(err, GPT2_ERR_RUNTIME, "checking was interrupted");
    }
    digest_end(&digest, check->fingerprint);
    return true;
}
