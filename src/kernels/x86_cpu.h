/* x86_cpu.h - queries of an x86-64 CPU, for variants.def and for what suits only some CPUs. From
 * any thread. Bits are those of Intel's Software Developer's Manual, volume 2A, CPUID. */
#ifndef KERNELS_X86_CPU_H
#define KERNELS_X86_CPU_H

#include <stdbool.h>

#if defined(__x86_64__)

/* Whether the CPU has a feature by the compiler's name, a literal, and the operating system saves
 * its registers. */
#define X86_CPU_HAS(feature) __builtin_cpu_supports(feature)

/* F16C is bit 29 of ECX of leaf 1. Some compilers do not know it by name. */
bool x86_cpu_has_f16c(void);

/* AVX-VNNI is bit 4 of EAX of leaf 7, subleaf 1. */
bool x86_cpu_has_avx_vnni(void);

/* AMX: tiles and their products of bytes are bits 24 and 25 of EDX of leaf 7. Bits 17 and 18 of
 * XCR0 say that the operating system saves tiles; bit 27 of ECX of leaf 1, that XCR0 can be read.
 * Asks the operating system for leave to use them. */
bool x86_cpu_has_amx(void);

/* Whether instructions of 512 bits run as two halves: AMD's CPUs with AVX-512 and without AVX-VNNI,
 * which are Zen 4. */
bool x86_cpu_splits_512(void);

#endif
#endif
