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

#define QUANT_ROWS  WORDS_TILE  /* the most rows of any tile of integers */
#define WORDS_STEPS (GROUP / 2) /* steps of two inputs in a group */

/* A group of a panel and a group of a row of x. Each word has two adjacent inputs. */
typedef int32_t panel_words[WORDS_STEPS][PANEL];
typedef int32_t row_words[WORDS_STEPS];

/* The integer sums of a tile, over a group of inputs or a block of positions. */
typedef ivec tile_sums[QUANT_ROWS][STRIP / WIDTH];

_Static_assert(Q8_ROWS <= QUANT_ROWS && Q4_ROWS <= QUANT_ROWS, "no tile has more rows");

ALWAYS_INLINE void int16_sums(tile_sums sum, row_words *x, panel_words *w, struct prefetch prefetch,
                              struct tile tile) {
    const int rows = tile.rows, vecs = tile.vecs;
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = ivec_set(0);
        }
    }
    for (int some = 0; some < WORDS_STEPS; some += 4)
        UNROLL for (int step = some; step < some + 4; step++) {
            ivec weights[STRIP / WIDTH];
            UNROLL for (int v = 0; v < vecs; v++) {
                weights[v] = ivec_load(&w[v * WIDTH / PANEL][step][v * WIDTH % PANEL]);
            }
            UNROLL for (int r = 0; r < rows; r++) {
                ivec xs = ivec_set((uint32_t)x[r][step]);
                UNROLL for (int v = 0; v < vecs; v++) {
                    sum[r][v] = ivec_add_pairs(sum[r][v], weights[v], xs);
                    IN_ORDER(sum[r][v]);
                }
            }
            prefetch_step(prefetch, step, vecs * WIDTH / PANEL);
        }
}

#endif
