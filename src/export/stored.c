#include "export/stored.h"
#include "base/error.h"
#include "kernels/panels.h"

#include <string.h>

size_t stored_count(const struct gpt2_model *model) {
    return parts_count(model) + !model->head_is_tied;
}

struct part stored_at(const struct gpt2_model *model, size_t i) {
    return i < parts_count(model) ? parts_at(model, i) : parts_head(model);
}

enum dtype stored_dtype(const struct part *part) {
    return part->kind == PART_VECTOR ? DTYPE_F32 : ((const struct matrix *)part->field)->dtype;
}

size_t stored_elements(const struct part *part) {
    return (size_t)part->shape[0] * (size_t)part->shape[1];
}

/* Where element [row, col] lies. */
static const unsigned char *element(const struct matrix *m, size_t row, size_t col) {
    const size_t size = dtype_size(m->dtype), K = (size_t)m->rows;
    const size_t at = m->layout == LAYOUT_ROWS
                          ? row * (size_t)m->cols + col
                          : (col / PANEL * K + row) * PANEL + col % PANEL; // [panels, in, PANEL]
    return (const unsigned char *)m->data + at * size;
}

void stored_rows(void *out, const struct part *part, size_t first, size_t n) {
    if (part->kind == PART_VECTOR) {
        memcpy(out, *(const float *const *)part->field, (size_t)part->shape[0] * sizeof(float));
        return;
    }
    const struct matrix *m = part->field;
    const size_t cols = (size_t)m->cols, size = dtype_size(m->dtype);
    unsigned char *at = out;
    if (m->layout == LAYOUT_ROWS) {
        memcpy(at, element(m, first, 0), n * cols * size);
        return;
    }
    for (size_t row = first; row < first + n; row++)
        for (size_t col = 0; col < cols; col += PANEL) {
            const size_t width = cols - col < PANEL ? cols - col : PANEL;
            memcpy(at, element(m, row, col), width * size);
            at += width * size;
        }
}

void stored_columns(void *out, const struct part *part, size_t first, size_t n) {
    const struct matrix *m = part->field;
    const size_t rows = (size_t)m->rows, size = dtype_size(m->dtype);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < n; i++)
            memcpy((unsigned char *)out + (i * rows + row) * size, element(m, row, first + i),
                   size);
}

bool stored_check_plain(const struct gpt2_model *model, const char *why, struct gpt2_error *err) {
    for (size_t i = 0; i < stored_count(model); i++) {
        const struct part part = stored_at(model, i);
        if (!dtype_is_quantized(stored_dtype(&part)))
            continue;
        error_set(err, GPT2_ERR_MODEL,
                  "%s: tensor \"%s\": expected F32, F16 or BF16 weights, found %s: %s",
                  model->tensors.path, part.name, dtype_name(stored_dtype(&part)), why);
        return error_hint(err, "use the model that it was made from");
    }
    return true;
}
