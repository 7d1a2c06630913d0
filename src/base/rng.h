/* rng.h - Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011: "Parallel random numbers: as easy as
 * 1, 2, 3"): a counter-based generator. The same key and counter give the same words, anywhere. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

void rng_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* A double in [0, 1): the top 53 bits of words 1:0 of the block. */
double rng_uniform(const uint32_t counter[4], const uint32_t key[2]);

#endif
