/* tie.c - compares a file's head with wte. */
#include "model/tie.h"

#include <gpt2/model.h>
#include <string.h>

static bool is_copy(const struct matrix *head, const struct matrix *wte) {
    const size_t n_bytes = (size_t)wte->rows * (size_t)wte->cols * dtype_size(wte->dtype);
    return head->dtype == wte->dtype && memcmp(head->data, wte->data, n_bytes) == 0;
}

bool gpt2_model_head_is_tied(const struct gpt2_model *model) {
    if (model->tie != HEAD_NOT_COMPARED)
        return model->tie == HEAD_IS_WTE;
    atomic_int *copy = &((struct gpt2_model *)(uintptr_t)model)->head_is_copy; // once for all
    int known = atomic_load_explicit(copy, memory_order_relaxed);
    if (!known) {
        known = is_copy(&model->head, &model->wte) ? 1 : -1;
        atomic_store_explicit(copy, known, memory_order_relaxed);
    }
    return known > 0;
}

size_t tie_n_tensors(const struct gpt2_model *model) {
    return model->n_infos - (model->tie == HEAD_NOT_COMPARED && gpt2_model_head_is_tied(model));
}

void tie_settle(struct gpt2_model *model) {
    if (model->tie != HEAD_NOT_COMPARED)
        return;
    model->n_infos = tie_n_tensors(model);
    const bool tied = gpt2_model_head_is_tied(model);
    if (tied)
        model->head = model->wte;
    model->tie = tied ? HEAD_IS_WTE : HEAD_IS_OWN;
}
