/* tables.c - laying the tables out, and checking them when they come back. */
#include "text/tables.h"
#include "base/error_internal.h"
#include "base/os.h"
#include "text/bpe_table.h"
#include "text/text_rules.h"

#include <stdlib.h>

_Static_assert(sizeof(struct tables_header) == TABLES_ALIGN, "the header fills one unit");
_Static_assert(sizeof(struct vocab_token) == 8 && sizeof(struct pair_slot) == 16 &&
                   sizeof(struct piece_slot) == 24,
               "another layout needs another TABLES_VERSION");

/* log2 of the slots of a hash table: no table is made smaller (so the filter of the pairs is whole
 * words), and none is needed that is larger. */
#define MIN_BITS 4
#define MAX_BITS 30

/* Where each array begins. */
struct table_layout {
    uint64_t byte_ids, tokens, ordinary, added_index, added, results, filter, pairs, pieces, bytes,
        rules;
    uint64_t end;
};

/* No overflow: counts have at most 32 bits, an element at most 24 bytes. */
static uint64_t place(uint64_t *end, uint64_t count, size_t size) {
    uint64_t at = *end;
    *end = (at + count * size + TABLES_ALIGN - 1) / TABLES_ALIGN * TABLES_ALIGN;
    return at;
}

static struct table_layout layout_of(const struct tables_header *h) {
    struct table_layout at;
    uint64_t end = sizeof *h, n_pairs = (uint64_t)1 << h->pair_bits;
    at.byte_ids = place(&end, 256, sizeof(int32_t));
    at.tokens = place(&end, h->size, sizeof(struct vocab_token));
    at.ordinary = place(&end, (uint64_t)1 << h->ordinary_bits, sizeof(uint32_t));
    at.added_index = place(&end, (uint64_t)1 << h->added_bits, sizeof(uint32_t));
    at.added = place(&end, h->n_added, sizeof(int32_t));
    at.results = place(&end, h->n_merges, sizeof(int32_t));
    at.filter = place(&end, n_pairs / 16, sizeof(uint64_t));
    at.pairs = place(&end, n_pairs, sizeof(struct pair_slot));
    at.pieces = place(&end, (uint64_t)1 << h->piece_bits, sizeof(struct piece_slot));
    at.bytes = place(&end, h->n_bytes, 1);
    at.rules = place(&end, h->n_rules, 1);
    at.end = end;
    return at;
}

/* ---- to bytes ---- */

static uint32_t bits_of(size_t mask) {
    uint32_t bits = 0;
    while (mask >> bits)
        bits++;
    return bits;
}

static void copy(unsigned char *to, const void *from, size_t count, size_t size) {
    if (count)
        memcpy(to, from, count * size);
}

/* Copies structs without what lies between them, which could be anything. */
static void copy_slots(unsigned char *to, const void *from, size_t count, size_t size,
                       size_t used) {
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * size, (const unsigned char *)from + i * size, used);
}

bool tables_pack(const struct tables *tables, unsigned char **bytes, size_t *n_bytes,
                 struct gpt2_error *err) {
    const struct vocab *vocab = tables->vocab;
    const struct bpe *bpe = tables->bpe;
    const struct pieces *pieces = tables->pieces;
    const struct tables_header header = {
        .magic = TABLES_MAGIC,
        .version = TABLES_VERSION,
        .flags = (vocab->split ? TABLES_SPLIT : 0u) |
                 (vocab->add_prefix_space ? TABLES_ADD_PREFIX_SPACE : 0u) |
                 (vocab->ignore_merges ? TABLES_IGNORE_MERGES : 0u) |
                 (bpe->rising ? TABLES_RISING : 0u),
        .size = (uint32_t)vocab->size,
        .n_bytes = (uint32_t)vocab->n_bytes,
        .n_added = (uint32_t)vocab->n_added,
        .n_merges = (uint32_t)bpe->n_merges,
        .ordinary_bits = bits_of(vocab->ordinary.mask),
        .added_bits = bits_of(vocab->added_index.mask),
        .pair_bits = bits_of(bpe->mask),
        .piece_bits = bits_of(pieces->mask),
        .n_rules = vocab->rules ? (uint32_t)vocab->rules->text.len : 0,
    };
    struct table_layout at = layout_of(&header);
    *n_bytes = (size_t)at.end;
    unsigned char *out = *bytes = aligned_alloc(TABLES_ALIGN, *n_bytes);
    if (!out)
        return error_set(err, GPT2_ERR_MEMORY,
                         "out of memory for the tokenizer's tables: %zu bytes", *n_bytes);
    memset(out, 0, *n_bytes);
    copy(out, &header, 1, sizeof header);
    copy(out + at.byte_ids, bpe->byte_ids, 256, sizeof *bpe->byte_ids);
    copy(out + at.tokens, vocab->tokens, header.size, sizeof *vocab->tokens);
    copy(out + at.ordinary, vocab->ordinary.slots, vocab->ordinary.mask + 1, sizeof(uint32_t));
    copy(out + at.added_index, vocab->added_index.slots, vocab->added_index.mask + 1,
         sizeof(uint32_t));
    copy(out + at.added, vocab->added, vocab->n_added, sizeof *vocab->added);
    copy(out + at.results, bpe->results, bpe->n_merges, sizeof *bpe->results);
    copy(out + at.filter, bpe->filter, (bpe->mask + 1) / 16, sizeof *bpe->filter);
    copy_slots(out + at.pairs, bpe->pairs, bpe->mask + 1, sizeof *bpe->pairs,
               offsetof(struct pair_slot, rank) + sizeof(int32_t));
    copy_slots(out + at.pieces, pieces->slots, pieces->mask + 1, sizeof *pieces->slots,
               offsetof(struct piece_slot, id) + sizeof(int32_t));
    copy(out + at.bytes, vocab->bytes, vocab->n_bytes, 1);
    if (vocab->rules)
        copy(out + at.rules, vocab->rules->text.data, vocab->rules->text.len, 1);
    return true;
}

/* ---- and back ----
 *
 * Each check goes once through one array, without a branch in the loop. */

static bool ids_ok(const int32_t *ids, size_t n, uint32_t size) {
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok &= (uint32_t)ids[i] < size;
    return ok;
}

static bool byte_ids_ok(const int32_t *ids, uint32_t size) {
    bool ok = true;
    for (int i = 0; i < 256; i++)
        ok &= (uint32_t)ids[i] + 1 <= size; // -1: none
    return ok;
}

/* The tokens fill the text, the last id has one, and those that are added are as many as the list
 * has. */
static bool tokens_ok(const struct vocab_token *tokens, const struct tables_header *h) {
    uint64_t end = 0;
    uint32_t n_added = 0;
    for (size_t i = 0; i < h->size; i++) {
        uint64_t last = (uint64_t)tokens[i].offset + tokens[i].len;
        end = last > end ? last : end;
        n_added += tokens[i].special | tokens[i].added;
    }
    return end == h->n_bytes && n_added == h->n_added && tokens[h->size - 1].len > 0;
}

/* An added token is never empty: the search for it would not move on. */
static bool added_ok(const int32_t *ids, const struct vocab_token *tokens,
                     const struct tables_header *h) {
    for (size_t i = 0; i < h->n_added; i++)
        if ((uint32_t)ids[i] >= h->size || !tokens[ids[i]].len ||
            !(tokens[ids[i]].special | tokens[ids[i]].added))
            return false;
    return true;
}

/* A search ends at a free slot, so each hash table must have one. */
static bool index_ok(const uint32_t *slots, uint32_t bits, uint32_t size) {
    uint32_t largest = 0, least = UINT32_MAX;
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        largest = slots[i] > largest ? slots[i] : largest;
        least = slots[i] < least ? slots[i] : least;
    }
    return largest <= size && least == 0;
}

/* The last merge is always there; an earlier one may be listed again further on. */
static bool pairs_ok(const struct pair_slot *slots, const struct tables_header *h) {
    uint32_t last = 0, n_free = 0; // last: one more than the largest rank
    bool ok = true;
    for (size_t i = 0; i < (size_t)1 << h->pair_bits; i++) {
        uint32_t none = slots[i].key == 0, next = none ? 0 : (uint32_t)slots[i].rank + 1;
        ok &= !none | (slots[i].rank == NO_RANK);
        n_free += none;
        last = next > last ? next : last;
    }
    return ok && n_free > 0 && last == h->n_merges;
}

static bool pieces_ok(const struct piece_slot *slots, const struct tables_header *h) {
    uint32_t n_free = 0;
    bool ok = true;
    for (size_t i = 0; i < (size_t)1 << h->piece_bits; i++) {
        n_free += slots[i].key.hi == 0;
        ok &= (uint32_t)slots[i].id < h->size;
    }
    return ok && n_free > 0;
}

static bool refuse(const char *name, const char *what, struct gpt2_error *err) {
    error_set(err, GPT2_ERR_MODEL, "%s: the tokenizer's tables are damaged: %s", name, what);
    return error_hint(err, "make the file again with gpt2 quantize");
}

/* Everything that the layout follows from. */
static bool check_header(const struct tables_header *h, size_t n_bytes, const char *name,
                         struct gpt2_error *err) {
    if (n_bytes < sizeof *h)
        return refuse(name, "they are shorter than their header", err);
    if (h->magic != TABLES_MAGIC || h->version != TABLES_VERSION) {
        error_set(err, GPT2_ERR_MODEL,
                  "%s: expected tokenizer tables (0x%08x) of version %u, found 0x%08x, version %u",
                  name, TABLES_MAGIC, TABLES_VERSION, (unsigned)h->magic, (unsigned)h->version);
        return error_hint(err, "make the file again with this version's gpt2 quantize");
    }
    uint32_t zero = h->zero[0] | h->zero[1] | h->zero[2] | h->zero[3];
    if (zero || h->flags >= TABLES_RISING << 1)
        return refuse(name, "unknown flags are set", err);
    if (h->size < 1 || h->size > VOCAB_MAX_ID + 1 || h->n_merges > INT32_MAX - 1 ||
        h->n_added > h->size)
        return refuse(name, "a count is out of range", err);
    const uint32_t bits[] = {h->ordinary_bits, h->added_bits, h->pair_bits, h->piece_bits};
    for (int i = 0; i < 4; i++)
        if (bits[i] < MIN_BITS || bits[i] > MAX_BITS)
            return refuse(name, "the size of a hash table is out of range", err);
    return layout_of(h).end == n_bytes ||
           refuse(name, "they are not as long as their header says", err);
}

/* The structs' fields are not const, as the maker of the tables fills them in; nothing writes to
 * them afterwards. */
static void *at(const unsigned char *bytes, uint64_t offset) {
    return (void *)(uintptr_t)(bytes + offset);
}

static void borrow(struct tables *tables, const unsigned char *bytes,
                   const struct tables_header *h) {
    struct table_layout from = layout_of(h);
    *tables->vocab = (struct vocab){
        .bytes = at(bytes, from.bytes),
        .n_bytes = h->n_bytes,
        .tokens = at(bytes, from.tokens),
        .size = (int32_t)h->size,
        .ordinary = {at(bytes, from.ordinary), ((size_t)1 << h->ordinary_bits) - 1},
        .added_index = {at(bytes, from.added_index), ((size_t)1 << h->added_bits) - 1},
        .added = at(bytes, from.added),
        .n_added = h->n_added,
        .split = h->flags & TABLES_SPLIT,
        .add_prefix_space = h->flags & TABLES_ADD_PREFIX_SPACE,
        .ignore_merges = h->flags & TABLES_IGNORE_MERGES,
        .borrowed = true,
    };
    *tables->bpe = (struct bpe){
        .shift = 64 - (int)h->pair_bits,
        .mask = ((size_t)1 << h->pair_bits) - 1,
        .pairs = at(bytes, from.pairs),
        .filter = at(bytes, from.filter),
        .results = at(bytes, from.results),
        .n_merges = h->n_merges,
        .rising = h->flags & TABLES_RISING,
        .borrowed = true,
    };
    memcpy(tables->bpe->byte_ids, bytes + from.byte_ids, sizeof tables->bpe->byte_ids);
    *tables->pieces = (struct pieces){
        .slots = at(bytes, from.pieces),
        .mask = ((size_t)1 << h->piece_bits) - 1,
        .shift = 64 - (int)h->piece_bits,
        .borrowed = true,
    };
}

static bool check_tables(const struct tables *tables, const struct tables_header *h,
                         const char *name, struct gpt2_error *err) {
    const struct vocab *vocab = tables->vocab;
    const struct bpe *bpe = tables->bpe;
    if (!tokens_ok(vocab->tokens, h))
        return refuse(name, "the tokens do not fill their text", err);
    if (!added_ok(vocab->added, vocab->tokens, h))
        return refuse(name, "an added token is none", err);
    if (!byte_ids_ok(bpe->byte_ids, h->size) || !ids_ok(bpe->results, h->n_merges, h->size))
        return refuse(name, "an id is out of range", err);
    if (!index_ok(vocab->ordinary.slots, h->ordinary_bits, h->size) ||
        !index_ok(vocab->added_index.slots, h->added_bits, h->size) || !pairs_ok(bpe->pairs, h) ||
        !pieces_ok(tables->pieces->slots, h))
        return refuse(name, "a hash table has no free slot, or an entry out of range", err);
    return true;
}

static bool unpack_rules(struct vocab *vocab, const unsigned char *bytes,
                         const struct tables_header *h, const char *name, struct gpt2_error *err) {
    return !h->n_rules || (text_rules_unpack(&vocab->rules, at(bytes, layout_of(h).rules),
                                             h->n_rules, name, err) &&
                           text_rules_check(vocab->rules, vocab->size, name, err));
}

bool tables_unpack(struct tables *tables, const unsigned char *bytes, size_t n_bytes,
                   const char *name, struct gpt2_error *err) {
    *tables = (struct tables){0};
    if ((uintptr_t)bytes % TABLES_ALIGN)
        return refuse(name, "they do not lie at a multiple of 64 bytes", err);
    const struct tables_header *h = (const void *)bytes;
    if (!check_header(h, n_bytes, name, err))
        return false;
    tables->vocab = os_alloc(1, sizeof *tables->vocab, "the vocabulary", err);
    tables->bpe = os_alloc(1, sizeof *tables->bpe, "the tokenizer", err);
    tables->pieces = os_alloc(1, sizeof *tables->pieces, "the tokenizer", err);
    bool ok = tables->vocab && tables->bpe && tables->pieces;
    if (ok) {
        borrow(tables, bytes, h);
        ok = check_tables(tables, h, name, err) && unpack_rules(tables->vocab, bytes, h, name, err);
    }
    if (!ok)
        tables_free(tables);
    return ok;
}

void tables_free(struct tables *tables) {
    pieces_free(tables->pieces);
    bpe_free(tables->bpe);
    vocab_free(tables->vocab);
    *tables = (struct tables){0};
}
