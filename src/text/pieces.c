/* pieces.c - building the table of whole-piece tokens. */
#include "text/pieces.h"
#include "base/os.h"

/* True if a piece of exactly this token's bytes becomes this token. */
static bool makes_itself(const struct vocab *vocab, const struct bpe *bpe, int32_t id) {
    struct vocab_token token = vocab->tokens[id];
    const unsigned char *text = vocab->bytes + token.offset;
    int32_t out[BPE_SHORT];
    if (vocab->ignore_merges)
        return vocab_find(vocab, text, token.len) == id;
    return bpe_merge_short(bpe, text, (int)token.len, out) == 1 && out[0] == id;
}

struct pieces *pieces_create(const struct vocab *vocab, const struct bpe *bpe,
                             struct gpt2_error *err) {
    struct pieces *pieces = os_alloc(1, sizeof *pieces, "the tokenizer", err);
    if (!pieces)
        return NULL;
    size_t n_short = 0;
    for (int32_t id = 0; id < vocab->size; id++)
        n_short += vocab->tokens[id].len && vocab->tokens[id].len <= PIECE_MAX;
    int bits = 4;
    while ((size_t)1 << bits < n_short + n_short / 3) // at most three quarters full
        bits++;
    pieces->shift = 64 - bits;
    pieces->mask = ((size_t)1 << bits) - 1;
    pieces->slots = os_alloc(pieces->mask + 1, sizeof *pieces->slots, "the piece table", err);
    if (!pieces->slots) {
        pieces_free(pieces);
        return NULL;
    }
    // In order of ids, which is the order of frequency: common pieces are found at once.
    for (int32_t id = 0; id < vocab->size; id++) {
        struct vocab_token token = vocab->tokens[id];
        if (!token.len || token.len > PIECE_MAX || !makes_itself(vocab, bpe, id))
            continue;
        struct piece_key key = piece_key(vocab->bytes + token.offset, token.len);
        size_t i = (size_t)(piece_hash(key) >> pieces->shift);
        while (pieces->slots[i & pieces->mask].key.hi)
            i++;
        pieces->slots[i & pieces->mask] = (struct piece_slot){key, id};
    }
    return pieces;
}

void pieces_free(struct pieces *pieces) {
    if (!pieces)
        return;
    if (!pieces->borrowed)
        os_free(pieces->slots);
    os_free(pieces);
}
