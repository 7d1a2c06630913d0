/* packed_loader.c - binds the tensors of a packed file, which are used where they lie. */
#include "model/packed_loader.h"
#include "base/error_internal.h"
#include "kernels/panels.h"
#include "model/blocks.h"
#include "model/packed_form.h"
#include "model/tensor_index.h"
#include "model/tie.h"
#include "weights/packed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char remedy[] = "make it again with `gpt2 quantize`";

static const enum dtype elements[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
static const enum dtype in_version_2[] = {DTYPE_Q8, DTYPE_Q4};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The work on one file. */
struct packed_loader {
    struct gpt2_model *model;
    struct tensor_index names;
    struct blocks_matrix *expanded; /* [n_expanded] what is to be F32; NULL: nothing */
    size_t n_expanded;
    struct gpt2_error *err;
};

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

/* Says that the header's words on a quantized tensor are none that are known, or missing. */
static bool refuse_form(const struct packed_loader *l, const struct tensor *t) {
    if (!t->note)
        error_set(l->err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected its form in __metadata__, \"group=...\", found none",
                  l->model->tensors.path, t->name);
    else
        error_set(l->err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected a form of quantized weights in __metadata__, "
                  "found \"%.80s\"",
                  l->model->tensors.path, t->name, t->note);
    return error_hint(l->err, "%s", remedy);
}

/* Of a tensor of type U8: what its header says that it is. */
static bool read_form(const struct packed_loader *l, struct matrix *out, const struct tensor *t,
                      const struct tensor_spec *spec) {
    if (!t->note || !packed_form_find(&out->dtype, &out->blocks, t->note))
        return refuse_form(l, t);
    const int K = tensor_schema_inputs(spec);
    if (out->blocks && (unsigned)K % out->blocks->n_elements) {
        error_set(l->err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected rows of a multiple of %u weights for %s, found %d",
                  l->model->tensors.path, t->name, out->blocks->n_elements, out->blocks->name, K);
        return error_hint(l->err, "%s", remedy);
    }
    return is_stored_as(t, spec, out->dtype, LAYOUT_PANELS) ||
           refuse_shape(l->model, spec, t, l->err);
}

static bool find_in_version_2(const struct packed_loader *l, struct matrix *out,
                              const struct tensor *t, const struct tensor_spec *spec) {
    for (size_t i = 0; i < COUNT(in_version_2); i++) {
        out->dtype = in_version_2[i];
        if (is_stored_as(t, spec, out->dtype, LAYOUT_PANELS))
            return true;
    }
    return refuse_shape(l->model, spec, t, l->err);
}

/* Sets type and layout of *out; where it is refused, err. */
static bool find_type(const struct packed_loader *l, struct matrix *out, const struct tensor *t,
                      const struct tensor_spec *spec) {
    out->layout = spec->kind == SPEC_LINEAR ? LAYOUT_PANELS : LAYOUT_ROWS;
    for (size_t i = 0; i < COUNT(elements); i++) {
        out->dtype = elements[i];
        if (is_stored_as(t, spec, out->dtype, out->layout) &&
            (spec->kind != SPEC_VECTOR || out->dtype == DTYPE_F32))
            return true;
    }
    if (spec->kind == SPEC_VECTOR || spec->kind == SPEC_POSITIONS || strcmp(t->dtype, "U8") != 0)
        return refuse_shape(l->model, spec, t, l->err);
    out->layout = LAYOUT_PANELS;
    return l->model->tensors.in_panels == 2 ? find_in_version_2(l, out, t, spec)
                                            : read_form(l, out, t, spec);
}

/* Integers of a GGUF file may become F32: what is made is planned here. */
static void bind_matrix(struct packed_loader *l, const struct tensor_spec *spec,
                        const struct tensor *t, const struct matrix *found,
                        struct gpt2_tensor_info *info) {
    struct matrix *matrix = spec->field;
    *matrix = *found;
    matrix->data = t->data;
    matrix->rows = (int)spec->shape[0];
    matrix->cols = (int)spec->shape[1];
    if (!found->blocks)
        return;
    if (l->expanded) {
        blocks_plan_expanded(matrix, spec);
        l->expanded[l->n_expanded++] = (struct blocks_matrix){matrix, t, found->dtype};
    }
    info->dtype = found->blocks->name;
    tensor_schema_say_form(info, matrix);
}

static bool bind(struct packed_loader *l, const struct tensor_spec *spec,
                 struct tensor_entry *entry) {
    struct gpt2_model *model = l->model;
    const struct tensor *t = entry->tensor;
    struct matrix found = {.copy = NULL};
    entry->bound = true;
    if (!find_type(l, &found, t, spec))
        return false;
    if ((uintptr_t)t->data % PACKED_ALIGN) {
        error_set(l->err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected its data at a multiple of %d bytes",
                  model->tensors.path, t->name, PACKED_ALIGN);
        return error_hint(l->err, "%s", remedy);
    }
    if (t->note && !dtype_is_quantized(found.dtype) && model->tensors.in_panels > 2) {
        error_set(l->err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected no form in __metadata__ of %s, found \"%.80s\"",
                  model->tensors.path, t->name, t->dtype, t->note);
        return error_hint(l->err, "%s", remedy);
    }
    struct gpt2_tensor_info *info = &model->infos[model->n_infos++];
    *info = tensor_schema_info(spec, entry->name, dtype_name(found.dtype), t->n_bytes);
    if (spec->kind == SPEC_VECTOR)
        *(const float **)spec->field = t->data;
    else
        bind_matrix(l, spec, t, &found, info);
    return true;
}

static bool bind_tensors(struct packed_loader *l) {
    struct gpt2_model *model = l->model;
    const size_t n_tensors = tensor_schema_count(model);
    for (size_t i = 0; i < n_tensors; i++) {
        struct tensor_spec spec = tensor_schema_at(model, i);
        struct tensor_entry *entry = tensor_index_find(&l->names, spec.name);
        if (!entry) {
            error_set(l->err, GPT2_ERR_MODEL, "%s: missing tensor \"%s\"", model->tensors.path,
                      spec.name);
            return error_hint(l->err, "%s", remedy);
        }
        if (!bind(l, &spec, entry))
            return false;
    }
    struct tensor_spec head = tensor_schema_head(model);
    struct tensor_entry *entry = tensor_index_find(&l->names, head.name);
    model->tie = entry ? HEAD_IS_OWN : HEAD_IS_WTE;
    return !entry || bind(l, &head, entry);
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

/* A tied head is what wte has become. */
static bool make_expanded(const struct packed_loader *l) {
    struct gpt2_model *model = l->model;
    if (!blocks_make(model, l->expanded, l->n_expanded, l->err))
        return false;
    if (model->tie == HEAD_IS_WTE)
        model->head = model->wte;
    return true;
}

bool packed_loader_bind(struct gpt2_model *model, bool expand, struct gpt2_error *err) {
    struct packed_loader l = {.model = model, .err = err};
    const size_t n_tensors = tensor_schema_count(model) + 1 /* head */;
    bool ok =
        (model->h = os_alloc((size_t)model->config.n_layer, sizeof *model->h, "blocks", err)) &&
        (model->infos = os_alloc(n_tensors, sizeof *model->infos, "tensors", err)) &&
        (!expand || (l.expanded = os_alloc(n_tensors, sizeof *l.expanded, "tensors", err))) &&
        tensor_index_build(&l.names, &model->tensors, err) && bind_tensors(&l) &&
        check_leftovers(model, &l.names, err) && make_expanded(&l);
    os_free(l.expanded);
    tensor_index_free(&l.names);
    return ok;
}
