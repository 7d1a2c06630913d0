/* x86_avx512vnni.c - the variant for AVX-512 with VNNI: exact four-way dot products of bytes. */
// ISA x86_64: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
// ISA x86_64: -mfma -mf16c -mprefer-vector-width=512
#include "kernels/x86_vnni.h"

#include "kernels/peak.h"
#include "kernels/products.h"
#include "kernels/table.h"
#include "kernels/vectorized.h"

KERNELS_TABLE(avx512vnni, GEMM_ROWS, 4 * WIDTH);
