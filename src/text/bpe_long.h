/* bpe_long.h - merging the bytes of long pieces, for bpe.c. */
#ifndef TEXT_BPE_LONG_H
#define TEXT_BPE_LONG_H

#include "text/bpe_table.h"
#include "text/ids.h"

/* Appends the tokens of one piece of any length. *known is set: false if a byte of it has no token.
 * False: that, or out of memory. */
bool bpe_merge_long(const struct bpe *bpe, const unsigned char *text, size_t n,
                    struct gpt2_ids *ids, bool *known, struct gpt2_error *err);

/* The same; the tokens are handed on while there come more, as bpe_encode_parts has it. */
bool bpe_merge_long_parts(const struct bpe *bpe, const unsigned char *text, size_t n,
                          struct gpt2_ids *ids, const struct ids_drain *drain, bool *known,
                          struct gpt2_error *err);

#endif
