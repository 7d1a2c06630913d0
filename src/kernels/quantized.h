/* quantized.h - gemm_q8 and gemm_q4, once, for every row that has vectors (contract: kernels.h;
 * what a panel looks like: panels.h).
 *
 * Beside what products.h asks for, the file that includes this one says
 *
 *   ivec                  a vector of WIDTH 32-bit integers
 *   ivec_set, ivec_load   all lanes the same; WIDTH lanes from any address
 *   ivec_add, ivec_and    of 32-bit lanes
 *   ivec_shift16(a, n)    16-bit lanes to the right by n, zeros from the left
 *   ivec_to_f32           exact here: no sum reaches 2^24
 *   vec_mul(a, b)         a * b, rounded
 *   Q8_ROWS, Q4_ROWS      rows of x in a register tile
 *   QUANT_VECS(rows)      vectors of columns in it
 *
 * and, where the CPU has four-way dot products, QUANT_DOT4 and
 *
 *   ivec_dot4(sum, u, s)  sum + the products of four unsigned and signed bytes
 *
 * or else
 *
 *   ivec_pairs(a, b)      the sums of two products of signed 16-bit lanes
 *   ivec_pairs8(u, s)     the 16-bit sums of two products of an unsigned and a signed byte
 *   ivec_add16, ivec_xor  of 16-bit lanes; of bits
 *   ivec_abs8(a)          of signed bytes
 *   ivec_sign8(a, b)      bytes of a, negated where those of b are negative; anything where b is 0
 *
 * How bytes are multiplied without dot products: the sums of two products u * s must fit 16 bits.
 * With u up to 255 they would not, so Q8 multiplies the magnitude of a weight by the activation
 * with the weight's sign: 2 * 128 * 127 < 2^15. The nibbles of Q4 fit as they are: |u s| <= 15 *
 * 127, and 8 steps of two of them stay below 2^15. */
#ifndef KERNELS_QUANTIZED_H
#define KERNELS_QUANTIZED_H

#include "kernels/products.h"
#include <string.h>

#define QUANT_STEPS (GROUP / 4) /* words of activations in a group */
#define QUANT_AHEAD 4096        /* bytes between what one row multiplies and what it asks for */
#define QUANT_DEPTH 4           /* groups that are worked on together: half of the first cache */

/* --- four bytes at a time --------------------------------------------------------------------- */

#if defined(QUANT_DOT4)

struct q8_weights {
    ivec bytes;
};

ALWAYS_INLINE struct q8_weights q8_load(const void *bytes) {
    return (struct q8_weights){ivec_load(bytes)};
}

/* What a sum starts from: bytes are weights + 128. */
ALWAYS_INLINE ivec q8_start(int32_t sum_of_x) {
    return ivec_set((uint32_t)(-128 * sum_of_x));
}

ALWAYS_INLINE ivec q8_add(ivec sum, struct q8_weights w, ivec x) {
    return ivec_dot4(sum, w.bytes, x);
}

typedef ivec q4_sum;

ALWAYS_INLINE q4_sum q4_add(q4_sum sum, ivec nibbles, ivec x) {
    return ivec_dot4(sum, nibbles, x);
}

ALWAYS_INLINE ivec q4_whole(q4_sum sum) {
    return sum;
}

#else

struct q8_weights {
    ivec magnitude, sign;
};

ALWAYS_INLINE struct q8_weights q8_load(const void *bytes) {
    ivec w = ivec_xor(ivec_load(bytes), ivec_set(0x80808080)); // less 128, as signed bytes
    return (struct q8_weights){ivec_abs8(w), w};
}

ALWAYS_INLINE ivec q8_start(int32_t sum_of_x) {
    return ivec_set(0);
}

ALWAYS_INLINE ivec q8_add(ivec sum, struct q8_weights w, ivec x) {
    ivec pairs = ivec_pairs8(w.magnitude, ivec_sign8(x, w.sign));
    return ivec_add(sum, ivec_pairs(pairs, ivec_set(0x00010001)));
}

typedef ivec q4_sum; /* of 16-bit lanes */

ALWAYS_INLINE q4_sum q4_add(q4_sum sum, ivec nibbles, ivec x) {
    return ivec_add16(sum, ivec_pairs8(nibbles, x));
}

ALWAYS_INLINE ivec q4_whole(q4_sum sum) {
    return ivec_pairs(sum, ivec_set(0x00010001));
}

#endif

/* --- the integer sums of a tile and a group --------------------------------------------------- */

#define QUANT_ROWS (Q8_ROWS > Q4_ROWS ? Q8_ROWS : Q4_ROWS)

/* Weights on their way, in lines of 64 bytes: as much as a step reads. More rows ask for memory
 * elsewhere (quant_block). */
ALWAYS_INLINE void quant_ahead(const unsigned char *w, int rows, int vecs) {
    UNROLL for (int v = 0; v < vecs; v += 16 / WIDTH) {
        if (rows == 1)
            __builtin_prefetch(w + QUANT_AHEAD + (size_t)v * WIDTH * 4, 0, 3);
    }
}

/* Four activations of row r. */
ALWAYS_INLINE ivec quant_x(struct quantized x, int r, int step) {
    uint32_t word;
    memcpy(&word, x.q + (size_t)r * x.qs + 4 * step, sizeof word);
    return ivec_set(word);
}

ALWAYS_INLINE void q8_sums(ivec sum[QUANT_ROWS][PANEL / WIDTH], struct quantized x,
                           const unsigned char *w, int rows, int vecs) {
    const int many = rows == 1 ? 0 : rows;
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = q8_start(x.sum[(size_t)r * x.gs]);
        }
    }
    UNROLL_4 for (int step = 0; step < QUANT_STEPS; step++) {
        struct q8_weights weights[PANEL / WIDTH];
        quant_ahead(w, rows, vecs);
        UNROLL for (int v = 0; v < vecs; v++) {
            weights[v] = q8_load(w + (size_t)v * WIDTH * 4);
            if (rows == 1) // used at once: there are no registers for all of them
                sum[0][v] = q8_add(sum[0][v], weights[v], quant_x(x, 0, step));
        }
        UNROLL for (int r = 0; r < many; r++) {
            ivec xs = quant_x(x, r, step);
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = q8_add(sum[r][v], weights[v], xs);
            }
        }
        w += PANEL * 4;
    }
}

/* The low nibbles (half 0) or the high ones (half 1): inputs 0..31 or 32..63 of the group. */
ALWAYS_INLINE void q4_half(ivec sum[QUANT_ROWS][PANEL / WIDTH], struct quantized x,
                           const unsigned char *w, int half, int rows, int vecs) {
    const int many = rows == 1 ? 0 : rows;
    q4_sum part[QUANT_ROWS][PANEL / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            part[r][v] = ivec_set(0);
        }
    }
    UNROLL_4 for (int step = 0; step < QUANT_STEPS / 2; step++) {
        ivec nibbles[PANEL / WIDTH];
        if (half == 0)
            quant_ahead(w, rows, vecs);
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec bytes = ivec_load(w + (size_t)v * WIDTH * 4);
            nibbles[v] = ivec_and(half ? ivec_shift16(bytes, 4) : bytes, ivec_set(0x0F0F0F0F));
            if (rows == 1)
                part[0][v] =
                    q4_add(part[0][v], nibbles[v], quant_x(x, 0, half * QUANT_STEPS / 2 + step));
        }
        UNROLL for (int r = 0; r < many; r++) {
            ivec xs = quant_x(x, r, half * QUANT_STEPS / 2 + step);
            UNROLL for (int v = 0; v < vecs; v++) {
                part[r][v] = q4_add(part[r][v], nibbles[v], xs);
            }
        }
        w += PANEL * 4;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec whole = q4_whole(part[r][v]);
            sum[r][v] = half ? ivec_add(sum[r][v], whole) : whole;
        }
    }
}

ALWAYS_INLINE void q4_sums(ivec sum[QUANT_ROWS][PANEL / WIDTH], struct quantized x,
                           const unsigned char *w, int rows, int vecs) {
    q4_half(sum, x, w, 0, rows, vecs);
    q4_half(sum, x, w, 1, rows, vecs);
}

/* --- from sums to y --------------------------------------------------------------------------- */

ALWAYS_INLINE int lanes_of(int n, int vector) {
    int left = n - vector * WIDTH;
    return left < 0 ? 0 : left < WIDTH ? left : WIDTH;
}

/* Continues the chains of y by one group; `scales` (and `mins`, or NULL) are f16 of the tile's
 * columns, n of which count. */
ALWAYS_INLINE void quant_chain(float *y, size_t ys, ivec sum[QUANT_ROWS][PANEL / WIDTH],
                               struct quantized x, const unsigned char *scales,
                               const unsigned char *mins, int rows, int vecs, int n) {
    UNROLL for (int v = 0; v < vecs; v++) {
        vec scale = load_f16(scales + (size_t)v * WIDTH * 2, WIDTH);
        vec min = mins ? load_f16(mins + (size_t)v * WIDTH * 2, WIDTH) : scale;
        int lanes = n == PANEL ? WIDTH : lanes_of(n, v);
        UNROLL for (int r = 0; r < rows; r++) {
            float *out = y + (size_t)r * ys + v * WIDTH;
            float xscale = x.scale[(size_t)r * x.gs];
            vec chain = load_f32(out, lanes);
            chain = vec_fma(ivec_to_f32(sum[r][v]), vec_mul(scale, vec_set(xscale)), chain);
            if (mins)
                chain = vec_fma(vec_set((float)x.sum[(size_t)r * x.gs] * xscale), min, chain);
            vec_store(out, chain, lanes);
        }
    }
}

/* --- tiles of a panel ------------------------------------------------------------------------- */

/* `rows` rows by `vecs` vectors from `column` on, one group. */
ALWAYS_INLINE void quant_tile(float *y, size_t ys, struct quantized x, const unsigned char *group,
                              int column, int n, int rows, int vecs, enum dtype dtype) {
    const unsigned char *scales = group + 2 * column, *mins = group + 2 * (PANEL + column);
    int left = n == PANEL ? PANEL : n - column;
    ivec sum[QUANT_ROWS][PANEL / WIDTH];
    if (dtype == DTYPE_Q8) {
        q8_sums(sum, x, group + 2 * PANEL + 4 * column, rows, vecs);
        quant_chain(y + column, ys, sum, x, scales, NULL, rows, vecs, left);
    } else {
        q4_sums(sum, x, group + 4 * PANEL + 4 * column, rows, vecs);
        quant_chain(y + column, ys, sum, x, scales, mins, rows, vecs, left);
    }
}

ALWAYS_INLINE size_t quant_group_bytes(enum dtype dtype) {
    return dtype == DTYPE_Q8 ? Q8_GROUP_BYTES : Q4_GROUP_BYTES;
}

/* All columns and some groups of `rows` rows. Each tile asks for `share` bytes from `next` on. */
ALWAYS_INLINE void quant_rows(float *y, size_t ys, struct quantized x, const unsigned char *groups,
                              const char *next, size_t share, int n, int n_groups, int rows,
                              enum dtype dtype) {
    const int vecs = QUANT_VECS(rows);
    for (int g = 0; g < n_groups; g++) {
        for (int column = 0; column < n; column += vecs * WIDTH) {
            if (rows > 1)
                gemm_ask(next, share);
            next += share;
            quant_tile(y, ys, x, groups, column, n, rows, vecs, dtype);
        }
        groups += quant_group_bytes(dtype);
        x.q += GROUP;
        x.scale++;
        x.sum++;
    }
}

/* All rows, for as many groups as stay in the first cache meanwhile; each tile of rows asks for its
 * share of the groups that come next, as in gemm_block. */
ALWAYS_INLINE void quant_block(float *y, size_t ys, struct quantized x, const unsigned char *groups,
                               int m, int n, int n_groups, enum dtype dtype) {
    const int max = dtype == DTYPE_Q8 ? Q8_ROWS : Q4_ROWS;
    size_t n_bytes = QUANT_DEPTH * quant_group_bytes(dtype);
    int tiles = QUANT_DEPTH * (PANEL / (QUANT_VECS(max) * WIDTH)); // of a few rows
    size_t share = n_bytes / (size_t)(tiles * ((m + max - 1) / max));
    const char *next = (const char *)groups + n_bytes;
    for (int rows; m > 0; m -= rows) {
        rows = m == max + 1 ? max - 1 : m < max ? m : max;
#define TILE(rows) quant_rows(y, ys, x, groups, next, share, n, n_groups, rows, dtype)
        WITH_CONSTANT(rows, max + 1, TILE)
#undef TILE
        next += (size_t)tiles * share;
        y += (size_t)rows * ys;
        x.q += (size_t)rows * x.qs;
        x.scale += (size_t)rows * x.gs;
        x.sum += (size_t)rows * x.gs;
    }
}

/* A whole panel goes without masks: n is then a constant. */
ALWAYS_INLINE void gemm_quantized(float *y, size_t ys, struct quantized x,
                                  const unsigned char *groups, int m, int n, int n_groups,
                                  enum dtype dtype) {
    for (int left = n_groups; left > 0; left -= QUANT_DEPTH) {
        int depth = left < QUANT_DEPTH ? left : QUANT_DEPTH;
        if (n == PANEL)
            quant_block(y, ys, x, groups, m, PANEL, depth, dtype);
        else
            quant_block(y, ys, x, groups, m, n, depth, dtype);
        groups += QUANT_DEPTH * quant_group_bytes(dtype);
        x.q += QUANT_DEPTH * GROUP;
        x.scale += QUANT_DEPTH;
        x.sum += QUANT_DEPTH;
    }
}

static void gemm_q8(float *y, size_t ys, struct quantized x, const void *panel, int m, int n,
                    int n_groups) {
    gemm_quantized(y, ys, x, panel, m, n, n_groups, DTYPE_Q8);
}

static void gemm_q4(float *y, size_t ys, struct quantized x, const void *panel, int m, int n,
                    int n_groups) {
    gemm_quantized(y, ys, x, panel, m, n, n_groups, DTYPE_Q4);
}

#endif
