/* x86_avx512.c - the variant for AVX-512 without VNNI: bytes are multiplied in 16-bit lanes. */
// ISA x86_64: -mavx512f -mavx512bw -mavx512dq -mavx512vl
// ISA x86_64: -mfma -mf16c -mprefer-vector-width=512
#include "kernels/x86_avx512.h"

#define Q8_ROWS       4 /* 20 registers: 16 sums, |x|, what to xor with, a product, a constant */
#define Q4_ROWS       5 /* 28 registers: 20 sums, 4 weights, 1 x, a product, 2 constants */
#define WORDS_TILE    5 /* 27 registers: 20 sums, 4 weights, x, a product */
#define Q8_VECS(rows) 4
#define Q4_VECS(rows) 4

ALWAYS_INLINE ivec ivec_pairs(ivec a, ivec b) {
    return _mm512_madd_epi16(a, b);
}

ALWAYS_INLINE ivec ivec_add_pairs(ivec sum, ivec a, ivec b) {
    ivec pairs;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(sum), "=&v"(pairs) : "v"(a), "v"(b));
    return sum;
}

ALWAYS_INLINE ivec ivec_pairs8(ivec u, ivec s) {
    return _mm512_maddubs_epi16(u, s);
}

ALWAYS_INLINE ivec ivec_xor(ivec a, ivec b) {
    return _mm512_xor_si512(a, b);
}

ALWAYS_INLINE ivec ivec_add16(ivec a, ivec b) {
    __asm__("vpaddw %1, %0, %0" : "+v"(a) : "v"(b));
    return a;
}

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(avx512, GEMM_ROWS, 4 * WIDTH);
