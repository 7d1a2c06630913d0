/* arm_mmla.h - products of many quantized rows by SMMLA, for quantized.h.
 *
 * SMMLA multiplies two rows of 8 bytes with two outputs of 8 bytes. The copy of a group of a panel
 * has, for each 8 inputs, the outputs in pairs; that of x has the rows in pairs. A sum holds two
 * outputs of one row, then the same of the next one. */
#ifndef KERNELS_ARM_MMLA_H
#define KERNELS_ARM_MMLA_H

#define PAIRS (UNPACKED_TILE / 2)

ALWAYS_INLINE ivec bytes_less(ivec a, ivec b) {
    return vreinterpretq_s32_s8(vsubq_s8(vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)));
}

/* Two steps of four inputs: the bytes of each output come together. */
ALWAYS_INLINE void pair_steps(int8_t *to, int32x4_t first, int32x4_t second) {
    vst1q_s8(to, vreinterpretq_s8_s32(vzip1q_s32(first, second)));
    vst1q_s8(to + 16, vreinterpretq_s8_s32(vzip2q_s32(first, second)));
}

ALWAYS_INLINE void unpack_panel(int32_t to[][PANEL], const char *from, struct panel_form form) {
    int8_t *bytes = (int8_t *)to;
    const int line = 4 * PANEL, half = form.group * PANEL / 2;
    const ivec zero = ivec_set(form.mins ? 0 : 0x08080808), mask = q4_mask();
    for (int i = 0; i < (form.bits == 4 ? half : 2 * half); i += 2 * line)
        UNROLL for (int c = 0; c < line; c += 16) {
            ivec one = ivec_load(from + i + c), two = ivec_load(from + i + line + c);
            int8_t *at = bytes + i + 2 * c;
            if (form.bits == 4) {
                pair_steps(at, bytes_less(q4_nibbles(one, mask, false), zero),
                           bytes_less(q4_nibbles(two, mask, false), zero));
                pair_steps(at + half, bytes_less(q4_nibbles(one, mask, true), zero),
                           bytes_less(q4_nibbles(two, mask, true), zero));
            } else {
                pair_steps(at, q8_weights(one), q8_weights(two));
            }
        }
}

#define X_STEP (PAIRS * 16) /* bytes of all pairs of rows, 8 inputs of each */
_Static_assert(X_STEP *PANEL_MAX_GROUP / 8 <= (int)sizeof(row_words[QUANT_ROWS]), "they fit");

/* 8 inputs of all rows, then the next 8: a step loads them side by side. */
ALWAYS_INLINE void unpack_row(row_words *to, struct quantized x, int r, struct panel_form form) {
    const int8_t *row = x.q + (size_t)r * x.qs;
    int8_t *at = (int8_t *)to + r * 8;
    UNROLL for (int i = 0; i < form.group / 8; i++) {
        vst1_s8(at + i * X_STEP, vld1_s8(row + i * 8));
        if (r % 2 == 0) // a last row may have no partner: any number will do
            vst1_s8(at + i * X_STEP + 8, vdup_n_s8(0));
    }
}

ALWAYS_INLINE void unpacked_sums(tile_sums sum, struct quantized x, row_words *xw, panel_words *w,
                                 int begin, struct prefetch *prefetch, struct tile tile,
                                 struct panel_form form) {
    const int pairs = (tile.rows + 1) / 2, outs = tile.vecs * WIDTH / 2;
    const int8_t *at = (const int8_t *)(w[0] + begin), *x_at = (const int8_t *)xw;
    OPAQUE(x_at);
    ivec part[PAIRS][STRIP / 2];
    UNROLL for (int p = 0; p < pairs; p++) {
        UNROLL for (int o = 0; o < outs; o++) {
            part[p][o] = ivec_set(0);
        }
    }
    for (int step = 0; step < form.group / 8; step++) {
        int8x16_t xs[PAIRS];
        UNROLL for (int p = 0; p < pairs; p++) {
            xs[p] = vld1q_s8(x_at + 16 * p);
        }
        UNROLL for (int o = 0; o < outs; o += 2) {
            const int8_t *two = at + o / (PANEL / 2) * (int)sizeof *w + o % (PANEL / 2) * 16;
            int8x16_t weights[2] = {vld1q_s8(two), vld1q_s8(two + 16)};
            UNROLL for (int j = 0; j < 2; j++) {
                UNROLL for (int p = 0; p < pairs; p++) {
                    part[p][o + j] = vmmlaq_s32(part[p][o + j], xs[p], weights[j]);
                    IN_ORDER(part[p][o + j]);
                }
            }
        }
        prefetch_step(prefetch, step, tile.vecs * WIDTH / PANEL, 1, 2, 1); // steps of four inputs
        x_at += X_STEP;
        at += 8 * PANEL;
    }
    UNROLL for (int r = 0; r < tile.rows; r++) {
        UNROLL for (int v = 0; v < tile.vecs; v++) {
            int64x2_t a = vreinterpretq_s64_s32(part[r / 2][2 * v]);
            int64x2_t b = vreinterpretq_s64_s32(part[r / 2][2 * v + 1]);
            sum[r][v] = vreinterpretq_s32_s64(r % 2 ? vzip2q_s64(a, b) : vzip1q_s64(a, b));
        }
    }
}

#endif
