/* select.c - which kernel variants this CPU can run; the only file that queries the CPU. */
#include "base/os.h"
#include "kernels/variants.h"

#include <float.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>

/* Also checks that the operating system saves the wide registers. `feature` must be a literal. */
#define CPU_HAS(feature) __builtin_cpu_supports(feature)

/* Some compilers do not know F16C by name. It is bit 29 of ECX of leaf 1. */
static bool cpu_has_f16c(void) {
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 29);
}

/* Nor AVX-VNNI. It is bit 4 of EAX of leaf 7, subleaf 1. */
static bool cpu_has_avx_vnni(void) {
#if defined(EMULATE_AVX_VNNI)
    return true;
#else
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 4);
#endif
}

/* Nor AMX. Its tiles and their products of bytes are bits 24 and 25 of EDX of leaf 7. Bits 17 and
 * 18 of XCR0 say that the operating system saves tiles; bit 27 of ECX of leaf 1, that XCR0 can be
 * read.
 */
static bool cpu_has_amx(void) {
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
#endif

/* What no variant can do without. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "gpt2 runs on little-endian processors only: weights are used as they lie in their files"
#endif
#if FLT_EVAL_METHOD != 0
#error \
    "gpt2 needs float arithmetic that rounds to float; on 32-bit x86: CFLAGS='-O2 -msse2 -mfpmath=sse'"
#endif

#define VARIANT(name, runs_here)    \
    static bool runs_##name(void) { \
        return runs_here;           \
    }
#include "kernels/variants.def"

static const struct {
    const char *name;
    const struct kernels *kernels;
    bool (*runs_here)(void);
} variants[] = {
#define VARIANT(name, runs_here) {#name, &kernels_##name, runs_##name},
#include "kernels/variants.def"
};

#define N_VARIANTS (sizeof variants / sizeof *variants)

const struct kernels *kernels_variant(int i) {
    for (size_t v = 0; v < N_VARIANTS; v++)
        if (variants[v].runs_here() && i-- == 0)
            return variants[v].kernels;
    return NULL;
}

const struct kernels *kernels_select(const char *name) {
    const struct kernels *found = NULL;
    const struct kernels *variant;
    for (int i = 0; (variant = kernels_variant(i)); i++)
        if (!name || strcmp(name, variant->name) == 0)
            found = variant;
    return found;
}

bool kernels_is_known(const char *name) {
    for (size_t v = 0; v < N_VARIANTS; v++)
        if (strcmp(name, variants[v].name) == 0)
            return true;
    return false;
}

const char *kernels_names(void) {
    static const char names[] =
#define VARIANT(name, runs_here) ", " #name
#include "kernels/variants.def"
        ;
    return names + 2; // skips the first ", "
}

activation_fn kernels_activation(const struct kernels *kernels, const char *name) {
    for (const struct activation *a = kernels->activations; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a->fn;
    return NULL;
}
