/* gemm_nt.h - rows of W against rows of x: the head. */
#ifndef KERNELS_GEMM_NT_H
#define KERNELS_GEMM_NT_H

#include "kernels/tiles.h"

#define LANE_VECS (16 / WIDTH) /* vectors that hold the 16 partial sums */

/* One row of x meets so many rows of W at a time, each in another part of W: that many streams. */
#define GEMM_NT_STREAMS 4
#define GEMM_NT_MOST    (GEMM_NT_COLS > GEMM_NT_STREAMS ? GEMM_NT_COLS : GEMM_NT_STREAMS)

/* The partial sums first, first + 1, ... below `to` (vectors of them) of `rows` rows of x times
 * `cols` rows of W, which are `apart` rows from each other. Several rows ask for what comes next:
 * two lines at each step. */
ALWAYS_INLINE void gemm_nt_sums(vec p[GEMM_NT_ROWS][GEMM_NT_MOST][LANE_VECS], const float *x,
                                size_t xs, const char *w, size_t ws, size_t apart,
                                struct prefetch next, int K, int rows, int cols, int first, int to,
                                size_t size, load_fn load) {
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
            vec xk[GEMM_NT_ROWS];
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
            prefetch_step(next, k / 8, 1, 0);
            prefetch_step(next, k / 8 + 1, 1, 0);
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
ALWAYS_INLINE void gemm_nt_tile(float *y, size_t ys, const float *x, size_t xs, const char *w,
                                size_t ws, size_t apart, struct prefetch next, int K, int rows,
                                int cols, size_t size, load_fn load) {
    vec p[GEMM_NT_ROWS][GEMM_NT_MOST][LANE_VECS];
    const int step = rows == 1 ? LANE_VECS : 1;
    UNROLL for (int i = 0; i < LANE_VECS; i += step) {
        gemm_nt_sums(p, x, xs, w, ws, apart, next, K, rows, cols, i, i + step, size, load);
        next.p += (size_t)(K / 8) * next.step;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int c = 0; c < cols; c++) {
            y[(size_t)r * ys + (size_t)c * apart] = lanes_sum(p[r][c]);
        }
    }
}

/* `cols` rows of W, read from memory once, for all rows of x. Each tile of rows asks for its share
 * of the rows of W that come `ahead` bytes later, as in gemm_block. */
ALWAYS_INLINE void gemm_nt_cols(float *y, size_t ys, const float *x, size_t xs, const char *w,
                                size_t ws, size_t ahead, int m, int K, int cols, size_t size,
                                load_fn load) {
    size_t shares =
        (size_t)((m + GEMM_NT_ROWS - 1) / GEMM_NT_ROWS * LANE_VECS) * (size_t)(K / 8 + 1);
    struct prefetch next = {w + ahead, ahead / shares};
    for (int rows; m > 0; m -= rows) {
        rows = m == GEMM_NT_ROWS + 1 ? GEMM_NT_ROWS - 1 : m < GEMM_NT_ROWS ? m : GEMM_NT_ROWS;
#define TILE(rows) gemm_nt_tile(y, ys, x, xs, w, ws, 1, next, K, rows, cols, size, load)
        WITH_CONSTANT(rows, GEMM_NT_ROWS + 1, TILE)
#undef TILE
        next.p += (size_t)(K / 8) * next.step * LANE_VECS;
        y += (size_t)rows * ys;
        x += (size_t)rows * xs;
    }
}

/* All rows of W for one row of x. */
ALWAYS_INLINE void gemm_nt_streams(float *y, const float *x, const char *w, size_t ws, int n, int K,
                                   size_t size, load_fn load) {
    const int part = n / GEMM_NT_STREAMS;
    const struct prefetch nothing = {w, 0};
    for (int c = 0; c < part; c++)
        gemm_nt_tile(y + c, 0, x, 0, w + (size_t)c * ws, ws, (size_t)part, nothing, K, 1,
                     GEMM_NT_STREAMS, size, load);
    for (int c = part * GEMM_NT_STREAMS; c < n; c++)
        gemm_nt_tile(y + c, 0, x, 0, w + (size_t)c * ws, ws, 1, nothing, K, 1, 1, size, load);
}

ALWAYS_INLINE void dots(float *y, size_t ys, const float *x, size_t xs, const char *w, size_t ws,
                        int m, int n, int K, size_t size, load_fn load) {
    ws *= size;
    if (m == 1) {
        gemm_nt_streams(y, x, w, ws, n, K, size, load);
        return;
    }
    int c = 0;
    for (; c + GEMM_NT_COLS <= n; c += GEMM_NT_COLS) {
        size_t ahead = c + 2 * GEMM_NT_COLS <= n ? GEMM_NT_COLS * ws : 0;
        gemm_nt_cols(y + c, ys, x, xs, w, ws, ahead, m, K, GEMM_NT_COLS, size, load);
        w += GEMM_NT_COLS * ws;
    }
    for (; c < n; c++) {
        gemm_nt_cols(y + c, ys, x, xs, w, ws, 0, m, K, 1, size, load);
        w += ws;
    }
}

#endif
