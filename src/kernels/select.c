/* select.c - which kernel variants this CPU can run. The only file that asks the CPU what it has.
 */
#include "kernels/variants.h"

#include <stdbool.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static bool always(void) {
    return true;
}

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks whether the operating system saves the wide registers. Not all
 * compilers know F16C by name: bit 29 of ECX of leaf 1. */
static bool has_avx2(void) {
    unsigned eax, ebx, ecx, edx;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 29);
}

static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool has_avx512vnni(void) {
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

/* Slowest first. */
static const struct {
    const struct kernels *kernels;
    bool (*runs_here)(void);
} variants[] = {
    {&kernels_generic, always},
#if defined(__x86_64__)
    {&kernels_avx2, has_avx2},
    {&kernels_avx512, has_avx512},
    {&kernels_avx512vnni, has_avx512vnni},
#endif
};

const struct kernels *kernels_variant(int i) {
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++)
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

activation_fn kernels_activation(const struct kernels *kernels, const char *name) {
    for (const struct activation *a = kernels->activations; a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a->fn;
    return NULL;
}
