/* int16_products.h - products of 16-bit integers, two in each 32-bit lane, for all variants with
 * vectors.
 *
 * In addition to what tiles.h and quantized.h list, the file that includes this one defines
 *
 *   ivec_add_pairs(s,a,b) s + the sums of two products of signed 16-bit lanes
 *   ivec_widen8(p)        2 * WIDTH signed bytes at any address, as 16-bit lanes
 *   ivec_store(p, a)      stores WIDTH lanes at any address */
#ifndef KERNELS_INT16_PRODUCTS_H
#define KERNELS_INT16_PRODUCTS_H

#include "kernels/tiles.h"

#define PANEL_WORDS 64 /* words of each output of a panel, and */
#define ROW_WORDS   32 /* of a row of x, that are widened at a time */

#if !defined(UNPACKED_TILE) // quantized.h
#define UNPACKED_TILE WORDS_TILE
#endif

/* The most rows of any tile of integers. */
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define QUANT_ROWS   LARGER(LARGER(WORDS_TILE, UNPACKED_TILE), LARGER(Q8_ROWS, Q4_ROWS))

/* Groups of a panel and a group of a row of x; or a block of positions of the KV cache and its
 * weights. Each word has two adjacent inputs. */
typedef int32_t panel_words[PANEL_WORDS][PANEL];
typedef int32_t row_words[ROW_WORDS];

_Static_assert(PANEL_MAX_GROUP / 2 <= ROW_WORDS && KV_BLOCK / 2 <= ROW_WORDS, "they fit");

/* The integer sums of a tile, over a group of inputs or a block of positions. */
typedef ivec tile_sums[QUANT_ROWS][STRIP / WIDTH];

/* The sums of a tile over `steps` words. */
ALWAYS_INLINE void int16_sums(tile_sums sum, row_words *x, panel_words *w, int steps,
                              struct tile tile) {
    const int rows = tile.rows, vecs = tile.vecs, many = rows == 1 ? 0 : rows;
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = ivec_set(0);
        }
    }
    for (int some = 0; some < steps; some += 4)
        UNROLL for (int step = some; step < some + 4; step++) {
            ivec weights[STRIP / WIDTH];
            ivec x_first = ivec_set((uint32_t)x[0][step]);
            UNROLL for (int v = 0; v < vecs; v++) {
                weights[v] = ivec_load(&w[v * WIDTH / PANEL][step][v * WIDTH % PANEL]);
                if (rows == 1) { // at once: there are not enough registers to keep them all
                    sum[0][v] = ivec_add_pairs(sum[0][v], weights[v], x_first);
                    IN_ORDER(sum[0][v]);
                }
            }
            UNROLL for (int r = 0; r < many; r++) {
                ivec xs = ivec_set((uint32_t)x[r][step]);
                UNROLL for (int v = 0; v < vecs; v++) {
                    sum[r][v] = ivec_add_pairs(sum[r][v], weights[v], xs);
                    IN_ORDER(sum[r][v]);
                }
            }
        }
}

#endif
