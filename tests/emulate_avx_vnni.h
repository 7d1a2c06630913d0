/* emulate_avx_vnni.h - the two instructions of src/kernels/x86_avx_vnni.c as loops, so that any CPU
 * with AVX2 can test that variant. They are written from Intel's description of VPDPBUSD and
 * VPDPWSSD, which do not saturate. */

static __attribute__((noinline)) ivec ivec_dot4(ivec sum, ivec u, ivec s) {
    uint8_t ub[32];
    int8_t sb[32];
    int32_t lanes[8];
    memcpy(ub, &u, sizeof ub);
    memcpy(sb, &s, sizeof sb);
    memcpy(lanes, &sum, sizeof lanes);
    for (int i = 0; i < 32; i++)
        lanes[i / 4] += ub[i] * sb[i];
    memcpy(&sum, lanes, sizeof lanes);
    return sum;
}

static __attribute__((noinline)) ivec ivec_add_pairs(ivec sum, ivec a, ivec b) {
    int16_t aw[16], bw[16];
    int32_t lanes[8];
    memcpy(aw, &a, sizeof aw);
    memcpy(bw, &b, sizeof bw);
    memcpy(lanes, &sum, sizeof lanes);
    for (int i = 0; i < 16; i++)
        lanes[i / 2] += aw[i] * bw[i];
    memcpy(&sum, lanes, sizeof lanes);
    return sum;
}
