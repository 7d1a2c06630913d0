/* weight_access.c - checksums and moves of weights around the tasks that read them. */
#include "forward/weight_access.h"
#include "kernels/panels.h"
#include "model/relocate.h"
#include "weights/block_check.h"

#include <assert.h>

bool weight_access_begin(struct weight_access *access, const struct gpt2_model *model, bool exposed,
                         struct pool *pool, struct gpt2_error *err) {
    struct block_check *check = model->check;
    *access = (struct weight_access){0};
    if (check && !block_check_passed(check)) {
        if (!exposed)
            access->check = check;
        else if (!block_check_finish(check, pool, err))
            return false;
    }
    access->moving = relocate_begin(model);
    return true;
}

bool weight_access_end(struct weight_access *access, const struct gpt2_model *model,
                       struct pool *pool, struct gpt2_error *err) {
    bool ok = !access->check || block_check_finish(access->check, pool, err);
    if (access->moving)
        relocate_end(model);
    *access = (struct weight_access){0};
    return ok;
}

struct weight_product weights_product_begin(const struct weight_access *access,
                                            const struct matrix *matrix,
                                            enum weight_outputs outputs) {
    const struct matrix *now = matrix_now(matrix);
    bool rows = outputs == OUTPUTS_ARE_ROWS;
    return (struct weight_product){
        .matrix = now,
        .n_in = rows ? matrix->cols : matrix->rows,
        .n_out = rows ? matrix->rows : matrix->cols,
        .outputs = outputs,
        .check = access->check,
        .copy = access->moving && now == matrix ? matrix->copy : NULL,
    };
}

void weights_product_end(const struct weight_product *product) {
    if (product->copy)
        relocate_ready(product->copy, product->matrix);
}

/* Some bytes of the weights. */
struct stretch {
    const char *data;
    size_t n_bytes;
};

/* Outputs that lie side by side. Those of a linear layer in rows do not: they have no bytes here,
 * as no file with checksums has such. */
static struct stretch stretch_of(const struct weight_product *product, int output, int n_outputs) {
    const struct matrix *m = product->matrix;
    const char *data = m->data;
    if (m->layout == LAYOUT_PANELS) {
        size_t size = panel_bytes(m->dtype, product->n_in);
        return (struct stretch){data + (size_t)(output / PANEL) * size,
                                (size_t)panels_count(n_outputs) * size};
    }
    if (product->outputs == OUTPUTS_ARE_ROWS || m->layout == LAYOUT_COLUMNS) {
        size_t size = (size_t)product->n_in * dtype_size(m->dtype);
        return (struct stretch){data + (size_t)output * size, (size_t)n_outputs * size};
    }
    return (struct stretch){data, 0};
}

static void compare(const struct weight_product *product, struct weight_part part) {
    for (int i = 0; product->check && i < part.n_stretches; i++) {
        struct stretch s = stretch_of(product, part.output + i * part.apart, part.n_outputs);
        block_check_end(product->check, s.data, s.n_bytes);
    }
}

struct matrix weights_acquire(const struct weight_product *product, struct weight_part part) {
    const struct matrix *m = product->matrix;
    for (int i = 0; product->check && i < part.n_stretches; i++) {
        struct stretch s = stretch_of(product, part.output + i * part.apart, part.n_outputs);
        block_check_begin(product->check, s.data, s.n_bytes);
    }
    if (!product->copy)
        return *m;
    assert(part.n_stretches == 1);
    compare(product, part); // at once: copying forgets what it has read
    if (product->outputs == OUTPUTS_ARE_ROWS && m->layout == LAYOUT_ROWS)
        return relocate_rows(product->copy, m, part.output, part.n_outputs);
    return relocate_panels(product->copy->data, m, product->n_in, part.output, part.n_outputs);
}

void weights_release(const struct weight_product *product, struct weight_part part) {
    if (!product->copy)
        compare(product, part);
}
