/* arm_neon_dotprod.c - the variant for NEON with SDOT: exact four-way dot products of bytes. */
// ISA aarch64: -march=armv8.2-a+dotprod
#include "kernels/arm_sdot.h"

#define QUANT_UNPACKED "kernels/arm_dot4.h"
#define UNPACKED_ROWS  5 /* more than one tile of the others */
#define UNPACKED_TILE  5 /* 27 registers: 20 sums, 5 x, 2 weights */
// in groups of less than GROUP the float part is in the loop, too
#define UNPACKED_LESS(form) ((form).group < GROUP ? 1 + (form).mins : 0)

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(neon_dotprod, GEMM_ROWS, 4 * WIDTH);
