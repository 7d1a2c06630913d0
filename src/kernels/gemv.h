/* gemv.h - products with W as a file has it, row by row, for few rows of x. */
#ifndef KERNELS_GEMV_H
#define KERNELS_GEMV_H

#include "kernels/tiles.h"

/* GEMV_DEPTH rows of this many columns fit in half of the L1 cache in every type. */
#define GEMV_COLUMNS 256

/* `depth` rows of W, `stride` bytes apart. The bytes `ahead` bytes after those in use are
 * prefetched; 0: no prefetches. */
struct slab {
    const char *w;
    size_t stride, ahead;
    int depth;
};

/* Continues the chains of a tile of y by w.depth steps. */
ALWAYS_INLINE void gemv_tile(struct y_rows y, struct x_rows x, struct slab w, struct tile tile,
                             struct element type) {
    const int rows = tile.rows, vecs = tile.vecs;
    vec sum[GEMV_ROWS][GEMV_VECS];
    LOADS_STAY();
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = load_f32(y_from(y, r, v * WIDTH).p, tile_lanes(tile, v));
        }
    }
    const char *row = w.w;
    UNROLL for (int k = 0; k < w.depth; k++) {
        vec weight[GEMV_VECS];
        UNROLL for (int v = 0; v < vecs; v++) {
            const char *at = row + (size_t)v * WIDTH * type.size;
            weight[v] = type.load(at, tile_lanes(tile, v));
            if (w.ahead && (size_t)v * WIDTH * type.size % 64 == 0)
                __builtin_prefetch(at + w.ahead, 0, 2);
        }
        row += w.stride;
        OPAQUE(row);
        UNROLL for (int r = 0; r < rows; r++) {
            vec xk = vec_set(*x_from(x, r, k).p);
            UNROLL for (int v = 0; v < vecs; v++) {
                ADD_PRODUCT(sum[r][v], xk, weight[v]);
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++)
            vec_store(y_from(y, r, v * WIDTH).p, sum[r][v], tile_lanes(tile, v));
    }
}

/* The slab, beginning at column c. */
ALWAYS_INLINE struct slab slab_from(struct slab w, int c, size_t size) {
    w.w += (size_t)c * size;
    return w;
}

/* n columns of `rows` rows of y. */
ALWAYS_INLINE void gemv_rows(struct y_rows y, struct x_rows x, struct slab w, int n, int rows,
                             struct element type) {
    const int columns = GEMV_VECS * WIDTH;
    int c = 0;
#define COLUMNS(vecs, columns)                                \
    gemv_tile(y_from(y, 0, c), x, slab_from(w, c, type.size), \
              (struct tile){rows, vecs, columns, false}, type)
    for (; c + columns <= n; c += columns)
        COLUMNS(GEMV_VECS, columns);
    for (; c + WIDTH <= n; c += WIDTH)
        COLUMNS(1, WIDTH);
    if (c < n)
        COLUMNS(1, n - c);
#undef COLUMNS
}

/* n columns of a slab for all rows of x. The first rows of x read them from memory and prefetch,
 * the others find them in the cache. */
ALWAYS_INLINE void gemv_piece(struct y_rows y, struct x_rows x, struct slab w, int m, int n,
                              struct element type) {
    for (; m >= GEMV_ROWS; m -= GEMV_ROWS) {
        gemv_rows(y, x, w, n, GEMV_ROWS, type);
        w.ahead = 0;
        y = y_from(y, GEMV_ROWS, 0);
        x = x_from(x, GEMV_ROWS, 0);
    }
#define TILE(rows) gemv_rows(y, x, w, n, rows, type)
    WITH_CONSTANT(m, GEMV_ROWS, TILE)
#undef TILE
}

/* A slab, in pieces that stay in the L1 cache. */
ALWAYS_INLINE void gemv_slab(struct y_rows y, struct x_rows x, struct slab w, int m, int n,
                             struct element type) {
    for (int c = 0; c < n; c += GEMV_COLUMNS)
        gemv_piece(y_from(y, 0, c), x, slab_from(w, c, type.size), m,
                   n - c < GEMV_COLUMNS ? n - c : GEMV_COLUMNS, type);
}

/* The rows of W are ws elements apart. With several rows of x, the next slab is prefetched while
 * one is in use: the pieces of its rows are too short for the hardware to detect a stream. One row
 * of x is done with a slab before that could help. */
ALWAYS_INLINE void gemv(struct y_rows y, struct x_rows x, const char *w, size_t ws, int m, int n,
                        int K, struct element type) {
    const size_t stride = ws * type.size;
    int k = 0;
    for (; k + GEMV_DEPTH <= K; k += GEMV_DEPTH) {
        size_t ahead = m > 1 && k + 2 * GEMV_DEPTH <= K ? GEMV_DEPTH * stride : 0;
        gemv_slab(y, x_from(x, 0, k), (struct slab){w, stride, ahead, GEMV_DEPTH}, m, n, type);
        w += GEMV_DEPTH * stride;
    }
    for (; k < K; k++) {
        gemv_slab(y, x_from(x, 0, k), (struct slab){w, stride, 0, 1}, m, n, type);
        w += stride;
    }
}

#endif
