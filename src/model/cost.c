/* cost.c - what one token costs, and all weights take, from their shapes and types alone. */
#include "kernels/panels.h"
#include "model/weights.h"

static uint64_t matrix_bytes(const struct matrix *w, int n_inputs, int n_outputs) {
    return w->layout == LAYOUT_PANELS
               ? (uint64_t)panels_count(n_outputs) * panel_bytes(w->dtype, n_inputs)
               : (uint64_t)n_inputs * (uint64_t)n_outputs * dtype_size(w->dtype);
}

static void add_matrix(struct gpt2_cost *cost, uint64_t bytes_of[DTYPE_COUNT],
                       const struct matrix *w, int n_inputs, int n_outputs) {
    uint64_t products = (uint64_t)n_inputs * (uint64_t)n_outputs;
    uint64_t bytes = matrix_bytes(w, n_inputs, n_outputs);
    cost->bytes += bytes;
    bytes_of[w->dtype] += bytes;
    if (dtype_is_quantized(w->dtype))
        cost->int8_products += products;
    else
        cost->f32_products += products;
}

/* The type that most of the bytes have. */
static const char *main_type(const uint64_t bytes_of[DTYPE_COUNT]) {
    int most = 0;
    for (int i = 1; i < DTYPE_COUNT; i++)
        if (bytes_of[i] > bytes_of[most])
            most = i;
    return dtype_name((enum dtype)most);
}

void gpt2_model_cost(const struct gpt2_model *model, struct gpt2_cost *blocks,
                     struct gpt2_cost *head) {
    const struct gpt2_config *config = &model->config;
    uint64_t in_blocks[DTYPE_COUNT] = {0}, in_head[DTYPE_COUNT] = {0};
    *blocks = *head = (struct gpt2_cost){0};
    for (int layer = 0; layer < config->n_layer; layer++) {
        const struct block *h = &model->h[layer];
        const struct matrix *linears[] = {&h->attn.c_attn.weight, &h->attn.c_proj.weight,
                                          &h->mlp.c_fc.weight, &h->mlp.c_proj.weight};
        for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
            add_matrix(blocks, in_blocks, linears[i], linears[i]->rows, linears[i]->cols);
    }
    add_matrix(head, in_head, &model->head, model->head.cols, model->head.rows);
    blocks->type = main_type(in_blocks);
    head->type = main_type(in_head);
}

uint64_t gpt2_model_bytes(const struct gpt2_model *model) {
    const struct gpt2_config *config = &model->config;
    struct gpt2_cost blocks, head;
    gpt2_model_cost(model, &blocks, &head);
    const uint64_t width = (uint64_t)config->n_embd;
    // gains, biases: c_attn 3, c_proj 1 and 1, four of layer norm, and c_fc's, for each block
    const uint64_t vectors =
        (uint64_t)config->n_layer * (9 * width + (uint64_t)config->n_inner) + 2 * width;
    uint64_t n = blocks.bytes + head.bytes + vectors * sizeof(float) +
                 matrix_bytes(&model->wpe, config->n_embd, config->n_ctx);
    if (model->head.data != model->wte.data)
        n += matrix_bytes(&model->wte, config->n_embd, config->n_vocab);
    return n;
}
