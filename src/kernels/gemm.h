/* gemm.h - products with panels of W, for one row of x or many. */
#ifndef KERNELS_GEMM_H
#define KERNELS_GEMM_H

#include "kernels/tiles.h"

/* Continues the chains of one register tile of y by K steps. A step reads the tile's vectors of w,
 * which may belong to several panels, and one element of each row of x. */
ALWAYS_INLINE void gemm_tile(struct y_rows y, struct x_rows x, struct panels w,
                             struct prefetch prefetch, int K, struct tile tile,
                             struct element type) {
    const int rows = tile.rows, vecs = tile.vecs, panels = vecs * WIDTH / PANEL;
    const char *at = w.w; // not w.w itself: gcc would compute each address from k
    vec sum[GEMM_ROWS][STRIP / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = load_f32(y_from(y, r, v * WIDTH).p, tile_lanes(tile, v));
        }
    }
    UNROLL_4 for (int k = 0; k < K; k++) {
        vec xk[GEMM_ROWS];
        UNROLL for (int r = 0; r < rows; r++) {
            xk[r] = vec_set(*x_from(x, r, k).p);
        }
        UNROLL for (int v = 0; v < vecs; v++) {
            vec weight = type.load(at + column_at(w, v * WIDTH, type.size), tile_lanes(tile, v));
            UNROLL for (int r = 0; r < rows; r++) {
                ADD_PRODUCT(sum[r][v], xk[r], weight);
            }
        }
        if (rows > 1 && panels > 0)
            prefetch_step(prefetch, k, panels);
        at += w.stride;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++)
            vec_store(y_from(y, r, v * WIDTH).p, sum[r][v], tile_lanes(tile, v));
    }
}

/* n columns of `rows` rows, in whole tiles and then in single vectors. */
ALWAYS_INLINE void gemm_rows(struct y_rows y, struct x_rows x, struct panels w,
                             struct prefetch prefetch, int n, int K, int rows,
                             struct element type) {
    const int vecs = GEMM_VECS(rows);
    int c = 0;
#define COLUMNS(vecs, columns)                                                  \
    gemm_tile(y_from(y, 0, c), x, panels_from(w, 0, c, type.size), prefetch, K, \
              (struct tile){rows, vecs, columns}, type)
    for (; c + vecs * WIDTH <= n; c += vecs * WIDTH)
        COLUMNS(vecs, vecs * WIDTH);
    for (; c + WIDTH <= n; c += WIDTH)
        COLUMNS(1, WIDTH);
    if (c < n)
        COLUMNS(1, n - c);
#undef COLUMNS
}

/* All rows of y, for a block of w that stays in the L1 cache. Each tile of rows prefetches an equal
 * share of the block at `next`: memory and arithmetic overlap, and the prefetches are spread
 * evenly, so that there are never more of them in flight than the CPU can track. */
ALWAYS_INLINE void gemm_block(struct y_rows y, struct x_rows x, struct panels w, const char *next,
                              int m, int n, int K, struct element type) {
    struct prefetch prefetch = {next, w.stride / (size_t)((m + GEMM_ROWS - 1) / GEMM_ROWS), w.next};
    for (int rows; m > 0; m -= rows) {
        // no last tile of one row: it would load each weight for a single product
        rows = m == GEMM_ROWS + 1 ? GEMM_ROWS - 1 : m < GEMM_ROWS ? m : GEMM_ROWS;
#define TILE(rows) gemm_rows(y, x, w, prefetch, n, K, rows, type)
        WITH_CONSTANT(rows, GEMM_ROWS + 1, TILE)
#undef TILE
        prefetch.p += (size_t)K * prefetch.step;
        y = y_from(y, rows, 0);
        x = x_from(x, rows, 0);
    }
}

/* Many rows: blocks of GEMM_DEPTH k by the columns of a tile. After the last block of these n
 * columns come the panels that follow them in memory.
 *
 * One row: everything at once, without prefetches. It reads four panels side by side, and the
 * hardware prefetches four streams better than one. */
ALWAYS_INLINE void gemm_blocks(struct y_rows y, struct x_rows x, struct panels w, int m, int n,
                               int K, struct element type) {
    const int columns = GEMM_VECS(GEMM_ROWS) * WIDTH;
    if (m == 1) {
        gemm_rows(y, x, w, (struct prefetch){w.w, 0, 0}, n, K, 1, type);
        return;
    }
    for (int k = 0; k < K; k += GEMM_DEPTH)
        for (int c = 0; c < n; c += columns) {
            struct panels block = panels_from(w, k, c, type.size);
            const char *next = c + columns < n      ? block.w + column_at(w, columns, type.size)
                               : k + GEMM_DEPTH < K ? panels_from(w, k + GEMM_DEPTH, 0, type.size).w
                                                    : panels_from(w, 0, n, type.size).w;
            gemm_block(y_from(y, 0, c), x_from(x, 0, k), block, next, m,
                       n - c < columns ? n - c : columns, K - k < GEMM_DEPTH ? K - k : GEMM_DEPTH,
                       type);
        }
}

ALWAYS_INLINE void gemm(struct y_rows y, struct x_rows x, struct panels w, int m, int n, int K,
                        struct element type) {
    const size_t packed = PANEL * type.size;
    if (w.stride == packed) // a constant stride, for the common case
        gemm_blocks(y, x, (struct panels){w.w, packed, w.next}, m, n, K, type);
    else
        gemm_blocks(y, x, w, m, n, K, type);
}

#endif
