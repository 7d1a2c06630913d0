/* weight_reader.c - reads weights of any layout row by row or column by column. */
#include "export/weight_reader.h"
#include "base/error_internal.h"
#include "kernels/panels.h"

#include <gpt2/model.h>
#include <string.h>

size_t weight_reader_count(const struct gpt2_model *model) {
    return tensor_schema_count(model) + !gpt2_model_head_is_tied(model);
}

struct tensor_spec weight_reader_at(const struct gpt2_model *model, size_t i) {
    return i < tensor_schema_count(model) ? tensor_schema_at(model, i) : tensor_schema_head(model);
}

enum dtype weight_reader_dtype(const struct tensor_spec *spec) {
    const struct matrix *m = spec->field;
    return spec->kind == SPEC_VECTOR || dtype_is_foreign(m->dtype) ? DTYPE_F32 : m->dtype;
}

size_t weight_reader_elements(const struct tensor_spec *spec) {
    return (size_t)spec->shape[0] * (size_t)spec->shape[1];
}

/* Where element [row, col] lies. */
static const unsigned char *element(const struct matrix *m, size_t row, size_t col) {
    const size_t size = dtype_size(m->dtype), K = (size_t)m->rows;
    const size_t at = m->layout == LAYOUT_ROWS ? row * (size_t)m->cols + col
                      : m->layout == LAYOUT_COLUMNS
                          ? col * K + row
                          : (col / PANEL * K + row) * PANEL + col % PANEL; // [panels, in, PANEL]
    return (const unsigned char *)m->data + at * size;
}

/* Panel `i` of a quantized matrix. */
static const void *panel(const struct tensor_spec *spec, size_t i) {
    const struct matrix *m = spec->field;
    return (const char *)m->data + i * panel_bytes(m->dtype, tensor_schema_inputs(spec));
}

/* n outputs from `first` on, the inputs of each side by side. */
static void quantized_outputs(float *out, const struct tensor_spec *spec, size_t first, size_t n) {
    const struct matrix *m = spec->field;
    const int K = tensor_schema_inputs(spec);
    for (size_t c = first; c < first + n; c++, out += K)
        panels_column(out, panel(spec, c / PANEL), m->dtype, (int)(c % PANEL), K);
}

/* n inputs from `first` on, the outputs of each side by side. */
static void quantized_inputs(float *out, const struct tensor_spec *spec, size_t first, size_t n) {
    const struct matrix *m = spec->field;
    const size_t n_out = (size_t)tensor_schema_outputs(spec);
    for (size_t k = first; k < first + n; k++)
        for (size_t c = 0; c < n_out; c++)
            *out++ = panels_weight(panel(spec, c / PANEL), m->dtype, (int)(c % PANEL), (int)k);
}

void weight_reader_rows(void *out, const struct tensor_spec *spec, size_t first, size_t n) {
    if (spec->kind == SPEC_VECTOR) {
        memcpy(out, *(const float *const *)spec->field, (size_t)spec->shape[0] * sizeof(float));
        return;
    }
    const struct matrix *m = spec->field;
    const size_t cols = (size_t)m->cols, size = dtype_size(m->dtype);
    unsigned char *at = out;
    if (dtype_is_quantized(m->dtype)) {
        (spec->kind == SPEC_LINEAR ? quantized_inputs : quantized_outputs)(out, spec, first, n);
        return;
    }
    if (m->layout == LAYOUT_ROWS) {
        memcpy(at, element(m, first, 0), n * cols * size);
        return;
    }
    const size_t most = m->layout == LAYOUT_COLUMNS ? 1 : PANEL; // of a row side by side
    for (size_t row = first; row < first + n; row++)
        for (size_t col = 0; col < cols; col += most) {
            const size_t width = cols - col < most ? cols - col : most;
            memcpy(at, element(m, row, col), width * size);
            at += width * size;
        }
}

void weight_reader_columns(void *out, const struct tensor_spec *spec, size_t first, size_t n) {
    const struct matrix *m = spec->field;
    const size_t rows = (size_t)m->rows, size = dtype_size(m->dtype);
    if (dtype_is_quantized(m->dtype)) {
        (spec->kind == SPEC_LINEAR ? quantized_outputs : quantized_inputs)(out, spec, first, n);
        return;
    }
    if (m->layout == LAYOUT_COLUMNS) {
        memcpy(out, element(m, 0, first), n * rows * size);
        return;
    }
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < n; i++)
            memcpy((unsigned char *)out + (i * rows + row) * size, element(m, row, first + i),
                   size);
}

bool weight_reader_check_plain(const struct gpt2_model *model, const char *why,
                               struct gpt2_error *err) {
    for (size_t i = 0; i < weight_reader_count(model); i++) {
        const struct tensor_spec spec = weight_reader_at(model, i);
        if (!dtype_is_quantized(weight_reader_dtype(&spec)))
            continue;
        error_set(err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected F32, F16 or BF16 weights, found %s: %s",
                  model->tensors.path, spec.name, dtype_name(weight_reader_dtype(&spec)), why);
        return error_hint(err, "use the model that it was made from");
    }
    return true;
}
