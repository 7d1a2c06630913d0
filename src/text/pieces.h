/* pieces.h - the shortcut from a whole piece of text to its tokens, without merging.
 *
 * Nine pieces of ten are one token of the vocabulary, and the rest repeat. Pieces of up to 15
 * bytes are looked up as two integers: in a table of those tokens that merging their own bytes
 * makes (so that the shortcut is exact for any vocabulary), which is built once and shared, and
 * then in a cache of recently merged pieces, which belongs to one call of encode. */
#ifndef TEXT_PIECES_H
#define TEXT_PIECES_H

#include "text/bpe.h"
#include "text/word.h"

#define PIECE_MAX 15 /* bytes; the sixteenth byte of the key is the length */

struct piece_key {
    uint64_t lo, hi; /* the bytes, then zeros, then the length: never both 0 */
};

struct piece_slot {
    _Alignas(8) struct piece_key key; /* {0, 0}: free */
    int32_t id;
};

struct pieces {
    struct piece_slot *slots; /* [mask + 1], open addressing; frequent (low) ids come first */
    size_t mask;
    int shift;
    bool borrowed; /* the slots are not owned (tables.h) */
};

#define CACHED_IDS 3 /* pieces of more tokens are merged anew */

struct cached_piece {
    struct piece_key key;
    int32_t n, ids[CACHED_IDS];
};

#define CACHE_BITS 12
struct piece_cache {
    struct cached_piece slots[1 << CACHE_BITS]; /* direct-mapped */
};

/* NULL: out of memory. */
struct pieces *pieces_create(const struct vocab *vocab, const struct bpe *bpe,
                             struct gpt2_error *err);
void pieces_free(struct pieces *pieces); /* NULL is allowed */

/* The key of text[0..n), 1 <= n <= PIECE_MAX. */
static inline struct piece_key piece_key(const unsigned char *text, size_t n) {
    unsigned char bytes[16] = {0};
    memcpy(bytes, text, n);
    bytes[15] = (unsigned char)n;
    return (struct piece_key){word_load(bytes), word_load(bytes + 8)};
}

/* The same without a loop, where text[0..16) may be read. */
static inline struct piece_key piece_key_wide(const unsigned char *text, size_t n) {
    size_t n_lo = n < 8 ? n : 8, n_hi = n - n_lo;
    uint64_t lo = word_load(text), hi = word_load(text + 8);
    lo &= ~(uint64_t)0 >> (64 - 8 * n_lo); // n_lo is at least 1
    hi &= ((uint64_t)1 << 8 * n_hi) - 1;   // n_hi is at most 7
    return (struct piece_key){lo, hi | (uint64_t)n << 56};
}

static inline uint64_t piece_hash(struct piece_key key) {
    return key.lo * 0x9E3779B97F4A7C15u + key.hi * 0xC2B2AE3D27D4EB4Fu;
}

static inline bool piece_equal(struct piece_key a, struct piece_key b) {
    return ((a.lo ^ b.lo) | (a.hi ^ b.hi)) == 0;
}

/* Where the search for a piece begins. */
static inline const struct piece_slot *pieces_first(const struct pieces *pieces, uint64_t hash) {
    return &pieces->slots[hash >> pieces->shift];
}

/* The id of the token that the piece becomes, or -1 where it is not just one (or not known). */
static inline int32_t pieces_find(const struct pieces *pieces, struct piece_key key,
                                  uint64_t hash) {
    for (size_t i = (size_t)(hash >> pieces->shift);; i++) {
        const struct piece_slot *slot = &pieces->slots[i & pieces->mask];
        if (piece_equal(slot->key, key))
            return slot->id;
        if (slot->key.hi == 0)
            return -1;
    }
}

static inline struct cached_piece *piece_cached(struct piece_cache *cache, uint64_t hash) {
    return &cache->slots[hash >> (64 - CACHE_BITS)];
}

#endif
