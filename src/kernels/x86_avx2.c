/* x86_avx2.c - the variant for AVX2 without VNNI: bytes are multiplied in 16-bit lanes. */
// ISA x86_64: -mavx2 -mfma -mf16c
#include "kernels/x86_avx2.h"

#define Q8_ROWS       3 /* 16 registers: 12 sums, |x|, what to xor with, a product, a constant */
#define Q4_ROWS       5 /* 15 registers: 10 sums, 2 weights, 1 x, a product, a constant */
#define WORDS_TILE    4 /* 12 registers: 8 sums, 2 weights, x, a product; gcc needs a few more */
#define Q8_VECS(rows) ((rows) == 1 ? 8 : 4)
#define Q4_VECS(rows) ((rows) == 1 ? 8 : 2)

ALWAYS_INLINE ivec ivec_pairs(ivec a, ivec b) {
    return _mm256_madd_epi16(a, b);
}

/* Its product has a register of its own: gcc otherwise gives it that of a sum, which moves. */
ALWAYS_INLINE ivec ivec_add_pairs(ivec sum, ivec a, ivec b) {
    __asm__("vpmaddwd %2, %1, %%ymm15\n\tvpaddd %%ymm15, %0, %0"
            : "+x"(sum)
            : "x"(a), "x"(b)
            : "xmm15");
    return sum;
}

ALWAYS_INLINE ivec ivec_pairs8(ivec u, ivec s) {
    return _mm256_maddubs_epi16(u, s);
}

ALWAYS_INLINE ivec ivec_xor(ivec a, ivec b) {
    return _mm256_xor_si256(a, b);
}

ALWAYS_INLINE ivec ivec_add16(ivec a, ivec b) {
    __asm__("vpaddw %1, %0, %0" : "+x"(a) : "x"(b));
    return a;
}

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(avx2, GEMM_ROWS, 4 * WIDTH);
