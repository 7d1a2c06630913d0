/* arm_neon_dotprod.c - the variant for NEON with SDOT: exact four-way dot products of bytes. */
// ISA aarch64: -march=armv8.2-a+dotprod
#include "kernels/arm_neon.h"

#define QUANT_DOT4
#define QUANT_SIGNED
#define Q8_ROWS        4 /* 23 registers: 16 sums, 4 weights, x, a constant, a product */
#define Q4_ROWS        4 /* the same */
#define WORDS_TILE     3 /* 20 registers: 12 sums, 4 weights, x, 3 products */
#define QUANT_UNPACKED "kernels/arm_dot4.h"
#define UNPACKED_ROWS  5 /* more than one tile of the others */
#define UNPACKED_TILE  5 /* 27 registers: 20 sums, 5 x, 2 weights */
#define Q8_VECS(rows)  ((rows) == 1 ? 16 : 4)
#define Q4_VECS(rows)  ((rows) == 1 ? 16 : 4)

ALWAYS_INLINE ivec ivec_dot4(ivec sum, ivec u, ivec s) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(u), vreinterpretq_s8_s32(s));
}

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(neon_dotprod, GEMM_ROWS, 4 * WIDTH);
