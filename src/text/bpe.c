/* bpe.c - the merge list as a hash table, and merging of short pieces: the ranks of all adjacent
 * pairs in an array, scanned for the least. Long pieces: bpe_long.c. Both give what the rule in
 * bpe.h says, for any merge list, also one that no training would produce. */
#include "text/bpe.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "text/bpe_long.h"
#include "text/bpe_table.h"
#include "text/ids.h"

/* Finds out whether a new token can only ever take part in merges of higher rank than its own. */
static bool find_rising(bool *rising, const struct bpe *bpe, const struct vocab *vocab, bool unique,
                        struct gpt2_error *err) {
    int32_t *made_at = os_alloc((size_t)vocab->size, sizeof *made_at, "the merge table", err);
    if (!made_at) // [size], by id: one more than the last rank that makes it; 0: none
        return false;
    *rising = true;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < vocab->n_merges; i++) {
            const struct vocab_merge *merge = &vocab->merges[i];
            int32_t rank = unique ? (int32_t)i : bpe_rank(bpe, merge->left, merge->right);
            if (pass == 0)
                made_at[merge->result] =
                    rank >= made_at[merge->result] ? rank + 1 : made_at[merge->result];
            else if (made_at[merge->left] > rank || made_at[merge->right] > rank)
                *rising = false;
        }
    }
    os_free(made_at);
    return true;
}

/* The table is larger than the nearer caches: slots come from memory while earlier ones are filled.
 */
#define FILL_AHEAD 16

/* Fills in all merges. True if no pair is listed twice; one that is has its last rank, as in the
 * reference implementations. */
static bool fill(struct bpe *bpe, const struct vocab *vocab) {
    bool unique = true;
    for (size_t i = 0; i <= bpe->mask; i++)
        bpe->pairs[i].rank = NO_RANK;
    for (size_t rank = 0; rank < vocab->n_merges; rank++) {
        const struct vocab_merge *merge = &vocab->merges[rank];
        if (rank + FILL_AHEAD < vocab->n_merges) {
            uint64_t later = bpe_hash(merge[FILL_AHEAD].left, merge[FILL_AHEAD].right);
            __builtin_prefetch(&bpe->pairs[later >> bpe->shift], 1);
        }
        struct pair_slot *slot = bpe_find(bpe, merge->left, merge->right);
        size_t bit = (size_t)(bpe_hash(merge->left, merge->right) >> (bpe->shift - 2));
        bpe->filter[bit / 64] |= (uint64_t)1 << bit % 64;
        unique &= slot->key == 0;
        *slot = (struct pair_slot){bpe_key(merge->left, merge->right), (int32_t)rank};
        bpe->results[rank] = merge->result;
    }
    return unique;
}

struct bpe *bpe_create(const struct vocab *vocab, struct gpt2_error *err) {
    struct bpe *bpe = os_alloc(1, sizeof *bpe, "the tokenizer", err);
    if (!bpe)
        return NULL;
    int bits = 4;
    while ((size_t)1 << bits < vocab->n_merges * 2)
        bits++;
    bpe->shift = 64 - bits;
    bpe->mask = ((size_t)1 << bits) - 1;
    bpe->n_merges = vocab->n_merges;
    bpe->results = os_alloc(vocab->n_merges, sizeof *bpe->results, "the merge table", err);
    bpe->pairs = os_alloc(bpe->mask + 1, sizeof *bpe->pairs, "the merge table", err);
    bpe->filter = os_alloc((bpe->mask + 1) * 4 / 64, sizeof *bpe->filter, "the merge table", err);
    if (!bpe->pairs || !bpe->filter || !bpe->results) {
        bpe_free(bpe);
        return NULL;
    }
    bool unique = fill(bpe, vocab);
    for (int byte = 0; byte < 256; byte++) {
        unsigned char text = (unsigned char)byte;
        bpe->byte_ids[byte] = vocab_find(vocab, &text, 1);
    }
    if (!find_rising(&bpe->rising, bpe, vocab, unique, err)) {
        bpe_free(bpe);
        return NULL;
    }
    return bpe;
}

void bpe_free(struct bpe *bpe) {
    if (!bpe)
        return;
    if (!bpe->borrowed) {
        os_free(bpe->pairs);
        os_free(bpe->filter);
        os_free(bpe->results);
    }
    os_free(bpe);
}

int bpe_merge_short(const struct bpe *bpe, const unsigned char *text, int n, int32_t *out) {
    int32_t ranks[BPE_SHORT + 1]; // ranks[i]: of the pair (out[i], out[i + 1])
    for (int i = 0; i < n; i++) {
        out[i] = bpe->byte_ids[text[i]];
        if (out[i] < 0)
            return -1;
    }
    for (int i = 0; i + 1 < n; i++)
        ranks[i] = bpe_rank(bpe, out[i], out[i + 1]);
    while (n > 1) {
        int best = 0;
        for (int i = 1; i + 1 < n; i++)
            best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NO_RANK)
            break;
        out[best] = bpe->results[ranks[best]];
        n--;
        for (int i = best + 1; i < n; i++) {
            out[i] = out[i + 1];
            ranks[i - 1] = ranks[i];
        }
        if (best > 0)
            ranks[best - 1] = bpe_rank(bpe, out[best - 1], out[best]);
        if (best + 1 < n)
            ranks[best] = bpe_rank(bpe, out[best], out[best + 1]);
    }
    return n;
}

/* A piece failed: for a byte that has no token, which is named, or for memory. */
static bool refuse(const struct bpe *bpe, const unsigned char *text, size_t n, bool known,
                   struct gpt2_error *err) {
    for (size_t i = 0; !known && i < n; i++)
        if (bpe->byte_ids[text[i]] < 0)
            return error_set(err, GPT2_ERR_INPUT,
                             "the vocabulary has no token for the byte 0x%02X of the text",
                             text[i]);
    return false;
}

bool bpe_encode(const struct bpe *bpe, const unsigned char *text, size_t n, struct gpt2_ids *ids,
                struct gpt2_error *err) {
    bool known = true;
    if (n <= BPE_SHORT) {
        int32_t out[BPE_SHORT];
        int count = bpe_merge_short(bpe, text, (int)n, out);
        if (count >= 0)
            return ids_append(ids, out, (size_t)count, err);
        known = false;
    } else if (bpe_merge_long(bpe, text, n, ids, &known, err)) {
        return true;
    }
    return refuse(bpe, text, n, known, err);
}

bool bpe_encode_parts(const struct bpe *bpe, const unsigned char *text, size_t n,
                      struct gpt2_ids *ids, const struct ids_drain *drain, struct gpt2_error *err) {
    bool known = true;
    return bpe_merge_long_parts(bpe, text, n, ids, drain, &known, err) ||
           refuse(bpe, text, n, known, err);
}

size_t bpe_n_merges(const struct bpe *bpe) {
    return bpe->n_merges;
}

void bpe_merges(const struct bpe *bpe, struct vocab_merge *out) {
    for (size_t rank = 0; rank < bpe->n_merges; rank++)
        out[rank] = (struct vocab_merge){-1, -1, bpe->results[rank]};
    for (size_t i = 0; i <= bpe->mask; i++) {
        const struct pair_slot *slot = &bpe->pairs[i];
        if (slot->key) {
            out[slot->rank].left = (int32_t)((slot->key - 1) >> 32);
            out[slot->rank].right = (int32_t)((slot->key - 1) & UINT32_MAX);
        }
    }
}
