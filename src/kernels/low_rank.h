/* low_rank.h - add_low_rank for all variants with vectors: the sums that merge an adapter.
 *
 * In addition to what tiles.h lists, the file that includes this one defines
 *
 *   dvec                  a vector of WIDTH / 2 f64; the operators are those of the compiler's
 *                         vector types
 *   dvec_widen(p)         the WIDTH / 2 f32 at p, at any alignment
 *   dvec_narrow(p, v)     stores v to p as f32, rounded to the nearest
 *   LOW_RANK_ROWS, LOW_RANK_VECS  the register tile: rows of w, vectors of columns
 *
 * Vectors run across columns, each sum is one chain over j, and a product is rounded before it is
 * added, so that no width changes a bit. */
#ifndef KERNELS_LOW_RANK_H
#define KERNELS_LOW_RANK_H

#include "kernels/tiles.h"
#include <string.h>

#define DVEC_WIDTH (WIDTH / 2)

ALWAYS_INLINE dvec dvec_load(const double *p) {
    dvec v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Rows from y, w and u, and LOW_RANK_VECS vectors of columns. ws in bytes; v: from the first of the
 * columns in its panel. */
ALWAYS_INLINE void low_rank_tile(struct y_rows y, const char *w, size_t ws, const double *u,
                                 const double *v, int rows, int rank, double scale) {
    dvec sum[LOW_RANK_ROWS][LOW_RANK_VECS];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int i = 0; i < LOW_RANK_VECS; i++) {
            sum[r][i] = (dvec){0};
        }
    }
    NO_UNROLL for (int j = 0; j < rank; j++, u++, v += PANEL) {
        dvec b[LOW_RANK_VECS];
        UNROLL for (int i = 0; i < LOW_RANK_VECS; i++) {
            b[i] = dvec_load(v + i * DVEC_WIDTH);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int i = 0; i < LOW_RANK_VECS; i++) {
                sum[r][i] += u[(size_t)r * (size_t)rank] * b[i];
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int i = 0; i < LOW_RANK_VECS; i++) {
            const size_t at = (size_t)i * DVEC_WIDTH;
            const dvec old = dvec_widen(w + (size_t)r * ws + at * sizeof(float));
            dvec_narrow(y_from(y, r, 0).p + at, old + scale * sum[r][i]);
        }
    }
}

/* The columns of one panel; `n` of them are there. */
ALWAYS_INLINE void low_rank_panel(struct y_rows y, const char *w, size_t ws, const double *u,
                                  const double *v, int rows, int n, int rank, double scale) {
    const int step = LOW_RANK_VECS * DVEC_WIDTH;
    float last[LOW_RANK_ROWS * PANEL] = {0};
    if (n < PANEL) {
        for (int r = 0; r < rows; r++)
            memcpy(last + r * PANEL, w + (size_t)r * ws, (size_t)n * sizeof(float));
        w = (const char *)last;
        ws = PANEL * sizeof(float);
    }
    const struct y_rows to = n < PANEL ? (struct y_rows){last, PANEL} : y;
    for (int c = 0; c < PANEL; c += step)
        low_rank_tile((struct y_rows){to.p + c, to.stride}, w + (size_t)c * sizeof(float), ws, u,
                      v + c, rows, rank, scale);
    for (int r = 0; n < PANEL && r < rows; r++)
        memcpy(y_from(y, r, 0).p, last + r * PANEL, (size_t)n * sizeof(float));
}

static void add_low_rank(float *y, size_t ys, const void *w, size_t ws, const double *u,
                         const double *v, int m, int n, int rank, double scale) {
    ws *= sizeof(float);
    for (int c = 0; c < n; c += PANEL, v += (size_t)rank * PANEL)
        for (int r = 0; r < m; r += LOW_RANK_ROWS) {
            const struct y_rows to = {y + (size_t)r * ys + (size_t)c, ys};
            const char *from = (const char *)w + (size_t)r * ws + (size_t)c * sizeof(float);
            const double *a = u + (size_t)r * (size_t)rank;
            const int columns = n - c < PANEL ? n - c : PANEL;
            if (m - r >= LOW_RANK_ROWS)
                low_rank_panel(to, from, ws, a, v, LOW_RANK_ROWS, columns, rank, scale);
            else
#define ROWS(rows) low_rank_panel(to, from, ws, a, v, rows, columns, rank, scale)
                WITH_CONSTANT(m - r, LOW_RANK_ROWS, ROWS)
#undef ROWS
        }
}

#endif
