/* emulate_avx_vnni.h - the two instructions of src/kernels/x86_avx_vnni.c in plain C, so that any
 * CPU with AVX2 can test that variant. They are written from Intel's description of VPDPBUSD and
 * VPDPWSSD, which do not saturate. Lanes are GNU C vectors: loops over bytes take minutes. */

typedef uint32_t emulated_u32 __attribute__((vector_size(32)));
typedef int32_t emulated_i32 __attribute__((vector_size(32)));

/* Byte k of each lane, with its sign. */
static inline emulated_i32 emulated_signed_byte(emulated_u32 lanes, int k) {
    return (emulated_i32)(lanes << (24 - 8 * k)) >> 24;
}

static __attribute__((noinline)) ivec ivec_dot4(ivec sum, ivec u, ivec s) {
    emulated_u32 total = (emulated_u32)sum;
    for (int k = 0; k < 4; k++)
        total += ((emulated_u32)u >> 8 * k & 255) *
                 (emulated_u32)emulated_signed_byte((emulated_u32)s, k);
    return (ivec)total;
}

static __attribute__((noinline)) ivec ivec_add_pairs(ivec sum, ivec a, ivec b) {
    emulated_u32 total = (emulated_u32)sum;
    for (int k = 0; k < 2; k++) // the low half of each lane, the high half
        total += (emulated_u32)((emulated_i32)((emulated_u32)a << (16 - 16 * k)) >> 16) *
                 (emulated_u32)((emulated_i32)((emulated_u32)b << (16 - 16 * k)) >> 16);
    return (ivec)total;
}
