/* attention.c - query rows are taken in tiles, so that a block of keys is read once for many rows.
 * Tiles of few rows, which wait for memory, take several heads at once: blocks of neighbouring
 * heads lie side by side, and hardware reads ahead from one to the next.
 *
 * A tile of rows at positions p, p+1, ... shares the keys 0..p. Each row's own last keys continue
 * its chain alone: no row ever adds a key that it must not see, not even with weight zero, so a
 * row's bits do not depend on the tile it is in. */
#include "model/attention.h"
#include "base/os.h"
#include "base/prefetch.h"
#include "model/cut.h"
#include "model/forward.h"

#include <math.h>
#include <string.h>

/* The scores of a block are computed up to a multiple of this: whole vectors of every row. */
#define WHOLE_VECTORS 16

/* Tasks for each thread, at least, where there are heads enough. */
#define TASKS 2

bool attention_init(struct attention *attention, const struct gpt2_config *config,
                    const struct pool *pool, int max_rows, struct gpt2_error *err) {
    size_t rows = (size_t)pool_size(pool) * ATTENTION_ROWS;
    size_t blocks = ((size_t)config->n_ctx + KV_BLOCK - 1) / KV_BLOCK;
    size_t groups = (size_t)panels_groups(config->n_embd / config->n_head);
    struct attention *a = attention;
    *a = (struct attention){.stride = blocks * KV_BLOCK + 16, .groups = groups};
    a->tiles = os_alloc((size_t)max_rows, sizeof *a->tiles, "tiles", err);
    a->scores = os_alloc(rows, a->stride * sizeof *a->scores, "attention scores", err);
    a->q = os_alloc(rows, groups * GROUP, "quantized queries", err);
    a->q_scale = os_alloc(rows, groups * sizeof *a->q_scale, "quantized queries", err);
    a->q_sum = os_alloc(rows, groups * sizeof *a->q_sum, "quantized queries", err);
    return a->tiles && a->scores && a->q && a->q_scale && a->q_sum;
}

void attention_free(struct attention *attention) {
    os_free(attention->tiles);
    os_free(attention->scores);
    os_free(attention->q);
    os_free(attention->q_scale);
    os_free(attention->q_sum);
    *attention = (struct attention){0};
}

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

/* Stores keys and values of rows [row, row + n) of a piece, which lie in one block, all heads. */
static void store_rows(const struct job *job, const struct piece *piece, int row, int n) {
    const struct forward *f = job->f;
    const struct gpt2_session *session = piece->session;
    int n_embd = f->model->config.n_embd, head_dim = session->kv.head_dim;
    int block = (piece->position + row) / KV_BLOCK, at = (piece->position + row) % KV_BLOCK;
    const float *k = f->qkv.data + (size_t)(piece->first_row + row) * f->qkv.stride + n_embd;
    for (int head = 0; head < f->model->config.n_head; head++) {
        kv_store(&session->kv, f->mm.kernels, session_keys(session, job->layer, head, block),
                 session_values(session, job->layer, head, block), at, k, k + n_embd, f->qkv.stride,
                 n);
        k += head_dim;
    }
}

/* Stores the rows of one tile, block by block. */
static void store_tile(void *arg, int i, int worker) {
    const struct job *job = arg;
    const struct tile *tile = &job->f->attention.tiles[i];
    const struct piece *piece = &job->f->pieces[tile->piece];
    for (int row = tile->row, end = tile->row + tile->n_rows; row < end;) {
        int n = min(end - row, KV_BLOCK - (piece->position + row) % KV_BLOCK);
        store_rows(job, piece, row, n);
        row += n;
    }
}

/* Asks for a block that comes next. The blocks of one head lie far apart, so that no hardware reads
 * ahead; those of several heads are a stretch of memory, and it does. */
static void ask(const void *block, size_t n_bytes, int n_heads) {
    if (n_heads == 1)
        prefetch(block, n_bytes);
}

/* One tile, some heads. Row r of the h-th of them is row h * n_rows + r of the scores. */
static void attend(void *arg, int i, int worker) {
    const struct job *job = arg;
    struct forward *f = job->f;
    const struct attention *a = &f->attention;
    const struct kernels *kernels = f->mm.kernels;
    int n_head = f->model->config.n_head;
    size_t head_dim = (size_t)f->model->config.n_embd / (size_t)n_head;
    int first_head = n_head * (i % a->n_tasks) / a->n_tasks;
    int n_heads = n_head * (i % a->n_tasks + 1) / a->n_tasks - first_head;
    const struct tile *tile = &a->tiles[a->n_tiles - 1 - i / a->n_tasks]; // the longest work first
    const struct piece *piece = &f->pieces[tile->piece];
    const struct gpt2_session *session = piece->session;
    const struct kv *kv = &session->kv;

    size_t first = (size_t)(piece->first_row + tile->row), features = (size_t)first_head * head_dim;
    int position = piece->position + tile->row; // of the tile's first row
    int n_rows = tile->n_rows;
    int n_keys = position + n_rows; // that its last row sees
    int n_blocks = (n_keys + KV_BLOCK - 1) / KV_BLOCK;
    const float *q = f->qkv.data + first * f->qkv.stride + features;
    float *o = f->o.data + first * f->o.stride + features;
    float *scores = a->scores + (size_t)worker * ATTENTION_ROWS * a->stride;

    // scores of all keys; those beyond a row's own position are not looked at
    struct kv_queries queries[ATTENTION_ROWS];
    for (int h = 0; h < n_heads; h++) {
        size_t room = (size_t)(worker * ATTENTION_ROWS + h * n_rows) * a->groups;
        queries[h] =
            kv_prepare(kv, kernels, q + (size_t)h * head_dim, f->qkv.stride, n_rows,
                       (struct kv_room){a->q + room * GROUP, a->q_scale + room, a->q_sum + room});
    }
    const int streams = kv_streams(kv, n_rows);
    const void *blocks[KV_STREAMS];
    for (int b = 0, n; b < n_blocks; b += n) {
        n = min(streams, n_blocks - b);
        int keys = min(n_keys - b * KV_BLOCK, n * KV_BLOCK);
        keys = (keys + WHOLE_VECTORS - 1) / WHOLE_VECTORS * WHOLE_VECTORS;
        if (b + n < n_blocks)
            ask(session_keys(session, job->layer, first_head, b + n), kv_key_bytes(kv), n_heads);
        else
            ask(session_values(session, job->layer, first_head, 0), kv_value_bytes(kv), n_heads);
        for (int h = 0; h < n_heads; h++) {
            for (int j = 0; j < n; j++)
                blocks[j] = session_keys(session, job->layer, first_head + h, b + j);
            kv_scores(kv, kernels, scores + (size_t)(h * n_rows) * a->stride + b * KV_BLOCK,
                      a->stride, &queries[h], blocks, n, n_rows, keys);
        }
    }

    float sums[ATTENTION_ROWS];
    for (int r = 0; r < n_heads * n_rows; r++)
        sums[r] = kernels->softmax(scores + (size_t)r * a->stride,
                                   (size_t)(position + r % n_rows + 1), job->scale);

    // weighted sum of values
    for (int r = 0; r < n_rows; r++)
        memset(o + (size_t)r * f->o.stride, 0, (size_t)n_heads * head_dim * sizeof *o);
    for (int b = 0, n; b < n_blocks; b += n) {
        n = min(streams, n_blocks - b);
        if (b + n < n_blocks)
            ask(session_values(session, job->layer, first_head, b + n), kv_value_bytes(kv),
                n_heads);
        for (int h = 0; h < n_heads; h++) {
            for (int j = 0; j < n; j++)
                blocks[j] = session_values(session, job->layer, first_head + h, b + j);
            kv_mix(kv, kernels, o + (size_t)h * head_dim, f->o.stride,
                   scores + (size_t)(h * n_rows) * a->stride + b * KV_BLOCK, a->stride, blocks, n,
                   position + 1 - b * KV_BLOCK, n_rows);
        }
    }
    for (int h = 0; h < n_heads; h++)
        for (int r = 0; r < n_rows; r++)
            kernels->scale(o + (size_t)r * f->o.stride + (size_t)h * head_dim,
                           1.0f / sums[h * n_rows + r], head_dim);
}

/* Cuts the pieces into tiles of whole register tiles of rows, and tiles into tasks: as many as give
 * each thread some, or as the rows of a task demand. */
static void cut_tiles(struct forward *f) {
    struct attention *a = &f->attention;
    int mr = f->mm.kernels->mr, rows = ATTENTION_ROWS / mr * mr, most = 1;
    int n_head = f->model->config.n_head;
    a->n_tiles = 0;
    for (int i = 0; i < f->n_pieces; i++)
        for (int row = 0; row < f->pieces[i].n_rows; row += rows) {
            struct tile tile = {i, row, min(rows, f->pieces[i].n_rows - row)};
            most = tile.n_rows > most ? tile.n_rows : most;
            a->tiles[a->n_tiles++] = tile;
        }
    int wanted = divide_up(TASKS * pool_size(f->mm.pool), a->n_tiles);
    int needed = divide_up(n_head, ATTENTION_ROWS / most);
    a->n_tasks = min(n_head, needed > wanted ? needed : wanted);
}

void attention(struct forward *f, int layer) {
    struct job job = {f, layer, score_scale(&f->model->config, layer)};
    if (layer == 0)
        cut_tiles(f); // the same for all layers
    int n_tiles = f->attention.n_tiles;
    if (f->n_rows == 1)
        store_tile(&job, 0, 0); // too little work to wake anybody
    else
        pool_run(f->mm.pool, n_tiles, store_tile, &job);
    pool_run(f->mm.pool, n_tiles * f->attention.n_tasks, attend, &job);
}
