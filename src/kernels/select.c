/* select.c - which kernel variants this CPU can run. */
#include "base/os.h"
#include "kernels/variants.h"
#include "kernels/x86_cpu.h"

#include <float.h>
#include <string.h>

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
