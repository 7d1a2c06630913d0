/* x86_vnni.h - products of bytes and of 16-bit integers by AVX-512 VNNI, in vectors of 16 lanes. */
#ifndef KERNELS_X86_VNNI_H
#define KERNELS_X86_VNNI_H

#include "kernels/x86_avx512.h"
#include "kernels/x86_cpu.h"

#define QUANT_DOT4
#define Q8_ROWS       6 /* 29 registers: 24 sums, 4 weights, 1 x */
#define Q4_ROWS       5 /* 30 registers: 20 sums, 4 weights, 4 bytes, 1 x, a constant */
#define WORDS_TILE    6
#define Q8_VECS(rows) 4
#define Q4_VECS(rows) 4
/* Where 512 bits are one, two tiles that share what they prefetch are up to a third faster. */
#define QUANT_FEW_TILES (x86_cpu_splits_512() ? 2 : 1)

ALWAYS_INLINE ivec ivec_dot4(ivec sum, ivec u, ivec s) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(s));
    return sum;
}

ALWAYS_INLINE ivec ivec_add_pairs(ivec sum, ivec a, ivec b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

#endif
