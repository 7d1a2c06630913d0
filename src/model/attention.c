/* attention.c - query rows are taken in tiles, so that a block of keys is read once for many rows.
 *
 * A tile of rows r = 0..m-1 at positions p, p+1, ... shares the keys 0..p. Each row's own last keys
 * (p+1..p+r) continue its chain alone: no row ever adds a key that it must not see, not even with
 * weight zero, so a row's bits do not depend on the tile it is in. */
#include "model/attention.h"

#include <math.h>
#include <string.h>

/* 1/sqrt(head_dim), and for some models 1/(layer + 1) (spec 1.1). */
static float score_scale(const struct gpt2_config *config, int layer) {
    float scale = 1.0f;
    if (config->scale_attn_weights)
        scale /= sqrtf((float)(config->n_embd / config->n_head));
    if (config->scale_attn_by_inverse_layer_idx)
        scale /= (float)(layer + 1);
    return scale;
}

struct job {
    struct forward *f;
    int layer;
    float scale;
};

/* Stores keys and values of one head, all rows. */
static void store_head(void *arg, int head, int worker) {
    const struct job *job = arg;
    const struct forward *f = job->f;
    int n_embd = f->model->config.n_embd;
    int head_dim = n_embd / f->model->config.n_head;
    for (int i = 0; i < f->n_pieces; i++) {
        const struct piece *piece = &f->pieces[i];
        for (int r = 0; r < piece->n_rows; r++) {
            const float *q = f->qkv.data + (size_t)(piece->first_row + r) * f->qkv.stride;
            const float *k = q + n_embd + (size_t)head * (size_t)head_dim;
            const float *v = k + n_embd;
            session_store(piece->session, job->layer, head, piece->position + r, k, v);
        }
    }
}

/* One tile, one head. */
static void attend(void *arg, int i, int worker) {
    const struct job *job = arg;
    struct forward *f = job->f;
    const struct kernels *kernels = f->mm.kernels;
    int n_head = f->model->config.n_head;
    int head_dim = f->model->config.n_embd / n_head;
    int head = i % n_head;
    const struct tile *tile = &f->tiles[f->n_tiles - 1 - i / n_head]; // the longest work first
    const struct piece *piece = &f->pieces[tile->piece];

    size_t first = (size_t)(piece->first_row + tile->row);
    int position = piece->position + tile->row; // of the tile's first row
    int n_keys = position + tile->n_rows;       // that its last row sees
    const float *q = f->qkv.data + first * f->qkv.stride + (size_t)head * (size_t)head_dim;
    float *o = f->o.data + first * f->o.stride + (size_t)head * (size_t)head_dim;
    float *scores = f->scores.data + (size_t)(worker * ATTENTION_ROWS) * f->scores.stride;
    const float *keys = session_keys(piece->session, job->layer, head);
    const float *values = session_values(piece->session, job->layer, head);

    // scores of all keys, a block at a time; those beyond a row's own position are not looked at
    int n_blocks = (n_keys + KEY_BLOCK - 1) / KEY_BLOCK;
    for (int r = 0; r < tile->n_rows; r++)
        memset(scores + (size_t)r * f->scores.stride, 0,
               (size_t)n_blocks * KEY_BLOCK * sizeof *scores);
    for (int b = 0; b < n_blocks; b++)
        kernels->gemm[DTYPE_F32](scores + (size_t)b * KEY_BLOCK, f->scores.stride, q, f->qkv.stride,
                                 keys + (size_t)b * KEY_BLOCK * (size_t)head_dim, KEY_BLOCK,
                                 tile->n_rows, KEY_BLOCK, head_dim);

    float sums[ATTENTION_ROWS];
    for (int r = 0; r < tile->n_rows; r++)
        sums[r] = kernels->softmax(scores + (size_t)r * f->scores.stride,
                                   (size_t)(position + r + 1), job->scale);

    // weighted sum of values: the shared keys for all rows, then each row's own
    for (int r = 0; r < tile->n_rows; r++)
        memset(o + (size_t)r * f->o.stride, 0, (size_t)head_dim * sizeof *o);
    int shared = position + 1;
    kernels->gemm[DTYPE_F32](o, f->o.stride, scores, f->scores.stride, values, (size_t)head_dim,
                             tile->n_rows, head_dim, shared);
    for (int r = 0; r < tile->n_rows; r++) {
        float *row = o + (size_t)r * f->o.stride;
        if (r > 0)
            kernels->gemm[DTYPE_F32](
                row, f->o.stride, scores + (size_t)r * f->scores.stride + shared, f->scores.stride,
                values + (size_t)shared * (size_t)head_dim, (size_t)head_dim, 1, head_dim, r);
        kernels->scale(row, 1.0f / sums[r], (size_t)head_dim);
    }
}

/* Cuts the pieces into tiles of at most two register tiles of rows. */
static void cut_tiles(struct forward *f) {
    int rows = 2 * f->mm.kernels->mr;
    if (rows > ATTENTION_ROWS)
        rows = ATTENTION_ROWS;
    f->n_tiles = 0;
    for (int i = 0; i < f->n_pieces; i++) {
        for (int row = 0; row < f->pieces[i].n_rows; row += rows) {
            int left = f->pieces[i].n_rows - row;
            f->tiles[f->n_tiles++] = (struct tile){i, row, left < rows ? left : rows};
        }
    }
}

void attention(struct forward *f, int layer) {
    struct job job = {f, layer, score_scale(&f->model->config, layer)};
    int n_head = f->model->config.n_head;
    if (layer == 0)
        cut_tiles(f); // the same for all layers
    if (f->n_rows == 1)
        for (int head = 0; head < n_head; head++) // too little work to wake anybody
            store_head(&job, head, 0);
    else
        pool_run(f->mm.pool, n_head, store_head, &job);
    pool_run(f->mm.pool, f->n_tiles * n_head, attend, &job);
}
