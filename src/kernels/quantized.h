/* quantized.h - the quantized products for all variants with vectors (contract: kernels.h; layout
 * of panels: panels.h).
 *
 * In addition to what tiles.h lists, the file that includes this one defines
 *
 *   ivec                  a vector of WIDTH 32-bit integers
 *   ivec_set, ivec_load   all lanes the same; WIDTH lanes at any address
 *   ivec_add, ivec_and    of 32-bit lanes
 *   ivec_shift16(a, n)    16-bit lanes shifted right by n, filled with zeros
 *   ivec_to_f32           rounded to nearest; exact in gemm, where all sums are below 2^24
 *   vec_mul(a, b)         a * b, rounded
 *   TILES_FILL_REGISTERS  if tiles leave none: what is constant is made or read where it is used
 *   Q8_ROWS, Q4_ROWS      the register tile for integers of 8 and of 4 bits: rows of x,
 *   Q8_VECS(rows)         and vectors of columns
 *   Q4_VECS(rows)
 *   WORDS_TILE            rows of the tile of int16_products.h, PANEL columns wide
 *
 * and, if the CPU has four-way dot products, QUANT_DOT4 and
 *
 *   ivec_dot4(sum, u, s)  sum + the products of four unsigned and signed bytes
 *   QUANT_SIGNED          if it takes both as signed ones (and ivec_xor)
 *
 * otherwise
 *
 *   ivec_pairs(a, b)      the sums of two products of signed 16-bit lanes
 *   ivec_pairs8(u, s)     the 16-bit sums of two products of an unsigned and a signed byte
 *   ivec_xor, ivec_add16  of 32-bit words; of 16-bit lanes
 *
 * QUANT_FEW_TILES is up to how many tiles of rows the first reads from memory as one alone does and
 * the others find in the L1 cache; beyond them, each prefetches a share of what is next. A variant
 * may have its own, also an expression.
 *
 * A variant that multiplies many rows in a way of its own has
 *
 *   QUANT_MANY(m)         how many of m rows, from the first on, that is for; 0: none
 *   QUANT_MANY_PRODUCTS   its function, which is called as gemm_panels
 *
 * Without dot products, a byte u of a panel, which is a weight w + 128, is multiplied as
 *
 *     x >= 0:  |x| * (u ^ 0x80) = x * w
 *     x < 0:   |x| * (u ^ 0x7F) = |x| * (-w - 1) = x * w - |x|
 *
 * where the byte after the xor is signed. The sum of two such products, at most 2 * 127 * 128, fits
 * in 16 bits for every w, and what is missing, the sum of |x| over the negative x, is the same for
 * all outputs: a sum starts from it. |x| and what to xor with are made once for each group of a row
 * (struct x8). The nibbles of Q4 are unsigned: |u s| <= 15 * 127, and the sum of 16 such products,
 * as many as a lane gets in half a group of 64, is below 2^15.
 *
 * A variant that multiplies many rows faster from a copy of the weights in an order of its own has
 *
 *   UNPACKED_ROWS         from this many rows on
 *   UNPACKED_TILE         rows of a tile
 *   UNPACKED_LESS(form)   how many fewer it has where groups of that form take more registers
 *   QUANT_UNPACKED        the name of a file, in quotes, that defines
 *   unpack_panel(to, from, form)  copies the integers of a group of a panel, for all rows, to
 *                         group / 4 words of each output
 *   unpack_row(to, x, r, form)    copies the group of row r, 0, 1 ... of a tile
 *   unpacked_sums(sum, x, xw, w, first, prefetch, tile, form)  the sums of a group: from xw, what
 *                         unpack_row has made of x, and w from word `first` on */
#ifndef KERNELS_QUANTIZED_H
#define KERNELS_QUANTIZED_H

#include "kernels/int16_products.h"
#include <string.h>

/* How the steps of a group are unrolled. All of them where a step needs no register beyond the
 * sums, weights and x; else four, so that no more than these steps' registers are in use. Not at
 * all for arm64, where gcc gives a sum another register in the next step, and has too few. */
#if defined(QUANT_DOT4) && !defined(QUANT_SIGNED)
#define UNROLL_STEPS UNROLL
#define UNROLL_HALF  UNROLL
#elif defined(QUANT_SIGNED)
#define UNROLL_STEPS NO_UNROLL
#define UNROLL_HALF  UNROLL_2
#else
#define UNROLL_STEPS UNROLL_4
#define UNROLL_HALF  UNROLL_2
#endif

/* Whether weights are kept in registers for the rows of a tile. */
#if defined(QUANT_DOT4)
#define Q8_KEEPS(rows) ((rows) > 1)
#else
#define Q8_KEEPS(rows) false
#endif

#if !defined(QUANT_FEW_TILES)
#define QUANT_FEW_TILES (PREFETCH_AHEAD > 0 ? 2 : 1)
#endif

#define QUANT_DEPTH 256 /* inputs in a block, which fits in half of the L1 cache */

_Static_assert(Q8_VECS(1) * WIDTH <= STRIP && Q8_VECS(Q8_ROWS) * WIDTH <= STRIP &&
                   Q4_VECS(1) * WIDTH <= STRIP && Q4_VECS(Q4_ROWS) * WIDTH <= STRIP,
               "a tile of quantized products is at most a STRIP wide");

/* How the products of a tile are computed, as a constant of each instance: from panels of that
 * form; `unpacked`: from a copy that the caller has made, in the
 * order of QUANT_UNPACKED. */
struct quant_way {
    struct panel_form form;
    bool unpacked;
};

/* The panels that a tile reads side by side. */
ALWAYS_INLINE int tile_panels(struct tile tile) {
    return tile.vecs * WIDTH / PANEL;
}

/* The vectors of products of a tile that a line of 64 bytes is read for. */
ALWAYS_INLINE int line_products(struct tile tile, struct panel_form form) {
    return tile.rows * (16 / WIDTH) * (form.bits == 4 ? 2 : 1);
}

/* Steps of four inputs in a group. */
ALWAYS_INLINE int quant_steps(struct panel_form form) {
    return form.group / 4;
}

/* --- four bytes at a time --------------------------------------------------------------------- */

/* Four activations of row r. */
ALWAYS_INLINE ivec quant_x(struct quantized x, int r, int step) {
    uint32_t word;
    memcpy(&word, x.q + (size_t)r * x.qs + 4 * step, sizeof word);
    return ivec_set(word);
}

/* A group of a row of x as products of bytes take it; with dot products: x itself. */
struct x8 {
#if defined(QUANT_DOT4)
    char nothing;
#else
    uint8_t size[PANEL_MAX_GROUP], flip[PANEL_MAX_GROUP];
    int32_t start;
#endif
};

#if defined(QUANT_DOT4)

ALWAYS_INLINE void x8_make(struct x8 *x8, struct quantized x, int r, struct panel_form form) {}

/* What a sum of row r starts from, as a byte of a panel is a weight + 128; and what such bytes are
 * multiplied as. */
#if defined(QUANT_SIGNED)
ALWAYS_INLINE ivec q8_start(struct quantized x, const struct x8 *x8, int r) {
    return ivec_set(0);
}

ALWAYS_INLINE ivec q8_weights(ivec bytes) {
    return ivec_xor(bytes, ivec_set(0x80808080));
}
#else
ALWAYS_INLINE ivec q8_start(struct quantized x, const struct x8 *x8, int r) {
    return ivec_set((uint32_t)(-128 * x.sum[(size_t)r * x.gs]));
}

ALWAYS_INLINE ivec q8_weights(ivec bytes) {
    return bytes;
}
#endif

/* Four activations of row r, for q8_add. */
typedef ivec q8_x;

ALWAYS_INLINE q8_x q8_activations(struct quantized x, const struct x8 *x8, int r, int step) {
    return quant_x(x, r, step);
}

ALWAYS_INLINE ivec q8_ones(void) {
    return ivec_set(0); // not needed
}

ALWAYS_INLINE ivec q8_add(ivec sum, ivec bytes, q8_x x, ivec ones) {
    return ivec_dot4(sum, bytes, x);
}

ALWAYS_INLINE ivec q4_add(ivec sum, ivec nibbles, ivec x) {
    return ivec_dot4(sum, nibbles, x);
}

#else

ALWAYS_INLINE void x8_make(struct x8 *x8, struct quantized x, int r, struct panel_form form) {
    const int8_t *q = x.q + (size_t)r * x.qs;
    int32_t sizes = 0;
    OPAQUE(x8);
    for (int k = 0; k < form.group; k++) {
        x8->size[k] = (uint8_t)(q[k] < 0 ? -q[k] : q[k]);
        x8->flip[k] = q[k] < 0 ? 0x7F : 0x80;
        sizes += x8->size[k];
    }
    x8->start = (sizes - x.sum[(size_t)r * x.gs]) / 2;
}

ALWAYS_INLINE ivec q8_start(struct quantized x, const struct x8 *x8, int r) {
    return ivec_set((uint32_t)x8[r].start);
}

ALWAYS_INLINE ivec q8_weights(ivec bytes) {
    return bytes;
}

typedef struct {
    ivec sizes, flips;
} q8_x;

ALWAYS_INLINE q8_x q8_activations(struct quantized x, const struct x8 *x8, int r, int step) {
    uint32_t sizes, flips;
    memcpy(&sizes, x8[r].size + 4 * step, sizeof sizes);
    memcpy(&flips, x8[r].flip + 4 * step, sizeof flips);
    return (q8_x){ivec_set(sizes), ivec_set(flips)};
}

ALWAYS_INLINE ivec q8_add(ivec sum, ivec bytes, q8_x x, ivec ones) {
    ivec pairs = ivec_pairs8(x.sizes, ivec_xor(bytes, x.flips));
    return ivec_add(sum, ivec_pairs(pairs, ones));
}

/* Words of two ones, for sums of pairs: made anew for each tile, so that they are in a register. */
ALWAYS_INLINE ivec q8_ones(void) {
    uint32_t ones = 0x00010001;
    OPAQUE(ones);
    return ivec_set(ones);
}

/* The sums of Q4 are in 16-bit lanes until q4_sums adds them in pairs. */
ALWAYS_INLINE ivec q4_add(ivec sum, ivec nibbles, ivec x) {
    return ivec_add16(sum, ivec_pairs8(nibbles, x));
}

#endif

/* --- the integer sums of a tile and a group --------------------------------------------------- */

/* The sums of a tile over a group of bytes; w begins at its first step. Without dot products a
 * weight is read for each row, as an operand in memory. */
ALWAYS_INLINE void q8_sums(tile_sums sum, struct quantized x, const struct x8 *x8, struct panels w,
                           struct prefetch *prefetch, struct tile tile, struct panel_form form) {
    const int rows = tile.rows, vecs = tile.vecs;
    const char *at = w.w;
    const ivec ones = q8_ones();
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = q8_start(x, x8, r);
        }
    }
    UNROLL_STEPS for (int step = 0; step < quant_steps(form); step++) {
        if (tile.ahead)
            prefetch_ahead(at, w.next, step, tile_panels(tile), tile_panels(tile),
                           line_products(tile, form));
        else if (!tile.ahead && !prefetch->sparse)
            prefetch_step(prefetch, step, tile_panels(tile), tile_panels(tile), 1, 1);
        else if (!tile.ahead && step % SPARSE == 0)
            prefetch_step(prefetch, step / SPARSE, tile_panels(tile), tile_panels(tile), SPARSE, 1);
        ivec weights[STRIP / WIDTH];
        if (Q8_KEEPS(rows)) {
            UNROLL for (int v = 0; v < vecs; v++) {
                weights[v] = q8_weights(ivec_load(at + column_at(w, v * WIDTH, 4)));
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            q8_x xs = q8_activations(x, x8, r, step);
            UNROLL for (int v = 0; v < vecs; v++) {
                if (!Q8_KEEPS(rows))
                    weights[v] = q8_weights(ivec_load(at + column_at(w, v * WIDTH, 4)));
                sum[r][v] = q8_add(sum[r][v], weights[v], xs, ones);
                IN_ORDER(sum[r][v]);
            }
        }
        at += PANEL * 4;
    }
}

/* What nibbles are masked with. Where all registers are taken it is made anew where it is called:
 * no loop keeps a register for it that what follows needs. Elsewhere it is a constant of each use,
 * or gcc for arm64 keeps it, and sums on the stack. */
ALWAYS_INLINE ivec q4_mask(void) {
    uint32_t mask = 0x0F0F0F0F;
    OPAQUE(mask);
    return ivec_set(mask);
}

ALWAYS_INLINE ivec q4_nibbles(ivec bytes, ivec mask, bool high) {
#if defined(TILES_FILL_REGISTERS)
    mask = ivec_set(0x0F0F0F0F); // what was given is dead then
#endif
    return ivec_and(high ? ivec_shift16(bytes, 4) : bytes, mask);
}

/* One row: both nibbles of half the steps, so that each byte is read once. */
ALWAYS_INLINE void q4_one_row(ivec part[STRIP / WIDTH], struct quantized x, struct panels w,
                              int half, struct tile tile, struct panel_form form) {
    const int steps = quant_steps(form), vecs = tile.vecs;
    const ivec mask = q4_mask();
    UNROLL_HALF for (int i = 0; i < steps / 4; i++) {
        const int step = half * steps / 4 + i;
        ivec low = quant_x(x, 0, step), high = quant_x(x, 0, steps / 2 + step);
        UNROLL for (int v = 0; v < vecs; v++) {
            ivec bytes = ivec_load(w.w + step * PANEL * 4 + column_at(w, v * WIDTH, 4));
            part[v] = q4_add(part[v], q4_nibbles(bytes, mask, false), low);
            IN_ORDER(part[v]);
            part[v] = q4_add(part[v], q4_nibbles(bytes, mask, true), high);
            IN_ORDER(part[v]);
        }
        prefetch_ahead(w.w + step * PANEL * 4, w.next, i, tile_panels(tile), tile_panels(tile),
                       line_products(tile, form));
    }
}

/* Many rows: the low or the high nibbles of all steps, which need fewer registers. */
ALWAYS_INLINE void q4_many_rows(tile_sums part, struct quantized x, struct panels w,
                                struct prefetch *prefetch, int half, struct tile tile,
                                struct panel_form form) {
    const int rows = tile.rows, vecs = tile.vecs, steps = quant_steps(form);
    const ivec mask = q4_mask();
    const char *at = w.w;
    OPAQUE(at); // or a compiler keeps the bytes of one half for the other, on the stack
    UNROLL_STEPS for (int step = 0; step < steps / 2; step++) {
        ivec nibbles[STRIP / WIDTH];
        UNROLL for (int v = 0; v < vecs; v++) {
            nibbles[v] = q4_nibbles(ivec_load(at + column_at(w, v * WIDTH, 4)), mask, half);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            ivec xs = quant_x(x, r, half * steps / 2 + step);
            UNROLL for (int v = 0; v < vecs; v++) {
                part[r][v] = q4_add(part[r][v], nibbles[v], xs);
                IN_ORDER(part[r][v]);
            }
        }
        if (!tile.ahead)
            prefetch_step(prefetch, step, tile_panels(tile), tile_panels(tile) / 2, 1, 1);
        else if (half == 0)
            prefetch_ahead(at, w.next, step, tile_panels(tile), tile_panels(tile),
                           line_products(tile, form));
        at += PANEL * 4;
    }
}

/* What the sums of nibbles start from where there are no mins, as a nibble is then an integer + 8.
 */
ALWAYS_INLINE ivec q4_start(int32_t sum_of_x, struct panel_form form) {
    return ivec_set(form.mins ? 0 : (uint32_t)(-8 * sum_of_x));
}

/* Half of the products of a group, as many as 16-bit lanes can sum. */
ALWAYS_INLINE void q4_half(tile_sums part, struct quantized x, struct panels w,
                           struct prefetch *prefetch, int half, struct tile tile,
                           struct panel_form form) {
    if (tile.rows == 1)
        q4_one_row(part[0], x, w, half, tile, form);
    else
        q4_many_rows(part, x, w, prefetch, half, tile, form);
}

#if defined(QUANT_DOT4)

ALWAYS_INLINE void q4_sums(tile_sums sum, struct quantized x, struct panels w,
                           struct prefetch *prefetch, struct tile tile, struct panel_form form) {
    UNROLL for (int r = 0; r < tile.rows; r++) {
        UNROLL for (int v = 0; v < tile.vecs; v++) {
            sum[r][v] = q4_start(x.sum[(size_t)r * x.gs], form);
        }
    }
    q4_half(sum, x, w, prefetch, 0, tile, form);
    q4_half(sum, x, w, prefetch, 1, tile, form);
    // a sum that has to be on the stack later, for a call that stores some lanes, goes there here:
    // compilers for arm64 otherwise put it there in each step
    UNROLL for (int r = 0; r < tile.rows; r++) {
        UNROLL for (int v = 0; v < tile.vecs; v++) {
            IN_ORDER(sum[r][v]);
        }
    }
}

#else

ALWAYS_INLINE void sums_clear(tile_sums sum, struct tile tile) {
    UNROLL for (int r = 0; r < tile.rows; r++) {
        UNROLL for (int v = 0; v < tile.vecs; v++) {
            sum[r][v] = ivec_set(0);
        }
    }
}

/* The part sums of a group of 32 or less fit 16 bits as a whole. */
ALWAYS_INLINE void q4_sums(tile_sums sum, struct quantized x, struct panels w,
                           struct prefetch *prefetch, struct tile tile, struct panel_form form) {
    const bool at_once = form.group <= 32;
    tile_sums part, first;
    UNROLL for (int half = 0; half < 2; half++) {
        if (half == 0 || !at_once)
            sums_clear(part, tile);
        q4_half(part, x, w, prefetch, half, tile, form);
        const ivec ones = q8_ones();
        UNROLL for (int r = 0; r < tile.rows; r++) {
            const ivec start = q4_start(x.sum[(size_t)r * x.gs], form);
            const int vecs = half == 0 && at_once ? 0 : tile.vecs;
            UNROLL for (int v = 0; v < vecs; v++) {
                ivec whole = ivec_pairs(part[r][v], ones);
                if (half) {
                    sum[r][v] = ivec_add(whole, at_once ? start : first[r][v]);
                    IN_ORDER(sum[r][v]);
                } else {
                    first[r][v] = form.mins ? whole : ivec_add(whole, start);
                    if (tile.rows * tile.vecs > WIDTH / 2) // as few as the registers hold twice
                        IN_MEMORY(first[r][v]);
                }
            }
        }
    }
}

#endif

/* --- from sums to y --------------------------------------------------------------------------- */

/* The panels, beginning `bytes` bytes later. */
ALWAYS_INLINE struct panels panels_skip(struct panels w, size_t bytes) {
    w.w += bytes;
    return w;
}

/* Scales or mins of a vector of columns, those of all columns beginning at `scales`. */
ALWAYS_INLINE vec load_scales(struct panels scales, int v, struct panel_form form) {
    const char *at = scales.w + column_at(scales, v * WIDTH, (size_t)form.scale_bytes);
    return form.scale_bytes == PANEL_F32 ? load_f32(at, WIDTH) : load_f16(at, WIDTH);
}

#if defined(TILES_FILL_REGISTERS)

/* Continues the chains of y by one group: vector after vector, whose scales take one register. */
ALWAYS_INLINE void quant_chain(struct y_rows y, tile_sums sum, struct quantized x,
                               struct panels group, struct tile tile, struct panel_form form) {
    const struct panels mins = panels_skip(group, (size_t)form.scale_bytes * PANEL);
    UNROLL for (int v = 0; v < tile.vecs; v++) {
        vec scale = load_scales(group, v, form);
        vec min = form.mins ? load_scales(mins, v, form) : scale;
        const int lanes = tile_lanes(tile, v);
        if (lanes == 0)
            break;
        UNROLL for (int r = 0; r < tile.rows; r++) {
            float *out = y_from(y, r, v * WIDTH).p;
            float xscale = x.scale[(size_t)r * x.gs];
            vec chain = load_f32(out, lanes);
            chain = vec_fma(ivec_to_f32(sum[r][v]), vec_mul(scale, vec_set(xscale)), chain);
            if (form.mins && form.scale_bytes == PANEL_F32) {
                IN_ORDER(chain); // mins are read for each row, as an operand in memory
                min = load_scales(mins, v, form);
            }
            if (form.mins)
                chain = vec_fma(vec_set((float)x.sum[(size_t)r * x.gs] * xscale), min, chain);
            vec_store(out, chain, lanes);
        }
    }
}

#else

/* Continues the chains of y by one group: row after row, whose scale takes one register. Places and
 * scale of a row are computed in it: a compiler that did it for all rows before the first would
 * keep them on the stack. Mins of 32 bits are operands in memory. */
ALWAYS_INLINE void quant_chain(struct y_rows y, tile_sums sum, struct quantized x,
                               struct panels group, struct tile tile, struct panel_form form) {
    OPAQUE(x.scale); // or gcc computes the places of all rows before the loop, too
    const struct panels mins = panels_skip(group, (size_t)form.scale_bytes * PANEL);
    const bool keeps_mins = form.mins && form.scale_bytes == PANEL_F16;
    vec scale[STRIP / WIDTH], min[STRIP / WIDTH];
    UNROLL for (int v = 0; v < tile.vecs; v++) {
        scale[v] = load_scales(group, v, form);
        min[v] = keeps_mins ? load_scales(mins, v, form) : scale[v];
    }
    UNROLL for (int r = 0; r < tile.rows; r++) {
        float *row = y_from(y, r, 0).p;
        const float *scale_of_x = x.scale + (size_t)r * x.gs;
        OPAQUE(row);
        OPAQUE(scale_of_x);
        const vec xscale = vec_set(*scale_of_x);
        vec xmin = xscale;
        if (form.mins) // a conversion of a scalar would need a register of zeros
            xmin = vec_mul(ivec_to_f32(ivec_set((uint32_t)x.sum[(size_t)r * x.gs])), xscale);
        UNROLL for (int v = 0; v < tile.vecs; v++) {
            const int lanes = tile_lanes(tile, v);
            if (lanes == 0)
                break;
            vec chain = load_f32(row + v * WIDTH, lanes);
            chain = vec_fma(ivec_to_f32(sum[r][v]), vec_mul(scale[v], xscale), chain);
            if (form.mins && !keeps_mins)
                min[v] = load_scales(mins, v, form);
            if (form.mins)
                chain = vec_fma(xmin, min[v], chain);
            vec_store(row + v * WIDTH, chain, lanes);
        }
    }
}

#endif

/* --- unpacked copies -------------------------------------------------------------------------- */

#if defined(QUANT_UNPACKED)
#include QUANT_UNPACKED

#define UNPACKED_WORDS(form) ((form).group / 4)
#else
#define UNPACKED_LESS(form) 0

#define UNPACKED_WORDS(form) 0
#endif

/* --- tiles of panels -------------------------------------------------------------------------- */

/* One tile and one group. xw, w: the copies of x and of the panels, from word `first` of w on, for
 * way.unpacked only. */
ALWAYS_INLINE void quant_tile(struct y_rows y, struct quantized x, const struct x8 *x8,
                              row_words *xw, struct panels group, panel_words *w, int first,
                              struct prefetch prefetch, struct tile tile, struct quant_way way) {
    const struct panels integers = panels_skip(group, panel_form_head(way.form));
    tile_sums sum;
    LOADS_STAY();
    if (tile.ahead)
        prefetch_ahead(group.w, group.next, 0, tile_panels(tile), tile_panels(tile),
                       line_products(tile, way.form));
#if defined(UNPACKED_ROWS)
    if (way.unpacked)
        unpacked_sums(sum, x, xw, w, first, &prefetch, tile, way.form);
    else
#endif
        if (way.form.bits == 4)
        q4_sums(sum, x, integers, &prefetch, tile, way.form);
    else
        q8_sums(sum, x, x8, integers, &prefetch, tile, way.form);
    quant_chain(y, sum, x, group, tile, way.form);
}

/* The quantized rows, beginning at row r and group g. */
ALWAYS_INLINE struct quantized quant_from(struct quantized x, int r, int g,
                                          struct panel_form form) {
    x.q += (size_t)r * x.qs + (size_t)g * (size_t)form.group;
    x.scale += (size_t)r * x.gs + (size_t)g;
    x.sum += (size_t)r * x.gs + (size_t)g;
    return x;
}

/* All columns and some groups of `rows` rows: whole tiles, then single panels. w: the copy
 * of the panels, for way.unpacked only. prefetch: that of the first panel. ahead: as in a tile. */
ALWAYS_INLINE void quant_rows(struct y_rows y, struct quantized x, struct panels groups,
                              panel_words *w, struct prefetch prefetch, int n, int n_groups,
                              int rows, bool ahead, struct quant_way way) {
    const int vecs = way.form.bits == 4 ? Q4_VECS(rows) : Q8_VECS(rows), whole = vecs * WIDTH;
    struct x8 x8_room[QUANT_ROWS], *x8 = x8_room;
    row_words xw[QUANT_ROWS];
    OPAQUE(x8); // arrays, in memory: no vectors that the compiler has put on the stack
    for (int g = 0; g < n_groups; g++) {
#if defined(UNPACKED_ROWS)
        for (int r = 0; way.unpacked && r < rows; r++)
            unpack_row(xw, x, r, way.form);
#endif
        for (int r = 0; way.form.bits == 8 && !way.unpacked && r < rows; r++)
            x8_make(&x8[r], x, r, way.form);
        int c = 0;
#define COLUMNS(vecs, columns)                                                                 \
    do {                                                                                       \
        const size_t at = column_at(groups, c, 0);                                             \
        quant_tile(                                                                            \
            y_from(y, 0, c), x, x8, xw, panels_skip(groups, at),                               \
            way.unpacked ? &w[c / PANEL] : NULL, g *UNPACKED_WORDS(way.form),                  \
            (struct prefetch){prefetch.p + at, prefetch.step, prefetch.next, prefetch.sparse}, \
            (struct tile){rows, vecs, columns, ahead}, way);                                   \
    } while (0)
        for (; c + whole <= n; c += whole)
            COLUMNS(vecs, whole);
        for (; c < n; c += PANEL)
            COLUMNS(PANEL / WIDTH, n - c);
#undef COLUMNS
        groups.w += groups.stride;
        prefetch.p += groups.stride;
        x = quant_from(x, 0, 1, way.form);
    }
}

/* Rows of a whole tile. */
ALWAYS_INLINE int quant_tile_rows(struct quant_way way) {
    return way.unpacked         ? UNPACKED_TILE - UNPACKED_LESS(way.form)
           : way.form.bits == 4 ? Q4_ROWS
                                : Q8_ROWS - way.form.mins; // mins need registers, too
}

/* All rows, for a block of groups that stays in the L1 cache. Each tile of rows prefetches an equal
 * share of the block at `next`, as in gemm_block; one_tile: they are one, which reads ahead. */
ALWAYS_INLINE void quant_block(struct y_rows y, struct quantized x, struct panels groups,
                               const char *next, int m, int n, int n_groups, bool one_tile,
                               struct quant_way way) {
    const int steps = quant_steps(way.form), max = quant_tile_rows(way);
    size_t share = groups.stride / (size_t)((m + max - 1) / max);
    struct prefetch prefetch = {next, share / (size_t)steps, groups.next, false};
    prefetch.sparse = steps >= 2 * SPARSE && 2 * SPARSE * prefetch.step <= 64;
    panel_words w[STRIP / PANEL];
#if defined(UNPACKED_ROWS)
    for (int g = 0; way.unpacked && g < n_groups; g++)
        for (int c = 0; c < n; c += PANEL)
            unpack_panel(w[c / PANEL] + g * UNPACKED_WORDS(way.form),
                         groups.w + (size_t)g * groups.stride + column_at(groups, c, 0) +
                             panel_form_head(way.form),
                         way.form);
#endif
    for (int rows; m > 0; m -= rows) {
        rows = tile_rows(m, max);
#define TILE(rows)                                             \
    if ((rows) <= max && ((rows) > 1 || max == 2 || one_tile)) \
    quant_rows(y, x, groups, w, prefetch, n, n_groups, rows, one_tile, way)
        WITH_CONSTANT(rows, QUANT_ROWS + 1, TILE)
#undef TILE
        prefetch.p += share;
        y = y_from(y, rows, 0);
        x = quant_from(x, rows, 0, way.form);
    }
}

/* The rows of one tile, by all groups, as each panel is then read from start to end. Or those of
 * two, by blocks: the first has as many rows as it can, and reads from memory what the second finds
 * in the L1 cache. With more products for each line, memory and arithmetic overlap better than in
 * two equal tiles that each prefetch half of what is next. */
ALWAYS_INLINE void quant_few(struct y_rows y, struct quantized x, struct panels w, int m, int n,
                             int n_groups, struct quant_way way) {
    const int max = quant_tile_rows(way);
    const int first = m <= max ? m : m - max > 1 ? max : max - 1;
    const int depth = m <= max ? n_groups : QUANT_DEPTH / way.form.group;
    for (int c = 0; c < n; c += STRIP)
        for (int g = 0; g < n_groups; g += depth) {
            struct panels groups = panels_skip(w, column_at(w, c, 0) + (size_t)g * w.stride);
            for (int r = 0, rows = first; r < m; r += rows, rows = m - r)
                quant_block(y_from(y, r, c), quant_from(x, r, g, way.form), groups, groups.w, rows,
                            n - c < STRIP ? n - c : STRIP,
                            n_groups - g < depth ? n_groups - g : depth, true, way);
        }
}

/* Blocks of STRIP columns. */
ALWAYS_INLINE void quant_blocks(struct y_rows y, struct quantized x, struct panels w, int m, int n,
                                int n_groups, struct quant_way way) {
    const int depth = QUANT_DEPTH / way.form.group;
    for (int c = 0; c < n; c += STRIP)
        for (int g = 0; g < n_groups; g += depth) {
            struct panels strip = panels_skip(w, column_at(w, c, 0));
            struct panels groups = panels_skip(strip, (size_t)g * w.stride);
            const char *next = g + depth < n_groups
                                   ? groups.w + (size_t)depth * w.stride
                                   : panels_after(strip, STRIP, (size_t)n_groups * w.stride).w;
            quant_block(y_from(y, 0, c), quant_from(x, 0, g, way.form), groups, next, m,
                        n - c < STRIP ? n - c : STRIP, n_groups - g < depth ? n_groups - g : depth,
                        false, way);
        }
}

ALWAYS_INLINE void gemm_panels(struct y_rows y, struct quantized x, struct panels w, int m, int n,
                               int n_groups, struct panel_form form) {
    const struct quant_way as_it_is = {form, false};
#if defined(QUANT_MANY)
    const int many = QUANT_MANY(m);
    if (many > 0)
        QUANT_MANY_PRODUCTS(y, x, w, many, n, n_groups, form);
    if (m == many)
        return;
    y = y_from(y, many, 0);
    x = quant_from(x, many, 0, form);
    m -= many;
#endif
#if defined(UNPACKED_ROWS)
    if (m >= UNPACKED_ROWS) {
        quant_blocks(y, x, w, m, n, n_groups, (struct quant_way){form, true});
        return;
    }
#endif
    if (m <= QUANT_FEW_TILES * quant_tile_rows(as_it_is))
        quant_few(y, x, w, m, n, n_groups, as_it_is);
    else
        quant_blocks(y, x, w, m, n, n_groups, as_it_is);
}

#define QUANTIZED_PRODUCT(name, group, bits, scale_bytes, mins)                                 \
    static void gemm_##name(float *y, size_t ys, struct quantized x, const void *panels,        \
                            size_t ps, int m, int n, int n_groups) {                            \
        const struct panel_form form = {group, bits, scale_bytes, mins};                        \
        gemm_panels((struct y_rows){y, ys}, x,                                                  \
                    (struct panels){panels, panel_form_bytes(form), ps}, m, n, n_groups, form); \
    }
PANEL_FORMS(QUANTIZED_PRODUCT)

#endif
