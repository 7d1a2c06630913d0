/* attention.h - causal attention over the KV cache (Vaswani et al. 2017): the only place where
 * tokens meet. */
#ifndef FORWARD_ATTENTION_H
#define FORWARD_ATTENTION_H

#include "base/pool.h"
#include "forward/rows.h"
#include "kernels/kernels.h"

/* A tile of query rows of one chunk: with some heads, the unit of work. */
struct attention_tile {
    int chunk, row, n_rows; /* row counts within the chunk */
};

#define ATTENTION_ROWS 24 /* the most query rows in a tile, those of its heads together */

/* What attention needs beside the activations. `worker` selects a thread and its tile. */
struct attention {
    struct attention_tile *tiles; /* [max_tiles] room for tiles of one row */
    int n_tiles, max_tiles;
    int n_tasks; /* of a tile, each with some of its heads */

    float *scores; /* [worker][ATTENTION_ROWS, n_ctx up to whole blocks], rows `stride` apart */
    size_t stride;
    int8_t *q;      /* [worker][ATTENTION_ROWS][groups * KV_GROUP] quantized queries */
    float *q_scale; /* [worker][ATTENTION_ROWS][groups]                           */
    int32_t *q_sum; /* [worker][ATTENTION_ROWS][groups]                           */
    size_t groups;  /* of a head's features                                       */
};

bool attention_init(struct attention *attention, const struct gpt2_config *config,
                    const struct pool *pool, int max_rows, struct gpt2_error *err);
/* Bytes of what attention_init allocates, but for its tiles. */
size_t attention_bytes(const struct gpt2_config *config, const struct pool *pool);
void attention_free(struct attention *attention); /* half made or all zero is allowed */

/* One layer of a pass. Everything is borrowed. */
struct attention_pass {
    const struct gpt2_config *config;
    const struct kernels *kernels;
    struct pool *pool;
    const struct chunk *chunks; /* [n_chunks], the same in all layers of a pass */
    int n_chunks;
    int n_rows;             /* of all chunks                                              */
    struct activations qkv; /* [n_rows, 3 n_embd] is read: query, key, value of all heads */
    struct activations o;   /* [n_rows, n_embd] is written                                */
    int layer;              /* from 0 on, in order                                        */
};

/* For every row t of every chunk and every head h:
 *
 *   s[j] = (q_h[t] . k_h[j]) * sigma            for j = 0..t
 *   w    = softmax(s)
 *   o_h[t] = sum over j of w[j] v_h[j]
 *
 * The keys and values of the chunks' own rows are stored into the sessions' caches first, rounded
 * to the session's type (forward/kv.h). One definition for prompt and decoding: scores for all
 * keys, their maximum, exp, sum, weighted sum of values, each in the order of the keys. */
void attention(struct attention *attention, const struct attention_pass *pass);

#endif
