/* variants.h - the variants that exist in this build, for select.c and for the files that define
 * them. */
#ifndef KERNELS_VARIANTS_H
#define KERNELS_VARIANTS_H

#include "kernels/kernels.h"

#define VARIANT(name, runs_here) extern const struct kernels kernels_##name;
#include "kernels/variants.def"

#endif
