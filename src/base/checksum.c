/* checksum.c - eight lanes, each a chain of bijections over every eighth word:
 *
 *     lane = rotate(lane ^ word, 29) * odd
 *
 * For a given word this maps the lane one to one, and for a given lane the word: a single word that
 * differs leaves its lane different to the end, whatever follows. The lanes do not wait for each
 * other, so a multiplier that can begin one product in each cycle is always busy: 8 bytes a cycle,
 * which is faster than memory. */
#include "base/checksum.h"

#include <string.h>

#define LANES  8
#define STRIPE (LANES * sizeof(uint64_t))

/* Odd, with as many ones as zeros and no pattern: 2^64 / golden ratio, and two primes of xxHash. */
#define P1 0x9E3779B97F4A7C15u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u

static uint64_t rotate(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

/* Files are little-endian, and so are the words on every machine. */
static uint64_t word_at(const unsigned char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The lanes live in registers only if the loop over them is unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Lane after lane, and compilers must leave it at that: where they put all rotations before all
 * products, the multiplier waits for rotations, and everything takes twice as long. */
static inline void add_stripe(uint64_t lanes[LANES], const unsigned char *at) {
    UNROLL for (size_t i = 0; i < LANES; i++) {
        uint64_t lane = rotate(lanes[i] ^ word_at(at + 8 * i), 29) * P1;
        __asm__ volatile("" : "+r"(lane));
        lanes[i] = lane;
    }
}

uint64_t checksum(const void *data, size_t n_bytes) {
    const unsigned char *at = data;
    uint64_t lanes[LANES];
    for (size_t i = 0; i < LANES; i++)
        lanes[i] = (i + 1) * P2;
    size_t left = n_bytes;
    for (; left >= STRIPE; left -= STRIPE, at += STRIPE)
        add_stripe(lanes, at);
    if (left) { // filled up with zeros; the length tells them from real ones
        unsigned char last[STRIPE] = {0};
        memcpy(last, at, left);
        add_stripe(lanes, last);
    }
    uint64_t sum = n_bytes * P3;
    for (size_t i = 0; i < LANES; i++)
        sum = rotate(sum ^ lanes[i], 31) * P2;
    sum = (sum ^ sum >> 32) * P3; // the low bits of the last products reach no others by themselves
    return sum ^ sum >> 29;
}
