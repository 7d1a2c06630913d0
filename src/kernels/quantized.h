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
 *   ivec_abs8(a)          of signed bytes
 *   ivec_sign8(a, s)      bytes a, negated where those of s are negative; where they are 0, any
 *   ivec_xor, ivec_add16  of 32-bit words; of 16-bit lanes
 *
 * How bytes are multiplied without dot products: two products |x| * w with |x| and |w| up to 127
 * fit 16 bits, so w takes the sign of x, and x goes without. The nibbles of Q4 are unsigned as they
 * are: |u s| <= 15 * 127, and 16 of them, as many as a lane gets in half a group, stay below 2^15.
 */
#ifndef KERNELS_QUANTIZED_H
#define KERNELS_QUANTIZED_H

#include "kernels/products.h"
#include <string.h>

#define QUANT_STEPS (GROUP / 4) /* of four activations, in a group */
#define QUANT_DEPTH 4           /* groups that are worked on together: half of the first cache */
#define QUANT_ROWS  (Q8_ROWS > Q4_ROWS ? Q8_ROWS : Q4_ROWS)

/* --- four bytes at a time --------------------------------------------------------------------- */

#if defined(QUANT_DOT4)

typedef ivec q8_x;

/* What a sum starts from: bytes are weights + 128. */
ALWAYS_INLINE ivec q8_start(int32_t sum_of_x) {
    return ivec_set((uint32_t)(-128 * sum_of_x));
}

ALWAYS_INLINE ivec q8_weights(ivec bytes) {
    return bytes;
}

ALWAYS_INLINE q8_x q8_activations(ivec bytes) {
    return bytes;
}

ALWAYS_INLINE ivec q8_add(ivec sum, ivec w, q8_x x) {
    return ivec_dot4(sum, w, x);
}

ALWAYS_INLINE ivec q4_add(ivec sum, ivec nibbles, ivec x) {
    return ivec_dot4(sum, nibbles, x);
}

ALWAYS_INLINE ivec q4_whole(ivec sum) {
    return sum;
}

#else

typedef struct {
    ivec sizes, bytes;
} q8_x;

ALWAYS_INLINE ivec q8_start(int32_t sum_of_x) {
    return ivec_set(0);
}

ALWAYS_INLINE ivec q8_weights(ivec bytes) {
    return ivec_xor(bytes, ivec_set(0x80808080)); // less 128, as signed bytes
}

ALWAYS_INLINE q8_x q8_activations(ivec bytes) {
    return (q8_x){ivec_abs8(bytes), bytes};
}

ALWAYS_INLINE ivec q8_add(ivec sum, ivec w, q8_x x) {
    ivec pairs = ivec_pairs8(x.sizes, ivec_sign8(w, x.bytes));
    return ivec_add(sum, ivec_pairs(pairs, ivec_set(0x00010001)));
}

/* The sums of Q4 have 16-bit lanes until they are made whole. */
ALWAYS_INLINE ivec q4_add(ivec sum, ivec nibbles, ivec x) {
    return ivec_add16(sum, ivec_pairs8(nibbles, x));
}

ALWAYS_INLINE ivec q4_whole(ivec sum) {
    return ivec_pairs(sum, ivec_set(0x00010001));
}

#endif

/* --- the integer sums of a tile and a group --------------------------------------------------- */

/* Four activations of row r. */
ALWAYS_INLINE ivec quant_x(struct quantized x, int r, int step) {
    uint32_t word;
    memcpy(&word, x.q + (size_t)r * x.qs + 4 * step, sizeof word);
    return ivec_set(word);
}

ALWAYS_INLINE void q8_sums(ivec sum[QUANT_ROWS][STRIP / WIDTH], struct quantized x,
                           const unsigned char *w, size_t ps, int rows, int vecs) {
    const int many = rows == 1 ? 0 : rows;
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = q8_start(x.sum[(size_t)r * x.gs]);
        }
    }
    UNROLL_4 for (int step = 0; step < QUANT_STEPS; step++) {
        ivec weights[STRIP / WIDTH];
        q8_x first = q8_activations(quant_x(x, 0, step));
        UNROLL for (int v = 0; v < vecs; v++) {
            weights[v] = q8_weights(ivec_load(w + column_at(v * WIDTH, ps, 4)));
            if (rows == 1) // used at once: there are no registers for all of them
                sum[0][v] = q8_add(sum[0][v], weights[v], first);
        }
        UNROLL for (int r = 0; r < many; r++) {
            q8_x xs = q8_activations(quant_x(x, r, step));
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = q8_add(sum[r][v], weights[v], xs);
            }
        }
        w += PANEL * 4;
    }
}

ALWAYS_INLINE ivec q4_nibbles(ivec bytes, bool high) {
    return ivec_and(high ? ivec_shift16(bytes, 4) : bytes, ivec_set(0x0F0F0F0F));
}

/* One row: both nibbles of half the steps, so that it reads each byte once. */
ALWAYS_INLINE void q4_one_row(ivec part[STRIP / WIDTH], struct quantized x, const unsigned char *w,
                              size_t ps, int half, int vecs) {
    UNROLL for (int i = 0; i < QUANT_STEPS / 4; i++) {
        const int step = half * QUANT_STEPS / 4 + i;
        ivec low = quant_x(x, 0, step), high = quant_x(x, 0, QUANT_STEPS / 2 + step);
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec bytes = ivec_load(w + step * PANEL * 4 + column_at(v * WIDTH, ps, 4));
            part[v] = q4_add(part[v], q4_nibbles(bytes, false), low);
            part[v] = q4_add(part[v], q4_nibbles(bytes, true), high);
        }
    }
}

/* Many rows: the low nibbles of all steps, or the high ones, so that registers suffice. */
ALWAYS_INLINE void q4_many_rows(ivec part[QUANT_ROWS][STRIP / WIDTH], struct quantized x,
                                const unsigned char *w, size_t ps, int half, int rows, int vecs) {
    UNROLL_4 for (int step = 0; step < QUANT_STEPS / 2; step++) {
        ivec nibbles[STRIP / WIDTH];
        UNROLL for (int v = 0; v < vecs; v++) {
            nibbles[v] = q4_nibbles(ivec_load(w + column_at(v * WIDTH, ps, 4)), half);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            ivec xs = quant_x(x, r, half * QUANT_STEPS / 2 + step);
            UNROLL for (int v = 0; v < vecs; v++) {
                part[r][v] = q4_add(part[r][v], nibbles[v], xs);
            }
        }
        w += PANEL * 4;
    }
}

/* Half of the products of a group: as many as 16-bit lanes can hold. */
ALWAYS_INLINE void q4_half(ivec sum[QUANT_ROWS][STRIP / WIDTH], struct quantized x,
                           const unsigned char *w, size_t ps, int half, int rows, int vecs) {
    ivec part[QUANT_ROWS][STRIP / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            part[r][v] = ivec_set(0);
        }
    }
    if (rows == 1)
        q4_one_row(part[0], x, w, ps, half, vecs);
    else
        q4_many_rows(part, x, w, ps, half, rows, vecs);
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec whole = q4_whole(part[r][v]);
            sum[r][v] = half ? ivec_add(sum[r][v], whole) : whole;
        }
    }
}

ALWAYS_INLINE void q4_sums(ivec sum[QUANT_ROWS][STRIP / WIDTH], struct quantized x,
                           const unsigned char *w, size_t ps, int rows, int vecs) {
    q4_half(sum, x, w, ps, 0, rows, vecs);
    q4_half(sum, x, w, ps, 1, rows, vecs);
}

/* --- from sums to y --------------------------------------------------------------------------- */

ALWAYS_INLINE int lanes_of(int n, int vector) {
    int left = n - vector * WIDTH;
    return left < 0 ? 0 : left < WIDTH ? left : WIDTH;
}

/* Continues the chains of y by one group; `scales` (and `mins`, or NULL) are f16 of the tile's
 * columns, n of which count. */
ALWAYS_INLINE void quant_chain(float *y, size_t ys, ivec sum[QUANT_ROWS][STRIP / WIDTH],
                               struct quantized x, const unsigned char *scales,
                               const unsigned char *mins, size_t ps, int rows, int vecs, int n) {
    UNROLL for (int v = 0; v < vecs; v++) {
        vec scale = load_f16(scales + column_at(v * WIDTH, ps, 2), WIDTH);
        vec min = mins ? load_f16(mins + column_at(v * WIDTH, ps, 2), WIDTH) : scale;
        int lanes = n == vecs * WIDTH ? WIDTH : lanes_of(n, v);
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

/* --- tiles of panels -------------------------------------------------------------------------- */

/* `rows` rows by `vecs` vectors, n columns of which count; one group. */
ALWAYS_INLINE void quant_tile(float *y, size_t ys, struct quantized x, const unsigned char *group,
                              size_t ps, int n, int rows, int vecs, enum dtype dtype) {
    ivec sum[QUANT_ROWS][STRIP / WIDTH];
    if (dtype == DTYPE_Q8) {
        q8_sums(sum, x, group + 2 * PANEL, ps, rows, vecs);
        quant_chain(y, ys, sum, x, group, NULL, ps, rows, vecs, n);
    } else {
        q4_sums(sum, x, group + 4 * PANEL, ps, rows, vecs);
        quant_chain(y, ys, sum, x, group, group + 2 * PANEL, ps, rows, vecs, n);
    }
}

/* All columns and some groups of `rows` rows: whole tiles, then single panels. More than one row
 * ask for `share` bytes of each panel, `ahead` bytes from where they are, as in gemm_rows. */
ALWAYS_INLINE void quant_rows(float *y, size_t ys, struct quantized x, const unsigned char *groups,
                              size_t ps, size_t ahead, size_t share, int n, int n_groups, int rows,
                              enum dtype dtype) {
    const int vecs = QUANT_VECS(rows), tile = vecs * WIDTH;
    for (int g = 0; g < n_groups; g++) {
        int c = 0;
        for (; c + tile <= n; c += tile) {
            const unsigned char *at = groups + column_at(c, ps, 0);
            for (int p = 0; rows > 1 && p < tile; p += PANEL)
                prefetch(at + column_at(p, ps, 0) + ahead, share);
            quant_tile(y + c, ys, x, at, ps, tile, rows, vecs, dtype);
        }
        for (; c < n; c += PANEL)
            quant_tile(y + c, ys, x, groups + column_at(c, ps, 0), ps, n - c, rows, PANEL / WIDTH,
                       dtype);
        groups += dtype == DTYPE_Q8 ? Q8_GROUP_BYTES : Q4_GROUP_BYTES;
        x.q += GROUP;
        x.scale++;
        x.sum++;
    }
}

/* All rows, for as many groups as stay in the first cache meanwhile. */
ALWAYS_INLINE void quant_block(float *y, size_t ys, struct quantized x, const unsigned char *groups,
                               size_t ps, int m, int n, int n_groups, enum dtype dtype) {
    const int max = dtype == DTYPE_Q8 ? Q8_ROWS : Q4_ROWS;
    size_t group_bytes = dtype == DTYPE_Q8 ? Q8_GROUP_BYTES : Q4_GROUP_BYTES;
    size_t ahead = QUANT_DEPTH * group_bytes, share = group_bytes / (size_t)((m + max - 1) / max);
    for (int rows; m > 0; m -= rows) {
        rows = m == max + 1 ? max - 1 : m < max ? m : max; // never one row alone behind others
#define TILE(rows) quant_rows(y, ys, x, groups, ps, ahead, share, n, n_groups, rows, dtype)
        WITH_CONSTANT(rows, max + 1, TILE)
#undef TILE
        ahead += share;
        y += (size_t)rows * ys;
        x.q += (size_t)rows * x.qs;
        x.scale += (size_t)rows * x.gs;
        x.sum += (size_t)rows * x.gs;
    }
}

/* Blocks of STRIP, then of groups; one row takes all groups in one go. */
ALWAYS_INLINE void gemm_quantized(float *y, size_t ys, struct quantized x,
                                  const unsigned char *panels, size_t ps, int m, int n,
                                  int n_groups, enum dtype dtype) {
    const int depth = m == 1 ? n_groups : QUANT_DEPTH;
    const size_t group_bytes = dtype == DTYPE_Q8 ? Q8_GROUP_BYTES : Q4_GROUP_BYTES;
    for (int c = 0; c < n; c += STRIP)
        for (int g = 0; g < n_groups; g += depth) {
            struct quantized from = {x.q + (size_t)g * GROUP, x.scale + g, x.sum + g, x.qs, x.gs};
            quant_block(y + c, ys, from, panels + column_at(c, ps, 0) + (size_t)g * group_bytes, ps,
                        m, n - c < STRIP ? n - c : STRIP,
                        n_groups - g < depth ? n_groups - g : depth, dtype);
        }
}

static void gemm_q8(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups) {
    gemm_quantized(y, ys, x, panels, ps, m, n, n_groups, DTYPE_Q8);
}

static void gemm_q4(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups) {
    gemm_quantized(y, ys, x, panels, ps, m, n, n_groups, DTYPE_Q4);
}

#endif
