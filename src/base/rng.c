/* rng.c - Philox4x32-10. */
#include "base/rng.h"

static inline void philox(uint32_t c[4], uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53 * c[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57 * c[2];
        c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
        c[1] = (uint32_t)p1;
        c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[3] = (uint32_t)p0;
        k0 += 0x9E3779B9; // the golden ratio and sqrt(3) - 1, as fractions of 2^32
        k1 += 0xBB67AE85;
    }
}

void rng_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    for (int w = 0; w < 4; w++)
        out[w] = counter[w];
    philox(out, key[0], key[1]);
}

void rng_philox_run(uint32_t out[4][RNG_RUN], uint32_t first, const uint32_t rest[3],
                    const uint32_t key[2]) {
    for (uint32_t i = 0; i < RNG_RUN; i++) {
        uint32_t c[4] = {first + i, rest[0], rest[1], rest[2]};
        philox(c, key[0], key[1]);
        for (int w = 0; w < 4; w++)
            out[w][i] = c[w];
    }
}
