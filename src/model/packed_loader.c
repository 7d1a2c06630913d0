/* packed_loader.c - binds the tensors of a packed file, which are used where they lie. */
#include "model/packed_loader.h"
#include "base/error_internal.h"
#include "kernels/panels.h"
#include "model/tensor_index.h"
#include "model/tie.h"
#include "weights/packed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char remedy[] = "make it again with `gpt2 quantize`";

static const enum dtype elements[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
static const enum dtype quantized[] = {DTYPE_Q8, DTYPE_Q4};

#define COUNT(array) (sizeof(array) / sizeof *(array))

void packed_loader_shape(struct tensor *out, const struct tensor_spec *spec, enum dtype dtype,
                         enum layout layout) {
    const int K = tensor_schema_inputs(spec);
    const int64_t n_panels = panels_count(tensor_schema_outputs(spec));
    if (spec->kind == SPEC_VECTOR || layout == LAYOUT_ROWS) {
        out->rank = spec->kind == SPEC_VECTOR ? 1 : 2;
        out->shape[0] = spec->shape[0];
        out->shape[1] = spec->shape[1];
        out->n_bytes = (size_t)spec->shape[0] * (size_t)spec->shape[1] * dtype_size(dtype);
    } else {
        const size_t size = panel_bytes(dtype, K);
        const bool groups = dtype_is_quantized(dtype);
        out->rank = 3;
        out->shape[0] = n_panels;
        out->shape[1] = groups ? panels_groups(dtype, K) : K;
        out->shape[2] = groups ? (int64_t)panel_group_bytes(dtype) : PANEL;
        out->n_bytes = (size_t)n_panels * size;
    }
    out->dtype = dtype_is_quantized(dtype) ? "U8" : dtype_name(dtype);
}

static bool refuse_shape(const struct gpt2_model *model, const struct tensor_spec *spec,
                         const struct tensor *t, struct gpt2_error *err) {
    char shape[100] = "";
    size_t n = 0;
    for (int i = 0; i < t->rank && n < sizeof shape; i++)
        n +=
            (size_t)snprintf(shape + n, sizeof shape - n, "%s%" PRId64, i ? ", " : "", t->shape[i]);
    error_set(err, GPT2_ERR_MODEL,
              "%s: tensor \"%s\" (%s): expected what config.json's [%" PRId64 ", %" PRId64
              "] is when packed, found %s [%s]",
              model->tensors.path, t->name, spec->what, spec->shape[0], spec->shape[1], t->dtype,
              shape);
    return error_hint(err, "%s", remedy);
}

/* One way in which the part may be stored: true if that is how it is. */
static bool is_stored_as(const struct tensor *t, const struct tensor_spec *spec, enum dtype dtype,
                         enum layout layout) {
    struct tensor expected;
    packed_loader_shape(&expected, spec, dtype, layout);
    return strcmp(t->dtype, expected.dtype) == 0 && t->rank == expected.rank &&
           memcmp(t->shape, expected.shape, (size_t)t->rank * sizeof *t->shape) == 0;
}

static bool find_type(enum dtype *dtype, enum layout *layout, const struct tensor *t,
                      const struct tensor_spec *spec) {
    *layout = spec->kind == SPEC_LINEAR ? LAYOUT_PANELS : LAYOUT_ROWS;
    for (size_t i = 0; i < COUNT(elements); i++) {
        *dtype = elements[i];
        if (is_stored_as(t, spec, *dtype, *layout))
            return spec->kind != SPEC_VECTOR || *dtype == DTYPE_F32;
    }
    *layout = LAYOUT_PANELS;
    for (size_t i = 0; i < COUNT(quantized); i++) {
        *dtype = quantized[i];
        if (spec->kind != SPEC_VECTOR && spec->kind != SPEC_POSITIONS &&
            is_stored_as(t, spec, *dtype, *layout))
            return true;
    }
    return false;
}

static bool bind(struct gpt2_model *model, const struct tensor_spec *spec,
                 struct tensor_entry *entry, struct gpt2_error *err) {
    const struct tensor *t = entry->tensor;
    enum dtype dtype;
    enum layout layout;
    entry->bound = true;
    if (!find_type(&dtype, &layout, t, spec))
        return refuse_shape(model, spec, t, err);
    if ((uintptr_t)t->data % PACKED_ALIGN) {
        error_set(err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected its data at a multiple of %d bytes",
                  model->tensors.path, t->name, PACKED_ALIGN);
        return error_hint(err, "%s", remedy);
    }
    if (spec->kind == SPEC_VECTOR)
        *(const float **)spec->field = t->data;
    else
        *(struct matrix *)spec->field =
            (struct matrix){t->data, dtype, layout, (int)spec->shape[0], (int)spec->shape[1], NULL};
    model->infos[model->n_infos++] =
        tensor_schema_info(spec, entry->name, dtype_name(dtype), t->n_bytes);
    return true;
}

static bool bind_tensors(struct gpt2_model *model, struct tensor_index *names,
                         struct gpt2_error *err) {
    const size_t n_tensors = tensor_schema_count(model);
    for (size_t i = 0; i < n_tensors; i++) {
        struct tensor_spec spec = tensor_schema_at(model, i);
        struct tensor_entry *entry = tensor_index_find(names, spec.name);
        if (!entry) {
            error_set(err, GPT2_ERR_MODEL, "%s: missing tensor \"%s\"", model->tensors.path,
                      spec.name);
            return error_hint(err, "%s", remedy);
        }
        if (!bind(model, &spec, entry, err))
            return false;
    }
    struct tensor_spec head = tensor_schema_head(model);
    struct tensor_entry *entry = tensor_index_find(names, head.name);
    model->head = model->wte;
    model->tie = entry ? HEAD_IS_OWN : HEAD_IS_WTE;
    return !entry || bind(model, &head, entry, err);
}

static bool check_leftovers(const struct gpt2_model *model, const struct tensor_index *names,
                            struct gpt2_error *err) {
    static const char *const known[] = {PACKED_CHECKSUMS, PACKED_CONFIG, PACKED_TOKENIZER};
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->entries[i].tensor->name;
        bool ok = names->entries[i].bound ||
                  strncmp(name, PACKED_PADDING, sizeof PACKED_PADDING - 1) == 0;
        for (size_t k = 0; k < COUNT(known); k++)
            ok = ok || strcmp(name, known[k]) == 0;
        if (!ok) {
            error_set(err, GPT2_ERR_MODEL, "%s: tensor \"%s\": a packed model has no such tensor",
                      model->tensors.path, name);
            return error_hint(err, "%s", remedy);
        }
    }
    return true;
}

bool packed_loader_bind(struct gpt2_model *model, struct gpt2_error *err) {
    struct tensor_index names = {0};
    bool ok =
        (model->h = os_alloc((size_t)model->config.n_layer, sizeof *model->h, "blocks", err)) &&
        (model->infos =
             os_alloc(tensor_schema_count(model) + 1, sizeof *model->infos, "tensors", err)) &&
        tensor_index_build(&names, &model->tensors, err) && bind_tensors(model, &names, err) &&
        check_leftovers(model, &names, err);
    tensor_index_free(&names);
    return ok;
}
