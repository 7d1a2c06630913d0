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
 *   QUANT_ROWS            rows of x in a register tile
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
 *   ivec_add16            of 16-bit lanes
 *
 * How bytes are multiplied without dot products: a sum of two products u * s with u up to 255 does
 * not fit 16 bits, so Q8 splits its words into 16-bit lanes, bytes 0 and 2 apart from 1 and 3, and
 * the activations into the same order beforehand. The nibbles of Q4 do fit: |u s| <= 15 * 127, and
 * 8 steps of two of them stay below 2^15. */
#ifndef KERNELS_QUANTIZED_H
#define KERNELS_QUANTIZED_H

#include "kernels/products.h"
#include <string.h>

#define QUANT_STEPS (GROUP / 4) /* words of activations in a group */
#define QUANT_AHEAD 4096        /* bytes between what is multiplied and what is asked for */

/* --- four bytes at a time --------------------------------------------------------------------- */

#if defined(QUANT_DOT4)

#define Q8_WORDS QUANT_STEPS /* of a group as q8_add takes them */

struct q8_step {
    ivec bytes;
};

ALWAYS_INLINE struct q8_step q8_weights(ivec bytes) {
    return (struct q8_step){bytes};
}

ALWAYS_INLINE struct q8_step q8_activations(const uint32_t *words, int step) {
    return (struct q8_step){ivec_set(words[step])};
}

ALWAYS_INLINE ivec q8_add(ivec sum, struct q8_step w, struct q8_step x) {
    return ivec_dot4(sum, w.bytes, x.bytes);
}

ALWAYS_INLINE void q8_order(uint32_t *words, const int8_t *q) {
    memcpy(words, q, GROUP);
}

typedef ivec q4_sum;

ALWAYS_INLINE q4_sum q4_add(q4_sum sum, ivec nibbles, ivec x) {
    return ivec_dot4(sum, nibbles, x);
}

ALWAYS_INLINE ivec q4_whole(q4_sum sum) {
    return sum;
}

#else

#define Q8_WORDS (2 * QUANT_STEPS) /* bytes 0 and 2 of each word as 16-bit lanes, then 1 and 3 */

struct q8_step {
    ivec even, odd;
};

ALWAYS_INLINE struct q8_step q8_weights(ivec bytes) {
    return (struct q8_step){ivec_and(bytes, ivec_set(0x00FF00FF)), ivec_shift16(bytes, 8)};
}

ALWAYS_INLINE struct q8_step q8_activations(const uint32_t *words, int step) {
    return (struct q8_step){ivec_set(words[step]), ivec_set(words[QUANT_STEPS + step])};
}

ALWAYS_INLINE ivec q8_add(ivec sum, struct q8_step w, struct q8_step x) {
    sum = ivec_add(sum, ivec_pairs(w.even, x.even));
    return ivec_add(sum, ivec_pairs(w.odd, x.odd));
}

/* Two signed bytes of a word, the first `shift` bits below its top, as 16-bit lanes. */
ALWAYS_INLINE uint32_t two_lanes(uint32_t word, int low, int high) {
    uint32_t first = (uint32_t)((int32_t)(word << low) >> 24) & 0xFFFF;
    return first | (uint32_t)((int32_t)(word << high) >> 24) << 16;
}

ALWAYS_INLINE void q8_order(uint32_t *words, const int8_t *q) {
    for (int step = 0; step < QUANT_STEPS; step++) {
        uint32_t word;
        memcpy(&word, q + 4 * step, sizeof word);
        words[step] = two_lanes(word, 24, 8);
        words[QUANT_STEPS + step] = two_lanes(word, 16, 0);
    }
}

typedef ivec q4_sum; /* of 16-bit lanes */

ALWAYS_INLINE q4_sum q4_add(q4_sum sum, ivec nibbles, ivec x) {
    return ivec_add16(sum, ivec_pairs8(nibbles, x));
}

ALWAYS_INLINE ivec q4_whole(q4_sum sum) {
    return ivec_pairs(sum, ivec_set(0x00010001));
}

#endif

/* --- the integer sums of a tile --------------------------------------------------------------- */

/* Weights of the next group on their way, in lines of 64 bytes: as much as a step reads. */
ALWAYS_INLINE void quant_ahead(const unsigned char *w, int vecs, size_t ahead) {
    UNROLL for (int v = 0; v < vecs; v += 16 / WIDTH) {
        __builtin_prefetch(w + ahead + (size_t)v * WIDTH * 4, 0, 3);
    }
}

ALWAYS_INLINE void q8_sums(ivec sum[QUANT_ROWS][PANEL / WIDTH], const uint32_t *words,
                           struct quantized x, const unsigned char *w, int rows, int vecs) {
    UNROLL for (int r = 0; r < rows; r++) {
        ivec start = ivec_set((uint32_t)(-128 * x.sum[(size_t)r * x.gs])); // bytes are w + 128
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = start;
        }
    }
    for (int step = 0; step < QUANT_STEPS; step++) {
        struct q8_step weights[PANEL / WIDTH];
        quant_ahead(w, vecs, QUANT_AHEAD);
        UNROLL for (int v = 0; v < vecs; v++) {
            weights[v] = q8_weights(ivec_load(w + (size_t)v * WIDTH * 4));
            if (rows == 1) // used at once: there are no registers for all of them
                sum[0][v] = q8_add(sum[0][v], weights[v], q8_activations(words, step));
        }
        UNROLL for (int r = 0; r < rows; r++) {
            if (rows == 1)
                break;
            struct q8_step xs = q8_activations(words + r * Q8_WORDS, step);
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = q8_add(sum[r][v], weights[v], xs);
            }
        }
        w += PANEL * 4;
    }
}

/* The low nibbles (half 0) or the high ones (half 1): inputs 0..31 or 32..63 of the group. */
ALWAYS_INLINE void q4_half(ivec sum[QUANT_ROWS][PANEL / WIDTH], const uint32_t *words,
                           const unsigned char *w, int half, int rows, int vecs) {
    q4_sum part[QUANT_ROWS][PANEL / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            part[r][v] = ivec_set(0);
        }
    }
    for (int step = 0; step < QUANT_STEPS / 2; step++) {
        ivec nibbles[PANEL / WIDTH];
        if (half == 0)
            quant_ahead(w, vecs, QUANT_AHEAD);
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec bytes = ivec_load(w + (size_t)v * WIDTH * 4);
            nibbles[v] = ivec_and(half ? ivec_shift16(bytes, 4) : bytes, ivec_set(0x0F0F0F0F));
            if (rows == 1)
                part[0][v] =
                    q4_add(part[0][v], nibbles[v], ivec_set(words[half * QUANT_STEPS / 2 + step]));
        }
        UNROLL for (int r = 0; r < rows; r++) {
            if (rows == 1)
                break;
            ivec xs = ivec_set(words[r * QUANT_STEPS + half * QUANT_STEPS / 2 + step]);
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

ALWAYS_INLINE void q4_sums(ivec sum[QUANT_ROWS][PANEL / WIDTH], const uint32_t *words,
                           const unsigned char *w, int rows, int vecs) {
    q4_half(sum, words, w, 0, rows, vecs);
    q4_half(sum, words, w, 1, rows, vecs);
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

/* --- one group of one panel, some rows -------------------------------------------------------- */

/* Everything of one group: `rows` rows by n columns. */
ALWAYS_INLINE void q8_group(float *y, size_t ys, struct quantized x, const unsigned char *group,
                            int n, int rows) {
    const int vecs = QUANT_VECS(rows);
    uint32_t words[QUANT_ROWS * Q8_WORDS];
    for (int r = 0; r < rows; r++)
        q8_order(words + r * Q8_WORDS, x.q + (size_t)r * x.qs);
    for (int column = 0; column < n; column += vecs * WIDTH) {
        ivec sum[QUANT_ROWS][PANEL / WIDTH];
        q8_sums(sum, words, x, group + 2 * PANEL + 4 * column, rows, vecs);
        quant_chain(y + column, ys, sum, x, group + 2 * column, NULL, rows, vecs,
                    n == PANEL ? PANEL : n - column);
    }
}

ALWAYS_INLINE void q4_group(float *y, size_t ys, struct quantized x, const unsigned char *group,
                            int n, int rows) {
    const int vecs = QUANT_VECS(rows);
    uint32_t words[QUANT_ROWS * QUANT_STEPS];
    for (int r = 0; r < rows; r++)
        memcpy(words + r * QUANT_STEPS, x.q + (size_t)r * x.qs, GROUP);
    for (int column = 0; column < n; column += vecs * WIDTH) {
        ivec sum[QUANT_ROWS][PANEL / WIDTH];
        q4_sums(sum, words, group + 4 * PANEL + 4 * column, rows, vecs);
        quant_chain(y + column, ys, sum, x, group + 2 * column, group + 2 * (PANEL + column), rows,
                    vecs, n == PANEL ? PANEL : n - column);
    }
}

ALWAYS_INLINE void quant_group(float *y, size_t ys, struct quantized x, const unsigned char *group,
                               int n, int rows, enum dtype dtype) {
    if (dtype == DTYPE_Q8)
        q8_group(y, ys, x, group, n, rows);
    else
        q4_group(y, ys, x, group, n, rows);
}

ALWAYS_INLINE void quant_rows(float *y, size_t ys, struct quantized x, const unsigned char *group,
                              int m, int n, enum dtype dtype) {
    for (; m >= QUANT_ROWS; m -= QUANT_ROWS) {
        quant_group(y, ys, x, group, n, QUANT_ROWS, dtype);
        y += QUANT_ROWS * ys;
        x.q += QUANT_ROWS * x.qs;
        x.scale += QUANT_ROWS * x.gs;
        x.sum += QUANT_ROWS * x.gs;
    }
#define TILE(rows) quant_group(y, ys, x, group, n, rows, dtype)
    WITH_CONSTANT(m, QUANT_ROWS, TILE)
#undef TILE
}

/* A group at a time for all rows: it comes from memory once and is then in the fastest cache, while
 * the next one is asked for. A whole panel goes without masks: n is then a constant. */
ALWAYS_INLINE void gemm_quantized(float *y, size_t ys, struct quantized x,
                                  const unsigned char *group, int m, int n, int n_groups,
                                  enum dtype dtype) {
    for (int g = 0; g < n_groups; g++) {
        if (n == PANEL)
            quant_rows(y, ys, x, group, m, PANEL, dtype);
        else
            quant_rows(y, ys, x, group, m, n, dtype);
        group += dtype == DTYPE_Q8 ? Q8_GROUP_BYTES : Q4_GROUP_BYTES;
        x.q += GROUP;
        x.scale++;
        x.sum++;
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
