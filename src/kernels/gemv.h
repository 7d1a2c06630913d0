/* gemv.h - a file's rows of W, streamed for few rows of x. */
#ifndef KERNELS_GEMV_H
#define KERNELS_GEMV_H

#include "kernels/tiles.h"

/* So many columns of GEMV_DEPTH rows fit half of the first cache in every type. */
#define GEMV_COLUMNS 256

/* `depth` rows of W, `stride` bytes apart. While they are used, what lies `ahead` bytes later is
 * prefetched; 0: nothing is. */
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
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = load_f32(y_from(y, r, v * WIDTH).p, tile_lanes(tile, v));
        }
    }
    UNROLL for (int k = 0; k < w.depth; k++) {
        vec weight[GEMV_VECS];
        UNROLL for (int v = 0; v < vecs; v++) {
            const char *at = w.w + (size_t)k * w.stride + (size_t)v * WIDTH * type.size;
            weight[v] = type.load(at, tile_lanes(tile, v));
            if (w.ahead && (size_t)v * WIDTH * type.size % 64 == 0)
                __builtin_prefetch(at + w.ahead, 0, 2);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            vec xk = vec_set(*x_from(x, r, k).p);
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = vec_fma(xk, weight[v], sum[r][v]);
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++)
            vec_store(y_from(y, r, v * WIDTH).p, sum[r][v], tile_lanes(tile, v));
    }
}

/* The slab from column c on. */
ALWAYS_INLINE struct slab slab_from(struct slab w, int c, size_t size) {
    w.w += (size_t)c * size;
    return w;
}

/* n columns of `rows` rows of y. */
ALWAYS_INLINE void gemv_rows(struct y_rows y, struct x_rows x, struct slab w, int n, int rows,
                             struct element type) {
    const int columns = GEMV_VECS * WIDTH;
    int c = 0;
#define COLUMNS(vecs, columns)                                                                    \
    gemv_tile(y_from(y, 0, c), x, slab_from(w, c, type.size), (struct tile){rows, vecs, columns}, \
              type)
    for (; c + columns <= n; c += columns)
        COLUMNS(GEMV_VECS, columns);
    for (; c + WIDTH <= n; c += WIDTH)
        COLUMNS(1, WIDTH);
    if (c < n)
        COLUMNS(1, n - c);
#undef COLUMNS
}

/* Some columns of a slab, which come from memory once, for all rows of x; the first of them
 * prefetch. */
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

/* A slab, piece after piece, each of which stays in the first cache. */
ALWAYS_INLINE void gemv_slab(struct y_rows y, struct x_rows x, struct slab w, int m, int n,
                             struct element type) {
    for (int c = 0; c < n; c += GEMV_COLUMNS)
        gemv_piece(y_from(y, 0, c), x, slab_from(w, c, type.size), m,
                   n - c < GEMV_COLUMNS ? n - c : GEMV_COLUMNS, type);
}

/* While several rows work on a slab, the next one is on its way from memory: a slab is a few pieces
 * of a file's rows, too short for the hardware to notice that it could read ahead. One row is done
 * with a slab before that helps, and would only lose the time of the prefetches. Rows of W
 * are ws elements apart. */
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
