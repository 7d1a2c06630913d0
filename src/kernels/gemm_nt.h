/* gemm_nt.h - products of rows of x with rows of W: x times the transpose of W, for the head. */
#ifndef KERNELS_GEMM_NT_H
#define KERNELS_GEMM_NT_H

#include "kernels/tiles.h"

#define LANE_VECS (16 / WIDTH) /* vectors of the 16 partial sums of lanes16 */

/* Rows of x are multiplied by this many rows of W at a time. They are far apart in W, each in its
 * part, so that they are as many streams, and each of these goes on where it was. */
#define GEMM_NT_STREAMS 4

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

typedef vec partial_sums[GEMM_NT_ROWS][GEMM_NT_STREAMS][LANE_VECS];

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
        if (!tile.ahead) {
            prefetch_step(&prefetch, 0, 2, GEMM_NT_STREAMS, 1, type.size);
        } else if (first == 0) {
            prefetch_ahead(w.w + (size_t)k * type.size, w.apart * w.stride, k / 16, tile.cols,
                           tile.cols * (int)type.size / 4,
                           tile.rows * (to - first) * (4 / (int)type.size));
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

/* The first of the two streams that tile t of `tiles` prefetches. */
ALWAYS_INLINE int gemm_nt_share(int t, int tiles) {
    const int stream = t * GEMM_NT_STREAMS / tiles;
    return stream < GEMM_NT_STREAMS - 2 ? stream : GEMM_NT_STREAMS - 2;
}

/* All rows of x and one row of each stream of W, or of the first one alone, which is read from
 * memory once. The tiles of rows share what is prefetched: the rows of W that are next. */
ALWAYS_INLINE void gemm_nt_cols(struct y_rows y, struct x_rows x, struct w_rows w, int m, int K,
                                int cols, struct element type) {
    const int tiles = (m + GEMM_NT_ROWS - 1) / GEMM_NT_ROWS;
    const size_t next = w.apart * w.stride;
    for (int t = 0, rows; m > 0; m -= rows, t++) {
        rows = tile_rows(m, GEMM_NT_ROWS);
        const struct prefetch prefetch = {w.w + w.stride + (size_t)gemm_nt_share(t, tiles) * next,
                                          16 * type.size, next, false};
#define TILE(rows)  \
    if ((rows) > 1) \
    gemm_nt_tile(y, x, w, prefetch, K, (struct nt_tile){rows, cols, false}, type)
        WITH_CONSTANT(rows, GEMM_NT_ROWS + 1, TILE)
#undef TILE
        y = y_from(y, rows, 0);
        x = x_from(x, rows, 0);
    }
}

/* The rows of x of one tile. */
ALWAYS_INLINE void gemm_nt_few(struct y_rows y, struct x_rows x, struct w_rows w, int m, int K,
                               int cols, struct element type) {
    const struct prefetch nothing = {w.w, 0, 0, false};
#define TILE(rows) gemm_nt_tile(y, x, w, nothing, K, (struct nt_tile){rows, cols, true}, type)
    WITH_CONSTANT(m, GEMM_NT_ROWS + 1, TILE)
#undef TILE
}

/* The rows of W are ws elements apart. */
ALWAYS_INLINE void gemm_nt(struct y_rows y, struct x_rows x, const char *w, size_t ws, int m, int n,
                           int K, struct element type) {
    const size_t stride = ws * type.size;
    const int part = n / GEMM_NT_STREAMS;
#define COLUMNS(c, apart, cols)                                                            \
    do {                                                                                   \
        const struct w_rows rows_of_w = {w + (size_t)(c)*stride, stride, (size_t)(apart)}; \
        if (m <= GEMM_NT_ROWS)                                                             \
            gemm_nt_few(y_from(y, 0, c), x, rows_of_w, m, K, cols, type);                  \
        else                                                                               \
            gemm_nt_cols(y_from(y, 0, c), x, rows_of_w, m, K, cols, type);                 \
    } while (0)
    for (int c = 0; c < part; c++)
        COLUMNS(c, part, GEMM_NT_STREAMS);
    for (int c = part * GEMM_NT_STREAMS; c < n; c++)
        COLUMNS(c, 1, 1);
#undef COLUMNS
}

#endif
