/* x86_cpu.c - what an x86-64 CPU has that compilers have no name for. */
// ISA x86_64: -msse2
#include "kernels/x86_cpu.h"

#include "base/os.h"

#include <cpuid.h>
#include <stdatomic.h>

bool x86_cpu_has_f16c(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 29);
}

bool x86_cpu_has_avx_vnni(void) {
#if defined(EMULATE_AVX_VNNI)
    return true;
#else
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 4);
#endif
}

bool x86_cpu_has_amx(void) {
#if defined(EMULATE_AMX)
    return true;
#else
    const unsigned tiles = 1u << 24 | 1u << 25, saved = 1u << 17 | 1u << 18;
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & 1u << 27) ||
        !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (edx & tiles) != tiles)
        return false;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (eax & saved) == saved && os_allow_tiles();
#endif
}

bool x86_cpu_splits_512(void) {
#if defined(EMULATE_AMX)
    return true; // so that tests see both
#else
    enum { NOT_ASKED, NO, YES };
    static atomic_int answer; // is kept, as a hypervisor answers cpuid, which takes microseconds
    int known = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known == NOT_ASKED) {
        known =
            X86_CPU_HAS("avx512f") && __builtin_cpu_is("amd") && !x86_cpu_has_avx_vnni() ? YES : NO;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == YES;
#endif
}
