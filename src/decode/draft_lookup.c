/* draft_lookup.c - an index of n-grams over a text, as compressors of the LZ77 kind have it. */
#include "decode/draft_lookup.h"
#include "base/fnv.h"
#include "base/os.h"

#include <string.h>

#define FIRST_CAP 256
#define CHAIN     16 /* places looked at for one match */

/* The chain of the gram that ends before `end`. */
static uint32_t *chain_of(const struct draft_lookup *lookup, const int32_t *end) {
    uint64_t hash = FNV_START;
    for (int i = 1; i <= lookup->gram; i++)
        hash = fnv_mix(hash, (uint32_t)end[-i]);
    return &lookup->heads[(hash ^ hash >> 32) & (lookup->cap - 1)];
}

/* Makes the place n - 1, whose token was just appended, one that can be found. */
static void index_last(struct draft_lookup *lookup) {
    const size_t place = lookup->n - 1;
    lookup->earlier[place] = 0;
    if (place < (size_t)lookup->gram)
        return;
    uint32_t *chain = chain_of(lookup, lookup->ids + place);
    lookup->earlier[place] = *chain;
    *chain = (uint32_t)place + 1;
}

static bool grow(struct draft_lookup *lookup, size_t cap, struct gpt2_error *err) {
    struct draft_lookup grown = {.gram = lookup->gram, .cap = cap};
    grown.ids = os_alloc(cap, sizeof *grown.ids, "an index of a text", err);
    grown.earlier = os_alloc(cap, sizeof *grown.earlier, "an index of a text", err);
    grown.heads = os_alloc(cap, sizeof *grown.heads, "an index of a text", err);
    if (!grown.ids || !grown.earlier || !grown.heads) {
        draft_lookup_free(&grown);
        return false;
    }
    for (size_t i = 0; i < lookup->n; i++) {
        grown.ids[grown.n++] = lookup->ids[i];
        index_last(&grown);
    }
    draft_lookup_free(lookup);
    *lookup = grown;
    return true;
}

bool draft_lookup_push(struct draft_lookup *lookup, const int32_t *ids, size_t n,
                       struct gpt2_error *err) {
    size_t cap = lookup->cap ? lookup->cap : FIRST_CAP;
    while (cap < lookup->n + n)
        cap *= 2;
    if (cap > lookup->cap && !grow(lookup, cap, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        lookup->ids[lookup->n++] = ids[i];
        index_last(lookup);
    }
    return true;
}

void draft_lookup_clear(struct draft_lookup *lookup) {
    lookup->n = 0;
    if (lookup->cap)
        memset(lookup->heads, 0, lookup->cap * sizeof *lookup->heads);
}

void draft_lookup_free(struct draft_lookup *lookup) {
    os_free(lookup->ids);
    os_free(lookup->earlier);
    os_free(lookup->heads);
    *lookup = (struct draft_lookup){.gram = lookup->gram};
}

/* How many tokens before the two ends are equal. */
static int match(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b) {
    const size_t most = n_a < n_b ? n_a : n_b;
    int n = 0;
    while (n < LOOKUP_MATCH && (size_t)n < most && a[n_a - 1 - (size_t)n] == b[n_b - 1 - (size_t)n])
        n++;
    return n;
}

bool draft_lookup_find(const struct draft_lookup *lookup, const int32_t *ids, size_t n,
                       size_t *place, int *length) {
    *length = 0;
    if (n < (size_t)lookup->gram || !lookup->n)
        return false;
    uint32_t at = *chain_of(lookup, ids + n);
    for (int i = 0; at && i < CHAIN && *length < LOOKUP_MATCH; i++, at = lookup->earlier[at - 1]) {
        int found = match(lookup->ids, at - 1, ids, n);
        if (found > *length) {
            *length = found;
            *place = at - 1;
        }
    }
    return *length >= lookup->gram; // else grams that share a hash
}

int draft_lookup_copy(const struct draft_lookup *lookup, size_t place, bool is_own, int32_t *out,
                      int max) {
    int n = 0;
    for (; n < max && (place + (size_t)n < lookup->n || is_own); n++) {
        size_t at = place + (size_t)n;
        out[n] = at < lookup->n ? lookup->ids[at] : out[at - lookup->n];
    }
    return n;
}
