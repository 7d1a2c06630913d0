/* kv_q8.h - scores_q8 and mix_q8 for all variants with vectors (contract: kernels.h; layout of a
 * block of the cache: forward/kv.h). quantized.h lists what a variant defines for them. */
#ifndef KERNELS_KV_Q8_H
#define KERNELS_KV_Q8_H

#include "kernels/quantized.h"

#define VALUE_STEP (2 * PANEL) /* bytes of two positions in a panel of values */

/* One row of x, all its groups, and the PANEL positions at at[i] in each block i. */
ALWAYS_INLINE void score_panels(float *y, struct quantized x, const unsigned char *const *at,
                                int n_groups, int blocks) {
    const int vecs = PANEL / WIDTH;
    const struct panel_form form = panel_form(KV_PANELS);
    for (int g = 0; g < n_groups; g++) {
        const size_t group = (size_t)g * panel_form_bytes(form);
        const ivec ones = q8_ones();
        ivec sum[KV_STREAMS][PANEL / WIDTH];
        struct x8 x8;
        x8_make(&x8, x, 0, form);
        UNROLL for (int i = 0; i < blocks; i++) {
            UNROLL for (int v = 0; v < vecs; v++) {
                sum[i][v] = q8_start(x, &x8, 0);
            }
        }
        for (int step = 0; step < KV_GROUP / 4; step++) {
            q8_x xs = q8_activations(x, &x8, 0, step);
            const size_t bytes = group + panel_form_head(form) + (size_t)step * 4 * PANEL;
            UNROLL for (int i = 0; i < blocks; i++) {
                UNROLL for (int v = 0; v < vecs; v++) {
                    ivec w = q8_weights(ivec_load(at[i] + bytes + v * 4 * WIDTH));
                    sum[i][v] = q8_add(sum[i][v], w, xs, ones);
                    IN_ORDER(sum[i][v]);
                }
            }
        }
        UNROLL for (int i = 0; i < blocks; i++) {
            UNROLL for (int v = 0; v < vecs; v++) {
                float *out = y + i * KV_BLOCK + v * WIDTH;
                vec scale =
                    vec_mul(load_f16(at[i] + group + v * 2 * WIDTH, WIDTH), vec_set(*x.scale));
                vec chain = load_f32(out, WIDTH);
                vec_store(out, vec_fma(ivec_to_f32(sum[i][v]), scale, chain), WIDTH);
            }
        }
        x = quant_from(x, 0, 1, form);
    }
}

static void scores_q8(float *y, struct quantized x, const void *const *keys, size_t ps,
                      int n_blocks, int n, int n_groups) {
    for (int panel = 0; panel < panels_count(n); panel++) {
        const unsigned char *at[KV_STREAMS];
        for (int i = 0; i < n_blocks; i++)
            at[i] = (const unsigned char *)keys[i] + (size_t)panel * ps;
#define PANELS(blocks) score_panels(y + panel * PANEL, x, at, n_groups, blocks)
        WITH_CONSTANT(n_blocks, KV_STREAMS + 1, PANELS)
#undef PANELS
    }
}

/* Continues the chains of a tile of y. */
ALWAYS_INLINE void mix_chain(struct y_rows y, ivec sum[][STRIP / WIDTH], const struct kv_weights *w,
                             struct tile tile) {
    UNROLL for (int v = 0; v < tile.vecs; v++) {
        const int lanes = tile_lanes(tile, v);
        if (lanes == 0)
            break;
        UNROLL for (int r = 0; r < tile.rows; r++) {
            float *out = y_from(y, r, v * WIDTH).p;
            vec chain = vec_fma(ivec_to_f32(sum[r][v]), vec_set(w[r].scale), load_f32(out, lanes));
            vec_store(out, chain, lanes);
        }
    }
}

/* One row: the n features of a panel, over the first `steps` pairs of positions of each block. */
ALWAYS_INLINE void mix_panels(float *y, const struct kv_weights *w, const unsigned char *const *at,
                              int n, int steps, int blocks) {
    const int vecs = PANEL / WIDTH;
    ivec sum[KV_STREAMS][1][STRIP / WIDTH];
    UNROLL for (int i = 0; i < blocks; i++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[i][0][v] = ivec_set(0);
        }
    }
    UNROLL_4 for (int step = 0; step < steps; step++) {
        LOADS_STAY();
        UNROLL for (int i = 0; i < blocks; i++) {
            ivec xs = ivec_set((uint32_t)w[i].pairs[step]);
            UNROLL for (int v = 0; v < vecs; v++) {
                ivec bytes = ivec_widen8(at[i] + step * VALUE_STEP + v * 2 * WIDTH);
                sum[i][0][v] = ivec_add_pairs(sum[i][0][v], bytes, xs);
                IN_ORDER(sum[i][0][v]);
            }
        }
    }
    UNROLL for (int i = 0; i < blocks; i++) // the order of the chain
        mix_chain((struct y_rows){y, 0}, sum[i], &w[i], (struct tile){1, vecs, n, false});
}

/* Many rows and one block, whose bytes are widened to 16-bit lanes once. */
ALWAYS_INLINE void mix_rows(struct y_rows y, const struct kv_weights *w,
                            const unsigned char *values, int m, int n) {
    panel_words words[KV_GROUP / PANEL];
    for (int c = 0; c < n; c += PANEL)
        for (int i = 0; i < KV_BLOCK / 2 * PANEL; i += WIDTH)
            ivec_store(&words[c / PANEL][0][0] + i,
                       ivec_widen8(values + (size_t)(c / PANEL) * KV_PANEL_BYTES + 2 * i));
    for (int rows; m > 0; m -= rows) {
        rows = m < WORDS_TILE ? m : WORDS_TILE;
        row_words x[QUANT_ROWS];
        for (int r = 0; r < rows; r++)
            memcpy(x[r], w[r].pairs, sizeof w[r].pairs);
        for (int c = 0; c < n; c += PANEL) {
            tile_sums sum;
            int left = n - c < PANEL ? n - c : PANEL;
#define TILE(rows)                                                   \
    do {                                                             \
        const struct tile tile = {rows, PANEL / WIDTH, left, false}; \
        int16_sums(sum, x, &words[c / PANEL], KV_BLOCK / 2, tile);   \
        mix_chain(y_from(y, 0, c), sum, w, tile);                    \
    } while (0)
            WITH_CONSTANT(rows, WORDS_TILE + 1, TILE)
#undef TILE
        }
        y = y_from(y, rows, 0);
        w += rows;
    }
}

static void mix_q8(float *y, size_t ys, const struct kv_weights *w, const void *const *values,
                   int n_blocks, int m, int n, int positions) {
    if (m > 1) {
        mix_rows((struct y_rows){y, ys}, w, values[0], m, n);
        return;
    }
    for (int c = 0; c < n; c += PANEL) {
        const unsigned char *at[KV_STREAMS];
        for (int i = 0; i < n_blocks; i++)
            at[i] = (const unsigned char *)values[i] + (size_t)(c / PANEL) * KV_PANEL_BYTES;
#define PANELS(blocks) \
    mix_panels(y + c, w, at, n - c < PANEL ? n - c : PANEL, (positions + 1) / 2, blocks)
        WITH_CONSTANT(n_blocks, KV_STREAMS + 1, PANELS)
#undef PANELS
    }
}

#endif
