/* relocate.c - plans the copies of a model's matrices and makes them. */
#include "model/relocate.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "kernels/panels.h"
#include "machine/runtime_internal.h"
#include "model/adapt.h"
#include "weights/block_check.h"

#include <string.h>

/* All copies of a model: one block of memory, 2 MiB pages where the system grants them. */
struct relocation {
    struct matrix_copy *copies; /* [n], in the order of the pass; of what stays all zeros */
    size_t n;
    struct matrix_copy *last; /* the one that is made last; NULL: everything stays where it is */
    char *memory;             /* [n_bytes] */
    size_t n_bytes;
    atomic_flag busy; /* some pass makes copies */
};

/* wte is the head where tied, and then both have one copy. */
static bool is_rows_of_vocab(const struct gpt2_model *model, const struct matrix *m) {
    return m == &model->wte || m == &model->head;
}

/* The i-th matrix that is moved: those that every token reads. wpe is not, nor an untied wte, of
 * which a token reads one row. NULL past the last one. */
static struct matrix *movable(struct gpt2_model *model, size_t i) {
    size_t layer = i / 4;
    if (layer == (size_t)model->config.n_layer)
        return i % 4 == 0 ? &model->head : NULL;
    struct block *h = &model->h[layer];
    struct matrix *const of_block[4] = {&h->attn.c_attn.weight, &h->attn.c_proj.weight,
                                        &h->mlp.c_fc.weight, &h->mlp.c_proj.weight};
    return of_block[i % 4];
}

/* Matrices that were made of a file's blocks or by an adapter are in such memory and in the layout
 * for it from the start. */
static bool stays(const struct gpt2_model *model, const struct matrix *m) {
    const char *made = model->made, *data = m->data;
    return (made && data >= made && data < made + model->n_made) || adapt_made(model, data);
}

/* The head's float rows are read in one stream as they are; everything else becomes panels. */
static enum layout layout_of(const struct gpt2_model *model, const struct matrix *m) {
    return is_rows_of_vocab(model, m) && m->layout == LAYOUT_ROWS ? LAYOUT_ROWS : LAYOUT_PANELS;
}

static size_t bytes_of(const struct gpt2_model *model, const struct matrix *m) {
    if (stays(model, m))
        return 0;
    if (layout_of(model, m) == LAYOUT_ROWS)
        return (size_t)m->rows * (size_t)m->cols * dtype_size(m->dtype);
    bool head = is_rows_of_vocab(model, m);
    return (size_t)panels_count(head ? m->rows : m->cols) *
           panel_bytes(m->dtype, head ? m->cols : m->rows);
}

struct matrix relocate_panels(void *panels, const struct matrix *w, int n_in, int column,
                              int n_columns) {
    size_t size = panel_bytes(w->dtype, n_in), first = (size_t)(column / PANEL);
    char *to = (char *)panels + first * size;
    if (w->layout == LAYOUT_PANELS) {
        memcpy(to, (const char *)w->data + first * size, (size_t)panels_count(n_columns) * size);
    } else if (w->layout == LAYOUT_COLUMNS) {
        const size_t element = dtype_size(w->dtype), stride = (size_t)n_in * element;
        const char *from = (const char *)w->data + (size_t)column * stride;
        for (int c = 0; c < n_columns; c += PANEL)
            panels_turn(to + (size_t)(c / PANEL) * size, from + (size_t)c * stride, stride, element,
                        n_in, n_columns - c < PANEL ? n_columns - c : PANEL);
    } else {
        size_t element = dtype_size(w->dtype), row = (size_t)w->cols * element;
        const char *from = (const char *)w->data + (size_t)column * element;
        for (int k = 0; k < n_in; k++, from += row) // along the rows, as they lie in memory
            for (int c = 0; c < n_columns; c += PANEL) {
                int n = n_columns - c < PANEL ? n_columns - c : PANEL;
                memcpy(to + (size_t)(c / PANEL) * size + (size_t)k * PANEL * element,
                       from + (size_t)c * element, (size_t)n * element);
            }
    }
    struct matrix moved = *w;
    moved.data = panels;
    moved.layout = LAYOUT_PANELS;
    moved.copy = NULL;
    return moved;
}

struct matrix relocate_rows(struct matrix_copy *copy, const struct matrix *w, int row, int n_rows) {
    size_t size = (size_t)w->cols * dtype_size(w->dtype);
    size_t at = (size_t)row * size, n_bytes = (size_t)n_rows * size;
    const char *from = (const char *)w->data + at;
    memcpy((char *)copy->data + at, from, n_bytes);
    os_forget(copy->file, from, n_bytes);
    struct matrix moved = *w;
    moved.data = copy->data;
    moved.copy = NULL;
    return moved;
}

static bool plan(struct gpt2_model *model, struct gpt2_error *err) {
    struct relocation *move = os_alloc(1, sizeof *move, "the move of weights", err);
    if (!move)
        return false;
    model->move = move;
    size_t n = 0;
    while (movable(model, n))
        n++;
    move->copies = os_alloc(n, sizeof *move->copies, "the move of weights", err);
    for (size_t i = 0; move->copies && i < n; i++)
        move->n_bytes += (bytes_of(model, movable(model, i)) + 63) / 64 * 64;
    if (move->n_bytes)
        move->memory = os_alloc_huge(move->n_bytes, "moved weights", err);
    if (!move->copies || (move->n_bytes && !move->memory)) {
        relocate_free(model);
        return false;
    }
    move->n = n;
    char *at = move->memory;
    for (size_t i = 0; i < n; i++) {
        struct matrix *m = movable(model, i);
        struct matrix_copy *copy = &move->copies[i];
        if (stays(model, m))
            continue;
        move->last = copy;
        copy->matrix = *m;
        copy->matrix.layout = layout_of(model, m);
        copy->matrix.data = copy->data = at;
        copy->n_bytes = bytes_of(model, m);
        copy->file = &model->tensors.file;
        at += (copy->n_bytes + 63) / 64 * 64;
        m->copy = copy;
    }
    if (model->head.data == model->wte.data)
        model->wte.copy = model->head.copy;
    return true;
}

void relocate_ready(struct matrix_copy *copy, const struct matrix *source) {
    atomic_store_explicit(&copy->ready, true, memory_order_release);
    os_forget(copy->file, source->data, copy->n_bytes);
}

/* The move of one matrix: a task moves n_task of its outputs. */
struct matrix_move {
    const struct matrix *matrix;
    int n_in, n_out, n_task;
};

#define TASK_BYTES ((size_t)1 << 21) /* about so many, where outputs are rows */

static int rows_of_task(const struct matrix *m) {
    size_t rows = TASK_BYTES / ((size_t)m->cols * dtype_size(m->dtype));
    return rows < 1 ? 1 : rows < (size_t)m->rows ? (int)rows : m->rows;
}

static void move_task(void *arg, int task, int worker) {
    const struct matrix_move *move = arg;
    const struct matrix *m = move->matrix;
    int first = task * move->n_task, left = move->n_out - first;
    int n = left < move->n_task ? left : move->n_task;
    if (m->copy->matrix.layout == LAYOUT_ROWS)
        relocate_rows(m->copy, m, first, n);
    else
        relocate_panels(m->copy->data, m, move->n_in, first, n);
}

/* Forgets again what its neighbours in the file have brought back: a fault maps whole pieces of it.
 */
static void forget_all(const struct gpt2_model *model) {
    for (size_t i = 0; i < model->move->n; i++) {
        const struct matrix *m = movable((struct gpt2_model *)(uintptr_t)model, i);
        if (matrix_now(m) != m)
            os_forget(m->copy->file, m->data, m->copy->n_bytes);
    }
}

static bool move_now(struct gpt2_model *model, struct gpt2_runtime *runtime,
                     struct gpt2_error *err) {
    if (model->check && !block_check_finish(model->check, runtime->pool, err))
        return false;
    for (size_t i = 0; i < model->move->n; i++) {
        const struct matrix *m = movable(model, i);
        if (!m->copy)
            continue;
        bool head = is_rows_of_vocab(model, m), rows = m->copy->matrix.layout == LAYOUT_ROWS;
        struct matrix_move move = {m, head ? m->cols : m->rows, head ? m->rows : m->cols,
                                   rows ? rows_of_task(m) : STRIP};
        pool_run(runtime->pool, (move.n_out + move.n_task - 1) / move.n_task, move_task, &move);
        relocate_ready(m->copy, m);
    }
    forget_all(model);
    return true;
}

bool gpt2_model_move(struct gpt2_model *model, struct gpt2_runtime *runtime,
                     struct gpt2_error *err) {
    if (model->move)
        return error_set(err, GPT2_ERR_USAGE, "the model's weights are moved already");
    return plan(model, err) && (!runtime || move_now(model, runtime, err));
}

int gpt2_model_move_passes(const struct gpt2_model *model) {
    // a move costs about as much as two passes, and makes each later one a tenth to a third faster;
    // where columns need not be turned any more, twice as fast
    return model->h[0].attn.c_attn.weight.layout == LAYOUT_COLUMNS ? 8 : 32;
}

size_t gpt2_model_moved(const struct gpt2_model *model, size_t *huge) {
    const struct relocation *move = model->move;
    size_t n_bytes = 0;
    for (size_t i = 0; move && i < move->n; i++)
        if (atomic_load(&move->copies[i].ready))
            n_bytes += move->copies[i].n_bytes;
    if (huge)
        *huge = move ? os_huge_bytes(move->memory, move->n_bytes) : 0;
    return n_bytes;
}

bool relocate_begin(const struct gpt2_model *model) {
    struct relocation *move = model->move;
    if (!move || !move->last)
        return false;
    return !atomic_load_explicit(&move->last->ready, memory_order_acquire) &&
           !atomic_flag_test_and_set_explicit(&move->busy, memory_order_acquire);
}

void relocate_end(const struct gpt2_model *model) {
    forget_all(model);
    atomic_flag_clear_explicit(&model->move->busy, memory_order_release);
}

void relocate_free(struct gpt2_model *model) {
    if (!model->move)
        return;
    os_free_huge(model->move->memory, model->move->n_bytes);
    os_free(model->move->copies);
    os_free(model->move);
    model->move = NULL;
}
