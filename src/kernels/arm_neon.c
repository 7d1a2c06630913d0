/* arm_neon.c - the variant for arm64's base instruction set: bytes are multiplied in 16-bit lanes.
 */
// ISA aarch64: -march=armv8-a
#include "kernels/arm_neon.h"

#define QUANT_DOT4
#define QUANT_SIGNED
#define Q8_ROWS       4 /* 23 registers: 16 sums, 4 weights, x, a constant, a product */
#define Q4_ROWS       3 /* 19 registers; with 4 rows gcc spills in the forms with mins */
#define WORDS_TILE    3 /* 20 registers: 12 sums, 4 weights, x, 3 products */
#define Q8_VECS(rows) ((rows) == 1 ? 16 : 4)
#define Q4_VECS(rows) ((rows) == 1 ? 16 : 4)

/* Two products of bytes, up to 127 * 128 each, fit in 16 bits. */
ALWAYS_INLINE ivec ivec_dot4(ivec sum, ivec u, ivec s) {
    const int8x16_t a = vreinterpretq_s8_s32(u), b = vreinterpretq_s8_s32(s);
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(a, b)));
}

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(neon, GEMM_ROWS, 4 * WIDTH);
