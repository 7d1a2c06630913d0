/* rng.h - Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011: "Parallel random numbers: as easy as
 * 1, 2, 3"): a counter-based generator. The same key and counter give the same words, anywhere. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

void rng_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* RNG_RUN blocks with the counters first..first + RNG_RUN - 1, each followed by `rest`, in one call
 * that compilers turn into vector instructions: out[w][i] is word w of block i. */
#define RNG_RUN 64
void rng_philox_run(uint32_t out[4][RNG_RUN], uint32_t first, const uint32_t rest[3],
                    const uint32_t key[2]);

#endif
