/* arm_sdot.h - products of bytes by SDOT. */
#ifndef KERNELS_ARM_SDOT_H
#define KERNELS_ARM_SDOT_H

#include "kernels/arm_neon.h"

#define QUANT_DOT4
#define QUANT_SIGNED
#define Q8_ROWS       4 /* 23 registers: 16 sums, 4 weights, x, a constant, a product */
#define Q4_ROWS       4 /* the same */
#define WORDS_TILE    3 /* 20 registers: 12 sums, 4 weights, x, 3 products */
#define Q8_VECS(rows) ((rows) == 1 ? 16 : 4)
#define Q4_VECS(rows) ((rows) == 1 ? 16 : 4)

ALWAYS_INLINE ivec ivec_dot4(ivec sum, ivec u, ivec s) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(u), vreinterpretq_s8_s32(s));
}

#endif
