/* bpe_table.h - the merge list in memory, as bpe.c and bpe_long.c use it. */
#ifndef TEXT_BPE_TABLE_H
#define TEXT_BPE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_RANK INT32_MAX /* of a pair that is not in the merge list */

struct pair_slot {
    _Alignas(8) uint64_t key; /* left << 32 | right, plus 1 so that 0 is a free slot */
    int32_t rank;
};

struct bpe {
    int32_t byte_ids[256]; /* -1: the vocabulary lacks it */
    int shift;             /* 64 - log2 of the number of slots */
    size_t mask;
    struct pair_slot *pairs; /* [mask + 1], open addressing */
    uint64_t *filter;        /* a bit for each quarter slot: clear where no pair hashes */
    int32_t *results;        /* [n_merges], by rank: what the pair becomes */
    size_t n_merges;
    bool rising;   /* a merge ranks after all merges that make its halves: so training has it */
    bool borrowed; /* the arrays above are not owned (tables.h) */
};

static inline uint64_t bpe_key(int32_t left, int32_t right) {
    return ((uint64_t)left << 32 | (uint32_t)right) + 1;
}

static inline uint64_t bpe_hash(int32_t left, int32_t right) {
    return bpe_key(left, right) * 0x9E3779B97F4A7C15u;
}

/* The slot of a pair, or the free slot where it belongs. */
static inline struct pair_slot *bpe_find(const struct bpe *bpe, int32_t left, int32_t right) {
    uint64_t key = bpe_key(left, right);
    for (size_t i = (size_t)(bpe_hash(left, right) >> bpe->shift);; i++) {
        struct pair_slot *slot = &bpe->pairs[i & bpe->mask];
        if (slot->key == key || slot->key == 0)
            return slot;
    }
}

/* The rank of a pair, or NO_RANK, which most pairs have: for nine of ten of these the filter says
 * so, and it fits a nearer cache than the table. */
static inline int32_t bpe_rank(const struct bpe *bpe, int32_t left, int32_t right) {
    size_t bit = (size_t)(bpe_hash(left, right) >> (bpe->shift - 2));
    if (!(bpe->filter[bit / 64] >> bit % 64 & 1))
        return NO_RANK;
    return bpe_find(bpe, left, right)->rank;
}

#endif
