/* arm_neon.h - vectors of arm64's base instruction set, for all variants that have it: 4 lanes, 32
 * registers.
 *
 * A product takes x by element: one load has the elements of X_STEPS steps, and FMLA and SDOT name
 * the one they multiply with, so no step has a broadcast. FMAX and FMIN are not used, as they
 * return a NaN where x86's do not; nor are products of half precision (FMLA.8H, FMLAL, BFDOT),
 * whose roundings are others than those of an f32 fma. FPCR stays as a program starts with it, so
 * no denormal becomes zero.
 *
 * There is no variant for SVE. Where its vectors have 128 bits (Neoverse N2, V2) it multiplies as
 * much in a cycle as NEON, and the two 256-bit units of Neoverse V1 are its four of NEON; only
 * A64FX, with 512 bits, would gain. */
#ifndef KERNELS_ARM_NEON_H
#define KERNELS_ARM_NEON_H

#include "kernels/always_inline.h"

#include <arm_neon.h>
#include <stdint.h>

typedef float32x4_t vec;
#define TILES_FILL_REGISTERS
#define WIDTH                     4
#define GEMM_ROWS                 5 /* 27 registers: 20 sums, 5 x, 2 weights; with 6 rows gcc spills */
#define GEMM_VECS(rows)           ((rows) == 1 ? 16 : 4)
#define PREFETCH_AHEAD            0
#define PREFETCH_LEVEL            3
#define PREFETCH_STEP_LEVEL(size) 3
#define GEMM_DEPTH                256
#define GEMV_ROWS                 4
#define GEMV_VECS                 4
#define GEMV_DEPTH                8
#define GEMM_NT_ROWS              5

/* All bits set in the first n lanes. */
ALWAYS_INLINE uint32x4_t first(int n) {
    const int32x4_t lanes = {0, 1, 2, 3};
    return vcltq_s32(lanes, vdupq_n_s32(n));
}

ALWAYS_INLINE vec vec_set(float s) {
    return vdupq_n_f32(s);
}

ALWAYS_INLINE vec vec_fma(vec a, vec b, vec c) {
    return vfmaq_f32(c, a, b);
}

ALWAYS_INLINE vec vec_fma_n(vec a, vec b, vec c, int n) {
    return vbslq_f32(first(n), vfmaq_f32(c, a, b), c);
}

/* Not inlined: the branches of all stores of a tile would take compilers minutes. */
static __attribute__((noinline)) void store_some(float *p, vec v, int n) {
    if (n & 2)
        vst1_f32(p, vget_low_f32(v));
    if (n == 3)
        vst1q_lane_f32(p + 2, v, 2);
    else if (n == 1)
        vst1q_lane_f32(p, v, 0);
}

ALWAYS_INLINE void vec_store(float *p, vec v, int n) {
    if (n == WIDTH)
        vst1q_f32(p, v);
    else
        store_some(p, v, n);
}

/* Of n elements, 1 <= n < 4, the last one is read in place of those that follow. */
ALWAYS_INLINE vec load_f32(const void *p, int n) {
    const float *at = p;
    if (n == WIDTH)
        return vld1q_f32(at);
    vec v = vld1q_dup_f32(at);
    v = vld1q_lane_f32(at + (n > 1), v, 1);
    v = vld1q_lane_f32(at + (n - 1), v, 2);
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), first(n)));
}

/* 4 elements of 16 bits. */
ALWAYS_INLINE uint16x4_t load_16(const void *p, int n) {
    const uint16_t *at = p;
    if (n == WIDTH)
        return vld1_u16(at);
    uint16x4_t v = vld1_dup_u16(at);
    v = vld1_lane_u16(at + (n > 1), v, 1);
    v = vld1_lane_u16(at + (n - 1), v, 2);
    return vand_u16(v, vmovn_u32(first(n)));
}

ALWAYS_INLINE vec load_f16(const void *p, int n) {
    return vcvt_f32_f16(vreinterpret_f16_u16(load_16(p, n)));
}

ALWAYS_INLINE vec load_bf16(const void *p, int n) {
    return vreinterpretq_f32_u32(vshll_n_u16(load_16(p, n), 16));
}

/* Elements of x for 4 steps, and the products with that of one of them. */
#define X_STEPS 4
typedef float32x4_t xvec;

ALWAYS_INLINE xvec x_load(const float *p, int steps) {
    return load_f32(p, steps);
}

/* In assembly that adds in place: from the intrinsic gcc makes a broadcast for all products of an
 * element, and a copy of a sum before and after. */
#define FMLA_LANE(sum, w, x, lane) \
    __asm__ volatile("fmla %0.4s, %1.4s, %2.s[" #lane "]" : "+w"(sum) : "w"(w), "w"(x) : "memory")

#define ADD_PRODUCT_X(sum, x, i, w)  \
    do {                             \
        if ((i) == 0)                \
            FMLA_LANE(sum, w, x, 0); \
        else if ((i) == 1)           \
            FMLA_LANE(sum, w, x, 1); \
        else if ((i) == 2)           \
            FMLA_LANE(sum, w, x, 2); \
        else                         \
            FMLA_LANE(sum, w, x, 3); \
    } while (0)

/* In one piece of assembly: gcc copies the sums of each, and where each product has its own, some
 * of the copies stay. */
#define FMLA(sum, w, x, lane) "fmla %[" #sum "].4s, %[" #w "].4s, %[" #x "].s[" #lane "]\n\t"
#define FMLA_5(s, w, lane)  \
    FMLA(s##0, w, x0, lane) \
    FMLA(s##1, w, x1, lane) \
    FMLA(s##2, w, x2, lane) FMLA(s##3, w, x3, lane) FMLA(s##4, w, x4, lane)
#define FMLA_TILE(sum, v, x, w, lane)                                                      \
    __asm__ volatile(                                                                      \
        FMLA_5(a, w0, lane) FMLA_5(b, w1, lane)                                            \
        : [a0] "+&w"((sum)[0][v]), [a1] "+&w"((sum)[1][v]), [a2] "+&w"((sum)[2][v]),       \
          [a3] "+&w"((sum)[3][v]), [a4] "+&w"((sum)[4][v]), [b0] "+&w"((sum)[0][(v) + 1]), \
          [b1] "+&w"((sum)[1][(v) + 1]), [b2] "+&w"((sum)[2][(v) + 1]),                    \
          [b3] "+&w"((sum)[3][(v) + 1]), [b4] "+&w"((sum)[4][(v) + 1])                     \
        : [w0] "w"((w)[0]), [w1] "w"((w)[1]), [x0] "w"((x)[0]), [x1] "w"((x)[1]),          \
          [x2] "w"((x)[2]), [x3] "w"((x)[3]), [x4] "w"((x)[4])                             \
        : "memory")
_Static_assert(GEMM_ROWS == 5, "the rows of FMLA_TILE");

#define ADD_PRODUCTS_X(sum, v, x, i, w) \
    do {                                \
        if ((i) == 0)                   \
            FMLA_TILE(sum, v, x, w, 0); \
        else if ((i) == 1)              \
            FMLA_TILE(sum, v, x, w, 1); \
        else if ((i) == 2)              \
            FMLA_TILE(sum, v, x, w, 2); \
        else                            \
            FMLA_TILE(sum, v, x, w, 3); \
    } while (0)

ALWAYS_INLINE vec vec_max(vec a, vec b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

ALWAYS_INLINE vec vec_min(vec a, vec b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

ALWAYS_INLINE vec vec_mul(vec a, vec b) {
    return vmulq_f32(a, b);
}

ALWAYS_INLINE float lanes_sum(const vec p[4]) {
    vec four = vaddq_f32(vaddq_f32(p[0], p[2]), vaddq_f32(p[1], p[3]));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* Doubles, for low_rank.h. */
typedef float64x2_t dvec;
#define LOW_RANK_ROWS 3 /* 18 registers: 12 sums, 4 of v, 1 of u, a product; with 4 gcc spills */
#define LOW_RANK_VECS 4

ALWAYS_INLINE dvec dvec_widen(const void *p) {
    return vcvt_f64_f32(vreinterpret_f32_u8(vld1_u8(p)));
}

ALWAYS_INLINE void dvec_narrow(float *p, dvec v) {
    vst1_f32(p, vcvt_f32_f64(v));
}

/* Integers, for quantized.h. */
typedef int32x4_t ivec;

ALWAYS_INLINE ivec ivec_set(uint32_t word) {
    return vdupq_n_s32((int32_t)word);
}

ALWAYS_INLINE ivec ivec_load(const void *p) {
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

ALWAYS_INLINE void ivec_store(void *p, ivec a) {
    vst1q_u8(p, vreinterpretq_u8_s32(a));
}

ALWAYS_INLINE ivec ivec_add(ivec a, ivec b) {
    return vaddq_s32(a, b);
}

ALWAYS_INLINE ivec ivec_and(ivec a, ivec b) {
    return vandq_s32(a, b);
}

ALWAYS_INLINE ivec ivec_xor(ivec a, ivec b) {
    return veorq_s32(a, b);
}

/* Of bytes: what is shifted in from the other half of 16 bits is masked away by the caller. */
ALWAYS_INLINE ivec ivec_shift16(ivec a, int n) {
    return vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(a), vdupq_n_s16((int16_t)-n)));
}

ALWAYS_INLINE vec ivec_to_f32(ivec a) {
    return vcvtq_f32_s32(a);
}

ALWAYS_INLINE ivec ivec_max(ivec a, ivec b) {
    return vmaxq_s32(a, b);
}

ALWAYS_INLINE int32_t ivec_largest(ivec a) {
    return vmaxvq_s32(a);
}

ALWAYS_INLINE int32_t ivec_total(ivec a) {
    return vaddvq_s32(a);
}

ALWAYS_INLINE void ivec_largest_4(int32_t largest[4], const ivec a[4]) {
    vst1q_s32(largest, vpmaxq_s32(vpmaxq_s32(a[0], a[1]), vpmaxq_s32(a[2], a[3])));
}

ALWAYS_INLINE void ivec_total_4(int32_t total[4], const ivec a[4]) {
    vst1q_s32(total, vpaddq_s32(vpaddq_s32(a[0], a[1]), vpaddq_s32(a[2], a[3])));
}

ALWAYS_INLINE ivec ivec_widen8(const void *p) {
    return vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p)));
}

ALWAYS_INLINE ivec ivec_add_pairs(ivec sum, ivec a, ivec b) {
    const int16x8_t u = vreinterpretq_s16_s32(a), s = vreinterpretq_s16_s32(b);
    int32x4_t low = vmull_s16(vget_low_s16(u), vget_low_s16(s));
    return vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(u, s)));
}

ALWAYS_INLINE int16x8_t narrow(ivec a, ivec b) {
    return vmovn_high_s32(vmovn_s32(a), b);
}

ALWAYS_INLINE void store_i16(int16_t *p, const ivec v[4]) {
    vst1q_s16(p, narrow(v[0], v[1]));
    vst1q_s16(p + 8, narrow(v[2], v[3]));
}

ALWAYS_INLINE void store_i8(int8_t *p, const ivec v[8]) {
    vst1q_s8(p, vmovn_high_s16(vmovn_s16(narrow(v[0], v[1])), narrow(v[2], v[3])));
    vst1q_s8(p + 16, vmovn_high_s16(vmovn_s16(narrow(v[4], v[5])), narrow(v[6], v[7])));
}

#endif
