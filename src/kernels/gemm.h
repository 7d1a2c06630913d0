/* gemm.h - panels of W, for one row of x or for many. */
#ifndef KERNELS_GEMM_H
#define KERNELS_GEMM_H

#include "kernels/tiles.h"

/* One register tile of y over all k. Each step reads `vecs` vectors of w, which may be those of
 * several panels, and one element of each row of x. In the last vector only `last` lanes count. */
ALWAYS_INLINE void gemm_tile(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ps, struct prefetch next, int K, int rows, int vecs,
                             int last, size_t size, load_fn load) {
    const int panels = vecs * WIDTH / PANEL;
    vec sum[GEMM_ROWS][STRIP / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = load_f32(y + (size_t)r * ys + v * WIDTH, v < vecs - 1 ? WIDTH : last);
        }
    }
    UNROLL_4 for (int k = 0; k < K; k++) {
        vec xk[GEMM_ROWS];
        UNROLL for (int r = 0; r < rows; r++) {
            xk[r] = vec_set(x[(size_t)r * xs + (size_t)k]);
        }
        UNROLL for (int v = 0; v < vecs; v++) {
            vec weight = load(w + column_at(v * WIDTH, ps, size), v < vecs - 1 ? WIDTH : last);
            UNROLL for (int r = 0; r < rows; r++) {
                sum[r][v] = vec_fma(xk[r], weight, sum[r][v]);
            }
        }
        if (rows > 1 && panels > 0)
            prefetch_step(next, k, panels, ps);
        w += ws;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++)
            vec_store(y + (size_t)r * ys + v * WIDTH, sum[r][v], v < vecs - 1 ? WIDTH : last);
    }
}

/* n columns of `rows` rows: whole tiles, then single vectors. */
ALWAYS_INLINE void gemm_rows(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ps, struct prefetch next, int n, int K, int rows,
                             size_t size, load_fn load) {
    const int vecs = GEMM_VECS(rows);
    int c = 0;
    for (; c + vecs * WIDTH <= n; c += vecs * WIDTH)
        gemm_tile(y + c, ys, x, xs, w + column_at(c, ps, size), ws, ps, next, K, rows, vecs, WIDTH,
                  size, load);
    for (; c + WIDTH <= n; c += WIDTH)
        gemm_tile(y + c, ys, x, xs, w + column_at(c, ps, size), ws, ps, next, K, rows, 1, WIDTH,
                  size, load);
    if (c < n)
        gemm_tile(y + c, ys, x, xs, w + column_at(c, ps, size), ws, ps, next, K, rows, 1, n - c,
                  size, load);
}

/* All rows of y, for as much of w as stays in the first cache meanwhile. Each row tile asks for its
 * share of what comes next: memory works while the processor does, and is never asked for more
 * than it can have on the way. */
ALWAYS_INLINE void gemm_block(float *y, size_t ys, const float *x, size_t xs, const char *w,
                              size_t ws, size_t ps, const char *next, int m, int n, int K,
                              size_t size, load_fn load) {
    struct prefetch prefetch = {next, ws / (size_t)((m + GEMM_ROWS - 1) / GEMM_ROWS)};
    for (int rows; m > 0; m -= rows) {
        // never one row alone behind others: it would use a weight that it loads only once
        rows = m == GEMM_ROWS + 1 ? GEMM_ROWS - 1 : m < GEMM_ROWS ? m : GEMM_ROWS;
#define TILE(rows) gemm_rows(y, ys, x, xs, w, ws, ps, prefetch, n, K, rows, size, load)
        WITH_CONSTANT(rows, GEMM_ROWS + 1, TILE)
#undef TILE
        prefetch.p += (size_t)K * prefetch.step;
        y += (size_t)rows * ys;
        x += (size_t)rows * xs;
    }
}

/* Many rows: block after block of k, and of the columns of a tile; behind panels of weights lie
 * those of the next strip. One row takes everything in one go and asks for nothing: it walks
 * through four panels side by side, and hardware that reads ahead does more for four streams than
 * for one. ws and ps are in bytes. */
ALWAYS_INLINE void gemm_blocks(float *y, size_t ys, const float *x, size_t xs, const char *w,
                               size_t ws, size_t ps, int m, int n, int K, size_t size,
                               load_fn load) {
    const int columns = GEMM_VECS(GEMM_ROWS) * WIDTH;
    if (m == 1) {
        gemm_rows(y, ys, x, xs, w, ws, ps, (struct prefetch){w, 0}, n, K, 1, size, load);
        return;
    }
    for (int k = 0; k < K; k += GEMM_DEPTH)
        for (int c = 0; c < n; c += columns) {
            const char *at = w + (size_t)k * ws + column_at(c, ps, size);
            const char *next = c + columns < n      ? at + column_at(columns, ps, size)
                               : k + GEMM_DEPTH < K ? w + (size_t)(k + GEMM_DEPTH) * ws
                                                    : w + column_at(n, ps, size);
            gemm_block(y + c, ys, x + k, xs, at, ws, ps, next, m, n - c < columns ? n - c : columns,
                       K - k < GEMM_DEPTH ? K - k : GEMM_DEPTH, size, load);
        }
}

ALWAYS_INLINE void gemm(float *y, size_t ys, const float *x, size_t xs, const char *w, size_t ws,
                        size_t ps, int m, int n, int K, size_t size, load_fn load) {
    if (ws == PANEL) // a constant, in the case that counts
        gemm_blocks(y, ys, x, xs, w, PANEL * size, ps * size, m, n, K, size, load);
    else
        gemm_blocks(y, ys, x, xs, w, ws * size, ps * size, m, n, K, size, load);
}

#endif
