/* gemv.h - a file's rows of W, streamed for few rows of x. */
#ifndef KERNELS_GEMV_H
#define KERNELS_GEMV_H

#include "kernels/tiles.h"

/* So many columns of GEMV_DEPTH rows fit half of the first cache in every type. */
#define GEMV_COLUMNS 256

/* `vecs` vectors of columns, in the last of which `last` lanes count: continues the chains of
 * `rows` rows of y by `depth` steps. */
ALWAYS_INLINE void gemv_tile(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ahead, int rows, int vecs, int depth, int last,
                             size_t size, load_fn load) {
    vec sum[GEMV_ROWS][GEMV_VECS];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = load_f32(y + (size_t)r * ys + v * WIDTH, v < vecs - 1 ? WIDTH : last);
        }
    }
    UNROLL for (int k = 0; k < depth; k++) {
        vec weight[GEMV_VECS];
        UNROLL for (int v = 0; v < vecs; v++) {
            const char *at = w + (size_t)k * ws + (size_t)v * WIDTH * size;
            weight[v] = load(at, v < vecs - 1 ? WIDTH : last);
            if (ahead && (size_t)v * WIDTH * size % 64 == 0)
                __builtin_prefetch(at + ahead, 0, 2);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            vec xk = vec_set(x[(size_t)r * xs + (size_t)k]);
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = vec_fma(xk, weight[v], sum[r][v]);
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++)
            vec_store(y + (size_t)r * ys + v * WIDTH, sum[r][v], v < vecs - 1 ? WIDTH : last);
    }
}

/* n columns of `rows` rows of y. */
ALWAYS_INLINE void gemv_rows(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ahead, int n, int rows, int depth, size_t size,
                             load_fn load) {
    const int columns = GEMV_VECS * WIDTH;
    int c = 0;
    for (; c + columns <= n; c += columns)
        gemv_tile(y + c, ys, x, xs, w + (size_t)c * size, ws, ahead, rows, GEMV_VECS, depth, WIDTH,
                  size, load);
    for (; c + WIDTH <= n; c += WIDTH)
        gemv_tile(y + c, ys, x, xs, w + (size_t)c * size, ws, ahead, rows, 1, depth, WIDTH, size,
                  load);
    if (c < n)
        gemv_tile(y + c, ys, x, xs, w + (size_t)c * size, ws, ahead, rows, 1, depth, n - c, size,
                  load);
}

/* Some columns of `depth` rows of W, which come from memory once, for all rows of x; the first of
 * them ask for what comes next. */
ALWAYS_INLINE void gemv_piece(float *y, size_t ys, const float *x, size_t xs, const char *w,
                              size_t ws, size_t ahead, int m, int n, int depth, size_t size,
                              load_fn load) {
    for (; m >= GEMV_ROWS; m -= GEMV_ROWS) {
        gemv_rows(y, ys, x, xs, w, ws, ahead, n, GEMV_ROWS, depth, size, load);
        ahead = 0;
        y += GEMV_ROWS * ys;
        x += GEMV_ROWS * xs;
    }
#define TILE(rows) gemv_rows(y, ys, x, xs, w, ws, ahead, n, rows, depth, size, load)
    WITH_CONSTANT(m, GEMV_ROWS, TILE)
#undef TILE
}

/* A slab of `depth` rows of W, piece after piece, each of which stays in the first cache. */
ALWAYS_INLINE void gemv_slab(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ahead, int m, int n, int depth, size_t size,
                             load_fn load) {
    for (int c = 0; c < n; c += GEMV_COLUMNS)
        gemv_piece(y + c, ys, x, xs, w + (size_t)c * size, ws, ahead, m,
                   n - c < GEMV_COLUMNS ? n - c : GEMV_COLUMNS, depth, size, load);
}

/* While several rows work on a slab, the next one is on its way from memory: a slab is a few pieces
 * of a file's rows, too short for the hardware to notice that it could read ahead. One row is done
 * with a slab before that helps, and only loses the time of asking. */
ALWAYS_INLINE void gemv(float *y, size_t ys, const float *x, size_t xs, const char *w, size_t ws,
                        int m, int n, int K, size_t size, load_fn load) {
    ws *= size;
    int k = 0;
    for (; k + GEMV_DEPTH <= K; k += GEMV_DEPTH) {
        size_t ahead = m > 1 && k + 2 * GEMV_DEPTH <= K ? GEMV_DEPTH * ws : 0;
        gemv_slab(y, ys, x + k, xs, w, ws, ahead, m, n, GEMV_DEPTH, size, load);
        w += GEMV_DEPTH * ws;
    }
    for (; k < K; k++) {
        gemv_slab(y, ys, x + k, xs, w, ws, 0, m, n, 1, size, load);
        w += ws;
    }
}

#endif
