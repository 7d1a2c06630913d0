/* attention.c - query rows are taken in tiles, so that a block of keys is read once for many rows.
 * Tiles of few rows, which wait for memory, take several heads at once: blocks of neighbouring
 * heads lie side by side, and hardware reads ahead from one to the next.
 *
 * Row r of a tile at position p sees the keys 0..p+r. What lies after those adds nothing to it
 * (kv.c), so a row's bits do not depend on the tile it is in. */
#include "forward/attention.h"
#include "base/os.h"
#include "base/prefetch.h"
#include "forward/tiling.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The scores of a block are computed up to a multiple of this: whole vectors of every kernel
 * variant. */
#define WHOLE_VECTORS 16

/* Tasks for each thread, at least, where there are heads enough. */
#define TASKS 2

bool attention_init(struct attention *attention, const struct gpt2_config *config,
                    const struct pool *pool, int max_rows, struct gpt2_error *err) {
    size_t rows = (size_t)pool_size(pool) * ATTENTION_ROWS;
    size_t blocks = ((size_t)config->n_ctx + KV_BLOCK - 1) / KV_BLOCK;
    size_t groups = (size_t)divide_up(config->n_embd / config->n_head, KV_GROUP);
    struct attention *a = attention;
    *a = (struct attention){
        .max_tiles = max_rows, .stride = blocks * KV_BLOCK + 16, .groups = groups};
    a->tiles = os_alloc((size_t)max_rows, sizeof *a->tiles, "tiles", err);
    a->scores = os_alloc(rows, a->stride * sizeof *a->scores, "attention scores", err);
    a->q = os_alloc(rows, groups * KV_GROUP, "quantized queries", err);
    a->q_scale = os_alloc(rows, groups * sizeof *a->q_scale, "quantized queries", err);
    a->q_sum = os_alloc(rows, groups * sizeof *a->q_sum, "quantized queries", err);
    return a->tiles && a->scores && a->q && a->q_scale && a->q_sum;
}

size_t attention_bytes(const struct gpt2_config *config, const struct pool *pool) {
    const size_t groups = (size_t)divide_up(config->n_embd / config->n_head, KV_GROUP);
    const size_t blocks = ((size_t)config->n_ctx + KV_BLOCK - 1) / KV_BLOCK;
    const size_t row = (blocks * KV_BLOCK + 16) * sizeof(float) +
                       groups * (KV_GROUP + sizeof(float) + sizeof(int32_t));
    return (size_t)pool_size(pool) * ATTENTION_ROWS * row;
}

void attention_free(struct attention *attention) {
    os_free(attention->tiles);
    os_free(attention->scores);
    os_free(attention->q);
    os_free(attention->q_scale);
    os_free(attention->q_sum);
    *attention = (struct attention){0};
}

/* 1/sqrt(head_dim), and for some models 1/(layer + 1) (transformers:
 * scale_attn_by_inverse_layer_idx). */
static float score_scale(const struct gpt2_config *config, int layer) {
    float scale = 1.0f;
    if (config->scale_attn_weights)
        scale /= sqrtf((float)(config->n_embd / config->n_head));
    if (config->scale_attn_by_inverse_layer_idx)
        scale /= (float)(layer + 1);
    return scale;
}

/* The attention of one layer, for threads. */
struct attention_work {
    struct attention *attention;
    const struct attention_pass *pass;
    float scale;
};

/* Stores keys and values of rows [row, row + n) of a chunk, which lie in one block, all heads. */
static void store_rows(const struct attention_pass *pass, const struct chunk *chunk, int row,
                       int n) {
    const struct gpt2_session *session = chunk->session;
    int n_embd = pass->config->n_embd, head_dim = session->kv.head_dim;
    int block = (chunk->position + row) / KV_BLOCK, at = (chunk->position + row) % KV_BLOCK;
    const float *k = pass->qkv.data + (size_t)(chunk->first_row + row) * pass->qkv.stride + n_embd;
    const int n_head = pass->config->n_head;
    for (int head = 0; head < n_head; head++) {
        if (head + 1 < n_head)
            kv_prefetch(&session->kv, session_keys(session, pass->layer, head + 1, block),
                        session_values(session, pass->layer, head + 1, block), at);
        kv_store(&session->kv, pass->kernels, session_keys(session, pass->layer, head, block),
                 session_values(session, pass->layer, head, block), at, k, k + n_embd,
                 pass->qkv.stride, n);
        k += head_dim;
    }
}

/* Stores the rows of one tile, block by block. */
static void store_tile(void *arg, int i, int worker) {
    const struct attention_work *work = arg;
    const struct attention_pass *pass = work->pass;
    const struct attention_tile *tile = &work->attention->tiles[i];
    const struct chunk *chunk = &pass->chunks[tile->chunk];
    for (int row = tile->row, end = tile->row + tile->n_rows; row < end;) {
        int n = min(end - row, KV_BLOCK - (chunk->position + row) % KV_BLOCK);
        store_rows(pass, chunk, row, n);
        row += n;
    }
}

/* A task: one tile, some heads. */
struct attention_task {
    const struct attention_pass *pass;
    const struct kernels *kernels;
    const struct gpt2_session *session;
    const struct kv *kv;
    int first_head, n_heads;
    int n_rows;
    int position; /* of the tile's first row          */
    int n_keys;   /* that its last row sees, in n_blocks */
    int n_blocks;
    int streams;    /* blocks that are best read side by side */
    const float *q; /* [n_rows, n_heads * head_dim] in pass->qkv */
    float *o;       /* the same in pass->o                      */

    /* Row r of the h-th head is row h * n_rows + r of all of these. */
    float *scores; /* rows `stride` apart */
    size_t stride;
    struct kv_room room; /* `groups` to a row */
    size_t groups;
};

static struct attention_task task_of(const struct attention_work *work, int i, int worker) {
    const struct attention_pass *pass = work->pass;
    const struct attention *a = work->attention;
    const struct attention_tile *tile =
        &a->tiles[a->n_tiles - 1 - i / a->n_tasks]; // the longest work first
    const struct chunk *chunk = &pass->chunks[tile->chunk];
    const int n_head = pass->config->n_head, share = i % a->n_tasks;
    const size_t row = (size_t)worker * ATTENTION_ROWS;
    const size_t first = (size_t)(chunk->first_row + tile->row);
    struct attention_task t = {
        .pass = pass,
        .kernels = pass->kernels,
        .session = chunk->session,
        .kv = &chunk->session->kv,
        .first_head = n_head * share / a->n_tasks,
        .n_rows = tile->n_rows,
        .position = chunk->position + tile->row,
        .scores = a->scores + row * a->stride,
        .stride = a->stride,
        .room = {a->q + row * a->groups * KV_GROUP, a->q_scale + row * a->groups,
                 a->q_sum + row * a->groups},
        .groups = a->groups,
    };
    t.n_heads = n_head * (share + 1) / a->n_tasks - t.first_head;
    t.n_keys = t.position + t.n_rows;
    t.n_blocks = divide_up(t.n_keys, KV_BLOCK);
    t.streams = kv_streams(t.kv, t.n_rows);
    assert(t.n_heads * t.n_rows <= ATTENTION_ROWS && (size_t)(t.n_blocks * KV_BLOCK) <= t.stride &&
           (size_t)t.kv->head_dim <= t.groups * KV_GROUP && t.streams <= KV_STREAMS);
    const size_t features = (size_t)t.first_head * (size_t)t.kv->head_dim;
    t.q = pass->qkv.data + first * pass->qkv.stride + features;
    t.o = pass->o.data + first * pass->o.stride + features;
    return t;
}

/* The scores of a head, from block b on. */
static float *scores_at(const struct attention_task *t, int head, int b) {
    return t->scores + (size_t)(head * t->n_rows) * t->stride + (size_t)b * KV_BLOCK;
}

/* Prefetches a block that comes next. The blocks of one head lie far apart, so that no hardware
 * reads ahead; those of several heads are a stretch of memory, and it does. */
static void prefetch_block(const struct attention_task *t, const void *block, size_t n_bytes) {
    if (t->n_heads == 1)
        prefetch(block, n_bytes);
}

/* s = q . k for all keys; those beyond a row's own position are not looked at. */
static void score_keys(const struct attention_task *t) {
    const size_t head_dim = (size_t)t->kv->head_dim, stride = t->pass->qkv.stride;
    const int layer = t->pass->layer;
    struct kv_queries queries[ATTENTION_ROWS];
    for (int h = 0; h < t->n_heads; h++) {
        size_t at = (size_t)(h * t->n_rows) * t->groups;
        queries[h] = kv_prepare(
            t->kv, t->kernels, t->q + (size_t)h * head_dim, stride, t->n_rows,
            (struct kv_room){t->room.q + at * KV_GROUP, t->room.scale + at, t->room.sum + at});
    }
    for (int b = 0, n; b < t->n_blocks; b += n) {
        n = min(t->streams, t->n_blocks - b);
        int keys = round_up(min(t->n_keys - b * KV_BLOCK, n * KV_BLOCK), WHOLE_VECTORS);
        if (b + n < t->n_blocks)
            prefetch_block(t, session_keys(t->session, layer, t->first_head, b + n),
                           kv_key_bytes(t->kv));
        else
            prefetch_block(t, session_values(t->session, layer, t->first_head, 0),
                           kv_value_bytes(t->kv));
        for (int h = 0; h < t->n_heads; h++) {
            const void *blocks[KV_STREAMS];
            for (int i = 0; i < n; i++)
                blocks[i] = session_keys(t->session, layer, t->first_head + h, b + i);
            kv_scores(t->kv, t->kernels, scores_at(t, h, b), t->stride, &queries[h], blocks, n,
                      t->n_rows, keys);
        }
    }
}

/* o = sum of w v. */
static void mix_values(const struct attention_task *t) {
    const size_t head_dim = (size_t)t->kv->head_dim, stride = t->pass->o.stride;
    const int layer = t->pass->layer;
    for (int r = 0; r < t->n_rows; r++)
        memset(t->o + (size_t)r * stride, 0, (size_t)t->n_heads * head_dim * sizeof(float));
    for (int b = 0, n; b < t->n_blocks; b += n) {
        n = min(t->streams, t->n_blocks - b);
        if (b + n < t->n_blocks)
            prefetch_block(t, session_values(t->session, layer, t->first_head, b + n),
                           kv_value_bytes(t->kv));
        for (int h = 0; h < t->n_heads; h++) {
            const void *blocks[KV_STREAMS];
            for (int i = 0; i < n; i++)
                blocks[i] = session_values(t->session, layer, t->first_head + h, b + i);
            kv_mix(t->kv, t->kernels, t->o + (size_t)h * head_dim, stride, scores_at(t, h, b),
                   t->stride, blocks, n, t->position + 1 - b * KV_BLOCK, t->n_rows);
        }
    }
}

/* The weights stay undivided until the end: one division a row, and not one a key. */
static void attend(void *arg, int i, int worker) {
    const struct attention_work *work = arg;
    const struct attention_task t = task_of(work, i, worker);
    const size_t head_dim = (size_t)t.kv->head_dim, stride = work->pass->o.stride;
    float sums[ATTENTION_ROWS];
    score_keys(&t);
    for (int r = 0; r < t.n_heads * t.n_rows; r++)
        sums[r] = t.kernels->softmax(t.scores + (size_t)r * t.stride,
                                     (size_t)(t.position + r % t.n_rows + 1), work->scale);
    mix_values(&t);
    for (int h = 0; h < t.n_heads; h++)
        for (int r = 0; r < t.n_rows; r++)
            t.kernels->scale(t.o + (size_t)r * stride + (size_t)h * head_dim,
                             1.0f / sums[h * t.n_rows + r], head_dim);
}

/* Cuts the chunks into tiles of whole register tiles of rows, and tiles into tasks: as many as give
 * each thread some, or as the rows of a task demand. */
static void cut_tiles(struct attention *a, const struct attention_pass *pass) {
    int mr = pass->kernels->mr, rows = ATTENTION_ROWS / mr * mr, most = 1;
    int n_head = pass->config->n_head;
    assert(rows > 0 && pass->n_rows <= a->max_tiles); // a tile has a row at least
    a->n_tiles = 0;
    for (int i = 0; i < pass->n_chunks; i++)
        for (int row = 0; row < pass->chunks[i].n_rows; row += rows) {
            struct attention_tile tile = {i, row, min(rows, pass->chunks[i].n_rows - row)};
            most = tile.n_rows > most ? tile.n_rows : most;
            a->tiles[a->n_tiles++] = tile;
        }
    int wanted = divide_up(TASKS * pool_size(pass->pool), a->n_tiles);
    int needed = divide_up(n_head, ATTENTION_ROWS / most);
    a->n_tasks = min(n_head, needed > wanted ? needed : wanted);
}

void attention(struct attention *a, const struct attention_pass *pass) {
    struct attention_work work = {a, pass, score_scale(pass->config, pass->layer)};
    if (pass->layer == 0)
        cut_tiles(a, pass); // the same for all layers
    if (pass->n_rows == 1)
        store_tile(&work, 0, 0); // too little work to wake anybody
    else
        pool_run(pass->pool, a->n_tiles, store_tile, &work);
    pool_run(pass->pool, a->n_tiles * a->n_tasks, attend, &work);
}
