/* vocab.c - the vocabulary's tables. All memory is taken at once, when it is created. */
#include "text/vocab.h"
#include "base/os.h"
#include "text/text_rules.h"
#include "text/word.h"

#include <string.h>

static bool create_index(struct vocab_index *index, size_t n, struct gpt2_error *err) {
    size_t n_slots = 16;
    while (n_slots < n * 2) // at most half full: about 1.5 probes
        n_slots *= 2;
    index->mask = n_slots - 1;
    index->slots = os_alloc(n_slots, sizeof *index->slots, "the vocabulary's index", err);
    return index->slots != NULL;
}

struct vocab *vocab_create(int32_t size, size_t n_tokens, size_t n_added, size_t n_bytes,
                           size_t n_merges, struct gpt2_error *err) {
    struct vocab *vocab = os_alloc(1, sizeof *vocab, "the vocabulary", err);
    if (!vocab)
        return NULL;
    vocab->size = size;
    vocab->split = true;
    vocab->bytes = os_alloc(n_bytes, 1, "the vocabulary's text", err);
    vocab->tokens = os_alloc((size_t)size, sizeof *vocab->tokens, "the vocabulary's tokens", err);
    vocab->merges = os_alloc(n_merges, sizeof *vocab->merges, "the merges", err);
    vocab->added = os_alloc(n_added, sizeof *vocab->added, "the added tokens", err);
    if (!vocab->bytes || !vocab->tokens || !vocab->merges || !vocab->added ||
        !create_index(&vocab->ordinary, n_tokens, err) ||
        !create_index(&vocab->added_index, n_added, err)) {
        vocab_free(vocab);
        return NULL;
    }
    return vocab;
}

void vocab_free(struct vocab *vocab) {
    if (!vocab)
        return;
    if (!vocab->borrowed) {
        os_free(vocab->bytes);
        os_free(vocab->tokens);
        os_free(vocab->merges);
        os_free(vocab->added);
        os_free(vocab->ordinary.slots);
        os_free(vocab->added_index.slots);
    }
    text_rules_free(vocab->rules);
    os_free(vocab);
}

static size_t hash(const unsigned char *text, size_t len) {
    uint64_t h = len;
    for (; len >= 8; text += 8, len -= 8)
        h = (h ^ word_load(text)) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
    for (; len > 0; text++, len--)
        h = (h ^ *text) * 0x100000001B3u;
    h *= 0x9E3779B97F4A7C15u;
    return (size_t)(h ^ h >> 32);
}

/* memcmp's answer without a call: tokens are short. */
static bool equal(const unsigned char *a, const unsigned char *b, size_t n) {
    if (n >= 8 && n <= 16) // two words that overlap, or meet
        return ((word_load(a) ^ word_load(b)) | (word_load(a + n - 8) ^ word_load(b + n - 8))) == 0;
    if (n > 16)
        return !memcmp(a, b, n);
    while (n > 0 && a[n - 1] == b[n - 1])
        n--;
    return n == 0;
}

/* The slot that holds the bytes, or the free slot where they belong. */
static uint32_t *find_slot(const struct vocab *vocab, const struct vocab_index *index,
                           const void *text, size_t len) {
    for (size_t i = hash(text, len);; i++) {
        uint32_t *slot = &index->slots[i & index->mask];
        if (*slot == 0)
            return slot;
        struct vocab_token token = vocab->tokens[*slot - 1];
        if (token.len == len && equal(vocab->bytes + token.offset, text, len))
            return slot;
    }
}

static void store(struct vocab *vocab, int32_t id, const void *text, size_t len) {
    memcpy(vocab->bytes + vocab->n_bytes, text, len);
    vocab->tokens[id].offset = (uint32_t)vocab->n_bytes;
    vocab->tokens[id].len = (uint32_t)len & VOCAB_MAX_TOKEN;
    vocab->n_bytes += len;
}

int32_t vocab_add(struct vocab *vocab, int32_t id, const void *text, size_t len) {
    uint32_t *slot = find_slot(vocab, &vocab->ordinary, text, len);
    if (*slot)
        return (int32_t)*slot - 1;
    store(vocab, id, text, len);
    *slot = (uint32_t)id + 1;
    return -1;
}

int32_t vocab_add_added(struct vocab *vocab, int32_t id, const void *text, size_t len,
                        bool special) {
    uint32_t *slot = find_slot(vocab, &vocab->added_index, text, len);
    if (*slot && *slot != (uint32_t)id + 1)
        return (int32_t)*slot - 1;
    struct vocab_token *token = &vocab->tokens[id];
    if (!token->len)
        store(vocab, id, text, len);
    token->special |= special;
    token->added = !token->special;
    if (*slot)
        return -1;
    vocab->added[vocab->n_added++] = id;
    *slot = (uint32_t)id + 1;
    return -1;
}

bool vocab_has(const struct vocab *vocab, int64_t id) {
    return id >= 0 && id < vocab->size && vocab->tokens[id].len > 0;
}

int32_t vocab_find(const struct vocab *vocab, const void *text, size_t len) {
    return (int32_t)*find_slot(vocab, &vocab->ordinary, text, len) - 1;
}

int32_t vocab_find_added(const struct vocab *vocab, const void *text, size_t len) {
    return (int32_t)*find_slot(vocab, &vocab->added_index, text, len) - 1;
}
