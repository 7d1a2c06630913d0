/* runtime_internal.h - what a gpt2_runtime is made of. */
#ifndef MACHINE_RUNTIME_INTERNAL_H
#define MACHINE_RUNTIME_INTERNAL_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include <gpt2/runtime.h>

struct gpt2_runtime {
    struct pool *pool;
    const struct kernels *kernels;
    const struct kernels *attention_kernels; /* the same, but for a profile: counted apart */
};

#endif
