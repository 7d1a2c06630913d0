/* x86_avx512.c - AVX-512 as it was first: bytes are multiplied by way of 16-bit lanes. */
#if defined(__AVX512F__)
#include "kernels/x86_avx512.h"

#define QUANT_ROWS       4
#define QUANT_VECS(rows) 4 /* 16 sums, 8 weights, 2 activations: 26 registers and constants */

ALWAYS_INLINE ivec ivec_pairs(ivec a, ivec b) {
    return _mm512_madd_epi16(a, b);
}

ALWAYS_INLINE ivec ivec_pairs8(ivec u, ivec s) {
    return _mm512_maddubs_epi16(u, s);
}

ALWAYS_INLINE ivec ivec_xor(ivec a, ivec b) {
    return _mm512_xor_si512(a, b);
}

/* Where s is 0 its size is, too, and any sign will do. */
ALWAYS_INLINE ivec ivec_signed8(ivec a, ivec s) {
    return _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(s), _mm512_setzero_si512(), a);
}

ALWAYS_INLINE ivec ivec_add16(ivec a, ivec b) {
    return _mm512_add_epi16(a, b);
}

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/quantized.h"
#include "kernels/table.h"

const struct kernels kernels_avx512 = KERNELS_TABLE("avx512", GEMM_ROWS, 4 * WIDTH);
#else
typedef int not_on_this_cpu; // a file must not be empty
#endif
