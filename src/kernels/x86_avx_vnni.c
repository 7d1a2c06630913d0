/* x86_avx_vnni.c - the variant for AVX2 with AVX-VNNI: exact four-way dot products of bytes in
 * vectors of 8 lanes, for CPUs without AVX-512. */
// ISA x86_64: -mavx2 -mfma -mf16c
#include "kernels/x86_avx2.h"

#define QUANT_DOT4
#define Q8_ROWS       6 /* 15 registers: 12 sums, 2 weights, 1 x */
#define Q4_ROWS       3 /* 10 registers; with 4 rows gcc 12 keeps one on the stack */
#define WORDS_TILE    5 /* 13 registers: 10 sums, 2 weights, 1 x; the same */
#define Q8_VECS(rows) ((rows) == 1 ? 8 : 2)
#define Q4_VECS(rows) ((rows) == 1 ? 8 : 2)

/* The two functions in plain C, for tests on other CPUs. */
#if defined(EMULATE_AVX_VNNI)
#include "emulate_avx_vnni.h"
#else

/* {vex}: an assembler otherwise may take the form of AVX-512, which these CPUs lack. */
ALWAYS_INLINE ivec ivec_dot4(ivec sum, ivec u, ivec s) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(u), "x"(s));
    return sum;
}

ALWAYS_INLINE ivec ivec_add_pairs(ivec sum, ivec a, ivec b) {
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}

#endif

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(avx_vnni, GEMM_ROWS, 4 * WIDTH);
