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

#define QUANT_STEPS  (GROUP / 4) /* words of activations in a group */
#define QUANT_GROUPS 24          /* groups whose activations are put in order at a time */

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

/* --- a tile of one group: its integer sums ---------------------------------------------------- */

/* Where the rows of a tile are: of the activations and of y. `words` are in q8_order for Q8 and as
 * quantize wrote them for Q4. */
struct quant_rows {
    const uint32_t *words; /* stride words_stride */
    size_t words_stride;
    const float *scale; /* stride gs */
    const int32_t *sum; /* stride gs */
    size_t gs;
};

ALWAYS_INLINE void q8_sums(ivec sum[QUANT_ROWS][PANEL / WIDTH], const struct quant_rows *x,
                           const unsigned char *w, int rows, int vecs) {
    UNROLL for (int r = 0; r < rows; r++) {
        ivec start = ivec_set((uint32_t)(-128 * x->sum[(size_t)r * x->gs])); // bytes are w + 128
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = start;
        }
    }
    for (int step = 0; step < QUANT_STEPS; step++) {
        struct q8_step weights[PANEL / WIDTH];
        UNROLL for (int v = 0; v < vecs; v++) {
            weights[v] = q8_weights(ivec_load(w + (size_t)v * WIDTH * 4));
        }
        UNROLL for (int r = 0; r < rows; r++) {
            struct q8_step xs = q8_activations(x->words + (size_t)r * x->words_stride, step);
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = q8_add(sum[r][v], weights[v], xs);
            }
        }
        w += PANEL * 4;
    }
}

/* The low nibbles (half 0) or the high ones (half 1): inputs 0..31 or 32..63 of the group. */
ALWAYS_INLINE void q4_half(ivec sum[QUANT_ROWS][PANEL / WIDTH], const struct quant_rows *x,
                           const unsigned char *w, int half, int rows, int vecs) {
    q4_sum part[QUANT_ROWS][PANEL / WIDTH];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            part[r][v] = ivec_set(0);
        }
    }
    for (int step = 0; step < QUANT_STEPS / 2; step++) {
        ivec nibbles[PANEL / WIDTH];
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec bytes = ivec_load(w + (size_t)v * WIDTH * 4);
            nibbles[v] = ivec_and(half ? ivec_shift16(bytes, 4) : bytes, ivec_set(0x0F0F0F0F));
        }
        UNROLL for (int r = 0; r < rows; r++) {
            size_t at = (size_t)r * x->words_stride + (size_t)(half * QUANT_STEPS / 2 + step);
            ivec xs = ivec_set(x->words[at]);
            UNROLL for (int v = 0; v < vecs; v++) {
                part[r][v] = q4_add(part[r][v], nibbles[v], xs);
            }
        }
        w += PANEL * 4;
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = ivec_add(sum[r][v], q4_whole(part[r][v]));
        }
    }
}

/* --- from sums to y --------------------------------------------------------------------------- */

ALWAYS_INLINE int lanes_of(int n, int vector) {
    int left = n - vector * WIDTH;
    return left < 0 ? 0 : left < WIDTH ? left : WIDTH;
}

/* Continues the chains of y by one group; `scales` (and `mins`, or NULL) are f16 of the tile's
 * columns, n of which count. */
ALWAYS_INLINE void quant_chain(float *y, size_t ys, ivec sum[QUANT_ROWS][PANEL / WIDTH],
                               const struct quant_rows *x, const unsigned char *scales,
                               const unsigned char *mins, int rows, int vecs, int n) {
    UNROLL for (int v = 0; v < vecs; v++) {
        vec scale = load_f16(scales + (size_t)v * WIDTH * 2, WIDTH);
        vec min = mins ? load_f16(mins + (size_t)v * WIDTH * 2, WIDTH) : scale;
        int lanes = n == PANEL ? WIDTH : lanes_of(n, v);
        UNROLL for (int r = 0; r < rows; r++) {
            float *out = y + (size_t)r * ys + v * WIDTH;
            float xscale = x->scale[(size_t)r * x->gs];
            vec chain = load_f32(out, lanes);
            chain = vec_fma(ivec_to_f32(sum[r][v]), vec_mul(scale, vec_set(xscale)), chain);
            if (mins)
                chain = vec_fma(vec_set((float)x->sum[(size_t)r * x->gs] * xscale), min, chain);
            vec_store(out, chain, lanes);
        }
    }
}

/* --- tiles ------------------------------------------------------------------------------------ */

/* `vecs` vectors of columns from `column` on, all groups. n counts from `column`; PANEL: all. */
ALWAYS_INLINE void q8_tile(float *y, size_t ys, struct quant_rows x, const unsigned char *group,
                           int column, int n, int n_groups, int rows, int vecs) {
    for (int g = 0; g < n_groups; g++) {
        ivec sum[QUANT_ROWS][PANEL / WIDTH];
        q8_sums(sum, &x, group + 2 * PANEL + 4 * column, rows, vecs);
        quant_chain(y + column, ys, sum, &x, group + 2 * column, NULL, rows, vecs, n);
        group += Q8_GROUP_BYTES;
        x.words += Q8_WORDS;
        x.scale++;
        x.sum++;
    }
}

ALWAYS_INLINE void q4_tile(float *y, size_t ys, struct quant_rows x, const unsigned char *group,
                           int column, int n, int n_groups, int rows, int vecs) {
    for (int g = 0; g < n_groups; g++) {
        ivec sum[QUANT_ROWS][PANEL / WIDTH];
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = ivec_set(0);
            }
        }
        const unsigned char *w = group + 4 * PANEL + 4 * column;
        q4_half(sum, &x, w, 0, rows, vecs);
        q4_half(sum, &x, w, 1, rows, vecs);
        quant_chain(y + column, ys, sum, &x, group + 2 * column, group + 2 * (PANEL + column), rows,
                    vecs, n);
        group += Q4_GROUP_BYTES;
        x.words += QUANT_STEPS;
        x.scale++;
        x.sum++;
    }
}

typedef void (*quant_tile)(float *y, size_t ys, struct quant_rows x, const unsigned char *group,
                           int column, int n, int n_groups, int rows, int vecs);

/* All columns of `rows` rows. A whole panel goes without masks: n is then a constant. */
ALWAYS_INLINE void quant_columns(float *y, size_t ys, struct quant_rows x,
                                 const unsigned char *panel, int n, int n_groups, int rows,
                                 quant_tile tile) {
    const int vecs = QUANT_VECS(rows);
    for (int column = 0; column < n; column += vecs * WIDTH) {
        if (n == PANEL)
            tile(y, ys, x, panel, column, PANEL, n_groups, rows, vecs);
        else
            tile(y, ys, x, panel, column, n - column, n_groups, rows, vecs);
    }
}

ALWAYS_INLINE void q8_rows(float *y, size_t ys, struct quantized x, const unsigned char *panel,
                           int n, int n_groups, int rows) {
    uint32_t words[QUANT_ROWS * QUANT_GROUPS * Q8_WORDS];
    const size_t stride = (size_t)QUANT_GROUPS * Q8_WORDS;
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < n_groups; g++)
            q8_order(words + (size_t)r * stride + (size_t)g * Q8_WORDS,
                     x.q + (size_t)r * x.qs + (size_t)g * GROUP);
    quant_columns(y, ys, (struct quant_rows){words, stride, x.scale, x.sum, x.gs}, panel, n,
                  n_groups, rows, q8_tile);
}

/* q lies at a multiple of 4 bytes: quantize writes whole groups, rows are whole groups apart. */
ALWAYS_INLINE void q4_rows(float *y, size_t ys, struct quantized x, const unsigned char *panel,
                           int n, int n_groups, int rows) {
    uint32_t words[QUANT_ROWS * QUANT_GROUPS * QUANT_STEPS];
    const size_t stride = (size_t)QUANT_GROUPS * QUANT_STEPS;
    for (int r = 0; r < rows; r++)
        memcpy(words + (size_t)r * stride, x.q + (size_t)r * x.qs, (size_t)n_groups * GROUP);
    quant_columns(y, ys, (struct quant_rows){words, stride, x.scale, x.sum, x.gs}, panel, n,
                  n_groups, rows, q4_tile);
}

typedef void (*quant_rows_fn)(float *y, size_t ys, struct quantized x, const unsigned char *panel,
                              int n, int n_groups, int rows);

/* Some groups at a time; the chain goes on where it was. */
ALWAYS_INLINE void gemm_quantized(float *y, size_t ys, struct quantized x,
                                  const unsigned char *panel, int m, int n, int n_groups,
                                  size_t group_bytes, quant_rows_fn tile_rows) {
    for (; n_groups > 0; n_groups -= QUANT_GROUPS) {
        const int groups = n_groups < QUANT_GROUPS ? n_groups : QUANT_GROUPS;
        struct quantized xr = x;
        float *yr = y;
        int left = m;
        for (; left >= QUANT_ROWS; left -= QUANT_ROWS) {
            tile_rows(yr, ys, xr, panel, n, groups, QUANT_ROWS);
            yr += QUANT_ROWS * ys;
            xr.q += QUANT_ROWS * x.qs;
            xr.scale += QUANT_ROWS * x.gs;
            xr.sum += QUANT_ROWS * x.gs;
        }
#define TILE(rows) tile_rows(yr, ys, xr, panel, n, groups, rows)
        WITH_CONSTANT(left, QUANT_ROWS, TILE)
#undef TILE
        x.q += QUANT_GROUPS * GROUP;
        x.scale += QUANT_GROUPS;
        x.sum += QUANT_GROUPS;
        panel += QUANT_GROUPS * group_bytes;
    }
}

static void gemm_q8(float *y, size_t ys, struct quantized x, const void *panel, int m, int n,
                    int n_groups) {
    gemm_quantized(y, ys, x, panel, m, n, n_groups, Q8_GROUP_BYTES, q8_rows);
}

static void gemm_q4(float *y, size_t ys, struct quantized x, const void *panel, int m, int n,
                    int n_groups) {
    gemm_quantized(y, ys, x, panel, m, n, n_groups, Q4_GROUP_BYTES, q4_rows);
}

#endif
