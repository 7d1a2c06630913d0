/* quantized.h - gemm_q8 and gemm_q4 for all variants with vectors (contract: kernels.h; layout of
 * panels: panels.h).
 *
 * In addition to what tiles.h lists, the file that includes this one defines
 *
 *   ivec                  a vector of WIDTH 32-bit integers
 *   ivec_set, ivec_load   all lanes the same; WIDTH lanes at any address
 *   ivec_add, ivec_and    of 32-bit lanes
 *   ivec_shift16(a, n)    16-bit lanes shifted right by n, filled with zeros
 *   ivec_to_f32           rounded to nearest; exact in gemm, where all sums are below 2^24
 *   vec_mul(a, b)         a * b, rounded
 *   Q8_ROWS, Q4_ROWS      the register tile: rows of x (WORDS_TILE of them, not fewer than of the
 *   WORDS_TILE            others, where products are of 16-bit lanes),
 *   QUANT_VECS(rows)      and vectors of columns
 *
 * and, if the CPU has four-way dot products, QUANT_DOT4 and
 *
 *   ivec_dot4(sum, u, s)  sum + the products of four unsigned and signed bytes
 *
 * otherwise
 *
 *   ivec_pairs(a, b)      the sums of two products of signed 16-bit lanes
 *   ivec_pairs8(u, s)     the 16-bit sums of two products of an unsigned and a signed byte
 *   ivec_abs8(a)          of signed bytes
 *   ivec_sign8(a, s)      bytes of a, negated where s is negative; any value where s is 0
 *   ivec_xor, ivec_add16  of 32-bit words; of 16-bit lanes
 *   ivec_even8, ivec_odd8 bytes 0, 2, 4 ... or 1, 3, 5 ... of signed bytes as 16-bit lanes
 *
 * Without dot products, bytes are multiplied as |x| * w', where w' is w with the sign of x: with
 * |x| and |w| up to 127, the sum of two such products fits in 16 bits. For many rows, x and w are
 * first widened to 16-bit lanes: a step then has one instruction less, and the cost of widening a
 * byte is spread over all its products. The nibbles of Q4 are unsigned: |u s| <= 15 * 127, and the
 * sum of 16 such products, as many as a lane gets in half a group, is below 2^15. */
#ifndef KERNELS_QUANTIZED_H
#define KERNELS_QUANTIZED_H

#include "kernels/int16_products.h"
#include <string.h>

#define QUANT_STEPS (GROUP / 4) /* steps of four inputs in a group */

/* How the steps of a group are unrolled. All of them where a step needs no register beyond the
 * sums, weights and x; else four, so that no more than these steps' registers are in use. */
#if defined(QUANT_DOT4)
#define UNROLL_STEPS UNROLL
#define UNROLL_HALF  UNROLL
#else
#define UNROLL_STEPS UNROLL_4
#define UNROLL_HALF  UNROLL_2
#endif

#define QUANT_DEPTH 4  /* groups in a block, which fits in half of the L1 cache */
#define WORDS_DEPTH 2  /* the same for bytes widened to 16-bit lanes */
#define WORDS_ROWS  24 /* from this many rows on, widening is faster */

_Static_assert(QUANT_VECS(1) * WIDTH <= STRIP && QUANT_VECS(QUANT_ROWS) * WIDTH <= STRIP,
               "a tile of quantized products is at most a STRIP wide");

/* --- four bytes at a time --------------------------------------------------------------------- */

#if defined(QUANT_DOT4)

typedef ivec q8_x;

/* What a sum starts from, as a byte of a panel is a weight + 128. */
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

/* The sums of Q4 are in 16-bit lanes until q4_sums adds them in pairs. */
ALWAYS_INLINE ivec q4_add(ivec sum, ivec nibbles, ivec x) {
    return ivec_add16(sum, ivec_pairs8(nibbles, x));
}

#endif

/* --- the integer sums of a tile and a group --------------------------------------------------- */

/* Four activations of row r. */
ALWAYS_INLINE ivec quant_x(struct quantized x, int r, int step) {
    uint32_t word;
    memcpy(&word, x.q + (size_t)r * x.qs + 4 * step, sizeof word);
    return ivec_set(word);
}

/* The sums of a tile over a group; w begins at the first step of the group. */
ALWAYS_INLINE void q8_sums(tile_sums sum, struct quantized x, struct panels w,
                           struct prefetch prefetch, struct tile tile) {
    const int rows = tile.rows, vecs = tile.vecs, many = rows == 1 ? 0 : rows;
    const char *at = w.w;
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = q8_start(x.sum[(size_t)r * x.gs]);
        }
    }
    UNROLL_STEPS for (int step = 0; step < QUANT_STEPS; step++) {
        ivec weights[STRIP / WIDTH];
        q8_x first = q8_activations(quant_x(x, 0, step));
        UNROLL for (int v = 0; v < vecs; v++) {
            weights[v] = q8_weights(ivec_load(at + column_at(w, v * WIDTH, 4)));
            if (rows == 1) { // at once: there are not enough registers to keep them all
                sum[0][v] = q8_add(sum[0][v], weights[v], first);
                IN_ORDER(sum[0][v]);
            }
        }
        UNROLL for (int r = 0; r < many; r++) {
            q8_x xs = q8_activations(quant_x(x, r, step));
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[r][v] = q8_add(sum[r][v], weights[v], xs);
                IN_ORDER(sum[r][v]);
            }
        }
        if (rows > 1)
            prefetch_step(prefetch, step, vecs * WIDTH / PANEL);
        at += PANEL * 4;
    }
}

#if !defined(QUANT_DOT4)

/* Widens n words of four bytes to 16-bit lanes: n words with the even bytes of each, then n words
 * with the odd ones. The bytes are signed after an xor with `flip`. */
ALWAYS_INLINE void to_words(int32_t *words, const void *bytes, int n, uint32_t flip) {
    for (int i = 0; i < n; i += WIDTH) {
        ivec v = ivec_xor(ivec_load((const char *)bytes + 4 * i), ivec_set(flip));
        ivec_store(words + i, ivec_even8(v));
        ivec_store(words + n + i, ivec_odd8(v));
    }
}

#endif

ALWAYS_INLINE ivec q4_nibbles(ivec bytes, bool high) {
    return ivec_and(high ? ivec_shift16(bytes, 4) : bytes, ivec_set(0x0F0F0F0F));
}

/* One row: both nibbles of half the steps, so that each byte is read once. */
ALWAYS_INLINE void q4_one_row(ivec part[STRIP / WIDTH], struct quantized x, struct panels w,
                              int half, int vecs) {
    UNROLL_HALF for (int i = 0; i < QUANT_STEPS / 4; i++) {
        const int step = half * QUANT_STEPS / 4 + i;
        ivec low = quant_x(x, 0, step), high = quant_x(x, 0, QUANT_STEPS / 2 + step);
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec bytes = ivec_load(w.w + step * PANEL * 4 + column_at(w, v * WIDTH, 4));
            part[v] = q4_add(part[v], q4_nibbles(bytes, false), low);
            IN_ORDER(part[v]);
            part[v] = q4_add(part[v], q4_nibbles(bytes, true), high);
            IN_ORDER(part[v]);
        }
    }
}

/* Many rows: the low or the high nibbles of all steps, which need fewer registers. */
ALWAYS_INLINE void q4_many_rows(tile_sums part, struct quantized x, struct panels w,
                                struct prefetch prefetch, int half, struct tile tile) {
    const int rows = tile.rows, vecs = tile.vecs;
    const char *at = w.w;
    __asm__ volatile(
        ""
        : "+r"(at)); // or a compiler keeps the bytes of one half for the other, on the stack
    UNROLL_STEPS for (int step = 0; step < QUANT_STEPS / 2; step++) {
        ivec nibbles[STRIP / WIDTH];
        UNROLL for (int v = 0; v < vecs; v++) {
            nibbles[v] = q4_nibbles(ivec_load(at + column_at(w, v * WIDTH, 4)), half);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            ivec xs = quant_x(x, r, half * QUANT_STEPS / 2 + step);
            UNROLL for (int v = 0; v < vecs; v++) {
                part[r][v] = q4_add(part[r][v], nibbles[v], xs);
                IN_ORDER(part[r][v]);
            }
        }
        prefetch_step(prefetch, half * QUANT_STEPS / 2 + step, vecs * WIDTH / PANEL);
        at += PANEL * 4;
    }
}

ALWAYS_INLINE void sums_clear(tile_sums sum, struct tile tile) {
    UNROLL for (int r = 0; r < tile.rows; r++) {
        UNROLL for (int v = 0; v < tile.vecs; v++) {
            sum[r][v] = ivec_set(0);
        }
    }
}

/* Half of the products of a group, as many as 16-bit lanes can sum. */
ALWAYS_INLINE void q4_half(tile_sums part, struct quantized x, struct panels w,
                           struct prefetch prefetch, int half, struct tile tile) {
    if (tile.rows == 1)
        q4_one_row(part[0], x, w, half, tile.vecs);
    else
        q4_many_rows(part, x, w, prefetch, half, tile);
}

#if defined(QUANT_DOT4)

ALWAYS_INLINE void q4_sums(tile_sums sum, struct quantized x, struct panels w,
                           struct prefetch prefetch, struct tile tile) {
    sums_clear(sum, tile);
    q4_half(sum, x, w, prefetch, 0, tile);
    q4_half(sum, x, w, prefetch, 1, tile);
}

#else

ALWAYS_INLINE void q4_sums(tile_sums sum, struct quantized x, struct panels w,
                           struct prefetch prefetch, struct tile tile) {
    tile_sums part, first;
    UNROLL for (int half = 0; half < 2; half++) {
        sums_clear(part, tile);
        q4_half(part, x, w, prefetch, half, tile);
        UNROLL for (int r = 0; r < tile.rows; r++) {
            UNROLL for (int v = 0; v < tile.vecs; v++) {
                ivec whole = ivec_pairs(part[r][v], ivec_set(0x00010001));
                if (half) {
                    sum[r][v] = ivec_add(whole, first[r][v]);
                } else {
                    first[r][v] = whole;
                    if (tile.rows > 1) // the registers are those of the second half
                        __asm__ volatile("" : "+m"(first[r][v]));
                }
            }
        }
    }
}

#endif

/* --- from sums to y --------------------------------------------------------------------------- */

/* How the products of a tile are computed. Q8_WORDS: from 16-bit lanes, widened by the caller. */
enum quant_way { Q8_BYTES, Q8_WORDS, Q4_NIBBLES };

/* The panels, beginning `bytes` bytes later. */
ALWAYS_INLINE struct panels panels_skip(struct panels w, size_t bytes) {
    w.w += bytes;
    return w;
}

/* Continues the chains of y by one group. The group begins with the scales of its columns, in Q4
 * followed by their minima. */
ALWAYS_INLINE void quant_chain(struct y_rows y, tile_sums sum, struct quantized x,
                               struct panels group, struct tile tile, enum quant_way way) {
    const struct panels mins = panels_skip(group, 2 * PANEL);
    UNROLL for (int v = 0; v < tile.vecs; v++) {
        vec scale = load_f16(group.w + column_at(group, v * WIDTH, 2), WIDTH);
        vec min =
            way == Q4_NIBBLES ? load_f16(mins.w + column_at(mins, v * WIDTH, 2), WIDTH) : scale;
        const int lanes = tile_lanes(tile, v);
        UNROLL for (int r = 0; r < tile.rows; r++) {
            float *out = y_from(y, r, v * WIDTH).p;
            float xscale = x.scale[(size_t)r * x.gs];
            vec chain = load_f32(out, lanes);
            chain = vec_fma(ivec_to_f32(sum[r][v]), vec_mul(scale, vec_set(xscale)), chain);
            if (way == Q4_NIBBLES)
                chain = vec_fma(vec_set((float)x.sum[(size_t)r * x.gs] * xscale), min, chain);
            vec_store(out, chain, lanes);
        }
    }
}

/* --- tiles of panels -------------------------------------------------------------------------- */

/* One tile and one group. xw, w: x and the panels as 16-bit lanes, for Q8_WORDS only. */
ALWAYS_INLINE void quant_tile(struct y_rows y, struct quantized x, row_words *xw,
                              struct panels group, panel_words *w, struct prefetch prefetch,
                              struct tile tile, enum quant_way way) {
    tile_sums sum;
    LOADS_STAY();
    if (way == Q4_NIBBLES)
        q4_sums(sum, x, panels_skip(group, 4 * PANEL), prefetch, tile);
#if !defined(QUANT_DOT4)
    else if (way == Q8_WORDS)
        int16_sums(sum, xw, w, prefetch, tile);
#endif
    else
        q8_sums(sum, x, panels_skip(group, 2 * PANEL), prefetch, tile);
    quant_chain(y, sum, x, group, tile, way);
}

/* The quantized rows, beginning at row r and group g. */
ALWAYS_INLINE struct quantized quant_from(struct quantized x, int r, int g) {
    x.q += (size_t)r * x.qs + (size_t)g * GROUP;
    x.scale += (size_t)r * x.gs + (size_t)g;
    x.sum += (size_t)r * x.gs + (size_t)g;
    return x;
}

/* All columns and some groups of `rows` rows: whole tiles, then single panels. w: the panels as
 * 16-bit lanes, group by group, for Q8_WORDS only. prefetch: that of the first panel. */
ALWAYS_INLINE void quant_rows(struct y_rows y, struct quantized x, struct panels groups,
                              panel_words (*w)[STRIP / PANEL], struct prefetch prefetch, int n,
                              int n_groups, int rows, enum quant_way way) {
    const int vecs = QUANT_VECS(rows), whole = vecs * WIDTH;
    row_words xw[QUANT_ROWS];
    for (int g = 0; g < n_groups; g++) {
#if !defined(QUANT_DOT4)
        for (int r = 0; way == Q8_WORDS && r < rows; r++)
            to_words(xw[r], x.q + (size_t)r * x.qs, QUANT_STEPS, 0);
#endif
        int c = 0;
#define COLUMNS(vecs, columns)                                                       \
    do {                                                                             \
        const size_t at = column_at(groups, c, 0);                                   \
        quant_tile(y_from(y, 0, c), x, xw, panels_skip(groups, at),                  \
                   way == Q8_WORDS ? &w[g][c / PANEL] : NULL,                        \
                   (struct prefetch){prefetch.p + at, prefetch.step, prefetch.next}, \
                   (struct tile){rows, vecs, columns}, way);                         \
    } while (0)
        for (; c + whole <= n; c += whole)
            COLUMNS(vecs, whole);
        for (; c < n; c += PANEL)
            COLUMNS(PANEL / WIDTH, n - c);
#undef COLUMNS
        groups.w += groups.stride;
        prefetch.p += groups.stride;
        x = quant_from(x, 0, 1);
    }
}

/* All rows, for a block of groups that stays in the L1 cache. Each tile of rows prefetches an equal
 * share of the block at `next`, as in gemm_block. */
ALWAYS_INLINE void quant_block(struct y_rows y, struct quantized x, struct panels groups,
                               const char *next, int m, int n, int n_groups, enum quant_way way) {
    const int max = way == Q4_NIBBLES ? Q4_ROWS : way == Q8_WORDS ? WORDS_TILE : Q8_ROWS;
    size_t share = groups.stride / (size_t)((m + max - 1) / max);
    struct prefetch prefetch = {next, share / QUANT_STEPS, groups.next};
    panel_words w[WORDS_DEPTH][STRIP / PANEL];
#if !defined(QUANT_DOT4)
    for (int g = 0; way == Q8_WORDS && g < n_groups; g++)
        for (int c = 0; c < n; c += PANEL)
            to_words(w[g][c / PANEL][0],
                     groups.w + (size_t)g * groups.stride + column_at(groups, c, 0) + 2 * PANEL,
                     QUANT_STEPS * PANEL, 0x80808080);
#endif
    for (int rows; m > 0; m -= rows) {
        // no last tile of one row: it would load each weight for a single product
        rows = m == max + 1 ? max - 1 : m < max ? m : max;
#define TILE(rows) quant_rows(y, x, groups, w, prefetch, n, n_groups, rows, way)
        WITH_CONSTANT(rows, QUANT_ROWS + 1, TILE)
#undef TILE
        prefetch.p += share;
        y = y_from(y, rows, 0);
        x = quant_from(x, rows, 0);
    }
}

/* Blocks of STRIP columns by `depth` groups. */
ALWAYS_INLINE void quant_blocks(struct y_rows y, struct quantized x, struct panels w, int m, int n,
                                int n_groups, int depth, enum quant_way way) {
    for (int c = 0; c < n; c += STRIP)
        for (int g = 0; g < n_groups; g += depth) {
            struct panels strip = panels_skip(w, column_at(w, c, 0));
            struct panels groups = panels_skip(strip, (size_t)g * w.stride);
            const char *next = g + depth < n_groups ? groups.w + (size_t)depth * w.stride
                                                    : strip.w + column_at(strip, STRIP, 0);
            quant_block(y_from(y, 0, c), quant_from(x, 0, g), groups, next, m,
                        n - c < STRIP ? n - c : STRIP, n_groups - g < depth ? n_groups - g : depth,
                        way);
        }
}

static void gemm_q8(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups) {
    const struct y_rows rows = {y, ys};
    const struct panels w = {panels, Q8_GROUP_BYTES, ps};
#if !defined(QUANT_DOT4)
    if (m >= WORDS_ROWS) {
        quant_blocks(rows, x, w, m, n, n_groups, WORDS_DEPTH, Q8_WORDS);
        return;
    }
#endif
    quant_blocks(rows, x, w, m, n, n_groups, m == 1 ? n_groups : QUANT_DEPTH, Q8_BYTES);
}

static void gemm_q4(float *y, size_t ys, struct quantized x, const void *panels, size_t ps, int m,
                    int n, int n_groups) {
    quant_blocks((struct y_rows){y, ys}, x, (struct panels){panels, Q4_GROUP_BYTES, ps}, m, n,
                 n_groups, m == 1 ? n_groups : QUANT_DEPTH, Q4_NIBBLES);
}

#endif
