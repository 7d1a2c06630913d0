/* fnv.h - FNV-1a (Fowler, Noll, Vo), 64 bits: short names for what was computed or asked for. */
#ifndef BASE_FNV_H
#define BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_START 0xCBF29CE484222325

/* `value` is a byte, or a word where words are what is hashed. */
static inline uint64_t fnv_mix(uint64_t hash, uint32_t value) {
    return (hash ^ value) * 0x100000001B3;
}

static inline uint64_t fnv_bytes(uint64_t hash, const void *bytes, size_t n) {
    for (const unsigned char *p = bytes; n > 0; n--, p++)
        hash = fnv_mix(hash, *p);
    return hash;
}

#endif
