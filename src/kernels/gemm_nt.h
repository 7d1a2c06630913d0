/* gemm_nt.h - products of rows of x with rows of W: x times the transpose of W, for the head. */
#ifndef KERNELS_GEMM_NT_H
#define KERNELS_GEMM_NT_H

#include "kernels/tiles.h"

#define LANE_VECS (16 / WIDTH) /* vectors of the 16 partial sums of lanes16 */

/* The rows of x of one tile are multiplied by this many rows of W at a time. They are far apart in
 * W, so that the hardware prefetches as many streams. */
#define GEMM_NT_STREAMS 4
#define GEMM_NT_MOST    (GEMM_NT_COLS > GEMM_NT_STREAMS ? GEMM_NT_COLS : GEMM_NT_STREAMS)

/* Rows of W, `stride` bytes apart. The rows of a tile are every `apart`th of them. */
struct w_rows {
    const char *w;
    size_t stride, apart;
};

/* The size of a tile: `rows` rows of x by `cols` rows of W. ahead: as in struct tile. */
struct nt_tile {
    int rows, cols;
    bool ahead;
};

typedef vec partial_sums[GEMM_NT_ROWS][GEMM_NT_MOST][LANE_VECS];

/* Vectors first .. to - 1 of the partial sums of a tile. */
ALWAYS_INLINE void gemm_nt_sums(partial_sums p, struct x_rows x, struct w_rows w,
                                struct prefetch prefetch, int K, struct nt_tile tile, int first,
                                int to, struct element type) {
    UNROLL for (int r = 0; r < tile.rows; r++) {
        UNROLL for (int c = 0; c < tile.cols; c++) {
            UNROLL for (int i = first; i < to; i++) {
                p[r][c][i] = vec_set(0.0f);
            }
        }
    }
    int k = 0;
    UNROLL_4 for (; k + 16 <= K; k += 16) {
        UNROLL for (int i = first; i < to; i++) {
            vec xk[GEMM_NT_ROWS];
            UNROLL for (int r = 0; r < tile.rows; r++) {
                xk[r] = load_f32(x_from(x, r, k + i * WIDTH).p, WIDTH);
            }
            UNROLL for (int c = 0; c < tile.cols; c++) {
                const char *row = w.w + (size_t)c * w.apart * w.stride;
                vec weight = type.load(row + (size_t)(k + i * WIDTH) * type.size, WIDTH);
                UNROLL for (int r = 0; r < tile.rows; r++) {
                    ADD_PRODUCT(p[r][c][i], xk[r], weight);
                }
            }
        }
        if (!tile.ahead) { // two lines of a share
            prefetch_step(&prefetch, 0, 1, 1, 1);
            prefetch_step(&prefetch, 0, 1, 1, 1);
        } else if (tile.rows > 1 && first == 0) {
            prefetch_ahead(w.w + (size_t)k * type.size, w.apart * w.stride, k / 16, tile.cols,
                           tile.cols * (int)type.size / 4);
        }
    }
    UNROLL for (int i = first; i < to; i++) {
        int left = K - k - i * WIDTH;
        OPAQUE(left);
        int n = left < WIDTH ? left : WIDTH;
        if (n <= 0)
            break;
        UNROLL for (int r = 0; r < tile.rows; r++) {
            vec xk = load_f32(x_from(x, r, k + i * WIDTH).p, n);
            UNROLL for (int c = 0; c < tile.cols; c++) {
                const char *row = w.w + (size_t)c * w.apart * w.stride;
                vec weight = type.load(row + (size_t)(k + i * WIDTH) * type.size, n);
                p[r][c][i] = vec_fma_n(xk, weight, p[r][c][i], n);
                FLOATS_IN_ORDER(p[r][c][i]);
            }
        }
    }
}

/* A tile of y. With several rows of x there is a pass over k for each vector of the partial sums:
 * as a pass needs one register per product, more products fit and share a load. */
ALWAYS_INLINE void gemm_nt_tile(struct y_rows y, struct x_rows x, struct w_rows w,
                                struct prefetch prefetch, int K, struct nt_tile tile,
                                struct element type) {
    partial_sums p, all;
    const int step = tile.rows == 1 ? LANE_VECS : 1;
    UNROLL for (int i = 0; i < LANE_VECS; i += step) {
        gemm_nt_sums(p, x, w, prefetch, K, tile, i, i + step, type);
        prefetch.p += (size_t)(K / 8) * prefetch.step;
        UNROLL for (int r = 0; r < tile.rows; r++) {
            UNROLL for (int c = 0; c < tile.cols; c++) {
                UNROLL for (int v = i; v < i + step; v++) {
                    all[r][c][v] = p[r][c][v];
                    if (step < LANE_VECS)
                        IN_MEMORY(all[r][c][v]); // the registers are those of the next pass
                }
            }
        }
    }
    UNROLL for (int r = 0; r < tile.rows; r++) {
        UNROLL for (int c = 0; c < tile.cols; c++) {
            y.p[(size_t)r * y.stride + (size_t)c * w.apart] = lanes_sum(all[r][c]);
        }
    }
}

/* `cols` rows of W, read from memory once, for all rows of x. Each tile of rows prefetches an equal
 * share of the rows of W `ahead` bytes later, as in gemm_block. */
ALWAYS_INLINE void gemm_nt_cols(struct y_rows y, struct x_rows x, struct w_rows w, size_t ahead,
                                int m, int K, int cols, struct element type) {
    size_t shares =
        (size_t)((m + GEMM_NT_ROWS - 1) / GEMM_NT_ROWS * LANE_VECS) * (size_t)(K / 8 + 1);
    struct prefetch prefetch = {w.w + ahead, ahead / shares, 0};
    for (int rows; m > 0; m -= rows) {
        rows = tile_rows(m, GEMM_NT_ROWS);
#define TILE(rows) gemm_nt_tile(y, x, w, prefetch, K, (struct nt_tile){rows, cols, false}, type)
        WITH_CONSTANT(rows, GEMM_NT_ROWS + 1, TILE)
#undef TILE
        prefetch.p += (size_t)(K / 8) * prefetch.step * LANE_VECS;
        y = y_from(y, rows, 0);
        x = x_from(x, rows, 0);
    }
}

/* All rows of W for the rows of x of one tile. */
ALWAYS_INLINE void gemm_nt_streams(struct y_rows y, struct x_rows x, const char *w, size_t stride,
                                   int n, int K, int rows, struct element type) {
    const int part = n / GEMM_NT_STREAMS;
    const struct prefetch nothing = {w, 0, 0};
    for (int c = 0; c < part; c++)
        gemm_nt_tile(y_from(y, 0, c), x,
                     (struct w_rows){w + (size_t)c * stride, stride, (size_t)part}, nothing, K,
                     (struct nt_tile){rows, GEMM_NT_STREAMS, true}, type);
    for (int c = part * GEMM_NT_STREAMS; c < n; c++)
        gemm_nt_tile(y_from(y, 0, c), x, (struct w_rows){w + (size_t)c * stride, stride, 1},
                     nothing, K, (struct nt_tile){rows, 1, true}, type);
}

/* The rows of W are ws elements apart. */
ALWAYS_INLINE void gemm_nt(struct y_rows y, struct x_rows x, const char *w, size_t ws, int m, int n,
                           int K, struct element type) {
    const size_t stride = ws * type.size;
    if (m <= GEMM_NT_ROWS) {
#define TILE(rows) gemm_nt_streams(y, x, w, stride, n, K, rows, type)
        WITH_CONSTANT(m, GEMM_NT_ROWS + 1, TILE)
#undef TILE
        return;
    }
    int c = 0;
    for (; c + GEMM_NT_COLS <= n; c += GEMM_NT_COLS) {
        size_t ahead = c + 2 * GEMM_NT_COLS <= n ? GEMM_NT_COLS * stride : 0;
        gemm_nt_cols(y_from(y, 0, c), x, (struct w_rows){w, stride, 1}, ahead, m, K, GEMM_NT_COLS,
                     type);
        w += GEMM_NT_COLS * stride;
    }
    for (; c < n; c++) {
        gemm_nt_cols(y_from(y, 0, c), x, (struct w_rows){w, stride, 1}, 0, m, K, 1, type);
        w += stride;
    }
}

#endif
