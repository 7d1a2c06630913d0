/* variants.h - declares the kernel variants of this build. */
#ifndef KERNELS_VARIANTS_H
#define KERNELS_VARIANTS_H

#include "kernels/kernels.h"

#define VARIANT(name, runs_here) extern const struct kernels kernels_##name;
#include "kernels/variants.def"

#endif
