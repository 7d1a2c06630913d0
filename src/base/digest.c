/* digest.c - SHA-1 and SHA-256 (FIPS 180-4). */
#include "base/digest.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t right(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

static uint32_t left(uint32_t x, int n) {
    return x << n | x >> (32 - n);
}

static uint32_t big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sha256_block(uint32_t state[8], const unsigned char *block) {
    uint32_t w[64];
    for (int t = 0; t < 16; t++)
        w[t] = big_endian(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = right(w[t - 15], 7) ^ right(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = right(w[t - 2], 17) ^ right(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
        uint32_t choice = (e & f) ^ (~e & g), majority = (a & b) ^ (a & c) ^ (b & c);
        uint32_t t1 = h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + choice + sha256_k[t] + w[t];
        uint32_t t2 = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + majority;
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    const uint32_t sum[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        state[i] += sum[i];
}

static void sha1_block(uint32_t state[8], const unsigned char *block) {
    static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80];
    for (int t = 0; t < 16; t++)
        w[t] = big_endian(block + 4 * t);
    for (int t = 16; t < 80; t++)
        w[t] = left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int t = 0; t < 80; t++) {
        uint32_t mix = t < 20              ? (b & c) ^ (~b & d)
                       : t >= 40 && t < 60 ? (b & c) ^ (b & d) ^ (c & d)
                                           : b ^ c ^ d;
        uint32_t next = left(a, 5) + mix + e + k[t / 20] + w[t];
        e = d;
        d = c;
        c = left(b, 30);
        b = a;
        a = next;
    }
    const uint32_t sum[5] = {a, b, c, d, e};
    for (int i = 0; i < 5; i++)
        state[i] += sum[i];
}

static void add_block(struct digest *digest, const unsigned char *block) {
    (digest->kind == DIGEST_SHA256 ? sha256_block : sha1_block)(digest->state, block);
}

void digest_start(struct digest *digest, enum digest_kind kind) {
    static const uint32_t initial[2][8] = {
        {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0},
        {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
         0x5be0cd19},
    };
    *digest = (struct digest){.kind = kind};
    memcpy(digest->state, initial[kind], sizeof digest->state);
}

void digest_add(struct digest *digest, const void *data, size_t n_bytes) {
    const unsigned char *at = data;
    while (n_bytes > 0) {
        size_t held = digest->n_bytes % 64, room = 64 - held, n = n_bytes < room ? n_bytes : room;
        if (n == 64) { // whole blocks are taken where they lie
            add_block(digest, at);
        } else {
            memcpy(digest->block + held, at, n);
            if (n == room)
                add_block(digest, digest->block);
        }
        digest->n_bytes += n;
        at += n;
        n_bytes -= n;
    }
}

/* A one bit, zeros, and the number of bits as the last 8 bytes of a block. */
static void pad(struct digest *digest) {
    uint64_t bits = digest->n_bytes * 8;
    unsigned char tail[72] = {0x80};
    size_t held = digest->n_bytes % 64, zeros = (held < 56 ? 56 : 120) - held;
    for (int i = 0; i < 8; i++)
        tail[zeros + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
    digest_add(digest, tail, zeros + 8);
}

void digest_end(struct digest *digest, char hex[DIGEST_HEX]) {
    static const char digits[] = "0123456789abcdef";
    pad(digest);
    int n = digest->kind == DIGEST_SHA256 ? 64 : 40;
    for (int i = 0; i < n; i++)
        hex[i] = digits[digest->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    hex[n] = 0;
}
