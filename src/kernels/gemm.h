/* gemm.h - products with panels of W, for one row of x or many. */
#ifndef KERNELS_GEMM_H
#define KERNELS_GEMM_H

#include "kernels/tiles.h"

#if X_STEPS > 1

/* Continues the sums of a tile by `steps` steps, as gemm_tile does for one: they take x by lane.
 * The weights are loaded in pairs, which can be one instruction. */
ALWAYS_INLINE void gemm_steps(vec sum[GEMM_ROWS][STRIP / WIDTH], struct x_rows x, struct panels w,
                              const char *at, struct prefetch *prefetch, int k, int steps,
                              struct tile tile, struct element type) {
    const int rows = tile.rows, vecs = tile.vecs, panels = vecs * WIDTH / PANEL;
    xvec xk[GEMM_ROWS];
    UNROLL for (int r = 0; r < rows; r++) {
        xk[r] = x_load(x_from(x, r, k).p, steps);
    }
    UNROLL for (int i = 0; i < steps; i++) {
        UNROLL for (int v = 0; v < vecs; v += 2) {
            const int some = vecs - v < 2 ? vecs - v : 2;
            vec weight[2];
            UNROLL for (int j = 0; j < some; j++) {
                weight[j] = type.load(at + column_at(w, (v + j) * WIDTH, type.size),
                                      tile_lanes(tile, v + j));
            }
            if (rows == GEMM_ROWS && some == 2) {
                ADD_PRODUCTS_X(sum, v, xk, i, weight);
            } else {
                UNROLL for (int j = 0; j < some; j++) {
                    UNROLL for (int r = 0; r < rows; r++) {
                        ADD_PRODUCT_X(sum[r][v + j], xk[r], i, weight[j]);
                    }
                }
            }
        }
        if (!tile.ahead && panels > 0 && i % 2 == 0) // lines of 64 bytes, of which a step has half
            prefetch_step(prefetch, i / 2, panels, 1, 2, type.size);
        at += w.stride;
        if (!__builtin_constant_p(w.stride))
            OPAQUE(at); // loads at constant distances from it, which can be pairs
    }
}

#endif

/* Continues the chains of one register tile of y by K steps, `at_once` of them at a time. A step
 * reads the tile's vectors of w, which may belong to several panels, and one element of each row of
 * x. */
ALWAYS_INLINE void gemm_tile(struct y_rows y, struct x_rows x, struct panels w,
                             struct prefetch prefetch, int K, int at_once, struct tile tile,
                             struct element type) {
    const int rows = tile.rows, vecs = tile.vecs;
    const char *at = w.w; // not w.w itself: gcc would compute each address from k
    vec sum[GEMM_ROWS][STRIP / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = load_f32(y_from(y, r, v * WIDTH).p, tile_lanes(tile, v));
        }
    }
#if X_STEPS > 1
    for (int k = 0; k < K; k += at_once) {
        gemm_steps(sum, x, w, at, &prefetch, k, at_once, tile, type);
        at += (size_t)at_once * w.stride;
    }
#else
    const int panels = vecs * WIDTH / PANEL, reads = panels * (int)type.size * PANEL / 64;
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
        if (tile.ahead && panels > 0)
            prefetch_ahead(at, w.next, k, panels, reads, rows * (64 / (int)type.size / WIDTH));
        else if (!tile.ahead && panels > 0)
            prefetch_step(&prefetch, k, panels, reads, 1, type.size);
        at += w.stride;
    }
#endif
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++)
            vec_store(y_from(y, r, v * WIDTH).p, sum[r][v], tile_lanes(tile, v));
    }
}

/* WHOLE_TILE(type, size) defines the largest tile of a type, X_STEPS at a time, as a function of
 * its own, in which no other code takes registers; WHOLE_TILE_OF(type) is that function or NULL. */
#if X_STEPS > 1
#define WHOLE_TILE_OF(type) whole_tile_##type
#define WHOLE_TILE(type, size)                                                                \
    static __attribute__((noinline)) void whole_tile_##type(                                  \
        struct y_rows y, struct x_rows x, struct panels w, struct prefetch prefetch, int K) { \
        const int vecs = GEMM_VECS(GEMM_ROWS);                                                \
        const struct tile tile = {GEMM_ROWS, vecs, vecs * WIDTH, false};                      \
        const struct element element = {size, load_##type, NULL};                             \
        if (w.stride == PANEL * (size)) { /* a constant stride, as in gemm */                 \
            w.stride = PANEL * (size);                                                        \
            gemm_tile(y, x, w, prefetch, K, X_STEPS, tile, element);                          \
        } else {                                                                              \
            gemm_tile(y, x, w, prefetch, K, X_STEPS, tile, element);                          \
        }                                                                                     \
    }
#else
#define WHOLE_TILE_OF(type) NULL
#define WHOLE_TILE(type, size)
#endif

/* The same for any K: X_STEPS at a time, and what is left one by one. These are two tiles, as
 * sums that go on from one loop to the next are moved to other registers in each step by gcc. */
ALWAYS_INLINE void gemm_columns(struct y_rows y, struct x_rows x, struct panels w,
                                struct prefetch prefetch, int K, struct tile tile,
                                struct element type) {
    const int whole = K / X_STEPS * X_STEPS;
    if (type.whole_tile && tile.rows == GEMM_ROWS && tile.vecs == GEMM_VECS(GEMM_ROWS))
        type.whole_tile(y, x, w, prefetch, whole);
    else
        gemm_tile(y, x, w, prefetch, whole, X_STEPS, tile, type);
    if (whole < K)
        gemm_tile(y, x_from(x, 0, whole), panels_from(w, whole, 0, type.size), prefetch, K - whole,
                  1, tile, type);
}

/* n columns of `rows` rows, in whole tiles and then in single vectors. */
ALWAYS_INLINE void gemm_rows(struct y_rows y, struct x_rows x, struct panels w,
                             struct prefetch prefetch, int n, int K, int rows, bool ahead,
                             struct element type) {
    const int vecs = GEMM_VECS(rows);
    int c = 0;
#define COLUMNS(vecs, columns)                                                     \
    gemm_columns(y_from(y, 0, c), x, panels_from(w, 0, c, type.size), prefetch, K, \
                 (struct tile){rows, vecs, columns, ahead}, type)
    for (; c + vecs * WIDTH <= n; c += vecs * WIDTH)
        COLUMNS(vecs, vecs * WIDTH);
    for (; c + WIDTH <= n; c += WIDTH)
        COLUMNS(1, WIDTH);
    if (c < n)
        COLUMNS(1, n - c);
#undef COLUMNS
}

/* The rows of one tile: all K at once, as each panel is read from start to end. The hardware
 * prefetches four panels side by side better than one. */
ALWAYS_INLINE void gemm_few(struct y_rows y, struct x_rows x, struct panels w, int m, int n, int K,
                            struct element type) {
    const struct prefetch nothing = {w.w, 0, 0, false};
#define TILE(rows) gemm_rows(y, x, w, nothing, n, K, rows, true, type)
    WITH_CONSTANT(m, GEMM_ROWS + 1, TILE)
#undef TILE
}

/* All rows of y, for a block of w that stays in the L1 cache. Each tile of rows prefetches an equal
 * share of the block at `next`: memory and arithmetic overlap, and the prefetches are spread
 * evenly, so that there are never more of them in flight than the CPU can track. */
ALWAYS_INLINE void gemm_block(struct y_rows y, struct x_rows x, struct panels w, const char *next,
                              int m, int n, int K, struct element type) {
    const size_t share = w.stride / (size_t)((m + GEMM_ROWS - 1) / GEMM_ROWS);
    struct prefetch prefetch = {next, share, w.next, false};
    for (int rows; m > 0; m -= rows) {
        rows = tile_rows(m, GEMM_ROWS);
#define TILE(rows)  \
    if ((rows) > 1) \
    gemm_rows(y, x, w, prefetch, n, K, rows, false, type)
        WITH_CONSTANT(rows, GEMM_ROWS + 1, TILE)
#undef TILE
        prefetch.p += (size_t)K * prefetch.step;
        y = y_from(y, rows, 0);
        x = x_from(x, rows, 0);
    }
}

/* Many rows: blocks of GEMM_DEPTH k by the columns of a tile. After the last block of these n
 * columns come those of panels_after. */
ALWAYS_INLINE void gemm_blocks(struct y_rows y, struct x_rows x, struct panels w, int m, int n,
                               int K, struct element type) {
    const int columns = GEMM_VECS(GEMM_ROWS) * WIDTH;
    if (m <= GEMM_ROWS) {
        gemm_few(y, x, w, m, n, K, type);
        return;
    }
    const char *after = panels_after(w, n, (size_t)K * w.stride).w;
    for (int k = 0; k < K; k += GEMM_DEPTH)
        for (int c = 0; c < n; c += columns) {
            struct panels block = panels_from(w, k, c, type.size);
            const char *next = c + columns < n      ? block.w + column_at(w, columns, type.size)
                               : k + GEMM_DEPTH < K ? panels_from(w, k + GEMM_DEPTH, 0, type.size).w
                                                    : after;
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
