/* products.h - gemm, gemv and dots, once, for every row that has vectors.
 *
 * The file that includes this one says what a vector is and how large the tiles are:
 *
 *   vec, WIDTH            a vector of WIDTH f32: 8 or 16
 *   vec_set(s)            all lanes s
 *   vec_fma(a, b, c)      a * b + c, rounded once
 *   vec_fma_n(a, b, c, n) the same in the first n lanes; the others keep c
 *   vec_store(p, v, n)    the first n lanes to p[0..n)
 *   load_f32(p, n)        the n elements of that type at p as f32, other lanes 0; not one byte
 *   load_f16 _bf16 _i8    behind them is read. n == WIDTH, a constant, is the fast case
 *   lanes_sum(p)          the tree of lanes16 over 16 / WIDTH vectors
 *   GEMM_ROWS             a register tile of gemm: rows,
 *   GEMM_VECS(rows)       and vectors of columns, those of several panels where they fit, and of
 *                         a STRIP at most
 *   GEMM_DEPTH            rows of w that are worked on together: those of a tile's columns fit
 *                         half of the first cache in every type
 *   GEMV_ROWS, GEMV_VECS  a register tile of gemv: rows of x, and vectors of columns
 *   GEMV_DEPTH            rows of W that are worked on together
 *   DOTS_ROWS, DOTS_COLS  of dots: rows of x, and rows of W
 *
 * A tile is a function whose sizes are parameters. It is inlined where they are constants, so that
 * its arrays live in registers; remainders run the same code with smaller constants. */
#ifndef KERNELS_PRODUCTS_H
#define KERNELS_PRODUCTS_H

#include "base/prefetch.h"
#include "kernels/rows.h"
#include <stdbool.h>

#if defined(__clang__)
#define UNROLL   _Pragma("clang loop unroll(full)")
#define UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL   _Pragma("GCC unroll 16")
#define UNROLL_4 _Pragma("GCC unroll 4")
#endif

#define GEMV_COLUMNS                                                            \
    256 /* GEMV_DEPTH rows of so many fit half of the first cache in every type \
         */

typedef vec (*load_fn)(const void *p, int n);

/* TILE(rows) with `rows` as a constant: a switch over what a remainder below `limit` can be. */
#define WITH_CONSTANT(rows, limit, TILE) \
    switch (rows) {                      \
    case 1:                              \
        if (1 < (limit))                 \
            TILE(1);                     \
        break;                           \
    case 2:                              \
        if (2 < (limit))                 \
            TILE(2);                     \
        break;                           \
    case 3:                              \
        if (3 < (limit))                 \
            TILE(3);                     \
        break;                           \
    case 4:                              \
        if (4 < (limit))                 \
            TILE(4);                     \
        break;                           \
    case 5:                              \
        if (5 < (limit))                 \
            TILE(5);                     \
        break;                           \
    case 6:                              \
        if (6 < (limit))                 \
            TILE(6);                     \
        break;                           \
    case 7:                              \
        if (7 < (limit))                 \
            TILE(7);                     \
        break;                           \
    }

/* gemm ----------------------------------------------------------------------------------------- */

/* Where column c begins in a row of w, whose panels are ps bytes apart. */
ALWAYS_INLINE size_t column_at(int c, size_t ps, size_t size) {
    return (size_t)(c / PANEL) * ps + (size_t)(c % PANEL) * size;
}

/* What is to be asked for while w is worked on: at step k the line at p + k * step of a panel, or
 * of each in turn. */
struct wish {
    const char *p;
    size_t step;
};

ALWAYS_INLINE void ask(struct wish next, int k, int panels, size_t ps) {
    __builtin_prefetch(next.p + (size_t)k * next.step + (size_t)(k % panels) * ps, 0, 2);
}

/* One register tile of y over all k. Each step reads `vecs` vectors of w, which may be those of
 * several panels, and one element of each row of x. In the last vector only `last` lanes count. */
ALWAYS_INLINE void gemm_tile(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ps, struct wish next, int K, int rows, int vecs,
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
            ask(next, k, panels, ps);
        w += ws;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++)
            vec_store(y + (size_t)r * ys + v * WIDTH, sum[r][v], v < vecs - 1 ? WIDTH : last);
    }
}

/* n columns of `rows` rows: whole tiles, then single vectors. */
ALWAYS_INLINE void gemm_rows(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ps, struct wish next, int n, int K, int rows,
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
    struct wish wish = {next, ws / (size_t)((m + GEMM_ROWS - 1) / GEMM_ROWS)};
    for (int rows; m > 0; m -= rows) {
        // never one row alone behind others: it would use a weight that it loads only once
        rows = m == GEMM_ROWS + 1 ? GEMM_ROWS - 1 : m < GEMM_ROWS ? m : GEMM_ROWS;
#define TILE(rows) gemm_rows(y, ys, x, xs, w, ws, ps, wish, n, K, rows, size, load)
        WITH_CONSTANT(rows, GEMM_ROWS + 1, TILE)
#undef TILE
        wish.p += (size_t)K * wish.step;
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
        gemm_rows(y, ys, x, xs, w, ws, ps, (struct wish){w, 0}, n, K, 1, size, load);
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

/* gemv ----------------------------------------------------------------------------------------- */

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

/* While a slab is worked on, the next one is on its way from memory: a slab is a few pieces of a
 * file's rows, too short for the hardware to notice that it could read ahead. */
ALWAYS_INLINE void gemv(float *y, size_t ys, const float *x, size_t xs, const char *w, size_t ws,
                        int m, int n, int K, size_t size, load_fn load) {
    ws *= size;
    int k = 0;
    for (; k + GEMV_DEPTH <= K; k += GEMV_DEPTH) {
        size_t ahead = k + 2 * GEMV_DEPTH <= K ? GEMV_DEPTH * ws : 0;
        gemv_slab(y, ys, x + k, xs, w, ws, ahead, m, n, GEMV_DEPTH, size, load);
        w += GEMV_DEPTH * ws;
    }
    for (; k < K; k++) {
        gemv_slab(y, ys, x + k, xs, w, ws, 0, m, n, 1, size, load);
        w += ws;
    }
}

/* dots ----------------------------------------------------------------------------------------- */

#define LANE_VECS (16 / WIDTH) /* vectors that hold the 16 partial sums */

/* One row of x meets so many rows of W at a time, each in another part of W: that many streams. */
#define DOTS_STREAMS 4
#define DOTS_MOST    (DOTS_COLS > DOTS_STREAMS ? DOTS_COLS : DOTS_STREAMS)

/* The partial sums first, first + 1, ... below `to` (vectors of them) of `rows` rows of x times
 * `cols` rows of W, which are `apart` rows from each other. Several rows ask for what comes next:
 * two lines at each step. */
ALWAYS_INLINE void dots_sums(vec p[DOTS_ROWS][DOTS_MOST][LANE_VECS], const float *x, size_t xs,
                             const char *w, size_t ws, size_t apart, struct wish next, int K,
                             int rows, int cols, int first, int to, size_t size, load_fn load) {
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int c = 0; c < cols; c++) {
            UNROLL for (int i = first; i < to; i++) {
                p[r][c][i] = vec_set(0.0f);
            }
        }
    }
    int k = 0;
    UNROLL_4 for (; k + 16 <= K; k += 16) {
        UNROLL for (int i = first; i < to; i++) {
            vec xk[DOTS_ROWS];
            UNROLL for (int r = 0; r < rows; r++) {
                xk[r] = load_f32(x + (size_t)r * xs + k + i * WIDTH, WIDTH);
            }
            UNROLL for (int c = 0; c < cols; c++) {
                const char *at = w + (size_t)c * apart * ws + (size_t)(k + i * WIDTH) * size;
                vec weight = load(at, WIDTH);
                UNROLL for (int r = 0; r < rows; r++) {
                    p[r][c][i] = vec_fma(xk[r], weight, p[r][c][i]);
                }
            }
        }
        if (rows > 1) {
            ask(next, k / 16, 1, 0);
            __builtin_prefetch(next.p + (size_t)(k / 16) * next.step + next.step / 2, 0, 2);
        }
    }
    UNROLL for (int i = first; i < to; i++) {
        int left = K - k - i * WIDTH;
        int n = left < WIDTH ? left : WIDTH;
        if (n <= 0)
            break;
        UNROLL for (int r = 0; r < rows; r++) {
            vec xk = load_f32(x + (size_t)r * xs + k + i * WIDTH, n);
            UNROLL for (int c = 0; c < cols; c++) {
                const char *at = w + (size_t)c * apart * ws + (size_t)(k + i * WIDTH) * size;
                p[r][c][i] = vec_fma_n(xk, load(at, n), p[r][c][i], n);
            }
        }
    }
}

/* `rows` rows of x times `cols` rows of W, `apart` as above. Several rows go through k once for
 * each vector of partial sums: with one for each product, more products fit the registers and share
 * a load. */
ALWAYS_INLINE void dots_tile(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t apart, struct wish next, int K, int rows, int cols,
                             size_t size, load_fn load) {
    vec p[DOTS_ROWS][DOTS_MOST][LANE_VECS];
    const int step = rows == 1 ? LANE_VECS : 1;
    UNROLL for (int i = 0; i < LANE_VECS; i += step) {
        dots_sums(p, x, xs, w, ws, apart, next, K, rows, cols, i, i + step, size, load);
        next.p += (size_t)(K / 16) * next.step;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int c = 0; c < cols; c++) {
            y[(size_t)r * ys + (size_t)c * apart] = lanes_sum(p[r][c]);
        }
    }
}

/* `cols` rows of W, read from memory once, for all rows of x. Each tile of rows asks for its share
 * of the rows of W that come `ahead` bytes later, as in gemm_block. */
ALWAYS_INLINE void dots_cols(float *y, size_t ys, const float *x, size_t xs, const char *w,
                             size_t ws, size_t ahead, int m, int K, int cols, size_t size,
                             load_fn load) {
    size_t shares = (size_t)((m + DOTS_ROWS - 1) / DOTS_ROWS * LANE_VECS) * (size_t)(K / 16 + 1);
    struct wish next = {w + ahead, ahead / shares};
    for (int rows; m > 0; m -= rows) {
        rows = m == DOTS_ROWS + 1 ? DOTS_ROWS - 1 : m < DOTS_ROWS ? m : DOTS_ROWS;
#define TILE(rows) dots_tile(y, ys, x, xs, w, ws, 1, next, K, rows, cols, size, load)
        WITH_CONSTANT(rows, DOTS_ROWS + 1, TILE)
#undef TILE
        next.p += (size_t)(K / 16) * next.step * LANE_VECS;
        y += (size_t)rows * ys;
        x += (size_t)rows * xs;
    }
}

/* All rows of W for one row of x. */
ALWAYS_INLINE void dots_streams(float *y, const float *x, const char *w, size_t ws, int n, int K,
                                size_t size, load_fn load) {
    const int part = n / DOTS_STREAMS;
    const struct wish nothing = {w, 0};
    for (int c = 0; c < part; c++)
        dots_tile(y + c, 0, x, 0, w + (size_t)c * ws, ws, (size_t)part, nothing, K, 1, DOTS_STREAMS,
                  size, load);
    for (int c = part * DOTS_STREAMS; c < n; c++)
        dots_tile(y + c, 0, x, 0, w + (size_t)c * ws, ws, 1, nothing, K, 1, 1, size, load);
}

ALWAYS_INLINE void dots(float *y, size_t ys, const float *x, size_t xs, const char *w, size_t ws,
                        int m, int n, int K, size_t size, load_fn load) {
    ws *= size;
    if (m == 1) {
        dots_streams(y, x, w, ws, n, K, size, load);
        return;
    }
    int c = 0;
    for (; c + DOTS_COLS <= n; c += DOTS_COLS) {
        size_t ahead = c + 2 * DOTS_COLS <= n ? DOTS_COLS * ws : 0;
        dots_cols(y + c, ys, x, xs, w, ws, ahead, m, K, DOTS_COLS, size, load);
        w += DOTS_COLS * ws;
    }
    for (; c < n; c++) {
        dots_cols(y + c, ys, x, xs, w, ws, 0, m, K, 1, size, load);
        w += ws;
    }
}

/* one function for each type --------------------------------------------------------------------
 */

#define PRODUCTS_OF(type, size)                                                            \
    static void gemm_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                            size_t ws, size_t ps, int m, int n, int K) {                   \
        gemm(y, ys, x, xs, w, ws, ps, m, n, K, size, load_##type);                         \
    }                                                                                      \
    static void gemv_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                            size_t ws, int m, int n, int K) {                              \
        gemv(y, ys, x, xs, w, ws, m, n, K, size, load_##type);                             \
    }                                                                                      \
    static void dots_##type(float *y, size_t ys, const float *x, size_t xs, const void *w, \
                            size_t ws, int m, int n, int K) {                              \
        dots(y, ys, x, xs, w, ws, m, n, K, size, load_##type);                             \
    }                                                                                      \
    static void to_f32_##type(float *dst, const void *src, size_t n) {                     \
        size_t i = 0;                                                                      \
        for (; i + WIDTH <= n; i += WIDTH)                                                 \
            vec_store(dst + i, load_##type((const char *)src + i * size, WIDTH), WIDTH);   \
        if (i < n)                                                                         \
            vec_store(dst + i, load_##type((const char *)src + i * size, (int)(n - i)),    \
                      (int)(n - i));                                                       \
    }

PRODUCTS_OF(f32, 4)
PRODUCTS_OF(f16, 2)
PRODUCTS_OF(bf16, 2)
PRODUCTS_OF(i8, 1)

#endif
