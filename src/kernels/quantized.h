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
 *   ivec_signed8(a, s)    bytes a, negated where those of s are negative; where they are 0, any
 *   ivec_xor, ivec_add16  of 32-bit words; of 16-bit lanes
 *
 * How bytes are multiplied without dot products: two products |x| * w with |x| and |w| up to 127
 * fit 16 bits, so w takes the sign of x, and x goes without. The nibbles of Q4 are unsigned as they
 * are: |u s| <= 15 * 127, and QUANT_HALF steps of four of them stay below 2^15. */
#ifndef KERNELS_QUANTIZED_H
#define KERNELS_QUANTIZED_H

#include "kernels/products.h"
#include <string.h>

#define QUANT_STEPS   (GROUP / 4) /* words of activations in a group */
#define QUANT_AHEAD   1024        /* bytes between what is multiplied and what is asked for */
#define QUANT_COLUMNS 64          /* of the widest tile */

/* --- four bytes at a time --------------------------------------------------------------------- */

#if defined(QUANT_DOT4)

#define Q8_WORDS QUANT_STEPS /* of a group as q8_add takes them */

struct q8_step {
    ivec bytes;
};

ALWAYS_INLINE ivec q8_start(int32_t sum) {
    return ivec_set((uint32_t)(-128 * sum)); // bytes are w + 128
}

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

#define Q8_WORDS (2 * QUANT_STEPS) /* |x|, then x */

struct q8_step {
    ivec sizes, bytes; // of weights: the bytes only
};

ALWAYS_INLINE ivec q8_start(int32_t sum) {
    return ivec_set(0);
}

ALWAYS_INLINE struct q8_step q8_weights(ivec bytes) {
    return (struct q8_step){.bytes = ivec_xor(bytes, ivec_set(0x80808080))};
}

ALWAYS_INLINE struct q8_step q8_activations(const uint32_t *words, int step) {
    return (struct q8_step){ivec_set(words[step]), ivec_set(words[QUANT_STEPS + step])};
}

ALWAYS_INLINE ivec q8_add(ivec sum, struct q8_step w, struct q8_step x) {
    ivec two = ivec_pairs8(x.sizes, ivec_signed8(w.bytes, x.bytes));
    return ivec_add(sum, ivec_pairs(two, ivec_set(0x00010001)));
}

ALWAYS_INLINE void q8_order(uint32_t *words, const int8_t *q) {
    int8_t sizes[GROUP];
    for (int k = 0; k < GROUP; k++)
        sizes[k] = (int8_t)(q[k] < 0 ? -q[k] : q[k]);
    memcpy(words, sizes, GROUP);
    memcpy(words + QUANT_STEPS, q, GROUP);
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

#define QUANT_HALF (GROUP / 16) /* steps of half a group of Q4 */

/* Where vector v of a tile has its `size` bytes a column, in panels ps bytes apart. */
ALWAYS_INLINE size_t vector_at(int v, size_t ps, size_t size) {
    return (size_t)(v * WIDTH / PANEL) * ps + (size_t)(v * WIDTH % PANEL) * size;
}

/* Many rows take their time over a group: the next one is asked for meanwhile. */
ALWAYS_INLINE void quant_ahead(const unsigned char *w, size_t ps, int rows, int vecs) {
    UNROLL for (int v = 0; v < vecs; v += PANEL / WIDTH) {
        if (rows > 1)
            __builtin_prefetch(w + vector_at(v, ps, 4) + QUANT_AHEAD, 0, 3);
    }
}

ALWAYS_INLINE void q8_sums(ivec sum[QUANT_ROWS][QUANT_COLUMNS / WIDTH], const uint32_t *words,
                           struct quantized x, const unsigned char *w, size_t ps, int rows,
                           int vecs) {
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = q8_start(x.sum[(size_t)r * x.gs]);
        }
    }
    for (int step = 0; step < QUANT_STEPS; step++) {
        struct q8_step weights[QUANT_COLUMNS / WIDTH];
        quant_ahead(w, ps, rows, vecs);
        UNROLL for (int v = 0; v < vecs; v++) {
            weights[v] = q8_weights(ivec_load(w + vector_at(v, ps, 4)));
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

/* Steps 0..3 of a group (half 0) or 4..7 (half 1), each with its low and its high nibbles. */
ALWAYS_INLINE void q4_half(ivec sum[QUANT_ROWS][QUANT_COLUMNS / WIDTH], const uint32_t *words,
                           const unsigned char *w, size_t ps, int half, int rows, int vecs) {
    const ivec low_bits = ivec_set(0x0F0F0F0F);
    q4_sum part[QUANT_ROWS][QUANT_COLUMNS / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            part[r][v] = ivec_set(0);
        }
    }
    words += half * QUANT_HALF;
    w += half * QUANT_HALF * PANEL * 4;
    UNROLL for (int step = 0; step < QUANT_HALF; step++) {
        ivec low[QUANT_COLUMNS / WIDTH], high[QUANT_COLUMNS / WIDTH];
        quant_ahead(w, ps, rows, vecs);
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec bytes = ivec_load(w + vector_at(v, ps, 4));
            low[v] = ivec_and(bytes, low_bits);
            high[v] = ivec_and(ivec_shift16(bytes, 4), low_bits);
            if (rows == 1) {
                part[0][v] = q4_add(part[0][v], low[v], ivec_set(words[step]));
                part[0][v] = q4_add(part[0][v], high[v], ivec_set(words[QUANT_STEPS / 2 + step]));
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            if (rows == 1)
                break;
            const uint32_t *xs = words + r * QUANT_STEPS + step;
            UNROLL for (int v = 0; v < vecs; v++) {
                part[r][v] = q4_add(part[r][v], low[v], ivec_set(xs[0]));
                part[r][v] = q4_add(part[r][v], high[v], ivec_set(xs[QUANT_STEPS / 2]));
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

ALWAYS_INLINE void q4_sums(ivec sum[QUANT_ROWS][QUANT_COLUMNS / WIDTH], const uint32_t *words,
                           const unsigned char *w, size_t ps, int rows, int vecs) {
    q4_half(sum, words, w, ps, 0, rows, vecs);
    q4_half(sum, words, w, ps, 1, rows, vecs);
}

/* --- from sums to y --------------------------------------------------------------------------- */

ALWAYS_INLINE int lanes_of(int n, int vector) {
    int left = n - vector * WIDTH;
    return left < 0 ? 0 : left < WIDTH ? left : WIDTH;
}

/* Continues the chains of y by one group; `scales` (and `mins`, or NULL) are f16 of the tile's
 * columns, n of which count. */
ALWAYS_INLINE void quant_chain(float *y, size_t ys, ivec sum[QUANT_ROWS][QUANT_COLUMNS / WIDTH],
                               struct quantized x, const unsigned char *scales,
                               const unsigned char *mins, size_t ps, int rows, int vecs, int n) {
    UNROLL for (int v = 0; v < vecs; v++) {
        vec scale = load_f16(scales + vector_at(v, ps, 2), WIDTH);
        vec min = mins ? load_f16(mins + vector_at(v, ps, 2), WIDTH) : scale;
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

/* --- one group of some panels, some rows ------------------------------------------------------ */

ALWAYS_INLINE void q8_tile(float *y, size_t ys, const uint32_t *words, struct quantized x,
                           const unsigned char *group, size_t ps, int n, int rows, int vecs) {
    ivec sum[QUANT_ROWS][QUANT_COLUMNS / WIDTH];
    q8_sums(sum, words, x, group + 2 * PANEL, ps, rows, vecs);
    quant_chain(y, ys, sum, x, group, NULL, ps, rows, vecs, n);
}

ALWAYS_INLINE void q4_tile(float *y, size_t ys, const uint32_t *words, struct quantized x,
                           const unsigned char *group, size_t ps, int n, int rows, int vecs) {
    ivec sum[QUANT_ROWS][QUANT_COLUMNS / WIDTH];
    q4_sums(sum, words, group + 4 * PANEL, ps, rows, vecs);
    quant_chain(y, ys, sum, x, group, group + 2 * PANEL, ps, rows, vecs, n);
}

ALWAYS_INLINE void quant_tile(float *y, size_t ys, const uint32_t *words, struct quantized x,
                              const unsigned char *group, size_t ps, int n, int rows, int vecs,
                              enum dtype dtype) {
    if (dtype == DTYPE_Q8)
        q8_tile(y, ys, words, x, group, ps, n, rows, vecs);
    else
        q4_tile(y, ys, words, x, group, ps, n, rows, vecs);
}

/* Everything of one group: `rows` rows by n columns. Whole tiles, then single panels. */
ALWAYS_INLINE void quant_group(float *y, size_t ys, struct quantized x, const unsigned char *group,
                               size_t ps, int n, int rows, enum dtype dtype) {
    const int vecs = QUANT_VECS(rows), tile = vecs * WIDTH;
    uint32_t words[QUANT_ROWS * Q8_WORDS];
    for (int r = 0; r < rows; r++) {
        if (dtype == DTYPE_Q8)
            q8_order(words + r * Q8_WORDS, x.q + (size_t)r * x.qs);
        else
            memcpy(words + r * QUANT_STEPS, x.q + (size_t)r * x.qs, GROUP);
    }
    int c = 0;
    for (; c + tile <= n; c += tile)
        quant_tile(y + c, ys, words, x, group + (size_t)(c / PANEL) * ps, ps, tile, rows, vecs,
                   dtype);
    for (; c < n; c += PANEL)
        quant_tile(y + c, ys, words, x, group + (size_t)(c / PANEL) * ps, ps, n - c, rows,
                   PANEL / WIDTH, dtype);
}

ALWAYS_INLINE void quant_rows(float *y, size_t ys, struct quantized x, const unsigned char *group,
                              size_t ps, int m, int n, enum dtype dtype) {
    for (; m >= QUANT_ROWS; m -= QUANT_ROWS) {
        quant_group(y, ys, x, group, ps, n, QUANT_ROWS, dtype);
        y += QUANT_ROWS * ys;
        x.q += QUANT_ROWS * x.qs;
        x.scale += QUANT_ROWS * x.gs;
        x.sum += QUANT_ROWS * x.gs;
    }
#define TILE(rows) quant_group(y, ys, x, group, ps, n, rows, dtype)
    WITH_CONSTANT(m, QUANT_ROWS, TILE)
#undef TILE
}

/* A group at a time for all rows: it comes from memory once and is then in the fastest cache. */
ALWAYS_INLINE void quant_columns(float *y, size_t ys, struct quantized x,
                                 const unsigned char *group, size_t ps, int m, int n, int n_groups,
                                 enum dtype dtype) {
    for (int g = 0; g < n_groups; g++) {
        quant_rows(y, ys, x, group, ps, m, n, dtype);
        group += dtype == DTYPE_Q8 ? Q8_GROUP_BYTES : Q4_GROUP_BYTES;
        x.q += GROUP;
        x.scale++;
        x.sum++;
    }
}

ALWAYS_INLINE void gemm_quantized(float *y, size_t ys, struct quantized x,
                                  const unsigned char *panels, size_t ps, int m, int n,
                                  int n_groups, enum dtype dtype) {
    for (int c = 0; c < n; c += QUANT_COLUMNS)
        quant_columns(y + c, ys, x, panels + (size_t)(c / PANEL) * ps, ps, m,
                      n - c < QUANT_COLUMNS ? n - c : QUANT_COLUMNS, n_groups, dtype);
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
