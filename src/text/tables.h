/* tables.h - a tokenizer's tables as one stretch of bytes, to be mapped and used where they lie.
 *
 * Reading GPT-2's files takes milliseconds, as long as a short answer. What it leads to is a few
 * arrays without pointers, so they can be kept as they lie in memory:
 *
 *     struct tables_header      64 bytes
 *     byte_ids                  i32[256]
 *     tokens                    struct vocab_token[size]
 *     ordinary, added_index     u32[2^bits] each
 *     added                     i32[n_added]
 *     results                   i32[n_merges]
 *     filter                    u64[2^pair_bits / 16]
 *     pairs                     struct pair_slot[2^pair_bits]
 *     pieces                    struct piece_slot[2^piece_bits]
 *     bytes                     u8[n_bytes], the text of the tokens
 *     rules                     u8[n_rules], JSON (text_rules.h); GPT-2's own tokenizer has none
 *
 * each at a multiple of 64 bytes, in the byte order of the machine that wrote them. The list of
 * merges itself is not kept: nothing asks for it once the tables are made. */
#ifndef TEXT_TABLES_H
#define TEXT_TABLES_H

#include "text/bpe.h"
#include "text/pieces.h"

#define TABLES_MAGIC   0x6B743267u /* "g2tk"; other in another byte order          */
#define TABLES_VERSION 1u          /* goes up with any change to what lies in them */
#define TABLES_ALIGN   64          /* of the whole, and of each array in it        */

/* Bits of tables_header.flags; there are no others. */
enum {
    TABLES_SPLIT = 1 << 0,
    TABLES_ADD_PREFIX_SPACE = 1 << 1,
    TABLES_IGNORE_MERGES = 1 << 2,
    TABLES_RISING = 1 << 3
};

struct tables_header {
    uint32_t magic, version, flags;
    uint32_t size, n_bytes, n_added, n_merges;                 /* as in vocab.h  */
    uint32_t ordinary_bits, added_bits, pair_bits, piece_bits; /* log2 of slots  */
    uint32_t n_rules;                                          /* bytes of the rules; 0: none */
    uint32_t zero[4];                                          /* to be all zero */
};

struct tables {
    struct vocab *vocab;
    struct bpe *bpe;
    struct pieces *pieces;
};

/* Writes the tables one after the other. The bytes depend on the tables' content alone; they are
 * at a multiple of TABLES_ALIGN and to be freed with free(). False: out of memory. */
bool tables_pack(const struct tables *tables, unsigned char **bytes, size_t *n_bytes,
                 struct gpt2_error *err);

/* Makes tables that borrow `bytes`, which lie at a multiple of TABLES_ALIGN. Whatever the bytes
 * are, what is accepted can be used without a read out of range or a search without end; that the
 * tokens are the right ones is for a checksum to say. Fails with GPT2_ERR_MODEL, naming `name`, or
 * GPT2_ERR_MEMORY. */
bool tables_unpack(struct tables *tables, const unsigned char *bytes, size_t n_bytes,
                   const char *name, struct gpt2_error *err);

void tables_free(struct tables *tables); /* a zeroed struct is allowed */

#endif
