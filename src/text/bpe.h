/* bpe.h - merging the bytes of a piece into tokens, by rank.
 *
 * The rule: a piece starts as its single bytes; as long as some adjacent pair of tokens is in the
 * merge list, the pair of lowest rank, of these the leftmost, becomes one token. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "text/vocab.h"

struct gpt2_ids;
struct bpe; /* the merge list, arranged for look-up; immutable, may be shared by threads */

/* Borrows the vocabulary. NULL: out of memory. */
struct bpe *bpe_create(const struct vocab *vocab, struct gpt2_error *err);
void bpe_free(struct bpe *bpe); /* NULL is allowed */

/* The merge list again: out[0..bpe_n_merges), by rank. A merge that was listed twice is there once,
 * at its last rank, and the other place has left = -1. */
size_t bpe_n_merges(const struct bpe *bpe);
void bpe_merges(const struct bpe *bpe, struct vocab_merge *out);

/* Appends the tokens of one piece, text[0..n). Time grows as n log n whatever the text. False: out
 * of memory, or the vocabulary has no token for one of the bytes; `ids` is then undefined beyond
 * the length it had. */
bool bpe_encode(const struct bpe *bpe, const unsigned char *text, size_t n, struct gpt2_ids *ids,
                struct gpt2_error *err);

/* The same for a piece of more than BPE_SHORT bytes, whose tokens need not be in memory together:
 * `drain` is run again and again while `ids` grows, and false of it ends the merging. Takes twice
 * the time. Memory, beside what the drain leaves in `ids`: none where merges are ranked as training
 * ranks them, else 13 bytes for each of the piece and all its tokens. A byte that has no token is
 * found before the first run. */
struct ids_drain;
bool bpe_encode_parts(const struct bpe *bpe, const unsigned char *text, size_t n,
                      struct gpt2_ids *ids, const struct ids_drain *drain, struct gpt2_error *err);

/* The same for short pieces, 1 <= n <= BPE_SHORT, without memory: writes the tokens to out (room
 * for BPE_SHORT), returns how many there are, or -1 where the vocabulary lacks a byte. */
#define BPE_SHORT 48
int bpe_merge_short(const struct bpe *bpe, const unsigned char *text, int n, int32_t *out);

#endif
