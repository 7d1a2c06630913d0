/* blocks.c - plans the panels of a file's blocks and fills them, strip after strip; makes blocks of
 * panels again. */
#include "model/blocks.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "base/pool.h"
#include "kernels/panels.h"
#include "weights/gguf/ggml_block.h"

#include <assert.h>
#include <string.h>

bool blocks_find_dtype(enum dtype *dtype, const struct ggml_type *type) {
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const struct panel_form form = panel_form((enum dtype)i);
        if (dtype_is_foreign((enum dtype)i) && form.group == type->group &&
            form.bits == type->bits && form.scale_bytes >= type->scale_bytes &&
            form.mins == type->mins) {
            *dtype = (enum dtype)i;
            return true;
        }
    }
    return false;
}

void blocks_plan(struct matrix *out, const struct tensor_spec *spec, const struct tensor *tensor,
                 bool expand) {
    enum dtype dtype = DTYPE_F32;
    const bool keep =
        !expand && spec->kind != SPEC_POSITIONS && blocks_find_dtype(&dtype, tensor->blocks);
    *out =
        (struct matrix){.dtype = dtype, .rows = (int)spec->shape[0], .cols = (int)spec->shape[1]};
    out->layout = keep || spec->kind == SPEC_LINEAR ? LAYOUT_PANELS : LAYOUT_ROWS;
    out->blocks = keep ? tensor->blocks : NULL;
}

void blocks_plan_expanded(struct matrix *out, const struct tensor_spec *spec) {
    *out = (struct matrix){.dtype = DTYPE_F32,
                           .layout = spec->kind == SPEC_LINEAR ? LAYOUT_PANELS : LAYOUT_ROWS,
                           .rows = (int)spec->shape[0],
                           .cols = (int)spec->shape[1]};
}

void blocks_values(float *values, const struct tensor *tensor, size_t n) {
    const struct ggml_type *type = tensor->blocks;
    const unsigned char *from = tensor->data;
    assert(n % type->n_elements == 0);
    for (size_t i = 0; i < n; i += type->n_elements, from += type->n_bytes)
        ggml_type_dequantize(values + i, type, from);
}

/* ---- one panel ---- */

/* A matrix that is made: n_out outputs of n_in inputs. In the file the inputs of an output lie one
 * after the other. */
struct making {
    struct matrix *matrix;
    const struct ggml_type *type; /* NULL: it is made of panels */
    enum dtype panels;            /* ... of that type           */
    const unsigned char *from;
    size_t row_bytes; /* of an output, where it is made of blocks */
    char *to;
    int n_in, n_out;
};

/* Writes a scale or a min as element i of those at `to`. */
static void put_scale(unsigned char *to, int i, float value, int size) {
    const uint16_t half = dtype_f32_to_f16(value);
    memcpy(to + i * size, size == PANEL_F32 ? (const void *)&value : (const void *)&half,
           (size_t)size);
}

/* Writes the integers of a group of one output; w: its first byte. */
static void put_integers(unsigned char *w, const int8_t *q, struct panel_form form) {
    if (form.bits == 8) {
        for (int i = 0; i < form.group; i += 4, w += 4 * PANEL)
            for (int k = 0; k < 4; k++)
                w[k] = (unsigned char)(q[i + k] + 128);
        return;
    }
    const int half = form.group / 2, less = form.mins ? 0 : 8;
    for (int i = 0; i < half; i += 4, w += 4 * PANEL)
        for (int k = 0; k < 4; k++)
            w[k] = (unsigned char)((q[i + k] + less) | (q[half + i + k] + less) << 4);
}

/* Block after block, so that the groups that are written stay in the first cache. */
static void make_integers(unsigned char *panel, const struct making *m, const unsigned char *from,
                          int n) {
    const struct ggml_type *type = m->type;
    const struct panel_form form = panel_form(m->matrix->dtype);
    const size_t group_bytes = panel_form_bytes(form), head = panel_form_head(form);
    const int n_groups = (int)type->n_elements / form.group;
    for (int k = 0; k < m->n_in; k += (int)type->n_elements, from += type->n_bytes)
        for (int c = 0; c < n; c++) {
            struct ggml_block block;
            type->take(&block, from + (size_t)c * m->row_bytes);
            unsigned char *group = panel + (size_t)(k / form.group) * group_bytes;
            for (int g = 0; g < n_groups; g++, group += group_bytes) {
                put_scale(group, c, block.scale[g], form.scale_bytes);
                if (form.mins)
                    put_scale(group, PANEL + c, block.min[g], form.scale_bytes);
                put_integers(group + head + 4 * c, block.q + g * form.group, form);
            }
        }
}

static void make_floats(float *panel, const struct making *m, const unsigned char *from, int n) {
    const struct ggml_type *type = m->type;
    const int n_elements = (int)type->n_elements;
    float values[PANEL][GGML_BLOCK_MOST];
    for (int k = 0; k < m->n_in; k += n_elements, from += type->n_bytes) {
        for (int c = 0; c < n; c++)
            ggml_type_dequantize(values[c], type, from + (size_t)c * m->row_bytes);
        panels_turn(panel + (size_t)k * PANEL, values, sizeof values[0], sizeof(float), n_elements,
                    n);
    }
}

/* From a panel: to a panel of F32, or to rows. */
static void widen_panel(const struct making *m, int c, int n) {
    enum { STEP = PANEL_MAX_GROUP }; // whole groups
    const struct panel_form form = panel_form(m->panels);
    const unsigned char *panel = m->from + (size_t)(c / PANEL) * panel_bytes(m->panels, m->n_in);
    const size_t step_bytes = (size_t)(STEP / form.group) * panel_form_bytes(form);
    float values[PANEL][STEP], *to = (float *)m->to + (size_t)c * (size_t)m->n_in;
    if (m->matrix->layout == LAYOUT_ROWS) {
        for (int i = 0; i < n; i++, to += m->n_in)
            panels_column(to, panel, m->panels, i, m->n_in);
        return;
    }
    for (int k = 0; k < m->n_in; k += STEP, panel += step_bytes) {
        const int n_k = m->n_in - k < STEP ? m->n_in - k : STEP;
        for (int i = 0; i < n; i++)
            panels_column(values[i], panel, m->panels, i, n_k);
        panels_turn(to + (size_t)k * PANEL, values, sizeof values[0], sizeof(float), n_k, n);
    }
}

/* Outputs c.. of the matrix, n <= PANEL. */
static void make_panel(const struct making *m, int c, int n) {
    if (!m->type) {
        widen_panel(m, c, n);
        return;
    }
    const unsigned char *from = m->from + (size_t)c * m->row_bytes;
    char *to = m->to + (size_t)(c / PANEL) * panel_bytes(m->matrix->dtype, m->n_in);
    if (dtype_is_quantized(m->matrix->dtype))
        make_integers((unsigned char *)to, m, from, n);
    else if (m->matrix->layout == LAYOUT_PANELS)
        make_floats((float *)to, m, from, n);
    else
        for (size_t i = 0; i < (size_t)n * (size_t)m->n_in; i += m->type->n_elements)
            ggml_type_dequantize((float *)(m->to + (size_t)c * (size_t)m->n_in * sizeof(float)) + i,
                                 m->type, from + i / m->type->n_elements * m->type->n_bytes);
}

static void make_strip(void *arg, int strip, int worker) {
    const struct making *m = arg;
    for (int c = strip * STRIP; c < m->n_out && c < (strip + 1) * STRIP; c += PANEL)
        make_panel(m, c, m->n_out - c < PANEL ? m->n_out - c : PANEL);
}

/* ---- all of them ---- */

static struct making making_of(const struct blocks_matrix *one) {
    struct matrix *matrix = one->matrix;
    const bool panels = dtype_is_quantized(one->panels);
    const bool turned = panels ? matrix->layout == LAYOUT_PANELS : one->tensor->by_columns;
    struct making m = {.matrix = matrix,
                       .type = panels ? NULL : one->tensor->blocks,
                       .panels = one->panels,
                       .from = one->tensor->data,
                       .n_in = turned ? matrix->rows : matrix->cols,
                       .n_out = turned ? matrix->cols : matrix->rows};
    if (m.type)
        m.row_bytes = (size_t)m.n_in / m.type->n_elements * m.type->n_bytes;
    return m;
}

/* Bytes of a matrix, up to a multiple of 64. Outputs are rounded up to panels in any layout. */
static size_t bytes_of(const struct making *m) {
    const size_t n = (size_t)panels_count(m->n_out) * panel_bytes(m->matrix->dtype, m->n_in);
    return (n + 63) / 64 * 64;
}

static void forget_all(const struct gpt2_model *model, const struct blocks_matrix *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        os_forget(&model->tensors.file, list[i].tensor->data, list[i].tensor->n_bytes);
}

bool blocks_make(struct gpt2_model *model, const struct blocks_matrix *list, size_t n,
                 struct gpt2_error *err) {
    struct making m;
    for (size_t i = 0; i < n; i++) {
        m = making_of(&list[i]);
        model->n_made += bytes_of(&m);
    }
    if (!n)
        return true;
    struct pool *pool = pool_create(os_cpus(), err);
    model->made = pool ? os_alloc_huge(model->n_made, "weights", err) : NULL;
    char *at = model->made;
    for (size_t i = 0; model->made && i < n; i++) {
        m = making_of(&list[i]);
        list[i].matrix->data = m.to = at;
        at += bytes_of(&m);
        pool_run(pool, (m.n_out + STRIP - 1) / STRIP, make_strip, &m);
        forget_all(model, list + i, 1); // so that no more than one matrix is there twice
    }
    forget_all(model, list, n); // what its neighbours in the file have brought back
    pool_free(pool);
    return model->made != NULL;
}

/* ---- and back ---- */

static float take_scale(const unsigned char *from, int i, int size) {
    float value;
    uint16_t half;
    if (size == PANEL_F32) {
        memcpy(&value, from + i * size, sizeof value);
        return value;
    }
    memcpy(&half, from + i * size, sizeof half);
    return dtype_f16_to_f32(half);
}

/* The integers of a group of one output; w: its first byte. */
static void take_integers(int8_t *q, const unsigned char *w, struct panel_form form) {
    if (form.bits == 8) {
        for (int i = 0; i < form.group; i += 4, w += 4 * PANEL)
            for (int k = 0; k < 4; k++)
                q[i + k] = (int8_t)(w[k] - 128);
        return;
    }
    const int half = form.group / 2, less = form.mins ? 0 : 8;
    for (int i = 0; i < half; i += 4, w += 4 * PANEL)
        for (int k = 0; k < 4; k++) {
            q[i + k] = (int8_t)((w[k] & 15) - less);
            q[half + i + k] = (int8_t)((w[k] >> 4) - less);
        }
}

bool blocks_restore(unsigned char *block, const struct matrix *matrix, int n_in, int output,
                    size_t i) {
    const struct ggml_type *type = matrix->blocks;
    const struct panel_form form = panel_form(matrix->dtype);
    const size_t group_bytes = panel_form_bytes(form), head = panel_form_head(form);
    const int n_groups = (int)type->n_elements / form.group, c = output % PANEL;
    const unsigned char *group = (const unsigned char *)matrix->data +
                                 (size_t)(output / PANEL) * panel_bytes(matrix->dtype, n_in) +
                                 i * (size_t)n_groups * group_bytes;
    struct ggml_block made;
    for (int g = 0; g < n_groups; g++, group += group_bytes) {
        made.scale[g] = take_scale(group, c, form.scale_bytes);
        if (form.mins)
            made.min[g] = take_scale(group, PANEL + c, form.scale_bytes);
        take_integers(made.q + g * form.group, group + head + 4 * c, form);
    }
    return ggml_block_put(block, type, &made);
}
