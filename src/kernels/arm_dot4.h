/* arm_dot4.h - products of many quantized rows by SDOT, for quantized.h: the weights of a group are
 * copied as signed bytes in the order of Q8, from Q4 too, and four steps of x are loaded at once.
 */
#ifndef KERNELS_ARM_DOT4_H
#define KERNELS_ARM_DOT4_H

/* Both nibbles of 16 bytes go where Q8 has them: the high ones half a group later. */
ALWAYS_INLINE void unpack_panel(int32_t to[][PANEL], const char *from, struct panel_form form) {
    int8_t *bytes = (int8_t *)to;
    const uint8_t *packed = (const uint8_t *)from;
    const int half = form.group * PANEL / 2;
    for (int i = 0; i < half; i += 16) {
        if (form.bits == 4) {
            const int8x16_t zero = vdupq_n_s8(form.mins ? 0 : 8);
            uint8x16_t both = vld1q_u8(packed + i);
            int8x16_t low = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
            vst1q_s8(bytes + i, vsubq_s8(low, zero));
            vst1q_s8(bytes + half + i, vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8(both, 4)), zero));
        } else {
            ivec_store(bytes + i, q8_weights(ivec_load(from + i)));
            ivec_store(bytes + half + i, q8_weights(ivec_load(from + half + i)));
        }
    }
}

/* x is read as it is. */
ALWAYS_INLINE void unpack_row(row_words *to, struct quantized x, int r, struct panel_form form) {}

ALWAYS_INLINE ivec dot4_x(ivec sum, int8x16_t w, int8x16_t x, int step) {
    switch (step) {
    case 0:
        return vdotq_laneq_s32(sum, w, x, 0);
    case 1:
        return vdotq_laneq_s32(sum, w, x, 1);
    case 2:
        return vdotq_laneq_s32(sum, w, x, 2);
    default:
        return vdotq_laneq_s32(sum, w, x, 3);
    }
}

ALWAYS_INLINE void unpacked_sums(tile_sums sum, struct quantized x, row_words *xw, panel_words *w,
                                 int begin, struct prefetch *prefetch, struct tile tile,
                                 struct panel_form form) {
    const int rows = tile.rows, vecs = tile.vecs, panels = vecs * WIDTH / PANEL;
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < vecs; v++) {
            sum[r][v] = ivec_set(0);
        }
    }
    const int8_t *at = (const int8_t *)(w[0] + begin);
    for (int four = 0; four < quant_steps(form); four += 4) {
        int8x16_t xs[UNPACKED_TILE];
        UNROLL for (int r = 0; r < rows; r++) {
            xs[r] = vld1q_s8(x.q + (size_t)r * x.qs + 4 * four);
        }
        UNROLL for (int step = 0; step < 4; step++) {
            UNROLL for (int v = 0; v < vecs; v += 2) {
                const int8_t *pair = at + v * WIDTH / PANEL * (int)sizeof *w + step * 4 * PANEL +
                                     v * WIDTH % PANEL * 4;
                int8x16_t weights[2] = {vld1q_s8(pair), vld1q_s8(pair + 16)};
                UNROLL for (int j = 0; j < 2; j++) {
                    UNROLL for (int r = 0; r < rows; r++) {
                        sum[r][v + j] = dot4_x(sum[r][v + j], weights[j], xs[r], step);
                        IN_ORDER(sum[r][v + j]);
                    }
                }
            }
            prefetch_step(prefetch, step, panels, 1, 1, 1);
        }
        at += 16 * PANEL;
    }
}

#endif
