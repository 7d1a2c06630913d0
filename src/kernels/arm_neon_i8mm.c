/* arm_neon_i8mm.c - the variant for NEON with SDOT and SMMLA, which multiplies 2 x 8 bytes by
 * 8 x 2. */
// ISA aarch64: -march=armv8.2-a+dotprod+i8mm
#include "kernels/arm_sdot.h"

#define QUANT_UNPACKED      "kernels/arm_mmla.h"
#define UNPACKED_ROWS       5 /* more than one tile of the others */
#define UNPACKED_TILE       6 /* 29 registers: 24 sums, 3 x, 2 weights */
#define UNPACKED_LESS(form) 0

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(neon_i8mm, GEMM_ROWS, 4 * WIDTH);
