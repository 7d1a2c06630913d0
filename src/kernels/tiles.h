/* tiles.h - what the products of every variant that has vectors are made of (gemm.h, gemv.h,
 * gemm_nt.h, quantized.h): each is there once.
 *
 * The file that includes them says what a vector is and how large the tiles are:
 *
 *   vec, WIDTH            a vector of WIDTH f32: 8 or 16
 *   vec_set(s)            all lanes s
 *   vec_fma(a, b, c)      a * b + c, rounded once
 *   vec_fma_n(a, b, c, n) the same in the first n lanes; the others keep c
 *   vec_store(p, v, n)    the first n lanes to p[0..n)
 *   load_f32(p, n)        the n elements of that type at p as f32, other lanes 0; not one byte
 *   load_f16, load_bf16   behind them is read. n == WIDTH, a constant, is the fast case
 *   lanes_sum(p)          the tree of lanes16 over 16 / WIDTH vectors
 *   GEMM_ROWS             a register tile of gemm: rows,
 *   GEMM_VECS(rows)       and vectors of columns, those of several panels where they fit, and of
 *                         a STRIP at most
 *   GEMM_DEPTH            rows of w that are worked on together: those of a tile's columns fit
 *                         half of the first cache in every type
 *   GEMV_ROWS, GEMV_VECS  a register tile of gemv: rows of x, and vectors of columns
 *   GEMV_DEPTH            rows of W that are worked on together
 *   GEMM_NT_ROWS, GEMM_NT_COLS  of gemm_nt: rows of x, and rows of W
 *
 * A tile is a function whose sizes are parameters. It is inlined where they are constants, so that
 * its arrays live in registers; remainders run the same code with smaller constants. */
#ifndef KERNELS_TILES_H
#define KERNELS_TILES_H

#include "kernels/kernels.h"
#include "kernels/operands.h"
#include <stdbool.h>

#if defined(__clang__)
#define UNROLL   _Pragma("clang loop unroll(full)")
#define UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define UNROLL   _Pragma("GCC unroll 16")
#define UNROLL_4 _Pragma("GCC unroll 4")
#endif

/* A type of weights: the bytes of an element, and load_f32, load_f16 or load_bf16. */
struct element {
    size_t size;
    vec (*load)(const void *p, int n);
};

/* TILE(rows) with `rows` as a constant: a switch over what a remainder below `limit`, a constant of
 * WITH_CONSTANT_MOST at most, can be. Zero rows are nothing to do. */
#define WITH_CONSTANT_MOST 8
#define WITH_CONSTANT(rows, limit, TILE)                                                     \
    {                                                                                        \
        _Static_assert((limit) <= WITH_CONSTANT_MOST, "WITH_CONSTANT has no case for this"); \
        switch (rows) {                                                                      \
        case 1:                                                                              \
            if (1 < (limit))                                                                 \
                TILE(1);                                                                     \
            break;                                                                           \
        case 2:                                                                              \
            if (2 < (limit))                                                                 \
                TILE(2);                                                                     \
            break;                                                                           \
        case 3:                                                                              \
            if (3 < (limit))                                                                 \
                TILE(3);                                                                     \
            break;                                                                           \
        case 4:                                                                              \
            if (4 < (limit))                                                                 \
                TILE(4);                                                                     \
            break;                                                                           \
        case 5:                                                                              \
            if (5 < (limit))                                                                 \
                TILE(5);                                                                     \
            break;                                                                           \
        case 6:                                                                              \
            if (6 < (limit))                                                                 \
                TILE(6);                                                                     \
            break;                                                                           \
        case 7:                                                                              \
            if (7 < (limit))                                                                 \
                TILE(7);                                                                     \
            break;                                                                           \
        }                                                                                    \
    }

/* A tile of y is an array of whole strips: no tile may be wider. */
_Static_assert(GEMM_VECS(1) * WIDTH <= STRIP && GEMM_VECS(GEMM_ROWS) * WIDTH <= STRIP,
               "a tile of gemm is a STRIP at most");

/* The size of a register tile: `rows` rows of `vecs` vectors, of which `columns` columns count. */
struct tile {
    int rows, vecs, columns;
};

/* How many lanes of its vector v count. */
ALWAYS_INLINE int tile_lanes(struct tile tile, int v) {
    int left = tile.columns - v * WIDTH;
    return left < 0 ? 0 : left < WIDTH ? left : WIDTH;
}

/* What is prefetched while a tile is computed: at step k the line at p + k * step of a panel; where
 * a tile covers several panels, which are `next` bytes apart, each of them in turn. */
struct prefetch {
    const char *p;
    size_t step, next;
};

ALWAYS_INLINE void prefetch_step(struct prefetch prefetch, int k, int panels) {
    __builtin_prefetch(
        prefetch.p + (size_t)k * prefetch.step + (size_t)(k % panels) * prefetch.next, 0, 2);
}

#endif
