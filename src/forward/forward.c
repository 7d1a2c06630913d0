/* forward.c - GPT-2's forward pass, top to bottom as in the paper (Radford et al. 2019).
 *
 * What layer normalization does here, since that is what people come to see: the residual stream x
 * is never normalized. Each branch takes a normalized copy, a = ln(x), and what it computes from
 * the copy is added to x itself. The statistics of a copy are one mean and one deviation per
 * token and site, over the n_embd features of that token alone: (2 n_layer + 1) pairs per token, as
 * layer_norm() is called once per row for ln_1 and ln_2 of every block and for ln_f. No pair is
 * shared between tokens, positions or sequences, which is why rows may come in any company. The
 * arithmetic of one pair is in kernels/elementwise.h. */
#include "forward/forward.h"
#include "forward/attention.h"
#include "forward/each_row.h"

#include <assert.h>

static float *row_of(const struct activations *act, int row) {
    assert(row < act->max_rows);
    return act->data + (size_t)row * act->stride;
}

void forward_look_up(float *row, const struct kernels *kernels, const struct matrix *table,
                     size_t i) {
    size_t n_embd = (size_t)table->cols;
    const char *data = table->data;
    if (table->layout == LAYOUT_PANELS)
        panels_column(row, data + i / PANEL * panel_bytes(table->dtype, table->cols), table->dtype,
                      (int)(i % PANEL), table->cols);
    else
        kernels->to_f32[table->dtype](row, data + i * n_embd * dtype_size(table->dtype), n_embd);
}

struct tokens {
    struct forward *f;
    const struct chunk *chunk;
};

static void embed_token(void *arg, int i, int worker) {
    const struct tokens *tokens = arg;
    const struct gpt2_model *model = tokens->f->model;
    const struct kernels *kernels = tokens->f->mm.kernels;
    const struct chunk *chunk = tokens->chunk;
    float *x = row_of(&tokens->f->x, chunk->first_row + i);
    float *p = row_of(&tokens->f->a, chunk->first_row + i);
    forward_look_up(x, kernels, &model->wte, (size_t)chunk->ids[i]);
    forward_look_up(p, kernels, &model->wpe, (size_t)(chunk->position + i));
    kernels->add(x, p, (size_t)model->config.n_embd);
}

/* x = wte[id] + wpe[position] */
static void embed(struct forward *f) {
    for (int i = 0; i < f->n_chunks; i++)
        each_row(f->mm.pool, f->chunks[i].n_rows, embed_token, &(struct tokens){f, &f->chunks[i]});
}

static void normalize(const struct forward *f, float *a, const float *x,
                      const struct layer_norm *norm) {
    if (f->ablation.parts)
        ablate_layer_norm(&f->ablation, f->model, a, x, norm);
    else
        f->mm.kernels->layer_norm(a, x, norm->gain, norm->bias, (size_t)f->model->config.n_embd,
                                  f->model->config.layer_norm_epsilon);
}

/* ---- what is done with a row in one go ----
 *
 * A sum and a norm take no time beside reading and writing their rows. So they wait until the next
 * product reads the rows; then a row is added to, normalized and quantized while it is in a cache.
 */

static void settle_row(void *arg, int row, int worker) {
    const struct forward *f = arg;
    float *x = row_of(&f->x, row), *a = row_of(&f->a, row);
    if (f->pending.add)
        f->mm.kernels->add(x, a, (size_t)f->model->config.n_embd);
    if (f->pending.norm)
        normalize(f, a, x, f->pending.norm);
}

static bool is_pending(const struct forward *f) {
    return f->pending.add || f->pending.norm;
}

static void settle(struct forward *f) {
    if (is_pending(f))
        each_row(f->mm.pool, f->n_rows, settle_row, f);
    f->pending = (struct pending){0};
}

/* Shows `act`, rows of `width` floats, to the tap, chunk by chunk. */
static void tap(struct forward *f, enum gpt2_site site, int layer, const struct activations *act,
                int width) {
    if (!f->tap)
        return;
    settle(f);
    for (int i = 0; i < f->n_chunks; i++) {
        const struct chunk *chunk = &f->chunks[i];
        f->tap(f->tap_user, site, layer, chunk->session, chunk->position, chunk->n_rows,
               row_of(act, chunk->first_row), width, act->stride);
    }
}

/* x += a */
static void add_branch(struct forward *f) {
    assert(!is_pending(f));
    f->pending.add = true;
}

/* a = norm(x): one mean and one deviation for each row, from that row alone. */
static void layer_norm(struct forward *f, const struct layer_norm *norm) {
    assert(!f->pending.norm);
    f->pending.norm = norm;
}

/* out = in . linear */
static void linear(struct forward *f, struct activations *out, const struct activations *in,
                   const struct linear *weights, activation_fn act) {
    assert(f->n_rows <= in->max_rows && (size_t)weights->weight.rows <= in->stride &&
           f->n_rows <= out->max_rows && (size_t)weights->weight.cols <= out->stride);
    const struct row_maker maker = {settle_row, f};
    assert(!is_pending(f) || in == &f->a);
    matmul_linear(&f->mm, out->data, out->stride, in->data, in->stride, weights, act, f->n_rows,
                  is_pending(f) ? &maker : NULL);
    f->pending = (struct pending){0};
}

/* o = what each head reads of the rows it may see, side by side */
static void attend(struct forward *f, int layer) {
    attention(&f->attention, &(struct attention_pass){.config = &f->model->config,
                                                      .kernels = f->attention_kernels,
                                                      .pool = f->mm.pool,
                                                      .chunks = f->chunks,
                                                      .n_chunks = f->n_chunks,
                                                      .n_rows = f->n_rows,
                                                      .qkv = f->qkv,
                                                      .o = f->o,
                                                      .layer = layer});
}

void forward_blocks(struct forward *f, const struct chunk *chunks, int n_chunks) {
    const struct gpt2_model *model = f->model;
    int n_embd = model->config.n_embd;
    f->chunks = chunks;
    f->n_chunks = n_chunks;
    f->n_rows = 0;
    for (int i = 0; i < n_chunks; i++)
        f->n_rows += chunks[i].n_rows;

    embed(f);
    tap(f, GPT2_SITE_EMBEDDING, 0, &f->x, n_embd);
    for (int layer = 0; layer < model->config.n_layer; layer++) {
        const struct block *h = &model->h[layer];

        layer_norm(f, &h->ln_1);
        tap(f, GPT2_SITE_LN_1, layer, &f->a, n_embd);
        linear(f, &f->qkv, &f->a, &h->attn.c_attn, NULL);
        tap(f, GPT2_SITE_QKV, layer, &f->qkv, 3 * n_embd);
        attend(f, layer);
        tap(f, GPT2_SITE_HEADS, layer, &f->o, n_embd);
        linear(f, &f->a, &f->o, &h->attn.c_proj, NULL);
        tap(f, GPT2_SITE_ATTN, layer, &f->a, n_embd);
        add_branch(f);
        tap(f, GPT2_SITE_RESID_MID, layer, &f->x, n_embd);

        layer_norm(f, &h->ln_2);
        tap(f, GPT2_SITE_LN_2, layer, &f->a, n_embd);
        linear(f, &f->f, &f->a, &h->mlp.c_fc, f->act);
        tap(f, GPT2_SITE_HIDDEN, layer, &f->f, model->config.n_inner);
        linear(f, &f->a, &f->f, &h->mlp.c_proj, NULL);
        tap(f, GPT2_SITE_MLP, layer, &f->a, n_embd);
        add_branch(f);
        tap(f, GPT2_SITE_RESID, layer, &f->x, n_embd);
    }
    settle(f);
}

/* Shows ln_f's output of row `row`, which stands at index i of f->a. */
static void tap_final(struct forward *f, int row, int i) {
    for (int p = 0; f->tap && p < f->n_chunks; p++) {
        const struct chunk *chunk = &f->chunks[p];
        if (row >= chunk->first_row && row < chunk->first_row + chunk->n_rows)
            f->tap(f->tap_user, GPT2_SITE_LN_F, f->model->config.n_layer, chunk->session,
                   chunk->position + row - chunk->first_row, 1, row_of(&f->a, i),
                   f->model->config.n_embd, f->a.stride);
    }
}

struct final_rows {
    const struct forward *f;
    const int *rows;
};

static void normalize_final(void *arg, int i, int worker) {
    const struct final_rows *final = arg;
    normalize(final->f, row_of(&final->f->a, i), row_of(&final->f->x, final->rows[i]),
              &final->f->model->ln_f);
}

void forward_logits(struct forward *f, float *logits, const int *rows, int n) {
    const struct gpt2_model *model = f->model;
    assert(n <= f->a.max_rows);
    each_row(f->mm.pool, n, normalize_final, &(struct final_rows){f, rows});
    for (int i = 0; i < n; i++)
        tap_final(f, rows[i], i);
    matmul_head(&f->mm, logits, (size_t)model->config.n_vocab, f->a.data, f->a.stride, &model->head,
                n);
}
